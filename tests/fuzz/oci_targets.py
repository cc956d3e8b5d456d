"""What is fuzzed of registries: manifests, challenges, answers, layers."""

import contextlib
import io
from collections.abc import Callable
from typing import IO

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.image.archives import ERRORS, Bounded
from cloudimage.transfer.source.oci import access, logins, manifests
from cloudimage.transfer.source.oci.layers import DiskInLayers
from cloudimage.transfer.source.oci.manifests import Index
from cloudimage.vocabulary.oci import parse

_NAME = parse("registry.example/team/disks:1")


def manifest(data: bytes) -> TransferError | None:
    """A manifest or an index: what is chosen is one of its own, and told plainly if not."""
    try:
        found = manifests.parse(data, str(_NAME))
        if isinstance(found, Index):
            assert manifests.choose(found, "amd64", str(_NAME)) in found.entries
        else:
            assert manifests.choose_blob(found, None, str(_NAME)) in found.layers
    except TransferError as error:
        return error
    return None


def challenge(data: bytes) -> TransferError | None:
    """``WWW-Authenticate``: who is asked for a token is asked by HTTPS."""
    found = logins.challenge(data.decode("latin-1"))
    try:
        if found and found.scheme == "bearer":
            place, wanted = logins.realm(found, _NAME, "https://registry.example")
            assert logins.with_query(place, wanted).startswith("https://")
    except TransferError as error:
        return error
    return None


def answers(data: bytes) -> TransferError | None:
    """What a registry, or who makes its tokens, says."""
    assert access._said(data).isprintable()
    try:
        token = logins.token(data, "https://registry.example/token")
    except TransferError as error:
        return error
    assert "\n" not in token
    assert "\r" not in token
    return None


class _Sink:
    """Takes a disk."""

    def __init__(self) -> None:
        self.content = b""

    def expect(self, size: int) -> None:
        if size > 2**20:
            raise TransferError(Reason.IMAGE_TOO_LARGE, "too large")

    def copy(self, content: "IO[bytes] | Bounded") -> None:
        while piece := content.read(2**16):
            self.content += piece
            self.expect(len(self.content))


def layer(data: bytes) -> TransferError | None:
    """A layer: a disk that is taken out of it is in it, and is the only one."""
    disk, sink = DiskInLayers(None, str(_NAME)), _Sink()
    with contextlib.suppress(*ERRORS):
        try:
            disk.take(Bounded(io.BytesIO(data)), sink, lambda _: None)
            disk.check()
        except TransferError as error:
            return error
        assert disk.found is not None
        assert disk.found.startswith("/disk/")
    return None


Target = Callable[[bytes], TransferError | None]

OCI_TARGETS: dict[str, Target] = {
    "ocimanifest": manifest,
    "ocichallenge": challenge,
    "ocianswer": answers,
    "ocilayer": layer,
}
"""Each returns the failure that a user would be told, if it ends with one."""
