"""Lets go of the Secrets that were held for objects which need them no more.

Why it is done in this order: see docs/decisions/0012-credentials.md.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar

from kubernetes.client import ApiException

from cloudimage.api.cloudimage import CloudImage
from cloudimage.handlers.kube import Key, Kube, Secret, key_of
from cloudimage.handlers.status import StatusWriter
from cloudimage.reconcile import holding, status

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass
class SecretHolder:
    """Knows which objects need which Secrets, as far as this process has seen.

    What it remembers only spares requests: before a Secret is let go, the API server is asked.
    """

    kube: Kube
    _needs: dict[Key, frozenset[str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def seen(self, resource: CloudImage) -> None:
        """Take note of what the object needs now."""
        self._needs[key_of(resource)] = holding.needed(resource)

    def record(self, resource: CloudImage) -> CloudImage:
        """Write down which Secret is held for the object, and let go of the one before it.

        Raises:
            StaleError: The object changed since it was read.
        """
        if not holding.needed(resource) or not holding.is_news(resource):
            return resource
        new = status.holding(resource)
        written = self.let_go(
            key_of(resource),
            holding.outlived(resource),
            lambda: StatusWriter(self.kube).write(resource, new),
        )
        self.seen(written)
        return written

    def gone(self, key: Key) -> None:
        """Let go of what an object needed whose finalizer somebody else took."""
        if names := self._needs.pop(key, None):
            self.let_go(key, names, lambda: None)

    def let_go(self, key: Key, names: Iterable[str], then: Callable[[], T]) -> T:
        """Let go of Secrets for an object, unless others need them.

        One object at a time, so that of two that leave together one sees that it is the last.

        Args:
            key: The object.
            names: The Secrets, in its namespace.
            then: Makes it true that the object needs them no more. It comes last: after a crash
                in between all is done again.

        Returns:
            What ``then`` does.
        """
        with self._lock:
            for name in names:
                secret = self._held(key.namespace, name)
                if secret is not None and not self._others_need(key, name):
                    self._release(secret)
            done = then()
            self._needs.pop(key, None)
            return done

    def _others_need(self, key: Key, name: str) -> bool:
        for other, names in list(self._needs.items()):
            if other != key and other.namespace == key.namespace and name in names:
                resource = self.kube.read(other)
                if resource is not None and name in holding.needed(resource):
                    return True
                self._needs.pop(other, None)
        return any(
            name in holding.needed(each)
            for each in self.kube.read_all(key.namespace)
            if key_of(each) != key
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


def _pass_if_forbidden(error: ApiException) -> None:
    """Go on where the right is missing: it must not keep the object for ever.

    Raises:
        ApiException: Anything else, which is tried again.
    """
    if error.status != HTTPStatus.FORBIDDEN:
        raise error
    logger.warning("a Secret may stay held: no right to let it go", extra={"error": error.reason})
