"""``cloudimage upload``: a file of the user's own becomes the image of a CloudImage.

The transfer is the operator's own code, run on the user's machine: no byte passes through the API
server. The operator finds the image by its marks, as it finds those that it made itself.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from kubernetes.client import ApiException
from rich.console import Console

from cloudimage.access.policy import OPEN
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.kinds import CLOUD_IMAGE
from cloudimage.api.names import API_VERSION, RETRY_ANNOTATION
from cloudimage.cli import kube_client
from cloudimage.cli.arguments import Target, Where
from cloudimage.cli.by_hand import bars, refused, workplace
from cloudimage.cli.connecting import config_of
from cloudimage.cli.errors import CommandError
from cloudimage.cli.kube_client import Cluster
from cloudimage.cli.local_scratch import private
from cloudimage.cli.output import say
from cloudimage.cli.state import why
from cloudimage.cli.upload_checks import (
    already_there,
    check_kind,
    check_project,
    deleted,
    is_noted,
)
from cloudimage.cli.upload_token import Token, token_of
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import Cloud, open_cloud
from cloudimage.cloud.errors import CloudError
from cloudimage.credentials.lending import lend
from cloudimage.images.logic import owned_images, revisions, transfer_request
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.owned_images import OwnedImages
from cloudimage.images.owned_images import candidates
from cloudimage.plaintext import plain
from cloudimage.sources.upload import UploadSpecSource
from cloudimage.transfer import contract
from cloudimage.transfer.contract import Checksum, Stage, TransferError
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.pipeline import transfer
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.request import TransferRequest
from cloudimage.transfer.source.hashes import Hashes
from cloudimage.vocabulary.image import DiskFormat
from cloudimage.vocabulary.marks import SOURCE_MARK, UPLOAD_MARK, Marks

_SEEN_SECONDS: Final = 60.0
"""How long the operator may take to say that it waits for the file."""
_INTERRUPTED: Final = "interrupted; nothing of it stays in Glance. Run it again to begin again"


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for.

    Attributes:
        path: The file.
        name: The CloudImage.
        declared: The disk format that the file is said to have; None: its content tells.
        disk_format: spec.image.diskFormat of a CloudImage that is created.
        secret: Secret of a CloudImage that is created; None: it must be there.
        cloud: Entry in that Secret.
        os_cloud: Cloud of the user's own clouds.yaml to upload with; None: see ``config_of``.
        replace: Whether the spec is changed to have this file.
        take_over: Whether an upload that another began is given up.
        scratch: Where files go; None: a folder of the user's own.
        max_scratch: Bytes that they may take.
    """

    path: Path
    name: str
    declared: DiskFormat | None
    disk_format: DiskFormat | None
    secret: str | None
    cloud: str | None
    os_cloud: str | None
    replace: bool
    take_over: bool
    scratch: Path | None
    max_scratch: int


@dataclass(frozen=True)
class File:
    """The file, once it was read."""

    path: Path
    sha256: str

    @classmethod
    def of(cls, path: Path, meter: Meter) -> "File":
        """Read a file, so that a wrong one is refused before any of its bytes go anywhere.

        Raises:
            CommandError: It is no file that can be read.
        """
        try:
            found = path.resolve(strict=True)
            if not found.is_file():
                raise CommandError(f"{path} is not a regular file.")
            meter.start(Stage.VERIFYING, found.stat().st_size)
            hashes = Hashes(None)
            hashes.update_from(found, meter)
        except OSError as error:
            raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
        return cls(found, hashes.fetched().checksums["sha256"])


def run(wanted: Wanted, where: Where) -> int:
    """Upload the file, print the image's id on standard output; return the exit status."""
    limits = contract.Limits(max_scratch=wanted.max_scratch)
    console = Console(stderr=True)
    with (
        refused(console, _INTERRUPTED) as outcome,
        _connected(where) as cluster,
        workplace(wanted.scratch, limits) as (folder, cache, interrupts),
        bars(console) as show,
    ):
        place = _Place(folder, cache, interrupts, Meter(show), limits)
        said = _Upload(wanted, cluster, place, console).run()
        say(said)
    return outcome.status


@contextmanager
def _connected(where: Where) -> Iterator[Cluster]:
    found: Cluster | None = None
    with kube_client.sentences(lambda: found.server if found else ""):
        found = kube_client.connect(where)
        yield found


