"""The user's cluster: our objects read, watched, changed and deleted, as kubectl would do it."""

import base64
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kubernetes
from kubernetes.client import ApiException
from kubernetes.config import ConfigException
from kubernetes.config.incluster_config import SERVICE_TOKEN_FILENAME
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from cloudimage.api.kinds import Kind
from cloudimage.api.names import GROUP, VERSION
from cloudimage.cli.arguments import Target, Where
from cloudimage.cli.errors import CommandError, of_answer

if TYPE_CHECKING:
    from cloudimage.cli.describe import Event

TIMEOUT_SECONDS = 30
WATCH_SECONDS = 240
"""A watch ends after this time and is started again, before a proxy in between ends it."""
_AGAIN_SECONDS = 1.0
_RETRIES = Retry(total=5, connect=0, read=0, allowed_methods=None, raise_on_status=False)
"""As kubectl does it: only what the server itself asks to repeat, by status 429 and Retry-After."""
_TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
"""How kubectl asks for tables: their columns are those of the CRD, rendered by the API server."""

_STRICT = {"field_validation": "Strict"}

Objects = dict[tuple[str, str], dict[str, Any]]
"""Objects by namespace and name."""


@dataclass(frozen=True)
class Cluster:
    """A cluster as the user's kubeconfig reaches it.

    Attributes:
        namespace: Where to look; None: everywhere.
        watch_seconds: How long a watch lasts before it is started again.
    """

    client: kubernetes.client.ApiClient
    namespace: str | None
    watch_seconds: int = WATCH_SECONDS

    @property
    def server(self) -> str:
        """URL of the API server."""
        return str(self.client.configuration.host)

    def read(self, target: Target) -> dict[str, Any]:
        """Return one object."""
        return self._named(self._objects.get_namespaced_custom_object, target)

    def read_all(self, kind: Kind) -> dict[str, Any]:
        """Return the list of all objects of a kind."""
        return self._listed(self.client, kind)

    def objects(self, targets: tuple[Target, ...]) -> list[dict[str, Any]]:
        """Return the objects that are meant, each with its kind."""
        return [
            {**each, "kind": target.kind.name, "apiVersion": f"{GROUP}/{VERSION}"}
            for target in targets
            for each in (
                [self.read(target)] if target.name else self.read_all(target.kind)["items"]
            )
        ]

    def table(self, target: Target) -> dict[str, Any]:
        """Return the ``Table`` of the objects that are meant, as the API server renders it."""
        client = kubernetes.client.ApiClient(self.client.configuration)
        client.set_default_header("Accept", _TABLE)
        if target.name is None:
            return self._listed(client, target.kind)
        objects = kubernetes.client.CustomObjectsApi(client)
        return self._named(objects.get_namespaced_custom_object, target)

    def find(self, target: Target) -> dict[str, Any] | None:
        """Return one object; None: it is not there."""
        try:
            return self.read(target)
        except ApiException as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def dry_run(
        self, target: Target, body: Mapping[str, Any], before: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """Return what an object would be once it is applied; nothing is written.

        The API server checks, completes and admits it as it would do then.

        Args:
            target: The object.
            body: The whole of it.
            before: What it is now; None: it is not there.
        """
        options = {"dry_run": "All"}
        if before is not None:
            request, strict = self._objects.replace_namespaced_custom_object, _STRICT
            return self._named(request, target, dict(body), **options, **strict)
        return self.create(target.kind, body, **options)

    def create(self, kind: Kind, body: Mapping[str, Any], **options: str) -> dict[str, Any]:
        """Create an object and return it."""
        create: Any = self._objects.create_namespaced_custom_object
        address = (GROUP, VERSION, self.namespace, kind.plural)
        made: dict[str, Any] = create(
            *address, dict(body), _request_timeout=TIMEOUT_SECONDS, **options, **_STRICT
        )
        return made

    def annotate(self, target: Target, annotations: Mapping[str, str]) -> dict[str, Any]:
        """Set annotations and return the object."""
        return self.merge(target, {"metadata": {"annotations": dict(annotations)}})

    def merge(self, target: Target, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change the fields that a body has, and return the object."""
        return self._named(self._objects.patch_namespaced_custom_object, target, dict(body))

    def delete(self, target: Target, uid: str) -> None:
        """Ask for the deletion of that very object; one of the same name made since stays."""
        options = kubernetes.client.V1DeleteOptions(
            preconditions=kubernetes.client.V1Preconditions(uid=uid)
        )
        self._named(self._objects.delete_namespaced_custom_object, target, body=options)

    def secret(self, name: str) -> dict[str, str] | None:
        """Return the texts of a Secret by their keys; None: there is no such Secret."""
        core = kubernetes.client.CoreV1Api(self.client)
        try:
            found = core.read_namespaced_secret(
                name, str(self.namespace), _request_timeout=TIMEOUT_SECONDS
            )
        except ApiException as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        return {
            key: base64.b64decode(text).decode("utf-8", "replace")
            for key, text in (found.data or {}).items()
        }

    def events(self, thing: Mapping[str, Any]) -> "list[Event] | None":
        """Return the Events about an object; None: the user may not read them."""
        from cloudimage.cli.describe import Event

        core = kubernetes.client.CoreV1Api(self.client)
        metadata = thing["metadata"]
        try:
            listed = core.list_namespaced_event(
                metadata["namespace"],
                field_selector=f"involvedObject.uid={metadata['uid']}",
                _request_timeout=TIMEOUT_SECONDS,
            )
        except ApiException as error:
            if error.status == HTTPStatus.FORBIDDEN:
                return None
            raise
        return [
            Event(
                each.last_timestamp or each.event_time or each.metadata.creation_timestamp,
                each.type or "",
                each.reason or "",
                each.message or "",
            )
            # In the order in which they were written: their times are whole seconds.
            for each in sorted(listed.items, key=_version)
        ]

    def wherever(self, kind: Kind, namespace: str) -> list[dict[str, Any]] | None:
        """Return a kind's objects of all namespaces, or of one if the user may read no others.

        Returns:
            None when the user may read none at all.
        """
        for each in (None, namespace):
            try:
                return list(Cluster(self.client, each).read_all(kind)["items"])
            except ApiException as error:
                if error.status != HTTPStatus.FORBIDDEN:
                    raise
        return None

    def changes(self, kind: Kind, name: str | None, deadline: float | None) -> Iterator[Objects]:
        """Yield the objects of a kind as they are, and again after each change.

        The watch is started again whenever it ends; what happened meanwhile shows as one change.

        Args:
            kind: Which.
            name: Of the only one to look at; None: all.
            deadline: When to end, by ``time.monotonic``; None: never.
        """
        options = {"field_selector": f"metadata.name={name}"} if name else {}
        seen = False
        while not seen or _left(deadline) > 0:
            try:
                listed = self._listed(self.client, kind, **options)
            except (HTTPError, ApiException) as error:
                if not seen or not _passes(error):
                    raise
                _pause(deadline)
                continue
            seen = True
            objects = {_key(each): each for each in listed["items"]}
            yield dict(objects)
            version = listed["metadata"]["resourceVersion"]
            try:
                for event in self._events(kind, version, deadline, options):
                    _apply(objects, event)
                    yield dict(objects)
            except (HTTPError, ApiException) as error:
                if not _passes(error):
                    raise
                _pause(deadline)

    def _events(
        self, kind: Kind, version: str, deadline: float | None, options: Mapping[str, str]
    ) -> Iterator[dict[str, Any]]:
        seconds = max(1, min(self.watch_seconds, round(_left(deadline) + 0.5)))
        request, address = self._list_request(self.client, kind)
        yield from kubernetes.watch.Watch().stream(
            request,
            *address,
            resource_version=version,
            timeout_seconds=seconds,
            _request_timeout=(TIMEOUT_SECONDS, seconds + TIMEOUT_SECONDS),
            **options,
        )

    def _listed(
        self, client: kubernetes.client.ApiClient, kind: Kind, **options: str
    ) -> dict[str, Any]:
        request, address = self._list_request(client, kind)
        listed: dict[str, Any] = request(*address, _request_timeout=TIMEOUT_SECONDS, **options)
        return listed

    def _list_request(
        self, client: kubernetes.client.ApiClient, kind: Kind
    ) -> tuple[Any, tuple[str, ...]]:
        objects = kubernetes.client.CustomObjectsApi(client)
        if self.namespace is None:
            return objects.list_cluster_custom_object, (GROUP, VERSION, kind.plural)
        address = (GROUP, VERSION, self.namespace, kind.plural)
        return objects.list_namespaced_custom_object, address

    def _named(self, request: Any, target: Target, *args: Any, **options: Any) -> dict[str, Any]:  # noqa: ANN401  # the client has no types
        address = (GROUP, VERSION, self.namespace, target.kind.plural, target.name)
        answer: dict[str, Any] = request(
            *address, *args, _request_timeout=TIMEOUT_SECONDS, **options
        )
        return answer

    @property
    def _objects(self) -> kubernetes.client.CustomObjectsApi:
        return kubernetes.client.CustomObjectsApi(self.client)


@contextmanager
def sentences(server: Callable[[], str] = str) -> Iterator[None]:
    """Turn whatever the cluster answers into a sentence.

    Args:
        server: Returns the URL of the cluster, once it is known.

    Raises:
        CommandError: With that sentence.
    """
    try:
        yield
    except ApiException as error:
        status, body = int(error.status or 0), _text(error.body)
        raise CommandError(of_answer(status, body, str(error.reason))) from error
    except HTTPError as error:
        raise CommandError(
            f"The cluster at {server()} does not answer: {_cause(error)}. Check that it is up, and "
            "that this is the right context (--context)."
        ) from error
    except ConfigException as error:
        raise CommandError(
            f"There is no usable kubeconfig: {str(error).rstrip('.')}. Set KUBECONFIG or give "
            "--kubeconfig and --context."
        ) from error


def connect(where: Where) -> Cluster:
    """Return the cluster and the namespace that kubectl would take, with the same options.

    Raises:
        kubernetes.config.ConfigException: There is no such kubeconfig or context.
    """
    kubeconfig, context = where.kubeconfig, where.context
    configuration = kubernetes.client.Configuration()
    if not _has_kubeconfig(kubeconfig) and Path(SERVICE_TOKEN_FILENAME).exists():
        kubernetes.config.load_incluster_config(configuration)
        standing = Path(SERVICE_TOKEN_FILENAME).with_name("namespace").read_text().strip()
    else:
        kubernetes.config.load_kube_config(
            kubeconfig, context, client_configuration=configuration, persist_config=False
        )
        standing = _namespace_of(kubeconfig, context)
    configuration.retries = _RETRIES
    client = kubernetes.client.ApiClient(configuration)
    return Cluster(client, None if where.everywhere else where.namespace or standing)


def _has_kubeconfig(kubeconfig: str | None) -> bool:
    default = Path(kubernetes.config.KUBE_CONFIG_DEFAULT_LOCATION).expanduser()
    return bool(kubeconfig) or default.exists()


def _namespace_of(kubeconfig: str | None, context: str | None) -> str:
    contexts, active = kubernetes.config.list_kube_config_contexts(kubeconfig)
    chosen = next((each for each in contexts if each["name"] == context), active)
    return str(chosen["context"].get("namespace") or "default")


def _left(deadline: float | None) -> float:
    return WATCH_SECONDS if deadline is None else deadline - time.monotonic()


def _version(thing: kubernetes.client.CoreV1Event) -> int:
    return int(thing.metadata.resource_version or 0)


def _passes(error: Exception) -> bool:
    """Return whether to start a watch again: after a break, or when its version is too old."""
    if isinstance(error, ApiException):
        status = int(error.status or 0)
        return status == HTTPStatus.GONE or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return True


def _pause(deadline: float | None) -> None:
    time.sleep(max(0, min(_AGAIN_SECONDS, _left(deadline))))


def _key(thing: Mapping[str, Any]) -> tuple[str, str]:
    return thing["metadata"]["namespace"], thing["metadata"]["name"]


def _apply(objects: Objects, event: Mapping[str, Any]) -> None:
    if event["type"] == "DELETED":
        objects.pop(_key(event["object"]), None)
    else:
        objects[_key(event["object"])] = event["object"]


def _text(body: object) -> str:
    return body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")


def _cause(error: BaseException) -> str:
    """Return the innermost words: urllib3 wraps them in the names of its own objects."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error).rstrip(".")
