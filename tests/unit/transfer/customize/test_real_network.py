"""Steps with a network, in a real Debian by the real libguestfs, and what it leads to."""

import hashlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.customize import model
from cloudimage.transfer.customize.model import Customize
from support.customizing import Bench, Guest
from support.fetching import LOOPBACK
from testbed import packages
from testbed.images.libguestfs import small_debian

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="mmdebstrap and the packages need root"),
]


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    packages.ensure("customize")


@pytest.fixture
def bench(folder: Path) -> Bench:
    shutil.copy(small_debian(), folder / "source")
    return Bench(folder, LOOPBACK)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Path]:
    """A folder that a server of loopback serves, with its port in a file ``port``."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        (folder / "port").write_text(str(server.server_port))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder
        server.shutdown()


def url(served: Path) -> str:
    return f"http://127.0.0.1:{(served / 'port').read_text()}"


def bash(*lines: str) -> model.Run:
    return model.Run(files={"text": "\n".join(["#!/bin/bash", *lines])})


def networked(*steps: model.Step) -> Customize:
    return Customize(steps=steps, network=True)


def test_a_script_reaches_servers_by_the_proxy_and_by_nothing_else(
    bench: Bench, served: Path
) -> None:
    (served / "page").write_text("from the server")
    port = (served / "port").read_text()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", 0))
        datagrams.settimeout(0.1)
        udp = datagrams.getsockname()[1]
        script = bash(
            "env | grep -i _proxy > /opt/variables",
            f"/usr/lib/apt/apt-helper download-file {url(served)}/page /opt/page || exit 1",
            'try() { timeout 5 bash -c "exec 3<>/dev/tcp/$1/$2" && echo $1 $2 >> /opt/reached; }',
            "touch /opt/reached",
            # That what follows is no fault of these words.
            "try 169.254.2.100 3128",
            *(
                f"try {host} {number}"
                for host in ("127.0.0.1", "169.254.2.2", "10.0.2.2", "192.0.2.1")
                for number in (port, "22", "53")
            ),
            "try 169.254.169.254 80; try 169.254.2.3 53; try 169.254.2.100 22",
            f"for each in 2.2 2.100; do echo x > /dev/udp/169.254.$each/{udp}; done",
            "timeout 20 getent hosts example.org > /opt/names",
            "true",
        )
        made = bench.customize(networked(script))
        with pytest.raises(TimeoutError):
            datagrams.recv(10)
    guest = Guest.of(made.path, bench.folder / "disk")
    assert guest.text("/opt/page") == "from the server"
    assert guest.text("/opt/reached").splitlines() == ["169.254.2.100 3128"]
    assert guest.text("/opt/names") == ""
    for name in ("http_proxy", "https_proxy"):
        assert f"{name}=http://169.254.2.100:3128" in guest.text("/opt/variables").splitlines()
    assert bench.programs() == []


def package(folder: Path, version: str) -> str:
    """Make a package, and return its entry in the list."""
    place = folder / version
    (place / "DEBIAN").mkdir(parents=True)
    (place / "opt").mkdir()
    (place / "opt" / "made").write_text(version)
    control = (
        f"Package: made\nVersion: {version}\nArchitecture: all\n"
        "Maintainer: Nobody <nobody@example.org>\nDescription: for a test\n"
    )
    (place / "DEBIAN" / "control").write_text(control)
    archive = folder / f"made_{version}.deb"
    command = ["/usr/bin/dpkg-deb", "--build", "--root-owner-group", place, archive]
    subprocess.run(command, check=True)
    content = archive.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return f"{control}Filename: ./{archive.name}\nSize: {len(content)}\nSHA256: {digest}\n"


def test_packages_are_installed_and_updated(bench: Bench, served: Path) -> None:
    entries = [package(served, version) for version in ("1.0", "2.0")]
    (served / "Packages").write_text("\n".join(entries))
    sources = model.WriteFile(
        path="/etc/apt/sources.list",
        files={"text": f"deb [trusted=yes] {url(served)}/ ./\n"},
        mode="0644",
    )
    steps = (
        sources,
        model.InstallPackages(packages=("made=1.0",)),
        bash("cp /opt/made /opt/before"),
        # It begins another run, of another program.
        model.Sysprep(operations=("logfiles",)),
        model.Update(),
    )
    made = bench.customize(networked(*steps))
    assert [each.result for each in made.results] == ["Succeeded"] * len(steps)
    guest = Guest.of(made.path, bench.folder / "disk")
    assert guest.text("/opt/before") == "1.0"
    assert guest.text("/opt/made") == "2.0"
    # Neither the proxy nor a name server is left in the image.
    assert "169.254." not in guest.text("/etc/resolv.conf")
    assert not guest.has("/etc/apt/apt.conf.d/proxy")


@pytest.mark.parametrize(
    ("host", "reason", "said"),
    [
        (
            "10.1.2.3",
            Reason.CUSTOMIZE_FAILED,
            "By the network, refused: 10.1.2.3 has the address 10.1.2.3, which is not public",
        ),
        (
            "127.0.0.1:9",
            Reason.CUSTOMIZE_NETWORK_FAILED,
            "By the network, not reached: 127.0.0.1: the connection was refused",
        ),
    ],
)
def test_a_server_that_is_not_reached_is_told(
    bench: Bench, host: str, reason: Reason, said: str
) -> None:
    script = bash(f"/usr/lib/apt/apt-helper download-file http://{host}/page /opt/page")
    with pytest.raises(TransferError) as caught:
        bench.customize(networked(model.HostnameReset(), script))
    assert caught.value.reason is reason
    assert said in caught.value.message
    assert [each.result for each in caught.value.customize] == ["Succeeded", "Failed"]
