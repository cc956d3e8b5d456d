"""Image properties that OpenStack documents, and the values they may have.

Most of it is in ``known_properties.json``, made from Glance's metadata definitions by ``cloudimage
metadefs``. What Nova documents and takes beyond these is added here; a test compares all of it
with the Glance and the Nova of the test bed.

Sources: Glance's ``etc/metadefs``; Glance's administrator's guide, "Useful image properties";
``nova/objects/fields.py`` for values that neither of them has.
"""

import json
from dataclasses import dataclass
from importlib import resources
from typing import Literal

TRUE = ("1", "t", "true", "on", "y", "yes")
FALSE = ("0", "f", "false", "off", "n", "no", "")
"""What OpenStack takes for booleans, in any case (oslo.utils, ``strutils.bool_from_string``). It
also reads any other text as false, which is never what was meant."""

DATA = "known_properties.json"
"""The generated file, beside this module."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What the value of a property must be.

    Attributes:
        values: Those there are, of a string.
        minimum: Of an integer.
        any_case: Whether Nova makes the value lower-case before it compares.
    """

    type: Literal["string", "integer", "boolean"]
    values: tuple[str, ...] = ()
    minimum: int | None = None
    any_case: bool = False

    def allows(self, value: str) -> bool:
        """Return whether a property may have that value."""
        match self.type:
            case "boolean":
                return value.strip().lower() in TRUE + FALSE
            case "integer":
                number = _integer(value)
                return number is not None and (self.minimum is None or number >= self.minimum)
            case "string":
                return value in self.values or (
                    self.any_case and value.lower() in {each.lower() for each in self.values}
                )

    @property
    def text(self) -> str:
        """The values that work, for people."""
        match self.type:
            case "boolean":
                return "true or false"
            case "integer":
                return (
                    "an integer"
                    if self.minimum is None
                    else f"an integer of at least {self.minimum}"
                )
            case "string":
                return (
                    "one of " + ", ".join(self.values) if len(self.values) > 1 else self.values[0]
                )


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None


def _one_of(*values: str, any_case: bool = False) -> Rule:
    return Rule("string", values, any_case=any_case)


_BUSES = _one_of("fdc", "ide", "sata", "scsi", "usb", "virtio", "xen", "lxc", "uml")

_ARCHITECTURES = _one_of(
    *("aarch64", "alpha", "armv6", "armv7b", "armv7l", "cris", "i686", "ia64", "lm32", "m68k"),
    *("microblaze", "microblazeel", "mips", "mips64", "mips64el", "mipsel", "openrisc", "parisc"),
    *("parisc64", "ppc", "ppc64", "ppc64le", "ppcemb", "ppcle", "s390", "s390x", "sh4", "sh4eb"),
    *("sparc", "sparc64", "unicore32", "x86_64", "xtensa", "xtensaeb"),
    # Other names of i686 and x86_64.
    *("amd64", "i386", "i486", "i586", "x86_32", "x86_32p"),
    any_case=True,
)

_HYPERVISORS = _one_of(
    *("baremetal", "bhyve", "docker", "fake", "hyperv", "ironic", "kqemu", "kvm", "lxc", "lxd"),
    *("openvz", "parallels", "phyp", "powervm", "prsm", "qemu", "test", "uml", "vbox", "vmware"),
    *("vz", "xapi", "xen", "zvm"),
    any_case=True,
)

_BOOLEAN = Rule("boolean")

