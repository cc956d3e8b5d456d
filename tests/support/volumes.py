"""Volumes of the test bed's Cinder."""

from collections.abc import Iterator
from contextlib import contextmanager

from openstack.connection import Connection

SECONDS = 60


@contextmanager
def volume(connection: Connection, name: str, image_id: str | None = None) -> Iterator[str]:
    """Make a volume, from an image if one is given, and delete it at the end."""
    with volumes(connection, name, image_id, count=1) as [volume_id]:
        yield volume_id


@contextmanager
def volumes(
    connection: Connection, name: str, image_id: str | None, *, count: int
) -> Iterator[list[str]]:
    """Make volumes side by side, and delete them at the end."""
    cinder = connection.block_storage
    made = [cinder.create_volume(name=name, size=1, image_id=image_id) for _ in range(count)]
    try:
        for each in made:
            cinder.wait_for_status(each, "available", ["error"], interval=0.1, wait=SECONDS)
        yield [each.id for each in made]
    finally:
        for each in made:
            cinder.delete_volume(each)
        for each in made:
            cinder.wait_for_delete(each, interval=0.1, wait=SECONDS)
