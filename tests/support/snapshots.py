"""Requests for snapshots of servers and volumes, and what may be left of them."""

import json
from typing import Any

from cloudimage.transfer.source.snapshot.labels import label, volume_snapshot
from cloudimage.vocabulary.marks import Marks
from support.transfer_runs import Bench

Row = dict[str, Any]


def snapshot_request(bench: Bench, kind: str, source: Row, **image: Any) -> Row:
    """Return a request for a snapshot, with the marks that the operator gives."""
    marks = {Marks.UID: bench.unique, Marks.DIGEST: "digest", "cloudimage_dev_secret": "secret"}
    properties = {**marks, **image.pop("properties", {})}
    request = bench.request("", properties=properties, **image)
    return request | {"source": {"type": kind, **source}}


def elsewhere(bench: Bench, project: str = "consumer", **options: Any) -> Row:
    """Return what names a project as a cloud of its own."""
    clouds = {"clouds": {"other": bench.openstack.cloud(project) | options}}
    return {"cloud_name": "other", "clouds_yaml": json.dumps(clouds)}


def temporaries(bench: Bench, project: str = "images") -> list[str]:
    """Return the images of the project that were made for a snapshot."""
    cloud: Any = bench.openstack.connect(project)
    return [each.id for each in cloud.image.images(name=label(bench.unique))]


def volumes_left(bench: Bench) -> list[str]:
    """Return the volumes and their snapshots that were made for a snapshot."""
    cinder: Any = bench.connection().block_storage
    name = label(bench.unique)
    found = [*cinder.volumes(name=name), *cinder.snapshots(name=name)]
    return [each.id for each in (*found, *cinder.snapshots(name=volume_snapshot(name)))]
