"""Clouds for many objects: each a project of its own, whose requests to Glance are counted."""

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from support.fault_proxy import Fault, FaultProxy
from support.projects import own_project
from testbed.openstack import OpenStack

PROJECT: Final = "images"
"""The only one, where there are no more: a project of the bed."""

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SORTED: Final = "sort=created_at%3Aasc%2Cid%3Aasc"


@dataclass(frozen=True)
class CountedCloud:
    """A project, by credentials that lead to Glance through a proxy.

    Attributes:
        name: In clouds.yaml.
        entry: There.
        listings: What the listings for views are to meet; nothing so far.
        answers: Cleared, its Glance takes requests and never answers.
    """

    name: str
    project_id: str
    entry: dict[str, Any]
    counts: tuple[Fault, ...]
    listings: Fault
    answers: threading.Event

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Have its Glance not answer during the block."""
        self.answers.clear()
        try:
            yield
        finally:
            self.answers.set()

    @property
    def requests(self) -> int:
        """How many requests Glance had from it."""
        return sum(each.seen for each in self.counts)


@contextmanager
def counted_clouds(openstack: OpenStack, number: int) -> Iterator[tuple[CountedCloud, ...]]:
    """Yield so many clouds."""
    url = str(openstack.connect(PROJECT).image.get_endpoint())
    with ExitStack() as stack:

        def counted(position: int) -> CountedCloud:
            name = f"many-{position}"
            project_id, entry = openstack.project_id(PROJECT), openstack.cloud(PROJECT)
            if number > 1:
                project = stack.enter_context(own_project(openstack, name))
                project_id, entry = project.id, project.entry
            answers = threading.Event()
            answers.set()
            counts = tuple(
                Fault(method, "", "hold", times=sys.maxsize, call=partial(_wait, answers))
                for method in _METHODS
            )
            listings = Fault("GET", _SORTED, "fail", times=0)
            proxy = stack.enter_context(FaultProxy(url, listings, *counts))
            entry |= {"image_endpoint_override": proxy.url}
            return CountedCloud(name, project_id, entry, counts, listings, answers)

        yield tuple(map(counted, range(number)))


def _wait(answers: threading.Event, _token: str) -> None:
    answers.wait()
