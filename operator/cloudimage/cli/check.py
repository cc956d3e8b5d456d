"""``cloudimage check``: what the operator may do with a cloud's credentials, asked of the cloud.

Rights are tried on an image record without bytes, private and hidden, which is deleted at once:
no service of OpenStack says beforehand what its policy allows.
"""

import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Final, Literal

from openstack.connection import Connection

from cloudimage.cli.output import aligned
from cloudimage.cloud.catalogue import offers
from cloudimage.cloud.cinder import SERVICE_TYPE, Cinder
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import connected
from cloudimage.cloud.errors import (
    CloudError,
    CloudUnreachableError,
    ForbiddenError,
    InvalidCredentialsError,
    QuotaExceededError,
    translated,
)
from cloudimage.cloud.glance import Glance
from cloudimage.cloud.keystone import Keystone
from cloudimage.cloud.models import Limit
from cloudimage.cloud.nova import Nova
from cloudimage.plaintext import plain, plain_tree
from cloudimage.sizes import size_text

State = Literal["ok", "missing", "unknown"]

_NAME: Final = "cloudimage check (to be deleted)"
_OF_BYTES: Final = frozenset({"image_size_total", "image_stage_total"})
"""Limits that Glance counts in MiB."""

MIB: Final = 2**20
_RULES: Final = (
    "if these are application credentials with access rules, make some whose rules have this "
    "service too"
)


@dataclass(frozen=True, slots=True)
class Line:
    """What was found of one thing.

    Attributes:
        what: The thing.
        state: Whether it is there; ``unknown``: the cloud did not say.
        text: What was found, and what to do where that is not enough.
        needed: Whether every CloudImage needs it, and not some alone.
    """

    what: str
    state: State
    text: str
    needed: bool = True


def exit_status(lines: Iterable[Line]) -> int:
    """Return 0 if all that is needed is there, else 2."""
    return 2 if any(each.needed and each.state != "ok" for each in lines) else 0


def text_of(lines: Iterable[Line]) -> str:
    """Return the lines as a table; what some objects alone need is marked."""
    rows = [
        [each.state, each.what + ("" if each.needed else " (optional)"), plain(each.text)]
        for each in lines
    ]
    return aligned(rows)


def json_of(lines: Iterable[Line]) -> str:
    """Return the lines as a JSON list."""
    return json.dumps(plain_tree([asdict(each) for each in lines]), indent=4)


def look(config: CloudConfig) -> Iterator[Line]:
    """Yield what is found, one thing after the other; nothing stays in the cloud."""
    yield from logged_in(config, inside)


def logged_in(
    config: CloudConfig, inside: Callable[[Connection], Iterable[Line]]
) -> Iterator[Line]:
    """Yield what is found once logged in, or why nobody can."""
    try:
        with connected(config) as connection:
            yield from inside(connection)
    except CloudUnreachableError as error:
        yield Line("login", "unknown", f"{error}; check auth_url, the network and the CA")
    except CloudError as error:
        yield Line("login", "missing", f"{error}; check the entry in clouds.yaml")


def inside(connection: Connection) -> Iterator[Line]:
    """Yield what is found by a connection of what every CloudImage needs, and some need."""
    keystone = Keystone(connection)
    yield asked("login", lambda: login(keystone))
    service = asked("image service", lambda: image_service(connection))
    yield service
    if service.state != "ok":
        return
    with translated("logging in"):
        glance = Glance(connection.image, connection.session.get_project_id())
    yield from _rights(glance)
    yield asked("servers that use an image", lambda: _servers(connection))
    yield asked("volumes that use an image", lambda: _volumes(connection))
    yield asked("import methods", lambda: _methods(glance), needed=False)
    yield asked("stores", lambda: _stores(glance), needed=False)
    yield asked("quota", lambda: quota(glance))
    yield asked("look up projects", lambda: _projects(keystone), needed=False)


def asked(what: str, ask: Callable[[], Line], *, needed: bool = True, advice: str = "") -> Line:
    """Return what an answer says, or why there was no answer."""
    more = f"; {advice}" if advice else ""
    try:
        return ask()
    except (ForbiddenError, QuotaExceededError) as error:
        return Line(what, "missing", f"{error}{more}", needed)
    except InvalidCredentialsError as error:  # they were good for Keystone
        return Line(what, "missing", f"{error}; the login is refused here: {_RULES}", needed)
    except CloudError as error:
        return Line(what, "unknown", f"{error}; try again, or ask the cloud's operators", needed)


def login(keystone: Keystone) -> Line:
    """Return who is logged in.

    Raises:
        CloudError: Keystone did not say.
    """
    project, _ = keystone.own()
    roles = ", ".join(sorted(keystone.roles())) or "no roles"
    return Line("login", "ok", f"project {project.name or '?'} ({project.id}), {roles}")


def image_service(connection: Connection) -> Line:
    """Return whether the catalogue has an image service, and where.

    Raises:
        CloudError: It cannot be found.
    """
    if not offers(connection, "image"):
        region = connection.config.get_region_name() or "the default one"
        return Line(
            "image service",
            "missing",
            f"the catalogue has none in the region {region}: check region_name and interface",
        )
    with translated("finding the image service"):
        return Line("image service", "ok", str(connection.image.get_endpoint()))


