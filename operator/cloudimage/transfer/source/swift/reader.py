"""An object of a Swift container, as the pipeline reads any source.

The cloud says where its Swift is, and Swift what the object is; then it is a file behind a URL,
for whose requests a token is shown. An object in segments is one file: Swift joins them, also
where a part is asked for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cloudimage.transfer.source.base import Context
from cloudimage.transfer.source.glance.client import cloud_of
from cloudimage.transfer.source.http.client import Client
from cloudimage.transfer.source.http.model import HttpSource
from cloudimage.transfer.source.http.objects import ObjectReader, Told
from cloudimage.transfer.source.http.places import CloudPlaces
from cloudimage.transfer.source.swift import rules
from cloudimage.transfer.source.swift.model import SwiftSource
from cloudimage.transfer.source.swift.tokens import ObjectCredentials

_NO_HASH: Final = (
    "Swift has no hash of the whole object, as of one in segments: nothing proves its bytes. Give "
    "a checksum"
)


@contextmanager
def open_swift(source: SwiftSource, context: Context) -> Iterator[ObjectReader]:
    """Open an object of a container; see :class:`cloudimage.transfer.source.base.Opener`."""
    cloud = cloud_of(source, context.cloud)
    credentials = ObjectCredentials(source, cloud, context)
    file = HttpSource(
        url=credentials.url(),
        checksum=source.checksum,
        ca_certificate=cloud.ca_certificate,
        format=source.format,
    )
    verified = cloud.config.get("verify") is not False
    places = CloudPlaces(context.cloud_policy, verified=verified)
    told = Told(rules.checksum_of, rules.version_of, _NO_HASH)
    with Client(file, places, context.limits, context.folder, credentials) as client:
        yield ObjectReader(file, client, credentials, told, context)
