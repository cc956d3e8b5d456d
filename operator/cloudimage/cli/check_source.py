"""``cloudimage check --source``: whether a cloud's credentials can read images; changes nothing."""

from collections.abc import Iterator
from typing import Final

from openstack.connection import Connection

from cloudimage.cli.check import Line, asked, image_service, logged_in, login
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.errors import translated
from cloudimage.cloud.glance import Glance
from cloudimage.cloud.keystone import Keystone
from cloudimage.cloud.models import GlanceImage

_MOST: Final = 100
_RULES: Final = (
    "ask the cloud's administrators for the right; application credentials with access rules need "
    "GET for /v2/images, /v2/images/* and /v2/images/*/file"
)


def look(config: CloudConfig) -> Iterator[Line]:
    """Yield what is found of credentials by which images of a cloud are to be copied."""
    yield from logged_in(config, _inside)


def _inside(connection: Connection) -> Iterator[Line]:
    yield asked("login", lambda: login(Keystone(connection)))
    service = asked("image service", lambda: image_service(connection))
    yield service
    if service.state != "ok":
        return
    with translated("logging in"):
        glance = Glance(connection.image, connection.session.get_project_id())
    found: list[GlanceImage] = []
    yield asked("list images", lambda: _listed(glance, found), advice=_RULES)
    image = min(found, key=lambda each: (each.size, each.id), default=None)
    if image is None:
        text = "not tried: no active image with bytes is seen that could be read"
        yield Line("read images", "unknown", text)
        return
    yield asked("read images", lambda: _read(glance, image), advice=_RULES)


def _listed(glance: Glance, found: list[GlanceImage]) -> Line:
    """Return how many images are seen; those that can be read are added to ``found``."""
    listed = glance.search({"visibility": "all", "status": "active"}, _MOST)
    found += [each for each in listed if each.size]
    more = " or more" * (len(listed) >= _MOST)
    return Line("list images", "ok", f"{len(listed)}{more} active ones are seen")


def _read(glance: Glance, image: GlanceImage) -> Line:
    glance.get(image.id)
    glance.try_reading(image.id)
    return Line("read images", "ok", f"tried with image {image.id}")
