"""Boot tests of images whose servers really boot: the whole operator, Nova on QEMU, real guests."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from openstack.connection import Connection

from cloudimage.api.cloudimage import CloudImage
from support.boot_tests import Watched
from support.namespaces import Namespace, image_of, said
from support.networks import network_of_both
from testbed.images import sha256_of
from testbed.images.guests import guest_qcow2
from testbed.kubernetes import Cluster
from testbed.openstack import OpenStack
from testbed.operator import Operator
from testbed.sources import Sources

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.cloud,
    pytest.mark.slow,
    pytest.mark.timeout(1800),  # the first one starts the bed
    pytest.mark.xdist_group("testbed-boot"),
]

SECONDS = 600.0


@dataclass(frozen=True)
class Bench:
    """A namespace whose CloudImages are of guests of the bed."""

    namespace: Namespace
    sources: Sources
    connection: Connection
    network: str
    unique: str

    def source(self, guest: str) -> dict[str, Any]:
        """Return the source of a guest's image."""
        path = guest_qcow2(guest)
        url = self.sources.put(f"{self.unique}-{guest}.qcow2", path)
        return {"url": url, "checksum": {"sha256": sha256_of(path)}}

    def create(self, guest: str, within: str = "5m", **expect: Any) -> Watched:
        """Create a CloudImage of a guest, whose server has a network of both families."""
        name = f"{self.unique}-{guest}"
        test = {
            "flavor": "m1.tiny",
            "networks": [{"id": self.network}],
            "expect": {"within": within, **expect},
        }
        source = {"http": self.source(guest)}
        image = {"diskFormat": "qcow2"}
        self.namespace.create(name, "", image=image, source=source, bootTest=test)
        return Watched(self.namespace, self.connection, name)

    def booted(self, watched: Watched, status: str, reason: str) -> CloudImage:
        """Wait for what comes of the test."""

        def known(resource: CloudImage) -> bool:
            told = [each for each in resource.status.conditions if each.type == "Booted"]
            return [(each.status, each.reason) for each in told] == [(status, reason)]

        return self.namespace.wait(watched.name, known, SECONDS)


@pytest.fixture(scope="module")
def network(boot_bed: OpenStack) -> Iterator[str]:
    with network_of_both(boot_bed.connect("images"), "boot-tests", 9) as network:
        yield network


@pytest.fixture(scope="module")
def namespace_of_boots(
    cluster: Cluster, boot_bed: OpenStack, crds: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Namespace]:
    folder = tmp_path_factory.mktemp("operator")
    operator = Operator(cluster, cluster.new_namespace("cloudimage"), folder)
    operator.install()
    # Two at once for a namespace: each takes a processor.
    operator.start(CLOUDIMAGE_MAX_CONCURRENT_BOOT_TESTS="8")
    namespace = Namespace.of(operator)
    namespace.put_secret(boot_bed)
    yield namespace
    operator.stop()


@pytest.fixture
def bench(
    namespace_of_boots: Namespace, boot_bed: OpenStack, sources: Sources, network: str, unique: str
) -> Iterator[Bench]:
    bench = Bench(namespace_of_boots, sources, boot_bed.connect("images"), network, unique)
    yield bench
    # Nothing is left of any test, whatever came of it.
    namespace = bench.namespace
    answer: Any = namespace.objects.list_namespaced_custom_object(*namespace.address)
    listed = answer["items"]
    for each in listed:
        namespace.delete(each["metadata"]["name"])
    for each in listed:
        namespace.wait_gone(each["metadata"]["name"], 120)
        watched = Watched(namespace, bench.connection, each["metadata"]["name"])
        assert watched.nothing_left(each["metadata"]["uid"], 1)


def test_an_image_is_used_once_its_guest_has_said_so(bench: Bench) -> None:
    watched = bench.create("good", ipv4=True, ipv6=True, consoleMatches="login:")
    server_id = watched.tested().status.boot_test
    assert server_id is not None
    held = bench.namespace.get(watched.name)
    assert held is not None
    assert said(held, "Ready")[:2] == ("False", "Progressing")
    bench.booted(watched, "True", "BootTestPassed")
    ready = bench.namespace.wait_condition(watched.name, "Ready", reason="Available")
    state = ready.status.boot_test
    assert state is not None
    families = {":" in each for each in state.addresses or ()}
    assert families == {True, False}
    assert (state.interfaces, state.user) == (("eth0",), "root")
    assert state.kernel is not None
    assert state.kernel.startswith("Linux")
    assert state.active_seconds is not None
    assert state.report_seconds is not None
    assert image_of(bench.connection, ready)["name"] == watched.name
    assert watched.cleared().status.boot_test is not None
    assert watched.nothing_left()


def test_each_guest_that_lacks_something_ends_in_its_reason(bench: Bench) -> None:
    wanted = {
        "without-ipv6": ("NoAddress", "IPv6"),
        "without-key": ("KeyNotInjected", "does not let any user in"),
        "panics": ("Timeout", "Kernel panic"),
        "without-cloud-init": ("Timeout", "login:"),
        "no-boot-code": ("NoConsole", "nothing"),
    }
    for guest in wanted:
        bench.create(guest, within="3m")
    for guest, (reason, words) in wanted.items():
        watched = Watched(bench.namespace, bench.connection, f"{bench.unique}-{guest}")
        failed = bench.booted(watched, "False", reason)
        assert words in said(failed, "Booted")[2], guest
        assert said(failed, "Ready")[:2] == ("False", reason)
        assert watched.cleared(SECONDS).status.image_id is None
        assert watched.nothing_left()


def test_an_update_that_does_not_boot_is_not_used(bench: Bench) -> None:
    watched = bench.create("good", within="2m")
    bench.booted(watched, "True", "BootTestPassed")
    first = bench.namespace.wait_condition(watched.name, "Ready", reason="Available")
    bench.namespace.patch(watched.name, {"spec": {"source": {"http": bench.source("panics")}}})
    failed = bench.namespace.wait(
        watched.name, lambda each: said(each, "Ready")[1] == "RevisionFailed", SECONDS
    )
    assert said(failed, "Ready")[0] == "True"
    assert failed.status.image_id == first.status.image_id
    assert said(failed, "Stalled")[:2] == ("True", "Timeout")
    assert "Kernel panic" in said(failed, "Booted")[2]
    image = image_of(bench.connection, first)
    assert (image["name"], image["os_hidden"]) == (watched.name, False)


def test_a_login_needs_a_path_to_the_server(bench: Bench) -> None:
    """The bed's networks are in a namespace of their own, and the operator is not in it."""
    watched = bench.create("good", within="2m", ssh=True)
    failed = bench.booted(watched, "False", "SSHUnreachable")
    assert said(failed, "Ready")[:2] == ("False", "SSHUnreachable")
    assert said(failed, "Stalled")[:2] == ("True", "SSHUnreachable")
    assert failed.status.boot_test is not None
    assert failed.status.boot_test.user == "root"
