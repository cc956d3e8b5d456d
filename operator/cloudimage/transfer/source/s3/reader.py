"""An object of a bucket, as the pipeline reads any source.

What its store says of it comes first; then it is a file behind a URL, whose requests are signed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from cloudimage.transfer.source.base import Context
from cloudimage.transfer.source.http.client import Client
from cloudimage.transfer.source.http.model import HttpSource
from cloudimage.transfer.source.http.objects import ObjectReader, Told
from cloudimage.transfer.source.s3 import rules
from cloudimage.transfer.source.s3.model import S3Source

_WITH_CHECKSUMS: Final = {"x-amz-checksum-mode": "ENABLED"}
_NO_HASH: Final = (
    "the bucket has no hash of the whole object, as of one that was uploaded in parts: nothing "
    "proves its bytes. Give a checksum"
)


@contextmanager
def open_s3(source: S3Source, context: Context) -> Iterator[ObjectReader]:
    """Open an object of a bucket; see :class:`cloudimage.transfer.source.base.Opener`."""
    # Here, so that transfers from elsewhere go without the library that signs.
    from cloudimage.transfer.source.s3.signing import ObjectCredentials  # noqa: PLC0415 - botocore is slow to import

    credentials = ObjectCredentials(source)
    file = HttpSource(
        url=rules.object_url(source),
        checksum=source.checksum,
        ca_certificate=source.ca_certificate,
        format=source.format,
    )
    checksum = partial(rules.checksum_of, bucket=source.bucket)
    told = Told(checksum, rules.version_of, _NO_HASH, _WITH_CHECKSUMS)
    with Client(file, context.policy, context.limits, context.folder, credentials) as client:
        yield ObjectReader(file, client, credentials, told, context)
