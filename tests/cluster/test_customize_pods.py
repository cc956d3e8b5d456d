"""Steps are done by the second container image, in a Job's pod under the strictest standard."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.customizing import Guest
from support.namespaces import Namespace, said
from support.releases import CHART, Helm
from support.whole import SYSTEM, Platform, node_cluster
from testbed import packages
from testbed.container_image import CUSTOMIZE, REPOSITORY_NAME, build_customize
from testbed.images import sha256_of
from testbed.images.libguestfs import small_debian
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.cloud,
    pytest.mark.slow,
    pytest.mark.timeout(3600),  # the image is built first, and its machine is emulated
]

SECONDS = 1500.0
FETCHED = "from the source's server\n"


@pytest.fixture(scope="module")
def platform(
    openstack: OpenStack, sources: Sources, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """The operator with the second image, on a node of our own."""
    openstack.start_cinder()
    packages.ensure("customize")
    with node_cluster() as cluster:
        build_customize()
        cluster.load(CUSTOMIZE)
        system = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}}
        cluster.run_kubectl("apply", "-f", "-", stdin=json.dumps(system))
        helm = Helm(cluster, SYSTEM, tmp_path_factory.mktemp("helm"))
        platform = Platform(cluster, helm, openstack, sources)
        platform.enforce(SYSTEM)
        repository = f"customize.image.repository={REPOSITORY_NAME}-customize"
        platform.release(CHART, "--set", repository)
        yield platform


@pytest.fixture
def namespace(platform: Platform) -> Namespace:
    return platform.namespace()


def test_steps_with_a_network_and_a_larger_disk_make_the_image(
    platform: Platform, namespace: Namespace, tmp_path: Path, unique: str
) -> None:
    (tmp_path / "file").write_text(FETCHED)
    wanted = platform.put(f"{unique}.txt", tmp_path / "file")
    source, url = small_debian(), platform.put(f"{unique}.qcow2", small_debian())
    helper = "/usr/lib/apt/apt-helper"  # the one client of HTTP that Debian always has
    script = f"""
        {helper} download-file {wanted} /opt/fetched
        ! {helper} download-file http://169.254.169.254/ /opt/metadata
        ! {helper} -o Acquire::http::Proxy=DIRECT download-file {wanted} /opt/past-the-proxy
    """
    steps = [
        {"growRoot": {"toGiB": 1}},
        {"run": {"script": f"set -e\n{script}"}},
        {"appendLine": {"path": "/etc/motd", "line": "Welcome"}},
    ]
    customize = {"network": True, "steps": steps}
    namespace.create(unique, url, sha256_of(source), customize=customize)
    ready = namespace.wait(
        unique,
        lambda each: any(c.type == "Ready" and c.status == "True" for c in each.status.conditions),
        SECONDS,
    )
    assert said(ready, "Customized")[0] == "True"
    results = [each.result for each in ready.status.customize or ()]
    assert results == ["Succeeded"] * len(steps)
    assert ready.status.source is not None
    assert ready.status.source.checksums == {"sha256": sha256_of(source)}
    images = platform.openstack.connect("images").image
    made = tmp_path / "made"
    made.write_bytes(images.get(f"/images/{ready.status.image_id}/file").content)
    guest = Guest.of(made, tmp_path / "disk")
    guest.check()
    assert guest.text("/opt/fetched") == FETCHED
    assert guest.text("/etc/motd").endswith("Welcome\n")
    assert not guest.has("/opt/metadata")
    assert not guest.has("/opt/past-the-proxy")
    assert guest.disk.stat().st_size == 2**30
