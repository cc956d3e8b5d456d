"""What is fuzzed of publishers' lists: pages of folders, releases, Simple Streams."""

from urllib.parse import urlsplit

from cloudimage.transfer.contract import TransferError
from cloudimage.transfer.source.http.index import listings, simplestreams
from cloudimage.transfer.source.http.index.simplestreams import Wanted
from fuzz.oci_targets import Target

_FOLDER = "https://images.example/top/"
_STREAM = "https://images.example/releases/streams/v1/index.sjson"
_WANTED = Wanted("disk1.img", alias="24.04", arch="amd64")


def page(data: bytes) -> TransferError | None:
    """A page of a folder: what it lists is directly in that folder, of the same server."""
    for each in listings.index_of(data, _FOLDER):
        place = urlsplit(each.url)
        assert (place.scheme, place.netloc) == ("https", "images.example")
        assert place.path.removeprefix("/top/").removesuffix("/").count("/") == 0
        assert "/" not in each.name
        assert each.name not in {"", ".", ".."}
    return None


def releases(data: bytes) -> TransferError | None:
    """Releases of a Git host: names of files without a folder."""
    try:
        found = listings.releases_of(data)
    except TransferError as error:
        return error
    assert all("/" not in file.name for each in found for file in each.assets)
    return None


def streams(data: bytes) -> TransferError | None:
    """Simple Streams: nothing leads out of the mirror, and each file is proved."""
    try:
        for url in simplestreams.documents(data, _STREAM, _WANTED):
            assert url.startswith("https://images.example/releases/")
        for item in simplestreams.items(data, _STREAM, _WANTED):
            assert item.url.startswith("https://images.example/releases/")
            assert item.checksum.algorithm in {"sha256", "sha512"}
    except TransferError as error:
        return error
    return None


INDEX_TARGETS: dict[str, Target] = {
    "indexpage": page,
    "releases": releases,
    "streams": streams,
}