@dataclass(frozen=True)
class _Place:
    """Where a run is at work."""

    folder: Path
    cache: Path
    interrupts: Interrupts
    meter: Meter
    limits: contract.Limits


@dataclass(frozen=True)
class _Upload:
    """One file on its way into the image of a CloudImage."""

    wanted: Wanted
    cluster: Cluster
    place: _Place
    console: Console

    @property
    def _target(self) -> Target:
        return Target(CLOUD_IMAGE, self.wanted.name)

    def run(self) -> str:
        """Upload the file; return the image's id.

        Raises:
            CommandError: It is not to be uploaded, or not here.
            TransferError: It cannot be made an image.
        """
        file = File.of(self.wanted.path, self.place.meter)
        resource = self._object(file)
        folder = private(self.place.cache.parent / "uploads")
        with token_of(folder, resource.metadata.uid) as token:
            resource = self._awaited(resource)
            ref = resource.spec.cloud_credentials_ref
            config = config_of(self.cluster, ref, self.wanted.os_cloud)
            try:
                with open_cloud(config) as cloud:
                    return self._into(cloud, config, resource, file, token)
            except CloudError as error:
                raise CommandError(f"{str(error).rstrip('.')}.") from error

    def _object(self, file: File) -> CloudImage:
        """Return the CloudImage, that waits for this very file or for any; create it if need be.

        Raises:
            CommandError: It is one that does not.
        """
        found = self.cluster.find(self._target)
        if found is None:
            return CloudImage.model_validate(self._created(file))
        resource = CloudImage.model_validate(found)
        wanted = check_kind(resource).sha256
        if wanted is not None and wanted.lower() == file.sha256:
            return resource
        if wanted is None and not self.wanted.replace:
            return resource
        if not self.wanted.replace:
            raise CommandError(
                f"{self.wanted.path} is not the file that CloudImage {self.wanted.name} waits for: "
                f"its sha256 is {file.sha256}, and spec.source.upload.sha256 is {wanted}. Nothing "
                "was uploaded. To have the spec changed to this file, give --replace."
            )
        body = {"spec": {"source": {"upload": {"sha256": file.sha256}}}}
        return CloudImage.model_validate(self.cluster.merge(self._target, body))

    def _created(self, file: File) -> Mapping[str, Any]:
        wanted, namespace = self.wanted, self.cluster.namespace
        if wanted.secret is None or wanted.cloud is None:
            raise CommandError(
                f"There is no CloudImage {wanted.name} in namespace {namespace}. To have it "
                "created, give --secret and --cloud: the Secret with the clouds.yaml, and the "
                "cloud in it."
            )
        image = {"image": {"diskFormat": wanted.disk_format}} if wanted.disk_format else {}
        spec = {
            "cloudCredentialsRef": {"secretName": wanted.secret, "cloudName": wanted.cloud},
            "source": {"upload": {"sha256": file.sha256}},
            **image,
        }
        body = {
            "apiVersion": API_VERSION,
            "kind": CLOUD_IMAGE.name,
            "metadata": {"name": wanted.name, "namespace": namespace},
            "spec": spec,
        }
        return self.cluster.create(CLOUD_IMAGE, body)

    def _awaited(self, resource: CloudImage) -> CloudImage:
        """Return the object once the operator says that it waits for the file, or has it.

        Only then does a deletion of the object know of an image that is made for it.

        Raises:
            CommandError: It does not say so.
        """
        key = resource.metadata.namespace, resource.metadata.name
        deadline = time.monotonic() + _SEEN_SECONDS
        for objects in self.cluster.changes(CLOUD_IMAGE, key[1], deadline):
            if key not in objects:
                raise deleted(resource, "nothing was uploaded")
            resource = CloudImage.model_validate(objects[key])
            check_kind(resource)
            if is_noted(resource):
                return resource
        reason, message = why(resource)
        because = f" It says {reason}: {message}" if reason else " Check that it runs."
        raise CommandError(
            f"The operator does not wait for the file of CloudImage {key[1]} yet.{because}"
        )

    def _into(
        self,
        cloud: Cloud,
        config: CloudConfig,
        resource: CloudImage,
        file: File,
        token: Token,
    ) -> str:
        """Make the image in a cloud; return its id."""
        check_project(resource, cloud.glance.project_id)
        desired = Desired.of(resource.spec, resource.status.resolved_source)
        uid = resource.metadata.uid
        there = candidates(cloud.glance, resource)
        ours = [each for each in there if each.properties.get(Marks.UID) == uid]
        owned = owned_images.classify(resource, desired, ours)
        if present := already_there(resource, owned, file.sha256):
            return present
        self._clear(cloud, owned, token)
        request = self._request(resource, desired, config, owned, file, token)
        try:
            result = transfer(request, self.place.meter, self.place.interrupts)
        except TransferError as error:
            self._check_wanted(resource, desired, f"{error.reason}: {error.message}")
            raise
        self.place.interrupts.finish()
        try:
            self._check_wanted(resource, desired, "the image was deleted again")
        except CommandError:
            cloud.glance.delete(result.image_id)
            raise
        lint = result.lint
        found = (lint.message,) if lint is not None and lint.findings else ()
        for each in (*result.warnings, *result.left_out, *found):
            self.console.print(plain(each), style="yellow", markup=False, soft_wrap=True)
        self._tell_operator()
        return result.image_id

    def _clear(self, cloud: Cloud, owned: OwnedImages, token: Token) -> None:
        """Delete what a killed upload has left, and leave another's that may go on.

        Raises:
            CommandError: There is another's.
        """
        for image in owned.leftovers:
            owner = image.properties.get(UPLOAD_MARK)
            if owner is None:
                continue  # the operator's own
            if owner != token.killed and not self.wanted.take_over:
                raise CommandError(
                    f"Another upload of it began at {image.created_at:%Y-%m-%d %H:%M} UTC (image "
                    f"{image.id}). Wait until it has ended; if it was broken off, give --take-over."
                )
            cloud.glance.delete(image.id)

    def _request(  # noqa: PLR0913, PLR0917 - what a request is made of, each from elsewhere
        self,
        resource: CloudImage,
        desired: Desired,
        config: CloudConfig,
        owned: OwnedImages,
        file: File,
        token: Token,
    ) -> TransferRequest:
        """Return the request that the operator would send if it had the file."""
        source, upload = UploadSpecSource(check_kind(resource)), resource.status.upload
        name = revisions.name_to_begin_with(resource, owned)
        secret_uid = upload.secret_uid if upload else None
        image = transfer_request.new_image(resource, desired, name, secret_uid)
        marks: dict[str, str] = {UPLOAD_MARK: token.present, SOURCE_MARK: file.sha256}
        # No lot: only the operator counts the attempts of one.
        update = {"lot": None, "properties": {**image.properties, **marks}}
        where = {
            "root": file.path.parent,
            "path": file.path.name,
            "format": self.wanted.declared,
            "checksum": Checksum(algorithm="sha256", value=file.sha256),
        }
        return TransferRequest(
            source=source.request().model_copy(update=where),
            image=image.model_copy(update=update),
            cloud=lend(config),
            scratch=self.place.folder,
            method=transfer_request.method(resource.spec),
            pinned=revisions.to_be_met(resource, desired),
            policy=contract.UNRESTRICTED,
            cloud_policy=OPEN,
            limits=transfer_request.limits(resource.spec, self.place.limits),
            lint=transfer_request.lint_mode(resource.spec),
        )

    def _check_wanted(self, resource: CloudImage, desired: Desired, outcome: str) -> None:
        """Look whether the object still waits for the file.

        Raises:
            CommandError: It does not.
        """
        found = self.cluster.find(self._target)
        present = CloudImage.model_validate(found) if found else None
        uid = resource.metadata.uid
        if present is None or present.metadata.uid != uid or present.metadata.deletion_timestamp:
            raise deleted(resource, outcome)
        changed = Desired.of(present.spec, present.status.resolved_source)
        if changed.content_key != desired.content_key:
            raise CommandError(
                f"The spec of CloudImage {self.wanted.name} was changed meanwhile, and no longer "
                f"wants this image: {outcome}."
            )

    def _tell_operator(self) -> None:
        """Have the operator look at once; without the right to, it looks within a minute."""
        try:
            self.cluster.annotate(self._target, {RETRY_ANNOTATION: datetime.now(UTC).isoformat()})
        except ApiException as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
