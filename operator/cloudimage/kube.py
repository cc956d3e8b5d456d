"""The Kubernetes API as the operator uses it: one adapter over the official client."""

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

import kubernetes
from kubernetes.client import ApiException

from cloudimage.api.kinds import kind_of
from cloudimage.api.meta import Event, Resource, ResourceStatus
from cloudimage.api.names import (
    API_VERSION,
    CREDENTIALS_FINALIZER,
    FINALIZER,
    GROUP,
    HOSTS_ANNOTATION,
    VERSION,
)

R = TypeVar("R", bound=Resource)

REQUEST_TIMEOUT_SECONDS = 60
CHUNK = 500
"""Objects of an answer."""
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class Key(NamedTuple):
    """The name of an object of ours."""

    namespace: str
    name: str


@dataclass(frozen=True)
class Secret:
    """A Secret; its texts are not for logs, hence no repr of them.

    Attributes:
        held: It has our finalizer.
        hosts: Its annotation about the hosts that it is for; None without one.
    """

    namespace: str
    name: str
    uid: str
    resource_version: str
    held: bool
    texts: Mapping[str, str] = field(repr=False)
    hosts: str | None = None

    @property
    def version(self) -> str:
        """What differs whenever its content may."""
        return f"{self.uid}/{self.resource_version}"


class StaleError(Exception):
    """The object changed since it was read: read it again and decide again."""


