"""The tenants of an object: its namespace, the Secret of its cloud, and that cloud."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from cloudimage.api.cloudimage import CloudImage
from cloudimage.controller.logic.fairness import Part, Tenants
from cloudimage.kube import Key


class _Cloud(NamedTuple):
    """A cloud as credentials name it; empty: not known."""

    secret: str
    name: str


_UNKNOWN: Final = _Cloud("", "")


def tenants_of(resource: CloudImage) -> Tenants:
    """Return the tenants of a CloudImage."""
    return _tenants(resource.metadata.namespace, resource.spec.cloud_credentials_ref.secret_name)


def _tenants(namespace: str, secret: str) -> Tenants:
    return (namespace, (namespace, secret)) if secret else (namespace,)


def _with_cloud(namespace: str, cloud: _Cloud) -> Tenants:
    tenants = _tenants(namespace, cloud.secret)
    return (*tenants, Part((namespace, *cloud))) if cloud.name else tenants


@dataclass
class TenantIndex:
    """What the watches have shown of who uses which cloud; for the event loop only.

    It reads the objects as they are, so that objects that are not understood also count.
    """

    _clouds: dict[Key, _Cloud] = field(default_factory=dict)
    _shares: dict[Key, tuple[_Cloud, Key | None]] = field(default_factory=dict)

    def saw_image(self, key: Key, event: Mapping[str, Any]) -> None:
        """Record the cloud of a CloudImage."""
        if event["type"] == "DELETED":
            self._clouds.pop(key, None)
        else:
            self._clouds[key] = _cloud(_part(event["object"], "spec"))

    def saw_share(self, key: Key, event: Mapping[str, Any]) -> None:
        """Record the cloud or the CloudImage of an ImageShare."""
        if event["type"] == "DELETED":
            self._shares.pop(key, None)
            return
        share = event["object"]
        of_image = _part(_part(share, "spec"), "image")
        self._shares[key] = (_cloud(of_image), shared_image(key, share))

    def of_image(self, key: Key) -> Tenants:
        """Return the tenants of a CloudImage."""
        return _with_cloud(key.namespace, self._clouds.get(key, _UNKNOWN))

    def of_share(self, key: Key) -> Tenants:
        """Return the tenants of an ImageShare; the Secret may be of its CloudImage's namespace."""
        cloud, target = self._shares.get(key, (_UNKNOWN, None))
        if target is None:
            return _with_cloud(key.namespace, cloud)
        of_image = _with_cloud(target.namespace, self._clouds.get(target, _UNKNOWN))
        return (key.namespace, *of_image[1:])


def shared_image(key: Key, share: Mapping[str, Any]) -> Key | None:
    """Return the CloudImage that an ImageShare is of; None: it names none."""
    ref = _part(_part(share, "spec"), "imageRef")
    name, namespace = ref.get("name"), ref.get("namespace", key.namespace)
    if isinstance(name, str) and isinstance(namespace, str):
        return Key(namespace, name)
    return None


def _part(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = whole.get(name)
    return part if isinstance(part, Mapping) else {}


def _cloud(spec: Mapping[str, Any]) -> _Cloud:
    ref = _part(spec, "cloudCredentialsRef")
    found = (ref.get(each) for each in ("secretName", "cloudName"))
    return _Cloud(*(each if isinstance(each, str) else "" for each in found))