def _rights(glance: Glance) -> Iterator[Line]:
    """Yield what may be done with an image, tried on one."""
    image_id = str(uuid.uuid4())
    body = {
        "name": _NAME,
        "visibility": "private",
        "os_hidden": True,
        "disk_format": "raw",
        "container_format": "bare",
    }

    member = "ask for the role member in the project"
    made = tried("make images", partial(glance.create, image_id, body), advice=member)
    yield made
    if made.state == "missing":
        return
    try:
        change = partial(_change, glance, image_id)
        yield tried("change images", partial(change, "/min_ram", 1), advice=member)
        for visibility in ("community", "public"):
            yield tried(
                f"visibility {visibility}",
                partial(change, "/visibility", visibility),
                needed=False,
                advice="by default only an administrator may" * (visibility == "public"),
            )
    finally:
        # Also if the connection of this command is gone: the image is ours to delete.
        gone = tried("delete images", partial(glance.delete, image_id))
    if gone.state != "ok":
        advice = f"; delete the image {image_id}, called {_NAME}, by hand"
        gone = replace(gone, text=gone.text + advice)
    yield gone


def tried(what: str, act: Callable[[], object], *, needed: bool = True, advice: str = "") -> Line:
    """Return whether something could be done, which is tried."""

    def ask() -> Line:
        act()
        return Line(what, "ok", "tried", needed)

    return asked(what, ask, needed=needed, advice=advice)


def _change(glance: Glance, image_id: str, path: str, value: object) -> None:
    glance.patch(image_id, ({"op": "replace", "path": path, "value": value},))


def _servers(connection: Connection) -> Line:
    what = "servers that use an image"
    scope = Nova(connection).usage(str(uuid.uuid4())).scope
    if scope == "Refused":
        return Line(
            what,
            "missing",
            "the compute service does not let these credentials list servers, so an image is not "
            "deleted unless its spec.usageCheck is IfPermitted; an application credential with "
            "access rules needs one for GET /v2.1/servers/detail",
        )
    return Line(
        what,
        "ok",
        {
            "NoCompute": "the cloud has no compute service",
            "AllProjects": "those of all projects are seen",
            "OwnProject": "only the project's own are seen: before an image that others use is "
            "deleted, their servers are not asked for; an administrator's role sees them",
        }[scope],
    )


def _volumes(connection: Connection) -> Line:
    what = "volumes that use an image"
    if not offers(connection, SERVICE_TYPE):
        return Line(what, "ok", "the cloud has no volume service")
    if Cinder(connection).volumes(str(uuid.uuid4())) is None:
        return Line(
            what,
            "missing",
            "the volume service does not let these credentials list volumes, so an image may be "
            "deleted while volumes use it; ask for the role member in the project",
            needed=False,
        )
    return Line(what, "ok", "they are seen as far as the volume service lists them")


def _methods(glance: Glance) -> Line:
    methods = glance.import_methods()
    if not methods:
        text = "Glance imports nothing: use import.method Upload or Auto"
        return Line("import methods", "missing", text, needed=False)
    return Line("import methods", "ok", f"Upload, {', '.join(methods)}", needed=False)


def _stores(glance: Glance) -> Line:
    stores = glance.stores()
    if stores is None:
        text = "one, without a name: leave spec.import.stores out"
        return Line("stores", "ok", text, needed=False)
    writable = [
        each.id + (" (default)" if each.default else "") for each in stores if not each.read_only
    ]
    text = ", ".join(writable) or "all are read-only: no image can be stored"
    return Line("stores", "ok" if writable else "missing", text, needed=not writable)


def quota(glance: Glance) -> Line:
    """Return what the project uses of its limits, and whether one is used up.

    Raises:
        CloudError: Glance did not say.
    """
    limits = glance.limits()
    if limits is None:
        text = "this Glance does not say; its operators know whether the project has one"
        return Line("quota", "unknown", text, needed=False)
    limited = {name: each for name, each in sorted(limits.items()) if each.limit >= 0}
    text = "; ".join(_of_limit(*each) for each in limited.items()) or "no limit"
    full = [name for name, each in limited.items() if each.used >= each.limit]
    if full:
        advice = "delete images of the project, or ask for higher limits"
        return Line("quota", "missing", f"used up: {', '.join(full)} ({text}); {advice}")
    return Line("quota", "ok", text)


def _of_limit(name: str, limit: Limit) -> str:
    used, most = limit.used, limit.limit
    if name not in _OF_BYTES:
        return f"{name} {used} of {most} used"
    return f"{name} {size_text(used * MIB)} of {size_text(most * MIB)} used"


def _projects(keystone: Keystone) -> Line:
    what = "look up projects"
    try:
        keystone.find("cloudimage-check", "default")
    except ForbiddenError as error:
        text = f"{error}; an ImageShare needs ids of projects, or acceptWith"
        return Line(what, "missing", text, needed=False)
    return Line(what, "ok", "ImageShares may name projects and domains", needed=False)
