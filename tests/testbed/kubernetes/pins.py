"""Which programs there are and at which version: only the ``go.mod`` files of ``tools/`` say."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from testbed.paths import REPOSITORY, cache_dir

TOOLS_FOLDER = REPOSITORY / "tools"


@dataclass(frozen=True)
class Tool:
    """One program of the test bed.

    Attributes:
        name: What the program is called on disk.
        module: The Go module whose version is the program's.
        package: The Go main package within the module; empty for the module's root.
        release: Where its project publishes it, without ``https://``. ``{version}`` and ``{arch}``
            are filled in, and ``{number}``, the version without its ``v``. Empty: it is built.
        sums: Where the SHA-256 sums of the release are.
        member: The path within the release when that is a tar archive.
        own: The folder of ``tools/`` with a module of its own: its program wraps `module`, unless
            `package` names that of the project; empty for what ``tools/go.mod`` pins.
    """

    name: str
    module: str
    package: str
    release: str
    sums: str
    member: str = ""
    own: str = ""

    @property
    def folder(self) -> Path:
        """The folder of the ``go.mod`` that pins it, in which it is built."""
        return TOOLS_FOLDER / self.own

    @property
    def version(self) -> str:
        """The pinned version, as ``v1.2.3``."""
        found = re.search(
            rf"^\s*(?:require )?{re.escape(self.module)} (v\S+)",
            (self.folder / "go.mod").read_text(),
            re.MULTILINE,
        )
        if found is None:
            raise LookupError(f"{self.folder / 'go.mod'} does not require {self.module}")
        return found[1]

    @property
    def main_package(self) -> str:
        """What ``go build`` takes in that folder."""
        if self.own and not self.package:
            return "."
        return f"{self.module}/{self.package}".rstrip("/")

    @property
    def built_name(self) -> str:
        """What ``go build`` calls the program: the path's last part that is not a major version."""
        if self.own and not self.package:
            return self.own
        parts = [part for part in self.main_package.split("/") if not re.fullmatch(r"v\d+", part)]
        return parts[-1]


def _kubernetes(name: str) -> Tool:
    release = f"dl.k8s.io/{{version}}/bin/linux/{{arch}}/{name}"
    return Tool(name, "k8s.io/kubernetes", f"cmd/{name}", release, f"{release}.sha256")


def _others() -> tuple[Tool, ...]:
    etcd = "github.com/etcd-io/etcd/releases/download/{version}"
    helm = "get.helm.sh/helm-{version}-linux-{arch}.tar.gz"
    kind = "github.com/kubernetes-sigs/kind/releases/download/{version}/kind-linux-{arch}"
    coredns = "github.com/coredns/coredns/releases/download/{version}/coredns_{number}_linux_{arch}"
    return (
        Tool(
            "etcd",
            "go.etcd.io/etcd/server/v3",
            "",
            f"{etcd}/etcd-{{version}}-linux-{{arch}}.tar.gz",
            f"{etcd}/SHA256SUMS",
            "etcd-{version}-linux-{arch}/etcd",
        ),
        Tool("helm", "helm.sh/helm/v4", "cmd/helm", helm, f"{helm}.sha256sum", "linux-{arch}/helm"),
        Tool("kind", "sigs.k8s.io/kind", "", kind, f"{kind}.sha256sum"),
        Tool(
            "coredns",
            "github.com/coredns/coredns",
            "",
            f"{coredns}.tgz",
            f"{coredns}.tgz.sha256",
            "coredns",
            own="coredns",
        ),
        Tool("versitygw", "github.com/versity/versitygw", "cmd/versitygw", "", "", own="s3"),
        Tool("registry", "github.com/distribution/distribution/v3", "", "", "", own="registry"),
        Tool("oras", "oras.land/oras", "cmd/oras", "", "", own="registry"),
        Tool(
            "crane", "github.com/google/go-containerregistry", "cmd/crane", "", "", own="registry"
        ),
    )


KUBERNETES = (
    "kube-apiserver",
    "kubectl",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kubeadm",
    "kube-proxy",
)
TOOLS = {tool.name: tool for tool in (*map(_kubernetes, KUBERNETES), *_others())}


def binaries_dir(own: str = "") -> Path:
    """Return the cache folder of a module's pinned programs: other pins, another folder."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((TOOLS_FOLDER / own / name).read_bytes())
    path = cache_dir() / "bin" / digest.hexdigest()[:12]
    path.mkdir(parents=True, exist_ok=True)
    return path
