"""Asks a registry for an image (OCI distribution spec 1.1, "Pull")."""

import hashlib
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Self

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.base import Context
from cloudimage.transfer.source.http.client import Client, UnansweredError
from cloudimage.transfer.source.http.model import HttpAuth, HttpSource
from cloudimage.transfer.source.oci import manifests
from cloudimage.transfer.source.oci.access import Access, received
from cloudimage.transfer.source.oci.manifests import Descriptor, Index, Manifest
from cloudimage.transfer.source.oci.model import OciSource

_MOST_INDEXES: Final = 4
"""How many indexes are followed, one in the other; the spec sets no bound."""

_MANIFEST_SECONDS: Final = 120.0


@dataclass(frozen=True)
class Resolved:
    """An image that a name has led to.

    Attributes:
        digest: Of what the name itself stands for, an index perhaps.
        sha256: Of the image's manifest.
        manifest: Of the image.
    """

    digest: str
    sha256: str
    manifest: Manifest


class Registry:
    """The registry of one source; to be closed after use.

    Attributes:
        client: Asks it.
    """

    def __init__(self, source: OciSource, context: Context) -> None:
        """Prepare.

        Raises:
            TransferError: ``InvalidRequest`` or ``InvalidCredentials``.
        """
        try:
            self._name = source.name
        except ValueError as error:
            raise TransferError(
                Reason.INVALID_REQUEST, "spec.source.oci.image must be an image as a pod has it"
            ) from error
        self._source, self._context = source, context
        self._origin = self._name.origin(certified=source.ca_certificate is not None)
        access = Access(source, self._origin, self._asked)
        self.client = self._opened(HttpSource(url=self._origin), access)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.__exit__(None, None, None)

    def resolve(self) -> Resolved:
        """Return what the image's name stands for now.

        Raises:
            TransferError: ``SourceUnreachable``, ``SourceNotFound``, ``SourceRefused``,
                ``SourceNotAnImage`` or ``ChecksumMismatch``.
        """
        where = str(self._name)
        content = self._manifest(self._name.reference, self._name.digest)
        digest = self._name.digest or f"sha256:{hashlib.sha256(content).hexdigest()}"
        for _ in range(_MOST_INDEXES):
            found = manifests.parse(content, where)
            if not isinstance(found, Index):
                return Resolved(digest, hashlib.sha256(content).hexdigest(), found)
            chosen = manifests.choose(found, self._source.architecture, where)
            content = self._manifest(chosen.digest, chosen.digest)
        raise TransferError(
            Reason.SOURCE_NOT_AN_IMAGE,
            f"{where} is an index of indexes, over {_MOST_INDEXES} deep, and no image",
        )

    def blob(self, file: Descriptor) -> HttpSource:
        """Return a blob as what it is: a file behind a URL with a known checksum."""
        url = f"{self._origin}/v2/{self._name.repository}/blobs/{file.digest}"
        return HttpSource(
            url=url, checksum=file.checksum, ca_certificate=self._source.ca_certificate
        )

    def _manifest(self, reference: str, digest: str | None) -> bytes:
        """Return a manifest or an index, which has the digest if one is known."""
        url = f"{self._origin}/v2/{self._name.repository}/manifests/{reference}"
        client, wanted = self.client, {"Accept": ", ".join(manifests.ACCEPTED)}
        try:
            with (
                client.within(_MANIFEST_SECONDS),
                closing(client.get(url, wanted, verified=digest is not None)) as response,
            ):
                if response.status_code != HTTPStatus.OK:
                    raise client.status_error(response)
                content = received(client, response, manifests.MOST_BYTES, url)
        except UnansweredError as error:
            raise error.error from error
        if digest is not None:
            manifests.check(content, digest, url)
        return content

    def _asked(self, url: str, auth: HttpAuth | None) -> Client:
        """Return a client of the server that makes tokens, by the same rules."""
        return self._opened(HttpSource(url=url, auth=auth))

    def _opened(self, source: HttpSource, access: Access | None = None) -> Client:
        certified = source.model_copy(update={"ca_certificate": self._source.ca_certificate})
        context = self._context
        return Client(certified, context.policy, context.limits, context.folder, access)
