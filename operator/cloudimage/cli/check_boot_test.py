"""``cloudimage check --boot-test``: whether credentials can make what spec.bootTest needs."""

from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Final

from openstack.connection import Connection

from cloudimage.cli.check import Line, asked, inside, logged_in, tried
from cloudimage.cloud.boot_rights import BootRights
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.models import Limit
from cloudimage.guest.keys import throw_away_key

_MEMBER: Final = "ask for the role member in the project"
_MOST_NAMED: Final = 5


def look(config: CloudConfig) -> Iterator[Line]:
    """Yield what is found of what every CloudImage and a boot test need; nothing stays."""
    yield from logged_in(config, lambda connection: chain(inside(connection), _of_test(connection)))


def _of_test(connection: Connection) -> Iterator[Line]:
    rights = BootRights(connection)
    flavors = asked("boot test: flavors", lambda: _flavors(rights), advice=_MEMBER)
    yield flavors
    if flavors.state != "ok":
        return
    public_key = throw_away_key("cloudimage check").public
    make_key = partial(rights.make_key, public_key)
    yield tried("boot test: key pairs", make_key, advice=_MEMBER)
    yield tried("boot test: make servers", rights.make_server, advice=_MEMBER)
    yield tried("boot test: read and delete servers", rights.handle_server, advice=_MEMBER)
    yield asked("boot test: networks", lambda: _networks(rights), needed=False)
    yield asked("boot test: quota", lambda: _quota(rights.limits()), needed=False)


def _flavors(rights: BootRights) -> Line:
    count = rights.flavors()
    if count == 0:
        text = "the project may use none: ask the cloud's administrator for one"
        return Line("boot test: flavors", "missing", text)
    return Line("boot test: flavors", "ok", f"{count} are seen")


def _networks(rights: BootRights) -> Line:
    """Return what a test gets that names no networks."""
    what, found = "boot test: networks", rights.networks()
    if found is None:
        text = "the catalogue has no network service: give spec.bootTest.networks by id, or []"
        return Line(what, "unknown", text, needed=False)
    if len(found) == 1:
        return Line(what, "ok", f"Nova chooses {found[0]}", needed=False)
    if not found:
        text = (
            "the project has none: Nova has one made where the cloud allows that; else set "
            "spec.bootTest.networks to [], or have one shared with the project"
        )
        return Line(what, "unknown", text, needed=False)
    more = f" and {len(found) - _MOST_NAMED} more" if found[_MOST_NAMED:] else ""
    names = f"{', '.join(sorted(found)[:_MOST_NAMED])}{more}"
    text = f"Nova does not choose among {names}: name one in spec.bootTest.networks"
    return Line(what, "missing", text, needed=False)


def _quota(limits: dict[str, Limit]) -> Line:
    what = "boot test: quota"
    limited = {name: each for name, each in limits.items() if each.limit >= 0}
    shown = ", ".join(f"{name} {each.used} of {each.limit}" for name, each in limited.items())
    full = [name for name, each in limited.items() if each.used >= each.limit]
    if full:
        advice = "delete servers of the project, or ask for higher limits"
        text = f"used up: {', '.join(full)} ({shown}); {advice}"
        return Line(what, "missing", text, needed=False)
    return Line(what, "ok", shown or "no limit", needed=False)
