"""Wires everything once, and feeds kopf's events to the work queues.

Why only ``on.event``: see docs/decisions/0003-kopf-watches-a-queue-reconciles.md.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import kopf
import kubernetes
from pydantic import ValidationError
from urllib3.exceptions import HTTPError

from cloudimage import memory
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.imageshare import ImageShare
from cloudimage.api.kinds import CLOUD_IMAGE, IMAGE_SHARE
from cloudimage.api.names import GROUP, VERSION
from cloudimage.cloud.connection import open_cloud
from cloudimage.cloud.pool import ConnectionPool
from cloudimage.controller.attempts import Attempts
from cloudimage.controller.event_settings import kopf_settings
from cloudimage.controller.faults import FaultTeller, surviving
from cloudimage.controller.logic.retry import ENTRY
from cloudimage.controller.reference_index import ReferenceIndex
from cloudimage.controller.tenants import TenantIndex, shared_image
from cloudimage.controller.watch import Watch, key_in
from cloudimage.controller.workqueue import WorkQueue
from cloudimage.credentials.guard import SecretGuard
from cloudimage.images.boot_logins import BootLogins
from cloudimage.images.boot_testing import BootTesting
from cloudimage.images.boot_turns import BootTurns
from cloudimage.images.following import Following
from cloudimage.images.keeping import Keeping
from cloudimage.images.logic import follow_status, metadata
from cloudimage.images.orphans import OrphanSweeper
from cloudimage.images.places import Place, PlaceIndex
from cloudimage.images.reconciler import CloudImageReconciler
from cloudimage.images.resync import Resync
from cloudimage.images.watching import CloudWatcher
from cloudimage.kube import Key, Kube, R
from cloudimage.metrics import operator as metrics
from cloudimage.metrics.loop_lag import watch_loop_lag
from cloudimage.runners.base import Runner
from cloudimage.runners.both import RunnerOfBoth
from cloudimage.runners.child import ChildRunner, sweep
from cloudimage.runners.fork_client import ForkServer, Process
from cloudimage.runners.job import JobRunner
from cloudimage.runners.job_client import Jobs
from cloudimage.runners.looks import Looks
from cloudimage.settings import Settings
from cloudimage.shares.consumers import Consumers
from cloudimage.shares.logic import members
from cloudimage.shares.places import SharePlaces
from cloudimage.shares.reconciler import ImageShareReconciler

logger = logging.getLogger(__name__)

_HOUSEKEEPING_SECONDS = 20.0
_SWEEPS_AT_ONCE = 4
_WATCHES_AT_ONCE = 16
_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


@dataclass
class Operator:
    """The whole operator in one process: for each kind a watch, a queue and a reconciler."""

    settings: Settings
    _references: ReferenceIndex = field(default_factory=ReferenceIndex)
    _shares: ReferenceIndex = field(default_factory=ReferenceIndex)
    _tenants: TenantIndex = field(default_factory=TenantIndex)
    _places: set[Place] = field(default_factory=set)
    _watched: set[Place] = field(default_factory=set)
    _index: PlaceIndex = field(default_factory=PlaceIndex)
    _beside: SharePlaces = field(init=False)
    _housekeeping: asyncio.Task[None] = field(init=False, repr=False)
    _lag: asyncio.Task[None] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._beside = SharePlaces(self._index.place_of)
        workers = self.settings.workers
        client = kubernetes.client.ApiClient(_client_configuration(2 * workers))
        kube = Kube(client, self.settings.namespaces)
        # One for both: what it has imported takes memory once.
        spawn = ForkServer().spawn
        self.runner = _runner(self.settings, kube, spawn)
        policy = self.settings.cloud_policy
        self.clouds = ConnectionPool(
            connect=partial(open_cloud, policy=policy),
            most_mistake_seconds=ENTRY.unchanged or 0.0,
        )
        attempts = Attempts(kube, SecretGuard(kube))
        consumers = Consumers(kube, self.clouds)
        self.looks = Looks(spawn)
        following = Following(kube, self.looks, self.settings, attempts.status, self._notify)
        most_tests = self.settings.max_concurrent_boot_tests
        self.turns = BootTurns(most_tests, self._look_again)
        self.tests = BootTesting(
            attempts.status, self.turns, BootLogins(most_tests, policy), self._look_again
        )
        self.watcher = CloudWatcher(
            kube, self.clouds, self._index, self._see, self._resume, self._watched.discard
        )
        self.images = CloudImageReconciler(
            kube,
            attempts,
            self.runner,
            following,
            self.settings,
            self.clouds,
            Keeping(attempts.status, consumers, self.tests),
            Resync(self.settings, self.watcher),
            self._notify,
        )
        self.shares = ImageShareReconciler(
            kube,
            attempts,
            self.settings,
            self.clouds,
            consumers,
            self._look_again,
            self._beside.beside,
        )
        self.queue: WorkQueue[Key] = WorkQueue(
            self.images,
            workers,
            tenants=self._tenants.of_image,
            tell=FaultTeller(kube, CloudImage),
            deadline=self.settings.reconcile_seconds,
        )
        # Of their own: what moves bytes or waits for a cloud must not hold up a share.
        self.share_queue: WorkQueue[Key] = WorkQueue(
            self.shares,
            workers,
            IMAGE_SHARE.plural,
            tenants=self._tenants.of_share,
            tell=FaultTeller(kube, ImageShare),
            deadline=self.settings.reconcile_seconds,
        )
        # Of its own: it must not hold up anything.
        self.sweeper = OrphanSweeper(
            kube, self.clouds, self.settings, self.watcher, self._places.discard
        )
        self.orphan_queue: WorkQueue[Place] = WorkQueue(
            self.sweeper,
            _SWEEPS_AT_ONCE,
            "orphans",
            tenants=lambda place: place.tenants,
            deadline=self.settings.reconcile_seconds,
        )
        self.watch_queue: WorkQueue[Place] = WorkQueue(
            self.watcher,
            _WATCHES_AT_ONCE,
            "views",
            tenants=lambda place: place.tenants,
            deadline=self.settings.reconcile_seconds,
        )
        self._images_watch = Watch(self.queue, self.images.gone)
        self._shares_watch = Watch(self.share_queue, self.shares.gone)
        self._tell_metrics()

    def run(self) -> None:
        """Run until the process is told to stop."""
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(_login)
        kopf.on.startup(registry=registry)(self._started)
        kopf.on.cleanup(registry=registry)(self._stopped)
        kopf.on.event(GROUP, VERSION, CLOUD_IMAGE.plural, registry=registry)(
            surviving(self._image_event)
        )
        kopf.on.event(GROUP, VERSION, IMAGE_SHARE.plural, registry=registry)(
            surviving(self._share_event)
        )
        asyncio.run(
            kopf.operator(
                registry=registry,
                settings=kopf_settings(),
                standalone=True,
                clusterwide=not self.settings.namespaces,
                namespaces=self.settings.namespaces,
                liveness_endpoint=_liveness(self.settings.probe_address),
            )
        )

    def abandon(self) -> None:
        """End transfers at once, without their clean-up: another operator may act by now."""
        self.runner.abandon()
        self.looks.stop()

    def _tell_metrics(self) -> None:
        metrics.live(metrics.TRANSFERS_RUNNING, self.runner.by_stage)
        metrics.live(metrics.BOOT_TESTS_IN_PROGRESS, self.turns.numbers)
        metrics.live(metrics.ORPHANS, self.sweeper.numbers)
        metrics.live(metrics.CONNECTIONS, self.clouds.numbers)
        metrics.live(metrics.VIEWS, self.watcher.numbers)
        for queue in (self.queue, self.share_queue):
            metrics.OBJECTS.register(queue.kind)

    def _notify(self, key: Key) -> None:
        self.queue.add(key)

    async def _started(self, **_: object) -> None:
        metrics.LEADER.labels(str(self.settings.shard_index)).set(1)
        sweep(self.settings.scratch)
        self.queue.start()
        self.share_queue.start()
        self.orphan_queue.start()
        self.watch_queue.start()
        self._housekeeping = asyncio.create_task(self._close_idle())
        self._lag = asyncio.create_task(watch_loop_lag())
        # Before any object is looked at: what runs already must not be started again.
        await asyncio.to_thread(self.runner.recover, self._notify)
        await asyncio.to_thread(self.turns.recover, self.images.kube, self.settings.shard)
        await asyncio.to_thread(self._expect)

    def _expect(self) -> None:
        """Have the first listing of a cloud be about all objects; without, some are compared."""
        uids, shard = self.images.kube.uids(CloudImage), self.settings.shard
        try:
            self._index.expect([each for each in uids if shard.owns(each[0])])
        except (kubernetes.client.ApiException, HTTPError) as error:
            logger.warning("objects are not listed beforehand", extra={"error": str(error)})

    async def _stopped(self, **_: object) -> None:
        self._housekeeping.cancel()
        self._lag.cancel()
        queues = (self.queue, self.share_queue, self.orphan_queue, self.watch_queue)
        await asyncio.gather(*(each.stop() for each in queues))
        await asyncio.to_thread(self.runner.stop)
        await asyncio.to_thread(self.looks.stop)
        self.tests.stop()
        await asyncio.to_thread(self.clouds.close)

    async def _close_idle(self) -> None:
        while True:
            await asyncio.sleep(_HOUSEKEEPING_SECONDS)
            await self._house_kept()

    @surviving
    async def _house_kept(self) -> None:
        await asyncio.to_thread(self.clouds.close_idle)
        await asyncio.to_thread(memory.give_back)

    async def _image_event(self, event: kopf.RawEvent, **_: object) -> None:
        key = key_in(event)
        if not self._owns(key):
            return
        self._tenants.saw_image(key, event)
        image = _parsed(CloudImage, event)
        listed = image if self._images_watch.take(event) else None
        self.images.saw(key, listed)
        metrics.FOLLOWED.update(key, follow_status.made(image) if image else None)
        self._index.update(key, image)
        if image is not None:
            self._sweep(Place.of(image))
            if image.metadata.deletion_timestamp is not None:
                self.watch_queue.add(Place.of(image))  # it may wait for the end of a server
        names = metadata.references_of(image.spec.image).values() if image else ()
        self._references.set_targets(key, (Key(key.namespace, name) for name in names))
        self._wake(self._references.set_state(key, metadata.referable_id(image) if image else None))
        for share in self._shares.set_state(key, members.state(image) if image else None):
            if listed and self._beside.is_up_to_date(share, listed):
                continue  # at a restart
            self.shares.look_again(share)
            self.share_queue.add(share, urgent=True)

    def _owns(self, key: Key) -> bool:
        return self.settings.shard.owns(key.namespace)

    def _sweep(self, place: Place) -> None:
        """Have a cloud watched, and looked at for orphans, from when a CloudImage names it."""
        if place not in self._places:
            self._places.add(place)
            self.orphan_queue.add(place, self.settings.unwatched_seconds)
        if place not in self._watched:
            self._watched.add(place)
            self.watch_queue.add(place)

    async def _share_event(self, event: kopf.RawEvent, **_: object) -> None:
        key = key_in(event)
        # With its CloudImage, so that the members of an image are changed by one operator.
        if not self._owns(shared_image(key, event["object"]) or key):
            return
        self._tenants.saw_share(key, event)
        share = _parsed(ImageShare, event)
        self.shares.saw(key, share if self._shares_watch.take(event) else None)
        self._beside.update(key, share)
        if share is not None and (target := members.target(share)):
            self._shares.set_targets(key, (Key(*target),))
        elif event["type"] == "DELETED":
            # A CloudImage may have waited for that.
            self._wake(self._shares.set_targets(key, ()))

    def _wake(self, keys: Iterable[Key]) -> None:
        """Queue CloudImages that wait for another object, which is another one now."""
        for key in keys:
            self._look_again(key)

    def _see(self, keys: Iterable[Key], *, urgent: bool) -> None:
        """Queue CloudImages whose cloud has changed."""
        for key in keys:
            self.images.look_again(key)
            self.queue.add(key, urgent=urgent)

    def _resume(self, keys: Iterable[Key], *, compare: bool) -> None:
        """Queue CloudImages that are to look at their cloud themselves, not all of them at once."""
        for key in keys:
            if compare:
                self.images.look_again(key)
            pause = random.uniform(0, self.settings.unwatched_seconds)  # noqa: S311  # jitter
            self.queue.add(key, pause)

    def _look_again(self, key: Key) -> None:
        self.images.look_again(key)
        self.queue.add(key, urgent=True)


def _parsed(model: type[R], event: kopf.RawEvent) -> R | None:
    """Return the object of an event; None when it is gone, or not understood."""
    if event["type"] == "DELETED":
        return None
    try:
        return model.model_validate(event["object"])
    except (ValidationError, RecursionError):
        # Admitted by another CRD than ours; the reconciler, which reads it too, says so.
        logger.debug("an object is not understood", extra={"kind": model.__name__})
        return None


def _runner(settings: Settings, kube: Kube, spawn: Callable[[], Process]) -> Runner:
    most = settings.max_concurrent_transfers
    children = ChildRunner(most, spawn=spawn)
    if settings.job is None:
        return children
    where = settings.namespaces, settings.shard
    jobs = JobRunner(most, Jobs(kube.client), kube, settings.job, *where)
    if settings.runner == "job":
        return jobs
    mounts, customizes = bool(settings.job_image), bool(settings.customize_image)
    return RunnerOfBoth(children, jobs, mounts=mounts, customizes=customizes)


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
    if not _SERVICE_ACCOUNT.exists():
        return kopf.login_with_kubeconfig(**kwargs)
    login = kopf.login_with_service_account(**kwargs)
    # The address that every pod is given: kopf's own choice, a name, needs the cluster's DNS.
    server = kubernetes.client.Configuration.get_default_copy().host
    return replace(login, server=server) if login is not None else None


def _liveness(address: str) -> str | None:
    return f"http://{address}/healthz" if address else None
