"""Copies of an image made where Glance keeps its images, for when there must be many.

A thousand by Glance's API take an hour of a busy machine; these take a second. Each has its own id,
name and marks; the bytes are the same file.
"""

import subprocess
from collections.abc import Iterable
from typing import Final, NamedTuple

from cloudimage.vocabulary.marks import Marks
from testbed.openstack import OpenStack
from testbed.openstack.database import programs

_COPY: Final = f"""
BEGIN;
CREATE TEMP TABLE copies (id text, uid text, name text, owner text) ON COMMIT DROP;
INSERT INTO copies VALUES %(copies)s;
INSERT INTO images SELECT (jsonb_populate_record(old, jsonb_build_object(
    'id', copies.id, 'name', copies.name, 'owner', copies.owner
))).* FROM images old, copies WHERE old.id = '%(source)s';
INSERT INTO image_properties SELECT (jsonb_populate_record(old, jsonb_build_object(
    'id', nextval(pg_get_serial_sequence('image_properties', 'id')), 'image_id', copies.id,
    'value', CASE old.name
        WHEN '{Marks.UID}' THEN copies.uid WHEN '{Marks.IMAGE_ID}' THEN copies.id ELSE old.value
    END
))).* FROM image_properties old, copies WHERE old.image_id = '%(source)s';
INSERT INTO image_locations SELECT (jsonb_populate_record(old, jsonb_build_object(
    'id', nextval(pg_get_serial_sequence('image_locations', 'id')), 'image_id', copies.id
))).* FROM image_locations old, copies WHERE old.image_id = '%(source)s';
COMMIT;
"""  # noqa: S608 - on the bed's own database, with names of our own


class Clone(NamedTuple):
    """What is a copy's own: its id, the UID and the name of its object, and its project."""

    image_id: str
    uid: str
    name: str
    owner: str


def clone(openstack: OpenStack, source: str, clones: Iterable[Clone]) -> None:
    """Copy an image, its properties and its locations.

    Args:
        openstack: The bed.
        source: The image's id.
        clones: What the copies are to be.
    """
    rows = ", ".join("('{}', '{}', '{}', '{}')".format(*each) for each in clones)
    _run(openstack, _COPY % {"copies": rows, "source": source})


def date(openstack: OpenStack, ids: Iterable[str], changed: str) -> None:
    """Have images be changed last at a moment in RFC 3339."""
    rows = ", ".join(f"'{each}'" for each in ids)
    changed = f"'{changed}'::timestamptz AT TIME ZONE 'UTC'"
    _run(openstack, f"UPDATE images SET updated_at = {changed} WHERE id IN ({rows});")  # noqa: S608 - likewise


def _run(openstack: OpenStack, statements: str) -> None:
    [url] = [row.url for row in openstack.status() if row.name == "postgresql"]
    subprocess.run(
        [
            str(programs() / "psql"),
            "-q",
            "--set=ON_ERROR_STOP=1",
            "-d",
            url.replace("postgresql:///", "postgresql:///glance", 1),
        ],
        input=statements,
        text=True,
        check=True,
    )
