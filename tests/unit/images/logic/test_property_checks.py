"""Properties against what OpenStack documents, and that against OpenStack itself."""

import pytest

from cloudimage.codegen import known_properties as metadefs
from cloudimage.images.logic import property_checks
from cloudimage.vocabulary import properties as known_properties
from cloudimage.vocabulary.properties import RULES
from support.resources import cloud_image

WORKS: list[dict[str, str]] = [
    {},
    {"anything": "else", "hw_of_tomorrow": "1"},
    {"hw_disk_bus": "sata"},
    {"hw_disk_bus": "xen"},
    {"hw_disk_bus": "xen", "hypervisor_type": "xen"},
    {"hw_disk_bus": "scsi", "hw_scsi_model": "virtio-scsi", "img_hv_type": "KVM"},
    {"hw_cdrom_bus": "ide", "img_hv_type": "vmware"},
    {"hw_disk_bus": "virtio", "img_hv_type": "ironic"},
    {"hw_vif_model": "virtio", "hypervisor_type": "qemu"},
    {"hw_vif_model": "VirtualE1000", "hypervisor_type": "vmware"},
    {"hw_vif_model": "VirtualE1000", "hypervisor_type": "kvm"},
    {"hw_vif_model": "E1000", "hypervisor_type": "xen"},
    {"hw_video_model": "xen", "img_hv_type": "xen"},
    {"hw_qemu_guest_agent": "yes", "hw_vif_multiqueue_enabled": "True", "hw_pmu": ""},
    {"hw_cpu_cores": "4", "hw_video_ram": "0", "hw_firmware_type": "uefi"},
    {"architecture": "AMD64"},
    {"os_type": "Linux"},
    {"vmware_adaptertype": "lsiLogicsas", "vmware_disktype": "streamOptimized"},
    {"vmware_disktype": "thin", "vmware_ostype": "rhel9_64Guest"},
    {"trait:HW_CPU_X86_AVX2": "required"},
    {"hw_numa_cpus.0": "0,1", "hw_numa_mem.1": "2048", "os_distro": "debian", "kernel_id": "k"},
    {"hw_cpu_policy": "mixed", "hw_mem_encryption_model": "intel-tdx"},
]


@pytest.mark.parametrize("values", WORKS, ids=str)
def test_what_works_or_is_not_known_is_fine(values: dict[str, str]) -> None:
    assert list(property_checks.complaints(values)) == []


BROKEN: list[tuple[dict[str, str], str]] = [
    ({"hw_disk_bus": "nvme"}, "one of fdc, ide, lxc, sata, scsi, uml, usb, virtio, xen."),
    ({"hw_disk_bus": "xen", "img_hv_type": "kvm"}, "hypervisor kvm it must be one of fdc, ide"),
    ({"hw_disk_bus": "virtio", "img_hv_type": "xen"}, "hypervisor xen it must be one of ide, xen."),
    ({"hw_cdrom_bus": "virtio", "hypervisor_type": "vmware"}, "it must be one of ide, scsi."),
    ({"hw_disk_bus": "ide", "hypervisor_type": "lxc"}, "hypervisor lxc it must be lxc."),
    ({"hw_vif_model": "virtio", "hypervisor_type": "vmware"}, "it must be one of e1000, e1000e"),
    ({"hw_vif_model": "netfront", "hypervisor_type": "kvm"}, "it must be one of e1000, e1000e"),
    ({"hw_vif_model": "virtio", "hypervisor_type": "xen"}, "it must be one of e1000, netfront"),
    ({"hw_vif_model": "ne2000"}, 'hw_vif_model is "ne2000": it must be one of'),
    ({"hw_video_model": "xen", "img_hv_type": "qemu"}, "it must be one of bochs, cirrus"),
    ({"hw_video_model": "matrox"}, "it must be one of bochs, cirrus, gop"),
    ({"hw_qemu_guest_agent": "enabled"}, "it must be true or false."),
    ({"hw_cpu_cores": "four"}, "it must be an integer."),
    ({"hw_video_ram": "-1"}, "it must be an integer of at least 0."),
    ({"architecture": "arm64"}, 'architecture is "arm64": it must be one of aarch64'),
    ({"img_hv_type": "esxi"}, "it must be one of baremetal"),
    ({"os_type": "beos"}, "it must be one of linux, windows."),
    ({"vmware_disktype": "thickish"}, "it must be one of preallocated, sparse, streamOptimized"),
    ({"vmware_adaptertype": "virtio"}, "it must be one of busLogic, ide, lsiLogic"),
    ({"hw_pointer_model": "mouse"}, "it must be usbtablet."),
    ({"trait:HW_CPU_X86_AVX2": "forbidden"}, "it must be required."),
    ({"hw_disk_buss": "scsi"}, "no property hw_disk_buss: did you mean hw_disk_bus?"),
    ({"HW_DISK_BUS": "scsi"}, "did you mean hw_disk_bus?"),
    ({"hw-disk-bus": "scsi"}, "did you mean hw_disk_bus?"),
    ({"hw_qemu_guest_agnet": "yes"}, "did you mean hw_qemu_guest_agent?"),
    ({"os_distros": "debian"}, "did you mean os_distro?"),
    ({"hw_numa_cpu.0": "1"}, "did you mean hw_numa_cpus?"),
]


