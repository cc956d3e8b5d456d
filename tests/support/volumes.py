"""Volumes of the test bed's Cinder, which has no cinder-volume."""

from collections.abc import Iterator
from contextlib import contextmanager

from openstack.connection import Connection


@contextmanager
def volume(connection: Connection, name: str, image_id: str | None = None) -> Iterator[str]:
    """Make a volume, as from an image if one is given, and delete it at the end.

    What the API writes is a volume that waits for its cinder-volume. That would copy the image's
    id and properties to the volume once it has the bytes; here the API's own
    ``os-set_image_metadata`` does.
    """
    cinder = connection.block_storage
    made = cinder.post("/volumes", json={"volume": {"name": name, "size": 1}})
    assert made.status_code == 202, made.text
    volume_id = made.json()["volume"]["id"]
    if image_id is not None:
        metadata = {"image_id": image_id, "image_name": name}
        body = {"os-set_image_metadata": {"metadata": metadata}}
        copied = cinder.post(f"/volumes/{volume_id}/action", json=body)
        assert copied.status_code == 200, copied.text
    try:
        yield volume_id
    finally:
        assert cinder.delete(f"/volumes/{volume_id}").status_code == 202
