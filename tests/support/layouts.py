"""How publishers of images lay out their builds: a function for each, which publishes one.

The paths and the forms of lists are those of the publishers; builds, signatures and keys are ours.
"""

import json
import lzma
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from support.upstream import Upstream, digest

Publish = Callable[[Upstream, str, bytes], str]
"""Publishes a build by its version; returns its path."""


def debian(release: str, code: str) -> Publish:
    """Publish dated folders, each with its list."""

    def publish(net: Upstream, version: str, content: bytes) -> str:
        folder = f"cloud.debian.org/images/cloud/{code}/{version}"
        path = f"{folder}/debian-{release}-genericcloud-amd64-{version}.qcow2"
        net.put(f"{folder}/debian-{release}-nocloud-amd64-{version}.qcow2", b"another")
        net.put(f"cloud.debian.org/images/cloud/{code}/daily/latest/SHA512SUMS", b"")
        net.put(path, content)
        net.put(f"{folder}/SHA512SUMS", net.sums(folder, "sha512"))
        return path

    return publish


def debian_daily(net: Upstream, version: str, content: bytes) -> str:
    """Publish dated folders with dated names, and the latest build with undated ones."""
    top = "cloud.debian.org/images/cloud/trixie/daily"
    for folder, date in ((f"{top}/latest", ""), (f"{top}/{version}", f"-{version}")):
        net.put(f"{folder}/debian-13-genericcloud-arm64-daily{date}.qcow2", b"another")
        net.put(f"{folder}/debian-13-genericcloud-amd64-daily{date}.qcow2", content)
        net.put(f"{folder}/SHA512SUMS", net.sums(folder, "sha512"))
    return f"{top}/{version}/debian-13-genericcloud-amd64-daily-{version}.qcow2"


def ubuntu(release: str, code: str) -> Publish:
    """Publish Simple Streams: a signed index, and a signed list of products."""

    def publish(net: Upstream, version: str, content: bytes) -> str:
        mirror = "cloud-images.ubuntu.com/releases"
        product = f"com.ubuntu.cloud:server:{release}:amd64"
        name = f"ubuntu-{release}-server-cloudimg-amd64.img"
        path = f"{mirror}/server/releases/{code}/release-{version}/{name}"
        net.put(path, content)
        builds = [each for each in net.files if each.endswith(name)]
        versions = {
            each.rpartition("release-")[2].partition("/")[0]: {
                "items": {
                    "disk1.img": _item(net, mirror, each, "disk1.img"),
                    "manifest": _item(net, mirror, each, "manifest"),
                },
                "label": "release",
            }
            for each in builds
        }
        others = {product.replace("amd64", "arm64"): {"arch": "arm64", "versions": {}}}
        listed = {"aliases": f"{release},{code}", "arch": "amd64", "versions": versions}
        _stream(net, mirror, {**others, product: listed})
        return path

    return publish


def _item(net: Upstream, mirror: str, path: str, kind: str) -> dict[str, Any]:
    return {
        "ftype": kind,
        "path": path.removeprefix(f"{mirror}/"),
        "sha256": digest("sha256", net.files[path]),
        "md5": digest("md5", net.files[path]),
        "size": len(net.files[path]),
    }


def _stream(net: Upstream, mirror: str, products: dict[str, Any]) -> None:
    name = "com.ubuntu.cloud:released:download"
    entry = {
        "datatype": "image-downloads",
        "format": "products:1.0",
        "path": f"streams/v1/{name}.sjson",
        "products": list(products),
    }
    index = {"format": "index:1.0", "index": {name: entry}}
    content = {"content_id": name, "format": "products:1.0", "products": products}
    for file, document in (("index", index), (name, content)):
        text = net.signer.clearsigned(json.dumps(document, indent=1).encode())
        net.put(f"{mirror}/streams/v1/{file}.sjson", text)


def fedora(net: Upstream, version: str, content: bytes) -> str:
    """Publish a release with its signed list; the one after it is being prepared."""
    release, _, _ = version.partition("-")
    top = "dl.fedoraproject.org/pub/fedora/linux/releases"
    folder = f"{top}/{release}/Cloud/x86_64/images"
    path = f"{folder}/Fedora-Cloud-Base-Generic-{version}.x86_64.qcow2"
    net.put(f"{top}/test/README", b"")
    net.put(f"{top}/{int(release) + 1}/Everything/README", b"")
    net.put(f"{folder}/Fedora-Cloud-Base-UEFI-UKI-{version}.x86_64.qcow2", b"another")
    net.put(path, content)
    text = f"# {PurePosixPath(path).name}: {len(content)} bytes\n".encode()
    text += net.line(path, "sha256", tag=True)
    net.put(f"{folder}/Fedora-Cloud-{version}-x86_64-CHECKSUM", net.signer.clearsigned(text))
    return path