_DOCUMENTED = {
    "architecture": _ARCHITECTURES,
    "hw_ephemeral_encryption": _BOOLEAN,
    "hw_ephemeral_encryption_format": _one_of("plain", "luks", "luksv2"),
    "hw_emulation_architecture": _ARCHITECTURES,
    "hw_floppy_bus": _BUSES,
    "hw_input_bus": _one_of("usb", "virtio"),
    "hw_ipxe_boot": _BOOLEAN,
    "hw_locked_memory": _BOOLEAN,
    "hw_maxphysaddr_bits": Rule("integer"),
    "hw_maxphysaddr_mode": _one_of("passthrough", "emulate"),
    "hw_numa_nodes": Rule("integer", minimum=1),
    "hw_pci_numa_affinity_policy": _one_of("required", "legacy", "preferred", "socket"),
    "hw_redirected_usb_ports": Rule("integer"),
    "hw_rescue_bus": _BUSES,
    "hw_rescue_device": _one_of("cdrom", "disk", "floppy", "fs", "lun"),
    "hw_scsi_model": _one_of(
        *("buslogic", "ibmvscsi", "lsilogic", "lsisas1068", "lsisas1078", "virtio-scsi"),
        *("vmpvscsi", "lsilogicsas", "paravirtual"),
        any_case=True,
    ),
    "hw_time_hpet": _BOOLEAN,
    "hypervisor_type": _HYPERVISORS,
    "img_hv_type": _HYPERVISORS,
    "os_secure_boot": _one_of("required", "disabled", "optional"),
    "vmware_linked_clone": _BOOLEAN,
}
"""Of the guide's list, what no metadata definition has, or has only in part."""

_MORE_VALUES = {
    "hw_cpu_policy": ("mixed",),
    "hw_mem_encryption_model": ("intel-tdx",),
    "hw_vif_model": ("lan9118", "sriov", "vmxnet", "VirtualSriovEthernetCard"),
    "vm_mode": ("pv", "hv", "baremetal"),
    "vmware_disktype": ("thin", "thick", "eagerZeroedThick"),
}
"""Values that Nova takes and the metadata definitions lack."""

_ANY_CASE = frozenset({"os_type", "hw_vif_model", "vm_mode", "vmware_adaptertype"})
"""Properties of the metadata definitions that Nova makes lower-case."""


def _defined() -> dict[str, Rule]:
    text = resources.files(__package__).joinpath(DATA).read_text(encoding="utf-8")
    return {
        name: Rule(
            each["type"],
            (*each.get("values", ()), *_MORE_VALUES.get(name, ())),
            each.get("minimum"),
            any_case=name in _ANY_CASE,
        )
        for name, each in json.loads(text).items()
    }


RULES: dict[str, Rule] = {**_defined(), **_DOCUMENTED}
"""By the property's name."""

_ANY_VALUE = (
    *("auto_disk_config", "cinder_img_volume_type", "hw_architecture", "hw_auto_disk_config"),
    *("hw_cpu_realtime_mask", "hw_device_id", "hw_disk_type", "hw_machine_type"),
    *("hw_ephemeral_encryption_secret_uuid", "hw_mem_page_size", "hw_numa_cpus", "hw_numa_mem"),
    *("hw_rng_model", "hw_sound_model", "hw_usb_model", "hw_viommu_model", "hw_vm_mode"),
    *("img_bdm_v2", "img_bittorrent", "img_block_device_mapping", "img_cache_in_nova"),
    *("img_compression_level", "img_hv_requested_version", "img_mappings", "img_owner_id"),
    *("img_root_device_name", "img_signature", "img_signature_certificate_uuid"),
    *("img_use_agent", "img_version", "instance_uuid", "kernel_id", "os_admin_user"),
    *("os_command_line", "os_distro", "os_skip_agent_inject_files_at_boot"),
    *("os_skip_agent_inject_ssh", "os_version", "ramdisk_id", "root_device_name"),
    "vmware_ostype",
    # Older names, which Nova still reads (``ImageMetaProps._legacy_property_map``).
    *("bdm_v2", "bittorrent", "block_device_mapping", "cache_in_nova"),
    *("hypervisor_version_requires", "ipxe_boot", "mappings", "owner_id", "vmware_image_version"),
    *("xenapi_device_id", "xenapi_image_compression_level", "xenapi_use_agent"),
    *("xenapi_skip_agent_inject_files_at_boot", "xenapi_skip_agent_inject_ssh"),
)
NAMES = frozenset({*RULES, *_ANY_VALUE})
"""Properties that OpenStack knows by name, also those that may have any value."""