@dataclass(frozen=True)
class Kube:
    """The few requests the operator makes, over one client that all its threads share.

    Attributes:
        namespaces: Those that are watched; empty: all.
        component: The name under which Events are written.
    """

    client: kubernetes.client.ApiClient
    namespaces: tuple[str, ...] = ()
    component: str = "cloudimage-operator"

    def read(self, model: type[R], key: Key) -> R | None:
        """Return the object as it is now; None when it is gone."""
        body = self.read_raw(model, key)
        return None if body is None else model.model_validate(body)

    def read_raw(self, model: type[Resource], key: Key) -> dict[str, Any] | None:
        """Return the object as the API server has it, understood or not; None when it is gone."""
        try:
            body: Any = self._objects.get_namespaced_custom_object(
                *_address(model, key.namespace), key.name, _request_timeout=REQUEST_TIMEOUT_SECONDS
            )
        except ApiException as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return dict(body)

    def write_raw_status(self, model: type[Resource], key: Key, body: dict[str, Any]) -> None:
        """Replace the status of an object by the one of ``body``."""
        self._objects.replace_namespaced_custom_object_status(
            *_address(model, key.namespace),
            key.name,
            body,
            _request_timeout=REQUEST_TIMEOUT_SECONDS,
        )

    def write_status(self, resource: R, status: ResourceStatus) -> R:
        """Replace the status as a whole and return the object as it is then.

        Raises:
            StaleError: Somebody else changed the object meanwhile.
        """
        body = {
            "apiVersion": API_VERSION,
            "kind": kind_of(type(resource)).name,
            "metadata": {
                "name": resource.metadata.name,
                "namespace": resource.metadata.namespace,
                "uid": resource.metadata.uid,
                "resourceVersion": resource.metadata.resource_version,
            },
            # The API server wants a valid object; it ignores every part but the status.
            "spec": resource.spec.to_json(),
            "status": status.to_json(),
        }
        return self._changed(self._objects.replace_namespaced_custom_object_status, resource, body)

    def set_finalizer(self, resource: R, *, present: bool) -> R:
        """Add or take our finalizer, leave those of others, and return the object.

        Raises:
            StaleError: Somebody else changed the object meanwhile.
        """
        others = [each for each in resource.metadata.finalizers if each != FINALIZER]
        body = {
            "metadata": {
                "resourceVersion": resource.metadata.resource_version,
                "finalizers": [*others, FINALIZER] if present else others,
            }
        }
        return self._changed(self._objects.patch_namespaced_custom_object, resource, body)

    def _changed(self, request: Any, resource: R, body: Mapping[str, Any]) -> R:  # noqa: ANN401  # the client has no types
        model, key = type(resource), key_of(resource)
        try:
            answer = request(
                *_address(model, key.namespace),
                key.name,
                body,
                _request_timeout=REQUEST_TIMEOUT_SECONDS,
            )
        except ApiException as error:
            if error.status in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
                raise StaleError(f"{key.namespace}/{key.name}") from error
            raise
        return model.model_validate(answer)

    def read_all(self, model: type[R], namespaces: Iterable[str] | None = None) -> list[R]:
        """Return all objects of a kind as they are now.

        Args:
            model: The kind.
            namespaces: Where; None: all that are watched.
        """
        return list(self.each(model, namespaces))

    def each(self, model: type[R], namespaces: Iterable[str] | None = None) -> Iterator[R]:
        """Yield the objects of :meth:`read_all`, of which only some are in memory at once."""
        for item in self._items(model, self.namespaces if namespaces is None else namespaces):
            yield model.model_validate(item)

    def uids(self, model: type[Resource]) -> Iterator[tuple[str, str]]:
        """Yield the namespace and the UID of each object of a kind, without reading more of it."""
        for item in self._items(model, self.namespaces, _headers={"Accept": _METADATA}):
            yield item["metadata"]["namespace"], item["metadata"]["uid"]

    def _items(
        self,
        model: type[Resource],
        namespaces: Iterable[str],
        **options: Any,  # noqa: ANN401  # the client's own
    ) -> Iterator[dict[str, Any]]:
        """Yield what is listed in namespaces, if there are any, or in all, page by page."""
        group, version, _, plural = _address(model, "")
        objects = self._objects
        lists: list[Callable[..., Any]] = [
            partial(objects.list_namespaced_custom_object, group, version, namespace, plural)
            for namespace in namespaces
        ] or [partial(objects.list_cluster_custom_object, group, version, plural)]
        options |= {"limit": CHUNK, "_request_timeout": REQUEST_TIMEOUT_SECONDS}
        for fetch in lists:
            proceed: str | None = ""
            while proceed is not None:
                listed = fetch(**options, **({"_continue": proceed} if proceed else {}))
                yield from listed["items"] or ()  # null, if the list is empty
                proceed = listed["metadata"].get("continue") or None

    def read_secret(self, namespace: str, name: str) -> Secret | None:
        """Return a Secret as it is now; None when there is no such Secret."""
        found = _found(self._core.read_namespaced_secret, namespace, name)
        return None if found is None else _secret(found)

    def hold_secret(self, secret: Secret, *, held: bool) -> Secret | None:
        """Add or take our finalizer on a Secret, and return it as it is then.

        Those of others stay: a strategic merge patch names only our own.

        Returns:
            None when the Secret is gone, is another of that name by now, or can no longer be held
            because it is being deleted.
        """
        key = "finalizers" if held else "$deleteFromPrimitiveList/finalizers"
        body = {"metadata": {"uid": secret.uid, key: [CREDENTIALS_FINALIZER]}}
        gone = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)
        try:
            patched = self._core.patch_namespaced_secret(
                secret.name, secret.namespace, body, _request_timeout=REQUEST_TIMEOUT_SECONDS
            )
        except ApiException as error:
            if error.status in gone:
                return None
            raise
        return _secret(patched)

    def read_config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        """Return a ConfigMap's keys with their texts; None when there is no such ConfigMap."""
        found = _found(self._core.read_namespaced_config_map, namespace, name)
        return None if found is None else found.data or {}

    def apply_config_map(
        self,
        namespace: str,
        name: str,
        data: Mapping[str, str],
        manager: str,
        uid: str | None = None,
    ) -> None:
        """Have a ConfigMap hold exactly these keys of a field manager, beside those of others.

        Args:
            namespace: Of the ConfigMap.
            name: Of the ConfigMap.
            data: The manager's keys and their values.
            manager: The field manager.
            uid: Of the ConfigMap that is meant; None: whichever has the name, or a new one.

        Raises:
            ApiException: 409: another manager has set one of the keys otherwise, or it is not the
                one that is meant.
        """
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, **({"uid": uid} if uid else {})},
            # With an empty map the manager would go on owning that.
            **({"data": dict(data)} if data else {}),
        }
        self._core.patch_namespaced_config_map(
            name,
            namespace,
            body,
            field_manager=manager,
            _content_type="application/apply-patch+yaml",
            _request_timeout=REQUEST_TIMEOUT_SECONDS,
        )

    def withdraw_config_map(self, namespace: str, name: str, manager: str) -> None:
        """Remove a field manager's keys from a ConfigMap; one that nobody else manages goes."""
        found = _found(self._core.read_namespaced_config_map, namespace, name)
        managers = {each.manager for each in found.metadata.managed_fields or ()} if found else ()
        if manager not in managers:
            return
        if len(managers) > 1:
            # With its uid, so that one that went meanwhile is not made again, empty.
            self.apply_config_map(namespace, name, {}, manager, uid=found.metadata.uid)
            return
        body = kubernetes.client.V1DeleteOptions(
            preconditions=kubernetes.client.V1Preconditions(
                resource_version=found.metadata.resource_version, uid=found.metadata.uid
            )
        )
        try:
            self._core.delete_namespaced_config_map(
                name, namespace, body=body, _request_timeout=REQUEST_TIMEOUT_SECONDS
            )
        except ApiException as error:
            if error.status == HTTPStatus.CONFLICT:
                raise StaleError(f"{namespace}/{name}") from error
            if error.status != HTTPStatus.NOT_FOUND:
                raise

    def post_event(self, resource: Resource, event: Event) -> None:
        """Write an Event about the object."""
        now = datetime.now(UTC)
        body = kubernetes.client.CoreV1Event(
            metadata=kubernetes.client.V1ObjectMeta(
                generate_name=f"{resource.metadata.name[:200]}."
            ),
            type=event.type,
            reason=event.reason,
            message=event.message,
            source=kubernetes.client.V1EventSource(component=self.component),
            reporting_component=self.component,
            first_timestamp=now,
            last_timestamp=now,
            count=1,
            involved_object=kubernetes.client.V1ObjectReference(
                api_version=API_VERSION,
                kind=kind_of(type(resource)).name,
                name=resource.metadata.name,
                namespace=resource.metadata.namespace,
                uid=resource.metadata.uid,
                resource_version=resource.metadata.resource_version,
            ),
        )
        self._core.create_namespaced_event(
            resource.metadata.namespace, body, _request_timeout=REQUEST_TIMEOUT_SECONDS
        )

    @property
    def _core(self) -> kubernetes.client.CoreV1Api:
        return kubernetes.client.CoreV1Api(self.client)

    @property
    def _objects(self) -> kubernetes.client.CustomObjectsApi:
        return kubernetes.client.CustomObjectsApi(self.client)


def key_of(resource: Resource) -> Key:
    """Return the object's name."""
    return Key(resource.metadata.namespace, resource.metadata.name)


def _address(model: type[Resource], namespace: str) -> tuple[str, str, str, str]:
    return (GROUP, VERSION, namespace, kind_of(model).plural)


def _found(read: Callable[..., Any], namespace: str, name: str) -> Any:  # noqa: ANN401  # the client has no types
    try:
        return read(name, namespace, _request_timeout=REQUEST_TIMEOUT_SECONDS)
    except ApiException as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return None
        raise


def _secret(body: Any) -> Secret:  # noqa: ANN401  # the client has no types
    return Secret(
        namespace=body.metadata.namespace,
        name=body.metadata.name,
        uid=body.metadata.uid,
        resource_version=body.metadata.resource_version,
        held=CREDENTIALS_FINALIZER in (body.metadata.finalizers or ()),
        texts={
            key: base64.b64decode(value).decode("utf-8", "replace")
            for key, value in (body.data or {}).items()
        },
        hosts=(body.metadata.annotations or {}).get(HOSTS_ANNOTATION),
    )
