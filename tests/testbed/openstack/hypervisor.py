"""libvirtd and QEMU of a bed whose servers really boot: no KVM, no systemd, no cgroups.

Root only: libvirtd gets a mount namespace of its own, in which the system's folders of libvirt are
the bed's. Guests are QEMU's TCG, which every machine has.
"""

import shlex
import textwrap
import uuid
from dataclasses import dataclass
from pathlib import Path

from testbed.openstack.network import Network
from testbed.openstack.site import Site
from testbed.process import Service

# libvirt's folders on a system, and which of the bed's is there instead.
_FOLDERS = {
    "/etc/libvirt": "etc",
    "/var/lib/libvirt": "lib",
    "/run/libvirt": "run",
    "/var/log/libvirt": "log",
    "/var/cache/libvirt": "cache",
}
# libvirtd looks this user up before it reads that it is not to use it. Debian makes it with the
# package that would run libvirtd by systemd.
_USERS = {
    "passwd": "libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin\n",
    "group": "libvirt-qemu:x:64055:\nkvm:x:64056:\n",
}
_LIBVIRTD = """\
    unix_sock_dir = "{folder}"
    auth_unix_ro = "none"
    auth_unix_rw = "none"
    unix_sock_rw_perms = "0700"
    host_uuid = "{uuid}"
    log_outputs = "2:stderr"
    """
# Without a handler of logs its daemon would be needed, and console logs stay empty.
_QEMU = """\
    user = "root"
    group = "root"
    security_driver = "none"
    cgroup_controllers = []
    namespaces = []
    stdio_handler = "file"
    """


@dataclass(frozen=True)
class Hypervisor:
    """The libvirtd of one bed."""

    site: Site

    @property
    def socket(self) -> Path:
        """Where libvirtd answers."""
        return _folder(self.site) / "libvirt-sock"

    @property
    def service(self) -> Service:
        """The daemon as a process."""
        return Service("libvirtd", self.site.folder)

    def configure(self) -> None:
        """Write its configuration, and the folders that it takes for the system's."""
        folder = _folder(self.site)
        for name in _FOLDERS.values():
            (folder / name).mkdir(parents=True)
        for name, line in _USERS.items():
            (folder / name).write_text(Path("/etc", name).read_text() + line)
        text = textwrap.dedent(_LIBVIRTD).format(folder=folder, uuid=uuid.uuid4())
        (self.site.etc / "libvirtd.conf").write_text(text)
        (folder / "etc/qemu.conf").write_text(textwrap.dedent(_QEMU))

    def start(self) -> None:
        """Start the daemon unless it runs, and wait until it answers; guests outlive it."""
        if self.service.process() is not None:
            return
        self.socket.unlink(missing_ok=True)
        self.service.start(self._command(), self.site.environment)
        self.service.wait(self.socket.exists)

    def _command(self) -> list[str]:
        folder = _folder(self.site)
        places = {there: folder / here for there, here in _FOLDERS.items()}
        places |= {f"/etc/{name}": folder / name for name in _USERS}
        binds = [["mount", "--bind", str(here), there] for there, here in places.items()]
        config, pid = self.site.etc / "libvirtd.conf", folder / "pid"
        daemon = ["exec", "libvirtd", "--config", str(config), "--pid-file", str(pid)]
        script = " && ".join(map(shlex.join, [["mkdir", "-p", *_FOLDERS], *binds, daemon]))
        # Taps are taken over where Open vSwitch is.
        unshare = [*Network(self.site).entrance, "unshare", "--mount", "--propagation", "private"]
        return [*unshare, "sh", "-c", script]


def nova(site: Site) -> dict[str, dict[str, object]]:
    """Return what makes Nova's servers boot: on top of the sections that every bed has."""
    return {
        "DEFAULT": {
            "compute_driver": "libvirt.LibvirtDriver",
            "mkisofs_cmd": "xorrisofs",
            # There is no metadata service.
            "force_config_drive": True,
            "reserved_host_memory_mb": 0,
            "ram_allocation_ratio": 16,
            "cpu_allocation_ratio": 16,
            "disk_allocation_ratio": 16,
        },
        "libvirt": {
            "virt_type": "qemu",
            "connection_uri": f"qemu+unix:///system?socket={Hypervisor(site).socket}",
            "cpu_mode": "none",
            "hw_machine_type": "x86_64=pc",
            "images_type": "qcow2",
            "swtpm_enabled": False,
            # Cinder's folder is on this machine: what Nova would mount is there already.
            "nfs_mount_point_base": site.folder / "cinder/mnt",
        },
    }


def _folder(site: Site) -> Path:
    return site.folder / "libvirt"
