"""spec.source.s3: an object of a bucket."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cloudimage.api.sources.s3 import S3Source
from cloudimage.sources.base import MovingSource, Proof, Reference
from cloudimage.sources.parts import checksum_of, text_reference
from cloudimage.transfer.source.s3 import model
from cloudimage.transfer.source.s3.rules import object_url
from cloudimage.vocabulary.image import DiskFormat


@dataclass(frozen=True)
class S3SpecSource(MovingSource):
    """A :class:`cloudimage.sources.base.SpecSource` of an object of a bucket."""

    spec: S3Source

    def location(self) -> str:
        """Return the URL, with the version, which is no secret."""
        return object_url(self.request())

    def why_fixed(self) -> str:
        """Return that a version or a checksum is, if there is one."""
        if self.spec.version_id is not None:
            return "A version of an object never changes: remove spec.source.s3.versionID."
        if checksum_of(self.spec.checksum) is not None:
            return "No other bytes fit a checksum: remove spec.source.s3.checksum."
        return ""

    def references(self) -> tuple[Reference, ...]:
        """Return its access key and its certificate."""
        return tuple(self._references())

    def _references(self) -> Iterator[Reference]:
        if self.spec.credentials_ref:
            secret = self.spec.credentials_ref.secret_name
            yield Reference(model.KEYS, "Secret", secret, urls=(self.location(),))
        if self.spec.ca_certificate:
            yield text_reference(model.CA, self.spec.ca_certificate)

    def proof(self) -> Proof:
        """Return the checksum of the spec, else that the store says what proves the bytes."""
        checksum = checksum_of(self.spec.checksum)
        if checksum:
            return Proof(checksum)
        lasting = self.spec.version_id is not None or self.found is not None
        return Proof(teller="the bucket", lasting=lasting)

    def declared_format(self) -> DiskFormat | None:
        """Return the format that is declared, if one is."""
        return self.spec.format

    def content(self) -> Mapping[str, object]:
        """Return what its bytes depend on: the checksum, else the object and its version.

        Credentials do not count, nor does the way to the same bytes.
        """
        checksum = self.proof().checksum
        content = f"{checksum.algorithm}:{checksum.value}" if checksum else self._object()
        return {"content": content} | ({"version": self.version} if self.version else {})

    def _object(self) -> str:
        """Return a URL of the object that is the same whatever the style of its address."""
        return object_url(self.request().model_copy(update={"path_style": True}))

    def request(self) -> model.S3Source:
        """Return it as a transfer takes it."""
        spec = self.spec
        style = spec.addressing_style or ("Path" if spec.endpoint else "VirtualHosted")
        return model.S3Source(
            endpoint=spec.endpoint,
            region=spec.region or "us-east-1",
            path_style=style == "Path",
            bucket=spec.bucket,
            key=spec.key,
            version_id=spec.version_id,
            signed=spec.credentials_ref is not None,
            checksum=checksum_of(spec.checksum),
            format=spec.format,
        )
