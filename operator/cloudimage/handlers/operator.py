"""kopf's part: it watches the objects and tells the work queue; all else follows from there.

Why only ``on.event``: see docs/decisions/0003-kopf-watches-a-queue-reconciles.md.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import kopf
import kubernetes
from pydantic import ValidationError

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.meta import FINALIZER, GROUP, VERSION
from cloudimage.handlers.cloudimage import CloudImageReconciler
from cloudimage.handlers.job_runner import JobRunner
from cloudimage.handlers.jobs import Jobs
from cloudimage.handlers.kube import PLURAL, Key, Kube
from cloudimage.handlers.queue import WorkQueue
from cloudimage.handlers.references import ReferenceIndex
from cloudimage.handlers.runner import ChildRunner, Runner, sweep
from cloudimage.settings import Settings

logger = logging.getLogger(__name__)

_HOUSEKEEPING_SECONDS = 60.0
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class _Seen(NamedTuple):
    """What of an object is news: not our own writes of its status, they would echo for ever."""

    generation: int | None
    deleted: bool
    annotations: tuple[tuple[str, str], ...]
    held: bool

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> "_Seen":
        annotations: Mapping[str, str] = metadata.get("annotations", {})
        return cls(
            generation=metadata.get("generation"),
            deleted="deletionTimestamp" in metadata,
            # Others' can be as large as the object, and tell us nothing.
            annotations=tuple(
                sorted(each for each in annotations.items() if each[0].startswith(f"{GROUP}/"))
            ),
            held=FINALIZER in metadata.get("finalizers", ()),
        )


@dataclass
class Operator:
    """The whole operator in one process: a watch, a queue, a reconciler, a runner."""

    settings: Settings
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _references: ReferenceIndex = field(default_factory=ReferenceIndex)
    _housekeeping: asyncio.Task[None] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        kube = Kube(kubernetes.client.ApiClient(_client_configuration(self.settings.workers)))
        self.runner = _runner(self.settings, kube)
        self.reconciler = CloudImageReconciler(
            kube, self.runner, self.settings, notify=self._notify
        )
        self.queue: WorkQueue[Key] = WorkQueue(self.reconciler, self.settings.workers)

    def run(self) -> None:
        """Run until the process is told to stop."""
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(_login)
        kopf.on.startup(registry=registry)(self._started)
        kopf.on.cleanup(registry=registry)(self._stopped)
        kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)(self._seen_event)
        asyncio.run(
            kopf.operator(
                registry=registry,
                settings=_kopf_settings(),
                standalone=True,
                clusterwide=not self.settings.namespaces,
                namespaces=self.settings.namespaces,
                liveness_endpoint=_liveness(self.settings.probe_address),
            )
        )

    def _notify(self, key: Key) -> None:
        self.queue.add(key)

    async def _started(self, **_: object) -> None:
        sweep(self.settings.scratch)
        self.queue.start()
        self._housekeeping = asyncio.create_task(self._close_idle())
        # Before any object is looked at: what runs already must not be started again.
        await asyncio.to_thread(self.runner.recover, self._notify)

    async def _stopped(self, **_: object) -> None:
        self._housekeeping.cancel()
        await self.queue.stop()
        await asyncio.to_thread(self.runner.stop)
        await asyncio.to_thread(self.reconciler.clouds.close)

    async def _close_idle(self) -> None:
        while True:
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)
            await asyncio.to_thread(self.reconciler.clouds.close_idle)

    async def _seen_event(self, event: kopf.RawEvent, **_: object) -> None:
        """Queue the object when there is news of it; before others when somebody changed it."""
        metadata: dict[str, Any] = dict(event["object"]["metadata"])
        uid = metadata["uid"]
        if event["type"] == "DELETED":
            self._seen.pop(uid, None)
            self.reconciler.gone(uid)
            key = Key(metadata["namespace"], metadata["name"])
            self._wake(self._references.gone(key))
            self.queue.add(key)
            return
        before, now = self._seen.get(uid), _Seen.of(metadata)
        if before != now:
            self._seen[uid] = now
            changed = before is not None and before._replace(held=now.held) != now
            key = Key(metadata["namespace"], metadata["name"])
            self.queue.add(key, urgent=changed or now.deleted)
        try:
            self._wake(self._references.seen(CloudImage.model_validate(event["object"])))
        except ValidationError:
            # Admitted by another CRD than ours; the reconciler, which reads it too, says so.
            logger.debug("an object is not understood", extra={"uid": uid})

    def _wake(self, keys: Iterable[Key]) -> None:
        """Queue those that refer to an object whose image is another one now."""
        for key in keys:
            self.reconciler.look_again(key)
            self.queue.add(key, urgent=True)


def _runner(settings: Settings, kube: Kube) -> Runner:
    if settings.job is None:
        return ChildRunner(settings.max_concurrent_transfers)
    return JobRunner(
        Jobs(kube.client),
        kube,
        settings.job,
        settings.max_concurrent_transfers,
        settings.namespaces,
    )


def load_kubernetes_config() -> None:
    """Take the pod's ServiceAccount where there is one, else KUBECONFIG or ~/.kube/config.

    Raises:
        kubernetes.config.ConfigException: There is neither.
    """
    if _SERVICE_ACCOUNT.exists():
        kubernetes.config.load_incluster_config()
    else:
        kubernetes.config.load_kube_config()


def _client_configuration(threads: int) -> kubernetes.client.Configuration:
    configuration = kubernetes.client.Configuration.get_default_copy()
    # A thread that finds no connection in the pool makes one for a single request.
    configuration.connection_pool_maxsize = threads
    return configuration


def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:  # noqa: ANN401  # kopf's own kwargs, passed on
    if _SERVICE_ACCOUNT.exists():
        return kopf.login_with_service_account(**kwargs)
    return kopf.login_with_kubeconfig(**kwargs)


def _liveness(address: str | None) -> str | None:
    return f"http://{address}/healthz" if address else None


def _kopf_settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    # Events are ours to post, from transitions of conditions; kopf would post its log.
    settings.posting.enabled = False
    # The CRD is there before the operator; scanning would need rights on the whole cluster.
    settings.scanning.disabled = True
    settings.networking.request_timeout = 60
    settings.watching.connect_timeout = 30
    # Connections that die silently are noticed, and the watch is begun anew (kopf issue 585).
    settings.watching.server_timeout = 600
    settings.watching.client_timeout = 660
    return settings
