"""cloudimage-operator: manages OpenStack Glance images declaratively from Kubernetes."""

from importlib.resources import files

__version__ = "0.1.0"


def revision() -> str:
    """Return the commit that the container image was built from; empty where nobody noted one."""
    note = files(__name__) / "revision.txt"
    return note.read_text() if note.is_file() else ""
