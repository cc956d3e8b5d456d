"""Steps in a real Debian by the real libguestfs, and images and scripts that mean harm."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.customize import model
from cloudimage.transfer.customize.customization import Bounds
from support.customizing import Bench, Guest
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
    return Bench.of(folder, small_debian())


def script(text: str) -> model.Run:
    return model.Run(files={"text": text})


def test_each_step_is_done_and_the_servers_share_nothing(bench: Bench, tmp_path: Path) -> None:
    before = bench.source_digest()
    steps = (
        script("echo 11112222333344445555666677778888 > /etc/machine-id; touch /etc/ssh_host_x"),
        model.WriteFile(
            path="/etc/new folder/a b", files={"text": "hello\n"}, mode="640", owner="root:adm"
        ),
        model.CopyIn(directory="/opt/in", mode="0600", files={"one": "1", "two.conf": "2"}),
        model.AppendLine(path="/etc/hosts", line="192.0.2.1 one:two 'x' $(id)"),
        model.AppendLine(path="/etc/made", line="first"),
        model.Timezone(name="Europe/Berlin"),
        model.HostnameReset(),
        model.EnableServices(units=("systemd-networkd.service",)),
        model.DisableServices(units=("e2scrub_reap.service",)),
        model.SelinuxRelabel(),
        script("#!/usr/bin/perl\nopen F, '>/opt/by-perl'; print F $>;"),
        model.Sysprep(operations=("logfiles", "tmp-files")),
        script("cat /etc/hostname > /opt/last"),
    )
    made = bench.customize(model.Customize(steps=steps, sparsify=True), compress=True)
    assert [each.result for each in made.results] == ["Succeeded"] * len(steps)
    assert all(each.seconds is not None for each in made.results)
    assert bench.source_digest() == before
    kept = [each for each in bench.names() if not each.endswith(".promise")]
    assert kept == ["customized", "source"]
    assert made.path.stat().st_size < small_debian().stat().st_size * 3 // 4  # compressed
    guest = Guest.of(made.path, tmp_path / "disk")
    guest.check()
    assert guest.text("/etc/new folder/a b") == "hello\n"
    assert guest.mode("/etc/new folder/a b") == "0640 0 4"
    assert guest.text("/opt/in/two.conf") == "2"
    assert guest.mode("/opt/in/one") == "0600 0 0"
    assert guest.text("/etc/hosts").splitlines()[-1] == "192.0.2.1 one:two 'x' $(id)"
    assert guest.text("/etc/made") == "first\n"
    assert guest.target("/etc/localtime").endswith("zoneinfo/Europe/Berlin")
    assert guest.text("/opt/last") == "localhost\n"
    assert guest.text("/opt/by-perl") == "0"
    wants = "/etc/systemd/system/multi-user.target.wants"
    assert guest.has(f"{wants}/systemd-networkd.service")
    assert not guest.has(f"{wants}/e2scrub_reap.service")
    # Neither what virt-customize wrote nor what a step did is left.
    assert guest.has("/etc/machine-id")
    assert guest.text("/etc/machine-id") == ""
    for left in ("/var/lib/systemd/random-seed", "/var/lib/dbus/machine-id"):
        assert not guest.has(left)
    assert not guest.has("/tmp/builder.log")  # noqa: S108 - the guest's


def test_the_first_boot_stays_one(bench: Bench, tmp_path: Path) -> None:
    step = script("echo uninitialized > /etc/machine-id")
    made = bench.run(step)
    assert Guest.of(made.path, tmp_path / "disk").text("/etc/machine-id") == "uninitialized\n"


def test_a_folder_is_not_written_to(bench: Bench) -> None:
    step = model.WriteFile(path="/etc/apt", files={"text": ""}, mode="0644", secret=True)
    with pytest.raises(TransferError, match=r"[(]writeFile[)] failed: ") as caught:
        bench.run(step)
    assert "for each in apt; do [ ! -d" in caught.value.message


def test_a_failing_step_is_told_with_its_last_lines_and_leaves_nothing(bench: Bench) -> None:
    before = bench.source_digest()
    secret = model.Run(
        reference="customize-1",
        secret=True,
        files={"text": "echo token-1234; exit 3"},
    )
    with pytest.raises(TransferError) as caught:
        bench.run(model.HostnameReset(), secret, model.Timezone(name="UTC"))
    error = caught.value
    assert error.reason is Reason.CUSTOMIZE_FAILED
    assert error.message.startswith("step 2 of spec.customize (run) failed: ")
    assert "exited with an error" in error.message
    assert "token-1234" not in error.message
    assert [each.result for each in error.customize] == ["Succeeded", "Failed", "NotRun"]
    assert bench.source_digest() == before
    assert "customize" not in bench.names()
    assert bench.programs() == []


def test_what_is_no_system_is_told(folder: Path) -> None:
    disk = folder / "disk"
    subprocess.run(["/usr/sbin/mke2fs", "-q", "-t", "ext4", disk, "64M"], check=True)
    bench = Bench(folder)
    convert = ["qemu-img", "convert", "-O", "qcow2", str(disk), str(folder / "source")]
    subprocess.run(convert, check=True)
    disk.unlink()
    with pytest.raises(TransferError, match="no operating systems were found") as caught:
        bench.run(model.HostnameReset())
    assert caught.value.reason is Reason.CUSTOMIZE_FAILED


def test_no_link_leads_out_of_the_image(bench: Bench, tmp_path: Path) -> None:
    host = tmp_path / "host"
    host.write_text("the host's own")
    tmp_path.chmod(0o777)
    links = script(
        f"rm /etc/hosts; ln -s {host} /etc/hosts; mkdir -p {tmp_path}; "
        f"ln -s ../../../../../../../../../..{host} /etc/up; ln -s /proc/1/root{host} /etc/proc"
    )
    steps = [
        model.WriteFile(path=path, files={"text": "taken over"}, mode="0644")
        for path in ("/etc/hosts", "/etc/up")
    ]
    made = bench.run(links, *steps)
    assert host.read_text() == "the host's own"
    assert list(tmp_path.iterdir()) == [host]
    guest = Guest.of(made.path, bench.folder / "disk")
    assert "taken over" in guest.text(str(host)) + guest.text("/etc/hosts")


@pytest.fixture(scope="module")
def long_enough(tmp_path_factory: pytest.TempPathFactory) -> float:
    """Seconds in which a run on this machine, busy as it is, comes to its second step."""
    place = Path("/tmp") / f"cs-{os.getpid()}"  # noqa: S108 - sockets need a short path
    place.mkdir(mode=0o700)
    begin = time.monotonic()
    Bench.of(place, small_debian()).run(model.HostnameReset(), script("true"))
    shutil.rmtree(place)
    return 60 + 2 * (time.monotonic() - begin)


@pytest.mark.parametrize(
    ("harm", "ends"),
    [
        ("while :; do :; done", None),
        ("f() { f | f & }; f; sleep 1000", None),
        ("cat /dev/zero > /fill", "No space left on device"),
    ],
    ids=["loop", "forks", "disk"],
)
def test_a_script_without_end_is_ended(
    bench: Bench, harm: str, ends: str | None, long_enough: float
) -> None:
    seconds = 1500.0 if ends else long_enough
    with pytest.raises(TransferError) as caught:
        bench.run(model.HostnameReset(), script(harm), bounds=Bounds(seconds=seconds))
    error = caught.value
    assert error.reason is Reason.CUSTOMIZE_FAILED
    assert (ends or f"it took over {seconds:.0f} s and was ended") in error.message
    assert [each.result for each in error.customize] == ["Succeeded", "Failed"]
    assert bench.programs() == []
    used = sum(each.stat().st_blocks * 512 for each in bench.folder.rglob("*") if each.is_file())
    assert used < 3 * 2**30


def test_cpu_time_is_bounded(bench: Bench) -> None:
    with pytest.raises(TransferError) as caught:
        bench.run(script("while :; do :; done"), bounds=Bounds(cpu_seconds=60, seconds=900))
    assert caught.value.reason is Reason.CUSTOMIZE_FAILED
    assert "it used up its CPU time of 60 s" in caught.value.message
    assert bench.programs() == []


def test_a_machine_that_a_script_powers_off_is_tried_again(bench: Bench) -> None:
    with pytest.raises(TransferError, match="the virtual machine ended unexpectedly") as caught:
        bench.run(script("echo b > /proc/sysrq-trigger; sleep 100"))
    assert caught.value.reason is Reason.INTERRUPTED
    assert [each.result for each in caught.value.customize] == ["Failed"]


def test_there_is_no_network(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        server.settimeout(0.5)
        tries = script(
            f"for host in 127.0.0.1 10.0.2.2 169.254.2.2; do\n"
            f"  (exec 3<>/dev/tcp/$host/{port}) && touch /opt/reached\n"
            f"done; cat /proc/net/dev > /opt/interfaces; true"
        )
        made = bench.run(model.Run(files={"text": "#!/bin/bash\n" + tries.files["text"]}))
        with pytest.raises(TimeoutError):
            server.accept()
    guest = Guest.of(made.path, bench.folder / "disk")
    assert not guest.has("/opt/reached")
    assert [
        line.split(":")[0].strip() for line in guest.text("/opt/interfaces").splitlines()[2:]
    ] == ["lo"]
