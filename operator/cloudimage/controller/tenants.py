"""The tenants of an object: its namespace, and the Secret of its cloud."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cloudimage.api.cloudimage import CloudImage
from cloudimage.controller.logic.fairness import Tenants
from cloudimage.kube import Key

_UNKNOWN: Final = ""


def tenants_of(resource: CloudImage) -> Tenants:
    """Return the tenants of a CloudImage."""
    return _tenants(resource.metadata.namespace, resource.spec.cloud_credentials_ref.secret_name)


def _tenants(namespace: str, secret: str) -> Tenants:
    return (namespace, (namespace, secret)) if secret else (namespace,)


@dataclass
class TenantIndex:
    """What the watches have shown of who uses which Secret; for the event loop only.

    It reads the objects as they are, so that objects that are not understood also count.
    """

    _secrets: dict[Key, str] = field(default_factory=dict)
    _shares: dict[Key, tuple[str, Key | None]] = field(default_factory=dict)

    def saw_image(self, key: Key, event: Mapping[str, Any]) -> None:
        """Record the Secret of a CloudImage."""
        if event["type"] == "DELETED":
            self._secrets.pop(key, None)
        else:
            self._secrets[key] = _secret(_part(event["object"], "spec"))

    def saw_share(self, key: Key, event: Mapping[str, Any]) -> None:
        """Record the Secret or the CloudImage of an ImageShare."""
        if event["type"] == "DELETED":
            self._shares.pop(key, None)
            return
        share = event["object"]
        self._shares[key] = (_secret(_part(share, "spec")), shared_image(key, share))

    def of_image(self, key: Key) -> Tenants:
        """Return the tenants of a CloudImage."""
        return _tenants(key.namespace, self._secrets.get(key, _UNKNOWN))

    def of_share(self, key: Key) -> Tenants:
        """Return the tenants of an ImageShare; the Secret may be of its CloudImage's namespace."""
        secret, target = self._shares.get(key, (_UNKNOWN, None))
        if target is None:
            return _tenants(key.namespace, secret)
        return (key.namespace, *_tenants(target.namespace, self._secrets.get(target, ""))[1:])


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


def _secret(spec: Mapping[str, Any]) -> str:
    name = _part(spec, "cloudCredentialsRef").get("secretName")
    return name if isinstance(name, str) else _UNKNOWN