def centos(release: str) -> Publish:
    """Publish one folder with all builds, each with a list of its own."""

    def publish(net: Upstream, version: str, content: bytes) -> str:
        folder = f"cloud.centos.org/centos/{release}-stream/x86_64/images"
        path = f"{folder}/CentOS-Stream-GenericCloud-{release}-{version}.x86_64.qcow2"
        net.put(f"{folder}/CentOS-Stream-GenericCloud-{release}-latest.x86_64.qcow2", content)
        net.put(path, content)
        net.put(f"{path}.SHA256SUM", net.line(path, "sha256", tag=True))
        return path

    return publish


def rocky(release: str) -> Publish:
    """Publish one folder with one list."""

    def publish(net: Upstream, version: str, content: bytes) -> str:
        folder = f"dl.rockylinux.org/pub/rocky/{release}/images/x86_64"
        path = f"{folder}/Rocky-{release}-GenericCloud-Base-{version}.x86_64.qcow2"
        net.put(f"{folder}/Rocky-{release}-GenericCloud-LVM-{version}.x86_64.qcow2", b"another")
        net.put(f"{folder}/Rocky-{release}-GenericCloud-Base.latest.x86_64.qcow2", content)
        net.put(path, content)
        net.put(f"{folder}/CHECKSUM", net.sums(folder, "sha256", tag=True))
        return path

    return publish


def almalinux(release: str) -> Publish:
    """Publish one folder with one list, and its signature beside it."""

    def publish(net: Upstream, version: str, content: bytes) -> str:
        folder = f"repo.almalinux.org/almalinux/{release}/cloud/x86_64/images"
        path = f"{folder}/AlmaLinux-{release}-GenericCloud-{version}.x86_64.qcow2"
        net.put(f"{folder}/AlmaLinux-{release}-GenericCloud-latest.x86_64.qcow2", content)
        net.put(path, content)
        listed = net.sums(folder, "sha256")
        net.put(f"{folder}/CHECKSUM", listed)
        net.put(f"{folder}/CHECKSUM.asc", net.armored(listed))
        return path

    return publish


def opensuse_leap(net: Upstream, version: str, content: bytes) -> str:
    """Publish a release with its builds, each with a list of its own and its signature."""
    release, _, build = version.partition("-")
    folder = f"opensuse.org/distribution/leap/{release}/appliances"
    name = f"Leap-{release}-Minimal-VM.x86_64-Cloud-Build{build}.qcow2"
    net.put("downloadcontent.opensuse.org/distribution/leap/42.3/repo/README", b"")
    return _opensuse(net, folder, name, content)


def opensuse_tumbleweed(net: Upstream, version: str, content: bytes) -> str:
    """Publish a snapshot with its list and its signature."""
    name = f"openSUSE-Tumbleweed-Minimal-VM.x86_64-1.0.0-Cloud-Snapshot{version}.qcow2"
    return _opensuse(net, "opensuse.org/tumbleweed/appliances", name, content)


def _opensuse(net: Upstream, folder: str, name: str, content: bytes) -> str:
    for host in ("downloadcontent", "download"):  # the lists, and what leads to mirrors
        path = f"{host}.{folder}/{name}"
        net.put(path, content)
        net.put(f"{path}.sha256", net.line(path, "sha256"))
        net.put(f"{path}.sha256.asc", net.armored(net.files[f"{path}.sha256"]))
    return f"download.{folder}/{name}"


def arch(net: Upstream, version: str, content: bytes) -> str:
    """Publish dated folders; the newest has no image yet."""
    top = "geo.mirror.pkgbuild.com/images"
    path = f"{top}/v{version}/Arch-Linux-x86_64-cloudimg-{version}.qcow2"
    net.put(f"{top}/latest/Arch-Linux-x86_64-cloudimg.qcow2", content)
    net.put(f"{top}/v29991231.1/Arch-Linux-x86_64-basic-29991231.1.qcow2", b"another")
    net.put(path, content)
    net.put(f"{path}.SHA256", net.line(path, "sha256"))
    return path


