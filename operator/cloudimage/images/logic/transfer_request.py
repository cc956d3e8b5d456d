"""What an image's bytes depend on, and the request for the transfer that makes them."""

from cloudimage.api.cloudimage import CloudImage, CloudImageSpec, Import
from cloudimage.images.logic import burned_ids, effective, metadata
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.revisions import is_tested_first
from cloudimage.sources.customize import requested
from cloudimage.transfer import contract
from cloudimage.transfer.customize.model import Customize
from cloudimage.transfer.findings import LintMode
from cloudimage.vocabulary.marks import UNTESTED, Marks


def new_image(
    resource: CloudImage, desired: Desired, name: str, secret_uid: str | None = None
) -> contract.NewImage:
    """Return the Glance image that a transfer for this resource makes.

    Args:
        resource: The CloudImage, with the status that says that the transfer starts.
        desired: What its spec wants.
        name: What the image is called until it is verified.
        secret_uid: UID of the Secret with the credentials.
    """
    resource = effective.applied(resource)
    image = resource.spec.image
    tested_first = is_tested_first(resource.spec)
    uid, content = resource.metadata.uid, desired.content_key
    seed, lot = burned_ids.lot_of(uid, content, resource.status.transfers_started)
    return contract.NewImage(
        id_seed=seed,
        lot=lot,
        name=name,
        disk_format=image.disk_format,
        container_format=image.container_format,
        min_disk=image.min_disk_gib,
        min_ram=image.min_ram_mib,
        compress=image.compress is True,
        tags=tuple(sorted(image.tags or ())),
        visibility=image.visibility,
        owner=image.owner,
        properties={
            **(image.properties or {}),
            **metadata.properties_mark(resource.spec),
            Marks.UID: uid,
            Marks.DIGEST: content,
            **({Marks.BOOTED: UNTESTED} if tested_first else {}),
            **({contract.SECRET_MARK: secret_uid} if secret_uid else {}),
        },
    )


_UNITS = {"Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def limits(spec: CloudImageSpec, operators: contract.Limits) -> contract.Limits:
    """Return the limits of a transfer: the operator's, and the spec's where it is stricter."""
    if spec.image.max_size is None:
        return operators
    number, unit = spec.image.max_size[:-2], spec.image.max_size[-2:]
    largest = min(operators.max_virtual_size, int(number) * _UNITS[unit])
    return operators.model_copy(update={"max_virtual_size": largest})


def lint_mode(spec: CloudImageSpec) -> LintMode:
    """Return whether the image is looked into."""
    return spec.lint or "Auto"


def method(spec: CloudImageSpec) -> contract.Import:
    """Return how the bytes are to go into Glance."""
    wanted = spec.import_ or Import()
    return contract.Import(method=wanted.method, stores=tuple(sorted(wanted.stores or ())))


def customize(spec: CloudImageSpec, texts: contract.Texts) -> Customize | None:
    """Return what is to be done to the image, with what Secrets and ConfigMaps say.

    Raises:
        ValueError: A step is of no kind that is known.
    """
    wanted = requested(spec.customize)
    return wanted and wanted.with_texts(texts)
