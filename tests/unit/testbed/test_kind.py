"""What kind needs where no Docker is: capabilities, traces, and the name of the node's image."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.kubernetes import network, node_image, oci_runtime, traces
from testbed.kubernetes.docker import Docker, DockerError
from testbed.kubernetes.pins import TOOLS_FOLDER

ALL = "CapBnd:\t000001ffffffffff\n"
# Without CAP_SYS_RESOURCE, number 24.
ALL_BUT_ONE = "CapEff:\t0000000000000000\nCapBnd:\t000001fffeffffff\n"
ASKED = {"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"], "effective": ["CAP_SYS_RESOURCE"]}


def test_what_root_lacks_is_told_by_the_kernels_numbers() -> None:
    assert not oci_runtime.lacks_some(ALL)
    assert oci_runtime.lacks_some(ALL_BUT_ONE)
    assert oci_runtime.held(ALL) - oci_runtime.held(ALL_BUT_ONE) == {"CAP_SYS_RESOURCE"}
    assert len(oci_runtime.CAPABILITIES) == 41


def test_a_capability_that_a_newer_kernel_knows_is_not_one_that_is_missing() -> None:
    assert not oci_runtime.lacks_some("CapBnd:\t000003ffffffffff\n")


@pytest.mark.parametrize(
    ("words", "file"),
    [
        (("--log", "l", "create", "--bundle", "{}", "id"), "config.json"),
        (("exec", "--process", "{}/process.json", "--detach", "id"), "process.json"),
    ],
    ids=["create", "exec"],
)
def test_runc_reads_only_what_can_be_had(tmp_path: Path, words: tuple[str, ...], file: str) -> None:
    process = {"args": ["/init"], "capabilities": {"bounding": ["CAP_CHOWN", "CAP_NOT_THERE"]}}
    spec = {"process": process} if file == "config.json" else process
    (tmp_path / file).write_text(json.dumps(spec))
    runc = tmp_path / "bin" / "runc"
    runc.parent.mkdir()
    runc.write_text(f'#!/bin/sh\necho "$@"; cat {tmp_path / file}\n')
    runc.chmod(0o755)
    arguments = [word.format(tmp_path) for word in words]
    run = [sys.executable, "-I", oci_runtime.__file__, *arguments]
    path = f"{runc.parent}:{os.environ['PATH']}"
    done = subprocess.run(run, env={"PATH": path}, capture_output=True, text=True, check=True)
    said, read = done.stdout.split("\n", 1)
    assert said.split() == arguments
    assert "CAP_NOT_THERE" not in read
    assert "/init" in read


def test_a_process_that_asks_for_nothing_is_left_alone() -> None:
    process = {"args": ["true"]}
    oci_runtime.trim(process, frozenset())
    assert process == {"args": ["true"]}


def test_what_was_there_before_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "_PROC", tmp_path / "proc")
    setting = tmp_path / "proc" / "kernel" / "panic"
    setting.parent.mkdir(parents=True)
    setting.write_text("1\n")
    there, folder, file = (tmp_path / name for name in ("there", "folder", "file"))
    there.mkdir()
    record = tmp_path / "before.json"
    sysctls = ("kernel/panic", "net/ipv6/conf/all/forwarding")
    traces.record(record, sysctls, (there, folder, file), ["iptables -t nat -P INPUT ACCEPT"])
    setting.write_text("10\n")
    traces.record(record, sysctls)  # a second start knows less
    folder.mkdir()
    (folder / "inside").touch()
    file.touch()
    assert traces.restore(record) == ["iptables -t nat -P INPUT ACCEPT"]
    assert setting.read_text() == "1"
    assert there.exists()
    assert not folder.exists()
    assert not file.exists()


def test_of_the_rules_only_dockers_are_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ["iptables -t filter -P FORWARD ACCEPT", "iptables -t nat -A OUTPUT -j DOCKER"]
    now = [
        "iptables -t filter -P FORWARD DROP",
        "iptables -t filter -N DOCKER-USER",
        "iptables -t filter -A FORWARD -j DOCKER-USER",
        "iptables -t filter -A DOCKER-USER -j RETURN",
        "iptables -t nat -A PREROUTING -i eth0 -j ACCEPT",
        'iptables -t nat -A POSTROUTING -o br-0123456789ab -m comment --comment "a b" -j ACCEPT',
        "iptables -t nat -A OUTPUT -j DOCKER",
    ]
    done: list[tuple[str, ...]] = []
    monkeypatch.setattr(network, "rules", lambda: now)
    monkeypatch.setattr(network, "_run", lambda *words: done.append(words))
    network.forget_docker(before)
    nat = ("iptables", "-t", "nat", "-D", "POSTROUTING", "-o", "br-0123456789ab")
    assert done == [
        ("iptables", "-t", "filter", "-D", "FORWARD", "-j", "DOCKER-USER"),
        ("iptables", "-t", "filter", "-D", "DOCKER-USER", "-j", "RETURN"),
        (*nat, "-m", "comment", "--comment", "a b", "-j", "ACCEPT"),
        ("iptables", "-t", "filter", "-X", "DOCKER-USER"),
        ("iptables", "-t", "filter", "-P", "FORWARD", "ACCEPT"),
    ]


def test_without_a_docker_only_root_is_helped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(DockerError, match="run it as root"):
        Docker(tmp_path / "docker").install()
    assert not (tmp_path / "docker").exists()


def test_a_running_engine_of_the_machine_is_used_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = tmp_path / "docker"
    client.write_text("#!/bin/sh\necho 28.0\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    docker = Docker(tmp_path / "engine")
    docker.install()
    docker.up()
    docker.down()
    assert (docker.is_ours, docker.environment) == (False, {})
    assert not docker.folder.exists()


def test_other_pins_are_another_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = node_image.name()
    tools = tmp_path / "tools"
    shutil.copytree(TOOLS_FOLDER, tools)
    monkeypatch.setattr(node_image, "TOOLS_FOLDER", tools)
    assert node_image.name() == before
    (tools / "coredns" / "go.sum").write_text("")
    assert node_image.name() != before
