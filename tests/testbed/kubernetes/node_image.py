"""The image of kind's nodes without a registry.

It is made of Debian's packages, kind's own files, and the Kubernetes programs built here anyway.
"""

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.commands import run
from testbed.container_image import say
from testbed.kubernetes import binaries, build
from testbed.kubernetes.docker import Docker
from testbed.kubernetes.pins import TOOLS, TOOLS_FOLDER
from testbed.paths import cache_dir

FOLDER = Path(__file__).with_name("kind_node")
CLUSTER = FOLDER / "cluster.yaml"
"""What kind must be told of a cluster of this image."""
# Its systemd still starts with cgroup v1; that of Debian 13 does not.
SUITE = "bookworm"
# kind's own list, containerd and what goes with it from Debian; busybox for the pods' sandboxes.
PACKAGES = (
    *("systemd", "conntrack", "iptables", "nftables", "iproute2", "ethtool", "util-linux", "mount"),
    *("kmod", "libseccomp2", "pigz", "bash", "ca-certificates", "curl", "jq", "procps"),
    *("containerd", "runc", "containernetworking-plugins", "busybox-static"),
)
ON_THE_NODE = ("kubelet", "kubeadm", "kubectl")
IN_PODS = (
    *("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy"),
    *("etcd", "coredns"),
)
_NAME = "testbed.local/kind-node"


def name() -> str:
    """Return the image's name: what goes into it by a hash."""
    modules = (TOOLS_FOLDER, TOOLS_FOLDER / "coredns")
    files = [folder / each for folder in modules for each in ("go.mod", "go.sum")]
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in (*files, *sorted(FOLDER.iterdir())):
        digest.update(path.read_bytes())
    return f"{_NAME}:{digest.hexdigest()[:12]}"


def install() -> None:
    """Make the programs that go into it.

    Raises:
        CommandError: They could not be built.
    """
    binaries.ensure(*ON_THE_NODE, *IN_PODS)


def ensure(docker: Docker) -> str:
    """Return the name of the image, made once for each Docker.

    Raises:
        CommandError: It could not be made.
    """
    image = name()
    if not docker.has(image):
        say("kind: making an image for its nodes (once, some minutes)")
        if docker.is_ours:  # nobody else has anything in it
            docker.run("system", "prune", "--all", "--force")
        with tempfile.TemporaryDirectory(dir=cache_dir()) as scratch:
            _make(docker, image, Path(scratch))
    return image


def _make(docker: Docker, image: str, scratch: Path) -> None:
    kind = _files_of_kind(scratch / "node" / "files")
    config = (kind / "etc" / "containerd" / "config.toml").read_text()
    [sandbox] = re.findall(r'^\s*sandbox_image = "(.+)"$', config, re.MULTILINE)
    with _debian(docker, scratch) as base:
        pods = _build_pods(docker, base, sandbox, scratch / "pods")
        docker.run("save", "--output", scratch / "node" / "pods.tar", *pods)
        _copy(scratch / "node" / "programs", ON_THE_NODE)
        for file in ("pods.conflist", "load-pods.service"):
            shutil.copy(FOLDER / file, scratch / "node")
        version = ("--build-arg", f"VERSION={TOOLS['kubelet'].version}")
        _build(docker, "node", base, scratch / "node", "--tag", image, *version)
        docker.run("image", "rm", "--force", *pods)


@contextmanager
def _debian(docker: Docker, scratch: Path) -> Iterator[str]:
    """Yield the name of an image with Debian's part, there as long as it is needed."""
    base = f"{_NAME}-base"
    tar = scratch / "debian.tar"
    include = f"--include={','.join(PACKAGES)}"
    run("mmdebstrap", "--quiet", "--variant=minbase", include, SUITE, tar)
    docker.run("import", tar, base)
    tar.unlink()
    try:
        yield base
    finally:
        docker.run("image", "rm", base)


def _files_of_kind(target: Path) -> Path:
    """Copy kind's files for its nodes from its Go module, where all is read-only."""
    shutil.copytree(build.source_of(TOOLS["kind"]) / "images" / "base" / "files", target)
    programs = {target / "usr/local/bin", target / "kind/bin"}
    for folder, _, files in os.walk(target):
        Path(folder).chmod(0o755)
        for file in files:
            (Path(folder) / file).chmod(0o755 if Path(folder) in programs else 0o644)
    return target


def _build_pods(docker: Docker, base: str, sandbox: str, context: Path) -> list[str]:
    """Build the images of the control plane's pods, and return their names."""
    _copy(context / "programs", IN_PODS)
    listed = run(
        binaries.find("kubeadm"),
        *("config", "images", "list", "--kubernetes-version"),
        TOOLS["kubeadm"].version,
    )
    pods = [each for each in listed.split() if "/pause:" not in each]
    tags = (word for each in pods for word in ("--tag", each))
    _build(docker, "pods", base, context, "--target", "pods", *tags)
    _build(docker, "pods", base, context, "--target", "pause", "--tag", sandbox)
    return [*pods, sandbox]


def _build(docker: Docker, name: str, base: str, context: Path, *words: str) -> None:
    file = FOLDER / f"{name}.Dockerfile"
    build_it = ("build", "--quiet", "--network", "none", "--build-arg", f"BASE={base}")
    # Without BuildKit, which Debian's Docker has as a package of its own or not at all.
    docker.run(*build_it, *words, "--file", file, context, DOCKER_BUILDKIT="0")


def _copy(folder: Path, programs: Iterable[str]) -> None:
    folder.mkdir(parents=True)
    for each in programs:
        shutil.copy(binaries.find(each), folder / each)