def alpine(net: Upstream, version: str, content: bytes) -> str:
    """Publish a release with images of several kinds; a hash stands alone."""
    number, _, build = version.partition("-")
    branch = ".".join(number.split(".")[:2])
    folder = f"dl-cdn.alpinelinux.org/alpine/v{branch}/releases/cloud"
    path = f"{folder}/generic_alpine-{number}-x86_64-bios-cloudinit-r{build}.qcow2"
    net.put("dl-cdn.alpinelinux.org/alpine/edge/releases/x86_64/README", b"")
    net.put(f"{folder}/generic_alpine-{number}-x86_64-bios-cloudinit-metal-r{build}.qcow2", b"x")
    net.put(f"{folder}/nocloud_alpine-{number}-x86_64-bios-cloudinit-r{build}.qcow2", b"x")
    net.put(path, content)
    net.put(f"{path}.sha512", f"{digest('sha512', content)}\n".encode())
    return path


def flatcar(net: Upstream, version: str, content: bytes) -> str:
    """Publish a release of the channel, with its DIGESTS."""
    top = "stable.release.flatcar-linux.net/amd64-usr"
    path = f"{top}/{version}/flatcar_production_openstack_image.img"
    net.put(f"{top}/current/version.txt", f"FLATCAR_VERSION={version}\n".encode())
    net.put(path, content)
    listed = b"".join(
        f"# {each.upper()} HASH\n".encode() + net.line(path, each)
        for each in ("md5", "sha1", "sha512")
    )
    net.put(f"{path}.DIGESTS", listed)
    return path


def cirros(net: Upstream, version: str, content: bytes) -> str:
    """Publish a release with its list."""
    folder = f"download.cirros-cloud.net/{version}"
    path = f"{folder}/cirros-{version}-x86_64-disk.img"
    net.put(f"{folder}/cirros-{version}-x86_64-kernel", b"another")
    net.put(path, content)
    net.put(f"{folder}/SHA256SUMS", net.sums(folder, "sha256"))
    return path


def freebsd(net: Upstream, version: str, content: bytes) -> str:
    """Publish a release, compressed, with BSD's list."""
    top = "download.freebsd.org/releases/VM-IMAGES"
    folder = f"{top}/{version}-RELEASE/amd64/Latest"
    path = f"{folder}/FreeBSD-{version}-RELEASE-amd64-BASIC-CLOUDINIT-ufs.qcow2.xz"
    net.put(f"{folder}/FreeBSD-{version}-RELEASE-amd64-ufs.qcow2.xz", b"another")
    net.put(path, lzma.compress(content))
    net.put(f"{folder}/CHECKSUM.SHA512", net.sums(folder, "sha512", tag=True))
    return path


@dataclass(frozen=True)
class Layout:
    """How a publisher publishes, and two versions of its, the older first."""

    publish: Publish
    older: str
    newer: str


LAYOUTS: Final = {
    "almalinux-8": Layout(almalinux("8"), "8.9-20231128", "8.10-20240819"),
    "almalinux-9": Layout(almalinux("9"), "9.6-20250522", "9.10-20251118"),
    "almalinux-10": Layout(almalinux("10"), "10.0-20250528.0", "10.1-20251125.0"),
    "alpine": Layout(alpine, "3.9.6-2", "3.24.2-0"),
    "arch": Layout(arch, "20260901.583572", "20261001.604814"),
    "centos-stream-9": Layout(centos("9"), "20260302.0", "20260526.0"),
    "centos-stream-10": Layout(centos("10"), "20260818.9", "20260818.10"),
    "cirros": Layout(cirros, "0.6.3", "0.10.0"),
    "debian-12": Layout(debian("12", "bookworm"), "20260810-999", "20260810-2566"),
    "debian-13": Layout(debian("13", "trixie"), "20260810-2566", "20260831-2587"),
    "debian-13-daily": Layout(debian_daily, "20260930-2610", "20261001-2611"),
    "fedora": Layout(fedora, "43-1.6", "44-1.7"),
    "flatcar-stable": Layout(flatcar, "4230.2.4", "4593.2.4"),
    "freebsd": Layout(freebsd, "14.3", "15.0"),
    "opensuse-leap": Layout(opensuse_leap, "15.6-19.146", "16.0-2.72"),
    "opensuse-tumbleweed": Layout(opensuse_tumbleweed, "20261004", "20261005"),
    "rocky-8": Layout(rocky("8"), "8.9-20231119.0", "8.10-20240528.0"),
    "rocky-9": Layout(rocky("9"), "9.7-20251123.2", "9.8-20260525.0"),
    "rocky-10": Layout(rocky("10"), "10.0-20250609.1", "10.1-20251116.0"),
    "ubuntu-22.04": Layout(ubuntu("22.04", "jammy"), "20260801", "20260814"),
    "ubuntu-24.04": Layout(ubuntu("24.04", "noble"), "20260814", "20260814.1"),
    "ubuntu-26.04": Layout(ubuntu("26.04", "resolute"), "20260731", "20260814"),
}
"""Of every image of the catalogue."""
