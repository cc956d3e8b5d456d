"""Releases credential Secrets once no object needs them.

Why it is done in this order: see docs/decisions/0012-credentials.md.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar

from kubernetes.client import ApiException

from cloudimage.api.kinds import KINDS
from cloudimage.api.meta import Resource
from cloudimage.controller.status_writer import StatusWriter
from cloudimage.credentials.logic import guard
from cloudimage.kube import Key, Kube, R, Secret, key_of

logger = logging.getLogger(__name__)

T = TypeVar("T")
Name = tuple[type[Resource], Key]
"""An object, by its kind and key."""


@dataclass
class SecretGuard:
    """Knows which objects need which Secrets, as far as this process has seen.

    What it remembers only spares requests: before a Secret is released, the API server is asked.
    """

    kube: Kube
    _needs: dict[Name, frozenset[str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def observe(self, resource: Resource) -> None:
        """Record what the object needs now."""
        self._needs[name_of(resource)] = guard.needed(resource)

    def record(self, resource: R) -> R:
        """Write down which Secret is held for the object, and release the one before it.

        Raises:
            StaleError: The object changed since it was read.
        """
        if not guard.needed(resource) or not guard.is_news(resource):
            return resource
        new = guard.recorded(resource)
        written = self._release_all(
            name_of(resource),
            guard.outlived(resource),
            lambda: StatusWriter(self.kube).write(resource, new),
        )
        self.observe(written)
        return written

    def forget(self, model: type[Resource], key: Key) -> None:
        """Release what an object needed that is gone, whoever took its finalizer."""
        if secrets := self._needs.pop((model, key), None):
            self._release_all((model, key), secrets, lambda: None)

    def release(self, resource: Resource, then: Callable[[], object]) -> None:
        """Release all that the object ever needed, then do what makes that true."""
        self._release_all(name_of(resource), guard.named(resource), then)

    def _release_all(self, name: Name, secrets: Iterable[str], then: Callable[[], T]) -> T:
        """Release Secrets for an object, unless others need them.

        One object at a time, so that of two that leave together one sees that it is the last.

        Args:
            name: The object.
            secrets: The Secrets, in its namespace.
            then: Makes sure that the object no longer needs them. It comes last: after a crash in
                between all is done again.

        Returns:
            What ``then`` does.
        """
        with self._lock:
            namespace = name[1].namespace
            for each in secrets:
                secret = self._held(namespace, each)
                if secret is not None and not self._others_need(name, namespace, each):
                    self._release(secret)
            done = then()
            self._needs.pop(name, None)
            return done

    def _others_need(self, name: Name, namespace: str, secret: str) -> bool:
        for other, names in list(self._needs.items()):
            model, key = other
            if other != name and key.namespace == namespace and secret in names:
                resource = self.kube.read(model, key)
                if resource is not None and secret in guard.needed(resource):
                    return True
                self._needs.pop(other, None)
        return any(
            secret in guard.needed(each)
            for kind in KINDS
            for each in self.kube.read_all(kind.model, (namespace,))
            if name_of(each) != name
        )

    def _held(self, namespace: str, name: str) -> Secret | None:
        try:
            secret = self.kube.read_secret(namespace, name)
        except ApiException as error:
            _pass_if_forbidden(error)
            return None
        return secret if secret is not None and secret.held else None

    def _release(self, secret: Secret) -> None:
        try:
            self.kube.hold_secret(secret, held=False)
        except ApiException as error:
            _pass_if_forbidden(error)


def name_of(resource: Resource) -> Name:
    """Return the object's kind and key."""
    return type(resource), key_of(resource)


def _pass_if_forbidden(error: ApiException) -> None:
    """Go on where the right is missing: it must not keep the object for ever.

    Raises:
        ApiException: Anything else, which is retried.
    """
    if error.status != HTTPStatus.FORBIDDEN:
        raise error
    logger.warning("a Secret may stay held: no right to let it go", extra={"error": error.reason})
