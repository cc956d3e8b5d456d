"""Which of what a publisher lists is the newest build: layouts as publishers have them."""

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.http.index.patterns import Pattern
from cloudimage.transfer.source.http.index.selection import matching, newest

LAYOUTS = {
    "Debian daily": (
        [
            "debian-12-generic-amd64-daily-20240716-1810.qcow2",
            "debian-12-generic-amd64-daily-20240717-1811.qcow2",
            "debian-12-generic-amd64-daily-20240717-1811.raw",
            "debian-12-generic-arm64-daily-20240718-1812.qcow2",
        ],
        r"debian-12-generic-amd64-daily-(?P<version>\d{8}-\d+)\.qcow2",
        "20240717-1811",
    ),
    "Fedora": (
        [
            "Fedora-Cloud-Base-Generic-41-1.4.x86_64.qcow2",
            "Fedora-Cloud-Base-UEFI-UKI-41-1.4.x86_64.qcow2",
            "Fedora-Cloud-Base-Generic.x86_64-40-1.14.qcow2",
        ],
        r"Fedora-Cloud-Base-Generic-(?P<version>[\d.-]+)\.x86_64\.qcow2",
        "41-1.4",
    ),
    "CentOS Stream": (
        [
            "CentOS-Stream-GenericCloud-9-20240422.0.x86_64.qcow2",
            "CentOS-Stream-GenericCloud-9-20240701.0.x86_64.qcow2",
            "CentOS-Stream-GenericCloud-9-20240701.1.x86_64.qcow2",
            "CentOS-Stream-GenericCloud-9-latest.x86_64.qcow2",
            "CentOS-Stream-GenericCloud-9-20240701.1.x86_64.qcow2.SHA256SUM",
        ],
        r"CentOS-Stream-GenericCloud-9-(?P<version>\d{8}\.\d+)\.x86_64\.qcow2",
        "20240701.1",
    ),
    "Rocky": (
        [
            "Rocky-9-GenericCloud-Base-9.9-20240505.0.x86_64.qcow2",
            "Rocky-9-GenericCloud-Base-9.10-20240609.1.x86_64.qcow2",
            "Rocky-9-GenericCloud-Base.latest.x86_64.qcow2",
            "Rocky-9-GenericCloud-LVM-9.11-20240609.1.x86_64.qcow2",
        ],
        r"Rocky-9-GenericCloud-Base-(?P<version>[\d.]+-\d{8}\.\d+)\.x86_64\.qcow2",
        "9.10-20240609.1",
    ),
    "openSUSE": (
        [
            "openSUSE-Leap-15.6-Minimal-VM.x86_64-15.6.0-Cloud-Build16.9.qcow2",
            "openSUSE-Leap-15.6-Minimal-VM.x86_64-15.6.0-Cloud-Build16.10.qcow2",
            "openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud.qcow2",
        ],
        r"openSUSE-Leap-15\.6-Minimal-VM\.x86_64-(?P<version>[\d.]+-Cloud-Build[\d.]+)\.qcow2",
        "15.6.0-Cloud-Build16.10",
    ),
    "Arch's folders": (
        ["v20240601.239419", "v20240715.248834", "latest"],
        r"v(?P<version>\d{8}\.\d+)",
        "20240715.248834",
    ),
    "Alpine": (
        [
            "nocloud_alpine-3.20.9-x86_64-bios-cloudinit-r0.qcow2",
            "nocloud_alpine-3.20.10-x86_64-bios-cloudinit-r0.qcow2",
            "nocloud_alpine-3.20.11_rc1-x86_64-bios-cloudinit-r0.qcow2",
        ],
        r"nocloud_alpine-(?P<version>[\d.]+)-x86_64-bios-cloudinit-r\d+\.qcow2",
        "3.20.10",
    ),
    "FreeBSD's folders": (
        ["13.3-RELEASE", "14.0-RELEASE", "14.1-RELEASE", "14.1-RC1"],
        r"(?P<version>[\d.]+)-RELEASE",
        "14.1",
    ),
    "CirrOS": (["0.5.3", "0.6.2", "0.6.3", "0.10.0", "daily"], r"(?P<version>\d[\d.]*)", "0.10.0"),
    "Ubuntu's release folders": (
        ["release", "release-20240423", "release-20240608"],
        r"release-(?P<version>\d{8})",
        "20240608",
    ),
    "Talos' tags": (["v1.7.5", "v1.7.10", "v1.7.9"], r"v(?P<version>1\.7\.\d+)", "1.7.10"),
    "the whole name, without a group": (["a-1.img", "a-2.img"], r"a-\d\.img", "a-2.img"),
}


@pytest.mark.parametrize(("names", "pattern", "version"), LAYOUTS.values(), ids=LAYOUTS)
def test_the_newest_of_a_layout(names: list[str], pattern: str, version: str) -> None:
    assert newest(matching(names, Pattern(pattern)), "Version").version == version


def test_values_for_templates() -> None:
    pattern = Pattern(r"disk-(?P<major>\d+)-(?P<version>\d+)\.img")
    (build,) = matching(["disk-9-5.img"], pattern, {"folder": "f", "version": "old"})
    assert build.values == {"folder": "f", "name": "disk-9-5.img", "major": "9", "version": "5"}


def test_no_match_is_told() -> None:
    with pytest.raises(TransferError) as caught:
        newest(matching(["x"], Pattern("y")), "Version")
    assert caught.value.reason is Reason.SOURCE_NOT_FOUND


def test_two_files_of_one_version_are_ambiguous() -> None:
    pattern = Pattern(r"a-(?P<version>\d)\.(img|raw)")
    with pytest.raises(TransferError, match=r"'a-2.img', 'a-2.raw'") as caught:
        newest(matching(["a-1.img", "a-2.img", "a-2.raw"], pattern), "Version")
    assert caught.value.reason is Reason.SOURCE_AMBIGUOUS


def test_what_is_no_number_is_passed_over_among_numbers() -> None:
    builds = matching(["9", "10", "latest"], Pattern(r".*"))
    assert newest(builds, "Numeric").version == "10"