@pytest.mark.parametrize(("values", "words"), BROKEN, ids=lambda each: str(each)[:60])
def test_what_cannot_work_is_said_with_what_does(values: dict[str, str], words: str) -> None:
    [complaint] = property_checks.complaints(values)
    assert words in complaint


def test_the_condition_has_every_complaint() -> None:
    wrong = cloud_image(image={"properties": {"hw_pmu": "perhaps", "os_type": "beos"}})
    draft = property_checks.draft(wrong)
    assert (draft.type, draft.status, draft.reason) == (
        "PropertiesValid",
        "False",
        "InvalidProperties",
    )
    assert draft.message == (
        'hw_pmu is "perhaps": it must be true or false. '
        'os_type is "beos": it must be one of linux, windows.'
    )
    right = property_checks.draft(cloud_image())
    assert (right.status, right.reason) == ("True", "PropertiesKnown")


def namespace(name: str, prefix: str, **schemas: object) -> dict[str, object]:
    return {
        "namespace": name,
        "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": prefix}],
        "properties": schemas,
    }


def test_metadata_definitions_are_read_as_nova_understands_them() -> None:
    words = {"type": "string", "enum": ["b", "a"]}
    flavors = namespace("OS::Compute::Flavors", "hw:", cores={"type": "integer"})
    flavors["resource_type_associations"] = [{"name": "OS::Nova::Flavor"}]
    found = metadefs.known(
        [
            namespace("OS::Compute::A", "hw_", bus=words, free={"type": "string"}),
            namespace("OS::Compute::B", "", hw_bus={"type": "string", "enum": ["c"]}),
            namespace("OS::Compute::C", "", yes={"type": "string", "enum": ["yes", "no"]}),
            namespace("OS::Compute::D", "", count={"type": "integer", "minimum": 1}),
            namespace("OS::Software::E", "", port={"type": "integer"}),
            flavors,
        ]
    )
    assert found == {
        "count": {"type": "integer", "minimum": 1},
        "hw_bus": {"type": "string", "values": ["a", "b", "c"]},
        "yes": {"type": "boolean"},
    }


def test_every_value_of_a_table_by_hypervisor_is_a_known_one() -> None:
    for tables, name in (
        (property_checks._BUSES, "hw_disk_bus"),
        (property_checks._CARDS, "hw_vif_model"),
    ):
        for values in tables.values():
            assert all(RULES[name].allows(value) for value in values)


def test_what_is_added_to_the_definitions_is_not_in_them() -> None:
    for name, values in known_properties._MORE_VALUES.items():
        assert len(RULES[name].values) == len(set(RULES[name].values)), (name, values)


@pytest.mark.parametrize(
    ("declared", "wanted", "status"),
    [
        ("qcow2", "raw", "False"),
        ("raw", "raw", "True"),
        (None, "raw", "True"),
        ("raw", None, "True"),
    ],
)
def test_a_signature_does_not_survive_a_conversion(
    declared: str | None, wanted: str | None, status: str
) -> None:
    image = {"properties": {"img_signature": "YWJj"}, "diskFormat": wanted}
    resource = cloud_image(image=image, http={"format": declared})
    found = property_checks.draft(resource)
    assert found.status == status
    assert ("img_signature" in found.message) is (status == "False")


def test_a_signature_is_no_trouble_before_a_name_is_looked_up() -> None:
    image = {"properties": {"img_signature": "YWJj"}, "diskFormat": "raw"}
    resource = cloud_image(image=image, source={"glance": {"name": "debian"}})
    assert property_checks.draft(resource).status == "True"
