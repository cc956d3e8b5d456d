"""Whether a file may be uploaded for a CloudImage, by what is known of both; pure."""

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.sources.upload import UploadSource
from cloudimage.cli.errors import CommandError
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.owned_images import OwnedImages
from cloudimage.vocabulary.marks import SOURCE_MARK


def check_kind(resource: CloudImage) -> UploadSource:
    """Return the source of an object that takes an upload.

    Raises:
        CommandError: With what it is instead.
    """
    name, source = resource.metadata.name, resource.spec.source
    if resource.metadata.deletion_timestamp is not None:
        raise CommandError(f"CloudImage {name} is being deleted.")
    if source is None or source.upload is None:
        kinds = ", ".join(f"spec.source.{each}" for each in (source.to_json() if source else ()))
        raise CommandError(
            f"CloudImage {name} takes no upload: its image comes from {kinds or 'another image'}. "
            "Only one with spec.source.upload waits for a file."
        )
    return source.upload


def check_project(resource: CloudImage, project: str | None) -> None:
    """Refuse credentials of another project: the operator would not find the image.

    Raises:
        CommandError: With both projects.
    """
    upload = resource.status.upload
    wanted = upload.project_id if upload else None
    if wanted is not None and project is not None and wanted != project:
        raise CommandError(
            f"These credentials are of project {project}, and the image of CloudImage "
            f"{resource.metadata.name} must be made in project {wanted}. Name a cloud of that "
            "project with --os-cloud."
        )


def already_there(resource: CloudImage, owned: OwnedImages, sha256: str) -> str | None:
    """Return the image that has the file's bytes already, if there is one.

    Raises:
        CommandError: There is one, of another file.
    """
    image = owned.current
    if image is None:
        return None
    if image.properties.get(SOURCE_MARK, sha256) == sha256:
        return image.id
    raise CommandError(
        f"CloudImage {resource.metadata.name} has its image already, {image.id}, of a file with "
        f"another sha256. To replace it, give --replace, or set spec.source.upload.sha256 to "
        f"{sha256}."
    )


def is_noted(resource: CloudImage) -> bool:
    """Return whether the operator says that it waits for the file of the latest spec, or has it."""
    status = resource.status
    desired = Desired.of(resource.spec, status.resolved_source)
    seen = status.observed_generation == resource.metadata.generation
    has_image = status.synced_generation == resource.metadata.generation
    return (
        seen and status.digest == desired.content_key and (status.upload is not None or has_image)
    )


def deleted(resource: CloudImage, outcome: str) -> CommandError:
    """Return that an object went while its file was uploaded, and what came of that."""
    return CommandError(f"CloudImage {resource.metadata.name} was deleted meanwhile: {outcome}.")
