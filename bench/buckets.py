"""The bar of objects of buckets: signed requests against a plain URL of the same server."""

import json
import uuid
from functools import partial
from typing import Final

from bench.results import Bar, Limit
from bench.rig import Rig
from bench.scale import Scale
from cloudimage.transfer.request import TransferRequest
from testbed.buckets import OWNER, REGION, Buckets

_KEY: Final = "disk.raw"


def bucket(rig: Rig, scale: Scale) -> Bar:
    """A raw object of a bucket goes through: by source.s3, and by source.http of its public URL."""
    bar = Bar("bucket", "raw object of an S3 server to Glance, against the same object by its URL")
    path = rig.image("raw", scale.raw, scale.raw // 2)
    server, name = Buckets(rig.folder / "buckets"), f"bench-{uuid.uuid4().hex[:8]}"
    server.up()
    try:
        server.make(name)
        server.put(name, _KEY, path, "--checksum-algorithm", "SHA256")
        _publish(server, name)
        plain = partial(rig.request, f"{server.endpoint}/{name}/{_KEY}", path, "raw")
        http: list[float] = []
        s3: list[float] = []
        for _ in range(scale.repeats):
            http.append(rig.transfer(plain()).seconds)
            moved = rig.transfer(_signed(plain(), server, name))
            s3.append(moved.seconds)
            bar.seconds |= {f"s3: {label}": each for label, each in moved.stages.items()}
    finally:
        server.down()
    bar.seconds |= {"http": min(http), "s3": min(s3)}
    bar.limits = [Limit("s3 / http", min(s3) / min(http), 1.1)]
    return bar


def _publish(server: Buckets, name: str) -> None:
    read = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{name}/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [read]})
    server.aws("s3api", "put-bucket-policy", "--bucket", name, "--policy", policy)


def _signed(plain: TransferRequest, server: Buckets, name: str) -> TransferRequest:
    """Return the same request, for the object by its bucket and key."""
    source = {
        "type": "s3",
        "endpoint": server.endpoint,
        "region": REGION,
        "bucket": name,
        "key": _KEY,
        "signed": True,
        "keys": {"AWS_ACCESS_KEY_ID": OWNER.id, "AWS_SECRET_ACCESS_KEY": OWNER.secret},
    }
    body = plain.model_dump(mode="json", exclude_none=True) | {"source": source}
    return TransferRequest.model_validate(body)
