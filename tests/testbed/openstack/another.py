"""A second OpenStack beside the shared one, with a Keystone of its own."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.openstack.bed import OpenStack


@contextmanager
def another() -> Iterator[OpenStack]:
    """Hand out a bed that is not up yet, and take it away in the end."""
    parent = Path(tempfile.mkdtemp(prefix="testbed-"))
    # PostgreSQL's user must be able to enter it.
    parent.chmod(0o755)
    bed = OpenStack(parent / "openstack")
    try:
        yield bed
    finally:
        bed.down()
        shutil.rmtree(parent)
