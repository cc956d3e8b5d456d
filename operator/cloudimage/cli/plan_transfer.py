"""What a transfer would meet, before any of its bytes: the source, the method, rights and quota.

Each answer is the transfer's own: its source reader, its choice of a method, its preflight.
"""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cloudimage.access.policy import OPEN
from cloudimage.api.cloudimage import CloudImage
from cloudimage.cli import check
from cloudimage.cli.plan_report import Finding
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.glance import Glance as OperatorsGlance
from cloudimage.credentials.lending import lend
from cloudimage.images.logic import effective, revisions, transfer_request
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.owned_images import OwnedImages
from cloudimage.sizes import exact_text, size_text
from cloudimage.sources.base import Proof, SpecSource
from cloudimage.sources.customize import requested
from cloudimage.transfer import contract
from cloudimage.transfer.declaration import settled
from cloudimage.transfer.glance.client import Glance
from cloudimage.transfer.glance.delivery import choose_method
from cloudimage.transfer.glance.image_lifecycle import UploadContext
from cloudimage.transfer.glance.preflight import check_rights
from cloudimage.transfer.glance.quota import Quota, check_quota
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.request import TransferRequest
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.source.base import Context, Ends
from cloudimage.transfer.source.registry import open_source
from cloudimage.transfer.tools.toolbox import Toolbox
from cloudimage.transfer.verify.image_signature import check_unchanged
from cloudimage.transfer.verify.verification import Expected, check_pinned

PROBE: Final = "cloudimage plan (to be deleted)"
"""Name of the record by which rights are tried."""


@dataclass(frozen=True)
class Place:
    """Where a look may put files, and what interrupts it."""

    folder: Path
    cache: Path
    interrupts: Interrupts


@dataclass
class Transfer:
    """A transfer that is asked for and not begun.

    Attributes:
        request: As the operator would send it.
        target: Where its rights are tried: with an image that is nobody's.
        ends: What its source's ends have told, once it was looked at.
    """

    request: TransferRequest
    target: UploadContext
    place: Place
    spec: SpecSource
    ends: Ends | None = field(default=None, init=False)

    @classmethod
    def of(  # noqa: PLR0913, PLR0917 - what a request is made of, each from elsewhere
        cls,
        resource: CloudImage,
        desired: Desired,
        owned: OwnedImages,
        config: CloudConfig,
        texts: contract.Texts,
        target: UploadContext,
        place: Place,
    ) -> "Transfer":
        """Return the transfer that would make a CloudImage's image.

        Raises:
            TransferError: The spec contradicts itself, or a text of its source is missing.
        """
        spec = desired.source
        if spec is None:
            raise ValueError("unreachable: without a source an image is only adopted")
        method = transfer_request.method(resource.spec)
        name = revisions.name_to_begin_with(resource, owned)
        request = settled(
            TransferRequest(
                source=spec.request().with_texts(texts),
                image=transfer_request.new_image(resource, desired, name),
                cloud=lend(config),
                scratch=place.folder,
                cache=place.cache,
                method=method,
                pinned=revisions.to_be_met(resource, desired),
                # The operator's is not known here: it is taken for the default where Glance would
                # fetch unasked, and for open where the spec names that method.
                policy=contract.UrlPolicy() if method.method == "Auto" else contract.UNRESTRICTED,
                cloud_policy=OPEN,
                limits=transfer_request.limits(resource.spec, contract.Limits()),
                lint=transfer_request.lint_mode(resource.spec),
                customize=requested(resource.spec.customize),
            )
        )
        return cls(request, target, place, spec)

    def source(self) -> Iterator[Finding]:
        """Yield what its source would prove and give.

        Raises:
            TransferError: It is not available, or would be refused.
        """
        request = self.request
        if request.source.volume_claim():
            yield Finding("bytes", "unknown", f"only a Job sees {self.spec.location()}")
            return
        limits, folder = request.limits, self.place.folder
        tools = Toolbox(folder, limits.tool_memory, limits.tool_cpu_seconds)
        cache = Cache(self.place.cache, limits, shared=True)
        meter = self.target.meter
        clouds = request.cloud, request.cloud_policy
        context = Context(
            *(folder, cache, limits, contract.UNRESTRICTED, meter, tools, *clouds),
            pinned=request.pinned,
        )
        with open_source(request.source, context) as reader:
            expected = reader.expect()
            yield _checksum(expected, self.spec)
            check_pinned(request.pinned, expected.hashes)
            self.ends = ends = reader.look(request.image.min_disk)
        yield _bytes(ends, self.spec)
        yield _content(ends, request.image.disk_format)
        if ends.found:
            image = request.image
            check_unchanged(image.properties, ends.found.format, image.disk_format)

    def method(self) -> Iterator[Finding]:
        """Yield how its bytes would get into Glance.

        Raises:
            TransferError: No method can do it, or the stores are not there.
        """
        choice = choose_method(self.request, self.target)
        yield Finding("method", "ok", choice.reason, {"method": choice.method})

    def quota(self, glance: OperatorsGlance) -> Iterator[Finding]:
        """Yield whether the quota has room for the image.

        Raises:
            TransferError: ``QuotaExceeded``.
            CloudError: Glance did not say.
        """
        line = check.quota(glance)
        size = self._stored()
        if size is None:
            unknown = "; how much the image takes is not known before its transfer"
            yield Finding(
                "quota", "error" if line.state == "missing" else "unknown", line.text + unknown
            )
            return
        check_quota(self.target.glance.usage(), {Quota.STORED: size})
        state = {"ok": "ok", "missing": "error", "unknown": "unknown"}[line.state]
        takes = f"the image takes {size_text(size)}; {line.text}"
        yield Finding("quota", state, takes, {"bytes": size})  # type: ignore[arg-type]  # of the table

    def _stored(self) -> int | None:
        """Return the bytes that the image takes in Glance; None: only its conversion tells."""
        found = self.ends.found if self.ends else None
        if found is None:
            return None
        wanted, stores = self.request.image.disk_format, max(1, len(self.target.stores))
        if wanted in {None, found.format}:
            return found.size * stores
        return found.virtual_size * stores if wanted == "raw" else None


