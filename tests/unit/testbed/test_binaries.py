"""Programs of the test bed: where they are looked for, and what is refused."""

import hashlib
import io
import os
import re
import shutil
import tarfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testbed.commands import CommandError
from testbed.kubernetes import BinaryError, binaries, build, releases, toolchain
from testbed.kubernetes.errors import ChecksumError
from testbed.kubernetes.pins import KUBERNETES, TOOLS, TOOLS_FOLDER, Tool, binaries_dir
from testbed.sources import Sources

ARCH = "amd64"
FAKE_GO = """#!/bin/sh
if [ "$1" = env ]; then echo go1.99.0; exit; fi
# Writes what it was called with into each program that it "builds".
echo "$PWD|$CGO_ENABLED|$*" >"$TMPDIR/called"
while [ "$1" != -o ]; do shift; done
folder=$2; shift 2
for package; do
  case $package in */v3) package=${package%/v3};; esac
  echo "$package" >"$folder/${package##*/}"; chmod +x "$folder/${package##*/}"
done
"""
FAILING_GO = """#!/bin/sh
if [ "$1" = env ]; then echo go1.99.0; exit; fi
echo 'no space left' >&2; exit 1
"""


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, and nothing that the developer's environment says."""
    monkeypatch.setenv("TESTBED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.delenv("TESTBED_DOWNLOAD", raising=False)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sources]:
    """A mirror of the release servers, from which to download."""
    server = Sources(tmp_path / "mirror")
    server.up()
    monkeypatch.setenv("TESTBED_DOWNLOAD", server.url(""))
    yield server
    server.down()


def program(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def put_go(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program(folder, "go").write_text(script)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def tarball(member: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        header = tarfile.TarInfo(member)
        header.size = len(content)
        tar.addfile(header, io.BytesIO(content))
    return buffer.getvalue()


def test_kubebuilder_assets_come_before_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = program(binaries_dir(), "kubectl")
    assert binaries.find("kubectl") == cached
    helm = program(binaries_dir(), "helm")
    assets = program(tmp_path / "assets", "kubectl")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets.parent))
    assert binaries.ensure("kubectl", "helm") == {"kubectl": assets, "helm": helm}


def test_a_file_that_cannot_run_is_no_program() -> None:
    program(binaries_dir(), "kubectl").chmod(0o644)
    with pytest.raises(BinaryError, match="testbed install kubernetes"):
        binaries.find("kubectl")


def test_a_client_may_come_from_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = program(tmp_path / "bin", "kubectl")
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert binaries.find_client("kubectl") == on_path
    cached = program(binaries_dir(), "kubectl")
    assert binaries.find_client("kubectl") == cached


def test_other_pins_are_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = binaries_dir()
    tools = tmp_path / "tools"
    shutil.copytree(TOOLS_FOLDER, tools)
    monkeypatch.setattr("testbed.kubernetes.pins.TOOLS_FOLDER", tools)
    assert binaries_dir() == before
    (tools / "go.sum").write_text("")
    assert binaries_dir() != before


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_go_mod_pins_every_program(tool: Tool) -> None:
    assert tool.version.startswith("v")
    if tool.own and not tool.package:
        assert f'"{tool.module}/' in (tool.folder / "main.go").read_text()
    else:
        text = (tool.folder / "go.mod").read_text()
        assert re.search(rf"^(\t|tool ){re.escape(tool.main_package)}$", text, re.MULTILINE)


def test_modules_of_ours_agree_on_versions() -> None:
    # Else Go's build cache does not serve both, and a package is compiled once for each.
    def pins(folder: Path) -> dict[str, str]:
        text = (folder / "go.mod").read_text()
        found = dict(re.findall(r"^\t(\S+) (v\S+)(?: // indirect)?$", text, re.MULTILINE))
        return {module: version for module, version in found.items() if version != "v0.0.0"}

    ours = pins(TOOLS_FOLDER)
    # CoreDNS alone shares many packages with Kubernetes.
    for other in (pins(TOOLS_FOLDER), pins(TOOLS_FOLDER / "coredns")):
        # kubeadm needs a library of CoreDNS's Corefile, in an older version than CoreDNS itself.
        both = ours.keys() & other.keys() - {"github.com/coredns/caddy"}
        assert {name: other[name] for name in both} == {name: ours[name] for name in both}


@pytest.mark.parametrize("version", ["", "go1.25.9"], ids=["none", "older"])
def test_without_a_go_that_is_new_enough_the_pinned_one_is_installed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    if version:
        program(tmp_path / "bin", "go").write_text(f"#!/bin/sh\necho {version}\n")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    installed: list[tuple[str, ...]] = []

    def install(*command: object) -> None:
        installed.append(tuple(map(str, command)))
        target = Path(installed[-1][installed[-1].index("--target") + 1])
        program(target / "go" / "bin", "go")

    monkeypatch.setattr(toolchain, "run", install)
    first, second = toolchain.ensure(), toolchain.ensure()
    assert first == second
    assert first.exists()
    [command] = installed
    assert "--require-hashes" in command


def test_a_newer_go_of_the_machine_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_go(tmp_path / "bin", monkeypatch, FAKE_GO)
    assert toolchain.ensure() == tmp_path / "bin" / "go"


def test_all_missing_programs_are_built_by_one_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_go(tmp_path / "bin", monkeypatch, FAKE_GO)
    program(binaries_dir(), "helm")
    paths = binaries.ensure("kube-apiserver", "etcd", "helm")
    assert paths["etcd"].read_text() == "go.etcd.io/etcd/server\n"
    assert paths["kube-apiserver"].read_text() == "k8s.io/kubernetes/cmd/kube-apiserver\n"
    folder, cgo, arguments = (tmp_path / "called").read_text().split("|")
    assert (folder, cgo) == (str(TOOLS_FOLDER), "0")
    assert "-trimpath" in arguments
    assert "cmd/helm" not in arguments.rpartition("-o")[2]
    assert sorted(path.name for path in binaries_dir().iterdir()) == [
        ".lock",
        "etcd",
        "helm",
        "kube-apiserver",
    ]


def test_built_programs_know_their_version() -> None:
    flags = build.linker_flags()
    version = TOOLS["kubectl"].version
    assert f"-X k8s.io/component-base/version.gitVersion={version}" in flags
    assert f"-X k8s.io/client-go/pkg/version.gitVersion={version}" in flags
    assert f"-X helm.sh/helm/v4/internal/version.version={TOOLS['helm'].version}" in flags


def test_a_failed_build_shows_why_and_installs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_go(tmp_path / "bin", monkeypatch, FAILING_GO)
    with pytest.raises(CommandError, match="go failed: no space left"):
        binaries.ensure("etcd")
    assert [path.name for path in binaries_dir().iterdir()] == [".lock"]


def test_racers_make_a_program_once(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []

    def slow_build(tools: Sequence[Tool], folder: Path) -> None:
        time.sleep(0.2)
        built.extend(program(folder, tool.name).name for tool in tools)

    monkeypatch.setattr(build, "build", slow_build)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(binaries.ensure, ["etcd"] * 4))
    assert built == ["etcd"]


def test_a_program_is_downloaded_and_verified(mirror: Sources) -> None:
    name = f"dl.k8s.io/{TOOLS['kubectl'].version}/bin/linux/{ARCH}/kubectl"
    mirror.put(name, b"the program")
    mirror.put(f"{name}.sha256", sha256(b"the program").encode())
    path = binaries.ensure("kubectl")["kubectl"]
    assert path.read_bytes() == b"the program"
    assert os.access(path, os.X_OK)
    binaries.ensure("kubectl")
    assert len(mirror.requests(name)) == 1


def test_a_program_is_taken_from_its_archive(mirror: Sources) -> None:
    version = TOOLS["etcd"].version
    folder, stem = f"github.com/etcd-io/etcd/releases/download/{version}", f"etcd-{version}-linux"
    archive = tarball(f"{stem}-{ARCH}/etcd", b"the program")
    sums = f"{'0' * 64}  {stem}-arm64.tar.gz\n{sha256(archive)}  {stem}-{ARCH}.tar.gz\n"
    mirror.put(f"{folder}/{stem}-{ARCH}.tar.gz", archive)
    mirror.put(f"{folder}/SHA256SUMS", sums.encode())
    assert binaries.ensure("etcd")["etcd"].read_bytes() == b"the program"
    assert sorted(path.name for path in binaries_dir().iterdir()) == [".lock", "etcd"]


@pytest.mark.parametrize(
    "sums",
    [
        f"{sha256(b'something else')}  helm.tar.gz",
        sha256(b"something else"),
        "",
        "<!DOCTYPE html> not found",
    ],
    ids=["other", "other-alone", "empty", "web-page"],
)
def test_a_download_that_does_not_fit_its_checksum_is_refused(mirror: Sources, sums: str) -> None:
    version = TOOLS["helm"].version
    name = f"get.helm.sh/helm-{version}-linux-{ARCH}.tar.gz"
    mirror.put(name, tarball(f"linux-{ARCH}/helm", b"evil"))
    mirror.put(f"{name}.sha256sum", sums.replace("helm.tar.gz", name.rpartition("/")[2]).encode())
    with pytest.raises(ChecksumError, match="not used"):
        binaries.ensure("helm")
    assert [path.name for path in binaries_dir().iterdir()] == [".lock"]


@pytest.mark.usefixtures("mirror")
def test_a_missing_release_is_an_error() -> None:
    with pytest.raises(BinaryError, match=r"kind could not be downloaded: 404"):
        binaries.ensure("kind")
    assert [path.name for path in binaries_dir().iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("wish", "start"), [("", None), ("0", None), ("1", "https:/"), ("http://m/x/", "http://m/x")]
)
def test_downloads_happen_only_on_request(
    monkeypatch: pytest.MonkeyPatch, wish: str, start: str | None
) -> None:
    monkeypatch.setenv("TESTBED_DOWNLOAD", wish)
    assert releases.origin() == start


@pytest.mark.parametrize("name", KUBERNETES)
def test_kubernetes_is_released_on_its_own_server(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("TESTBED_DOWNLOAD", "1")
    url = f"{releases.origin()}/{releases._fill(TOOLS[name].release, TOOLS[name])}"
    assert url == f"https://dl.k8s.io/{TOOLS[name].version}/bin/linux/{ARCH}/{name}"
