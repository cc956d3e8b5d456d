"""Networks of the bed whose servers really boot: OVN on Open vSwitch's userspace datapath.

All that makes devices is in one network namespace of the bed: no module of the kernel is needed,
the machine's own network stays as it is, and beds live beside each other.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from testbed.commands import run
from testbed.openstack.site import Site
from testbed.process import Service

HOST = "testbed"
"""What Nova and Neutron call this machine."""

_NAMESPACES = Path("/run/netns")
# Each database of the one server, and the schema that its package brings.
_DATABASES = {
    "conf": "/usr/share/openvswitch/vswitch.ovsschema",
    "nb": "/usr/share/ovn/ovn-nb.ovsschema",
    "sb": "/usr/share/ovn/ovn-sb.ovsschema",
}
# In the order in which they start.
SERVICES = ("ovsdb", "vswitchd", "northd", "controller")


@dataclass(frozen=True)
class Network:
    """Open vSwitch and OVN of one bed."""

    site: Site

    @property
    def namespace(self) -> str:
        """The name of the bed's network namespace."""
        return f"boot-{hashlib.sha256(str(self.site.folder).encode()).hexdigest()[:8]}"

    @property
    def entrance(self) -> list[str]:
        """What stands before a command that is to run in the namespace."""
        return ["nsenter", f"--net={_NAMESPACES / self.namespace}"]

    @property
    def database(self) -> str:
        """Where the databases of Open vSwitch and OVN answer."""
        return f"unix:{self._socket}"

    @property
    def services(self) -> list[Service]:
        """The daemons as processes."""
        return [Service(name, self.site.folder) for name in SERVICES]

    @property
    def environment(self) -> dict[str, str]:
        """What tells the tools and libraries where this Open vSwitch is."""
        folder = str(self._folder)
        variables = ("OVS_RUNDIR", "OVN_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR", "OVN_LOGDIR")
        return self.site.environment | dict.fromkeys(variables, folder)

    def start(self) -> None:
        """Start what does not run."""
        self._folder.mkdir(exist_ok=True)
        if not (_NAMESPACES / self.namespace).exists():
            run("ip", "netns", "add", self.namespace)
            run("ip", "-n", self.namespace, "link", "set", "lo", "up")
        for name, definition in _DATABASES.items():
            if not self._file(name).exists():
                run("ovsdb-tool", "create", self._file(name), definition)
        for service in self.services:
            if service.process() is None:
                if service.name == "ovsdb":  # what a killed one left is no answer
                    self._socket.unlink(missing_ok=True)
                service.start(self._commands[service.name], self.environment)
            if service.name == "ovsdb":
                service.wait(self._socket.exists)
                self._configure()

    def stop(self) -> None:
        """Stop all of it; devices go with their namespace."""
        for service in reversed(self.services):
            service.stop()
        if (_NAMESPACES / self.namespace).exists():
            run("ip", "netns", "delete", self.namespace)

    @property
    def _folder(self) -> Path:
        return self.site.folder / "ovs"

    @property
    def _socket(self) -> Path:
        return self._folder / "db.sock"

    def _file(self, database: str) -> Path:
        return self._folder / f"{database}.db"

    @property
    def _commands(self) -> dict[str, list[str]]:
        files = [str(self._file(name)) for name in _DATABASES]
        own = "--no-chdir"

        def control(name: str) -> str:
            return f"--unixctl={self._folder / name}.ctl"

        remote = f"--remote=punix:{self._socket}"
        north, south = f"--ovnnb-db={self.database}", f"--ovnsb-db={self.database}"
        return {
            "ovsdb": ["ovsdb-server", own, remote, control("ovsdb"), *files],
            # Of 3.1 an assertion may end it: then it is started again.
            "vswitchd": [
                *(*self.entrance, "ovs-vswitchd", own, "--monitor"),
                *(control("vswitchd"), self.database),
            ],
            "northd": ["ovn-northd", own, control("northd"), north, south],
            # It has no option for its control socket, but heeds OVN_RUNDIR.
            "controller": ["ovn-controller", own, self.database],
        }

    def _configure(self) -> None:
        """Tell Open vSwitch of OVN, before either starts."""
        identity = {
            "system-id": HOST,
            "hostname": HOST,
            "ovn-remote": self.database,
            "ovn-encap-type": "geneve",
            "ovn-encap-ip": "127.0.0.1",
            "ovn-bridge": "br-int",
            "ovn-bridge-datapath-type": "netdev",
            "ovn-monitor-all": "true",
        }
        settings = [f"external_ids:{name}={value}" for name, value in identity.items()]
        # Guests leave checksums to the host: without this their TCP over IPv6 is dropped.
        settings.append("other_config:userspace-tso-enable=true")
        db = f"--db={self.database}"
        vsctl = ("ovs-vsctl", "--no-wait", db, "--", "init")
        run(*vsctl, "--", "set", "Open_vSwitch", ".", *settings)
        run("ovn-nbctl", db, "init")
        run("ovn-sbctl", db, "init")


def nova(site: Site) -> dict[str, dict[str, object]]:
    """Return the sections of Nova's configuration that make it plug servers in."""
    network = Network(site)
    helper = f"{site.venv}/bin/privsep-helper --config-file {site.etc}/nova.conf"
    return {
        "DEFAULT": {"vif_plugging_timeout": 120},
        "neutron": {"endpoint_override": site.url("neutron"), "ovs_bridge": "br-int"},
        "os_vif_ovs": {"ovsdb_connection": network.database},
        # os-vif makes the taps, and must do so where Open vSwitch is.
        "vif_plug_ovs_privileged": {"helper_command": " ".join([*network.entrance, helper])},
    }


def neutron_environment(site: Site) -> dict[str, str]:
    """Return what Neutron reads that no configuration file says."""
    temporary = site.folder / "neutron/tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return {
        # It knows by the server's own words only with uWSGI how many workers there are.
        "ASGI_WORKERS": "1",
        # Its first worker is who makes a file named after the parent, which others might have made.
        "TMPDIR": str(temporary),
    }


def neutron(site: Site) -> dict[str, dict[str, object]]:
    """Return Neutron's sections but those that every service has."""
    database = Network(site).database
    return {
        "DEFAULT": {
            "use_stderr": True,
            "state_path": site.folder / "neutron",
            "api_paste_config": site.venv / "etc/neutron/api-paste.ini",
            "core_plugin": "ml2",
            "service_plugins": "ovn-router",
            "transport_url": "fake://",
            "host": HOST,
            # Nova waits for its word that a port is plugged before a server runs.
            "notify_nova_on_port_status_changes": True,
            "notify_nova_on_port_data_changes": True,
        },
        "oslo_concurrency": {"lock_path": site.folder / "locks"},
        "database": {"connection": site.database_url("neutron")},
        "oslo_messaging_notifications": {"driver": "noop"},
        "ml2": {
            "mechanism_drivers": "ovn",
            "type_drivers": "geneve,flat",
            "tenant_network_types": "geneve",
            "extension_drivers": "port_security",
        },
        "ml2_type_geneve": {"vni_ranges": "1:1000", "max_header_size": 38},
        "securitygroup": {"enable_security_group": True},
        "ovn": {
            "ovn_nb_connection": database,
            "ovn_sb_connection": database,
            "ovn_emit_need_to_frag": False,
        },
    }