def rights(target: UploadContext, *, probe: bool) -> Iterator[Finding]:
    """Yield whether the credentials may make the image; the record that tells is deleted at once.

    Raises:
        TransferError: They may not, or Glance refuses an attribute.
    """
    if not probe:
        yield Finding("rights", "unknown", "not tried, because of --no-probe")
        return
    check_rights(target, ordinary=True)
    if target.leftovers:
        left = ", ".join(target.leftovers)
        text = f"images can be made but not deleted; delete {left}, called {PROBE}, by hand"
        yield Finding("rights", "error", text)
        return
    yield Finding("rights", "ok", "tried: an image with these attributes can be made and deleted")


def target_of(resource: CloudImage, config: CloudConfig, place: Place) -> UploadContext:
    """Return where the rights for an image of the spec are tried.

    Raises:
        TransferError: The credentials are refused.
    """
    limits = transfer_request.limits(resource.spec, contract.Limits())
    image = effective.applied(resource).spec.image
    glance = Glance(lend(config), place.folder, OPEN)
    probe = contract.NewImage(
        id_seed=str(uuid.uuid4()),
        name=PROBE,
        disk_format=image.disk_format,
        container_format=image.container_format,
        min_disk=image.min_disk_gib,
        min_ram=image.min_ram_mib,
        tags=tuple(sorted(image.tags or ())),
        properties=dict(image.properties or {}),
        visibility=image.visibility,
        owner=image.owner,
    )
    stores = transfer_request.method(resource.spec).stores
    return UploadContext(glance, probe, Meter(lambda _: None), place.interrupts, stores, limits)


def _checksum(expected: Expected, spec: SpecSource) -> Finding:
    proof, words = spec.proof(), []
    data: dict[str, Any] = {"signed": proof.signed, "listed": proof.listed}
    if expected.checksum:
        value = f"{expected.checksum.algorithm}:{expected.checksum.value}"
        data["checksum"] = value
        words.append(f"{value}, {_teller(proof)}")
    if expected.signature is not None:
        words.append("the signature is checked once the file is fetched")
    elif proof.signed:
        words.append("which is signed by a trusted key")
    words += expected.warnings
    text = "; ".join(words) or "none, and no signature: nothing would prove the file"
    return Finding("checksum", "ok", text, data)


def _teller(proof: Proof) -> str:
    if proof.listed:
        return "from the checksum file"
    return "in the spec" if proof.checksum or not proof.teller else f"which {proof.teller} has"


def _bytes(ends: Ends, spec: SpecSource) -> Finding:
    where = spec.location()
    if ends.size is None:
        return Finding("bytes", "unknown", f"{where} does not say how many there are")
    text = f"{exact_text(ends.size)} to fetch from {where}"
    return Finding("bytes", "ok", text, {"size": ends.size})


def _content(ends: Ends, wanted: str | None) -> Finding:
    found = ends.found
    if found is None:
        return Finding("content", "unknown", ends.why_unknown)
    becomes = f", to be converted to {wanted}" if wanted not in {None, found.format} else ""
    text = f"{found.format} with a virtual size of {exact_text(found.virtual_size)}{becomes}"
    data: Mapping[str, Any] = {"format": found.format, "virtualSize": found.virtual_size}
    return Finding("content", "ok", f"{text}, by its ends", data)
