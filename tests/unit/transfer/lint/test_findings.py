"""Each finding, on a real file system, and what is not a finding."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cloudimage.transfer.findings import LintResult, Rule
from support.guests import CLEAN, PASSWD, SHADOW, Files

HOME = "/root"  # in the guest
LookAt = Callable[..., LintResult]
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ me@example.org\n"
UBUNTU = {"usr/lib/os-release": 'ID=ubuntu\nID_LIKE="debian"\nPRETTY_NAME=Ubuntu\n'}
ROCKY = {"usr/lib/os-release": 'ID="rocky"\nID_LIKE="rhel centos fedora"\n'}
SLES = {"usr/lib/os-release": 'ID="sles"\nID_LIKE="suse"\n'}


def without(*names: str) -> Files:
    """Return a clean guest less some files."""
    return {name: each for name, each in CLEAN.items() if name not in names}


FOUND: dict[str, tuple[Files, Rule, str, str]] = {
    "empty password of root": (
        {"etc/shadow": SHADOW.replace("root:*", "root:")},
        *(Rule.EMPTY_PASSWORD, "/etc/shadow", "the user root has an empty password"),
    ),
    "empty password in passwd": (
        {"etc/passwd": PASSWD.replace("debian:x", "debian:")},
        *(Rule.EMPTY_PASSWORD, "/etc/passwd", "the user debian has an empty password"),
    ),
    "hash of root": (
        {"etc/shadow": SHADOW.replace("root:*", "root:$y$j9T$salt$hash")},
        *(Rule.PASSWORD, "/etc/shadow", "the user root has a password"),
    ),
    "hash of a user": (
        {"etc/shadow": SHADOW.replace("debian:!", "debian:$6$salt$hash")},
        *(Rule.PASSWORD, "/etc/shadow", "the user debian has a password"),
    ),
    "traditional hash": (
        {"etc/shadow": SHADOW.replace("debian:!", "debian:saMW0OuEGDtLw")},
        *(Rule.PASSWORD, "/etc/shadow", "the user debian has a password"),
    ),
    "hash in passwd": (
        {"etc/passwd": PASSWD.replace("root:x", "root:$1$salt$hash")},
        *(Rule.PASSWORD, "/etc/passwd", "the user root has a password"),
    ),
    "locked hash": (
        {"etc/shadow": SHADOW.replace("debian:!", "debian:!$6$salt$hash")},
        *(Rule.PASSWORD, "/etc/shadow", "is locked, but its hash is still there"),
    ),
    "keys of root": (
        {"root/.ssh/authorized_keys": KEY},
        *(Rule.AUTHORIZED_KEY, f"{HOME}/.ssh/authorized_keys", "a key lets its owner into"),
    ),
    "keys of a user": (
        {"home/debian/.ssh/authorized_keys2": f"# a comment\n\n{KEY}{KEY}"},
        *(Rule.AUTHORIZED_KEY, "/home/debian/.ssh/authorized_keys2", "2 keys let their owners"),
    ),
    "keys in a home elsewhere": (
        {
            "etc/passwd": f"{PASSWD}app:x:990:990::/srv/app/:/bin/sh\n",
            "srv/app/.ssh/authorized_keys": KEY,
        },
        *(Rule.AUTHORIZED_KEY, "/srv/app/.ssh/authorized_keys", "a key lets"),
    ),
    "keys in a home of nobody": (
        {"home/packer/.ssh/authorized_keys": KEY},
        *(Rule.AUTHORIZED_KEY, "/home/packer/.ssh/authorized_keys", "a key lets"),
    ),
    "host key": (
        {"etc/ssh/ssh_host_ed25519_key": "-----BEGIN OPENSSH PRIVATE KEY-----\n"},
        *(Rule.HOST_KEY, "/etc/ssh/ssh_host_ed25519_key", "each can pass for another"),
    ),
    "host key of dropbear": (
        {"etc/dropbear/dropbear_rsa_host_key": "key"},
        *(Rule.HOST_KEY, "/etc/dropbear/dropbear_rsa_host_key", "each can pass for another"),
    ),
    "machine id": (
        {"etc/machine-id": "5b1f0fdc1c7b4f1a8f0a6c2f35f2a0d1\n"},
        *(Rule.MACHINE_ID, "/etc/machine-id", "leave the file empty"),
    ),
    "machine id of dbus alone": (
        {"var/lib/dbus/machine-id": "5b1f0fdc1c7b4f1a8f0a6c2f35f2a0d1\n"},
        *(Rule.MACHINE_ID, "/var/lib/dbus/machine-id", "leave the file empty"),
    ),
    "log": (
        {"var/log/syslog": "booted\n"},
        *(Rule.LOGS, "/var/log/syslog", "logs of the machine on which the image was made; empty"),
    ),
    "logs": (
        {f"var/log/journal/5b1f/{number}.journal": "x" for number in range(5)},
        *(Rule.LOGS, "/var/log/journal/5b1f/0.journal", "4.journal"),
    ),
    "history of root": (
        {"root/.bash_history": "mysql -psecret\n"},
        *(Rule.HISTORY, f"{HOME}/.bash_history", "commands that somebody typed"),
    ),
    "history of another shell": (
        {"home/debian/.ash_history": "ls\n"},
        *(Rule.HISTORY, "/home/debian/.ash_history", "commands that somebody typed"),
    ),
    "large file": (
        {"root/.ssh/authorized_keys": "#" * 2**20 + f"\n{KEY}"},
        *(Rule.TOO_LARGE, f"{HOME}/.ssh/authorized_keys", "too large to be read to its end"),
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_finding(look_at: LookAt, name: str) -> None:
    files, rule, path, message = FOUND[name]
    if name == "logs":
        message = (
            "(also /var/log/journal/5b1f/1.journal, /var/log/journal/5b1f/2.journal and 2 more)"
        )
    result = look_at(files)
    (finding,) = result.findings
    assert (finding.rule, finding.path) == (rule, path)
    assert message in finding.message
    assert result.outcome == "FindingsFound"
    assert result.message.startswith("1 finding in the image (Debian GNU/Linux 12 (bookworm)): ")


@pytest.mark.parametrize(
    ("files", "package"),
    [
        (UBUNTU, "the package cloud-guest-utils"),
        (ROCKY, "the package cloud-utils-growpart"),
        (SLES, "the package growpart"),
    ],
    ids=["ubuntu", "rocky", "sles"],
)
def test_nothing_grows_the_root(look_at: LookAt, files: Files, package: str) -> None:
    (finding,) = look_at(files, base=without("usr/bin/growpart")).findings
    assert finding.rule is Rule.GROWPART
    assert package in finding.message


@pytest.mark.parametrize(
    "files",
    [
        {"usr/bin/systemd-repart": "ELF", "usr/lib/repart.d/50-root.conf": "[Partition]\n"},
        {"usr/lib/dracut/modules.d/50growroot/module-setup.sh": "#!/bin/bash\n"},
        {"usr/lib/dracut/modules.d/55kiwi-repart/module-setup.sh": "#!/bin/bash\n"},
        {"usr/share/initramfs-tools/hooks/growroot": "#!/bin/sh\n"},
        {"usr/sbin/growpart": "#!/bin/sh\n"},
        {"sbin/tiny-cloud": "#!/bin/sh\n"},
    ],
    ids=lambda files: next(iter(files)),
)
def test_something_else_grows_the_root(look_at: LookAt, files: Files) -> None:
    assert look_at(files, base=without("usr/bin/growpart")).outcome == "Clean"


def test_repart_that_has_nothing_to_do(look_at: LookAt) -> None:
    files = {"usr/bin/systemd-repart": "ELF"}
    (finding,) = look_at(files, base=without("usr/bin/growpart")).findings
    assert finding.rule is Rule.GROWPART


def test_nothing_takes_the_key(look_at: LookAt) -> None:
    (finding,) = look_at(base=without("usr/bin/cloud-init")).findings
    assert (finding.rule, finding.path) == (Rule.CLOUD_INIT, "/usr/bin/cloud-init")


def test_cirros(look_at: LookAt) -> None:
    """Of a snapshot: its root is on the disk, and what takes the key is its own."""
    files = {"sbin/cirros-apply": "#!/bin/sh\n", "sbin/growpart": "#!/bin/sh\n"}
    base = without("usr/bin/cloud-init", "usr/bin/growpart")
    assert look_at(files, base=base).outcome == "Clean"


def test_cloud_init_that_is_disabled(look_at: LookAt) -> None:
    (finding,) = look_at({"etc/cloud/cloud-init.disabled": ""}).findings
    assert (finding.rule, finding.path) == (Rule.CLOUD_INIT, "/etc/cloud/cloud-init.disabled")


def test_ignition_in_its_place(look_at: LookAt) -> None:
    """Fedora CoreOS: the root is one deployment of ostree, and the file system has several."""
    root = "ostree/deploy/fedora-coreos/deploy/0b1c.0"
    files = {
        "usr/lib/os-release": "ID=fedora\nVARIANT_ID=coreos\n",
        "usr/lib/dracut/modules.d/30ignition/ignition": "ELF",
        "usr/libexec/ignition-ostree-growfs": "#!/bin/bash\n",
    }
    base = without("usr/bin/cloud-init", "usr/bin/growpart") | files
    assert look_at(base={f"{root}/{name}": each for name, each in base.items()}).outcome == "Clean"


@pytest.mark.parametrize(
    "files",
    [
        {"etc/shadow": SHADOW.replace("root:*", "root:!!").replace("debian:!", "debian:!locked")},
        {"etc/shadow": SHADOW.replace("root:*", "root:!unprovisioned")},
        {"etc/shadow": SHADOW.replace("root:*", "root:*LK*")},
        {"etc/machine-id": "uninitialized\n"},
        {"root/.ssh/authorized_keys": "# none yet\n"},
        {"etc/ssh/ssh_host_rsa_key": "", "etc/ssh/ssh_host_rsa_key.pub": "ssh-rsa AAAA\n"},
        {"var/log/README": Path("../../usr/share/doc/systemd/README.logs")},
    ],
    ids=["locked", "unprovisioned", "LK", "uninitialized", "comments", "no key in it", "README"],
)
def test_no_finding(look_at: LookAt, files: Files) -> None:
    assert look_at(files).outcome == "Clean"


def test_no_linux(look_at: LookAt) -> None:
    """A FreeBSD that has run: its passwords are where nothing looks."""
    base = without("etc/os-release", "usr/lib/os-release")
    files = {
        "etc/os-release": Path("../var/run/os-release"),
        "var/run/os-release": 'NAME=FreeBSD\nID=freebsd\nPRETTY_NAME="FreeBSD 14.2-RELEASE"\n',
    }
    result = look_at(base=base | files)
    assert result.outcome == "FileSystemUnknown"
    assert "it has freebsd, for which there are no rules" in result.message


def test_the_worst_first_and_the_rest_counted(look_at: LookAt) -> None:
    users = [f"user{number}" for number in range(40)]
    shadow = "".join(f"{user}:$6$salt$hash:19000::::::\n" for user in users)
    result = look_at({"etc/shadow": f"{shadow}root::19000::::::\n", "root/.bash_history": "ls\n"})
    assert result.findings[0].rule is Rule.EMPTY_PASSWORD
    assert len(result.findings) == 32
    assert result.more == 10
    assert "42 findings" in result.message
    assert "the user root has an empty password" in result.message
