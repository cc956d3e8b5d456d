"""Which properties of an image are carried to another cloud."""

import pytest

from cloudimage.vocabulary import portable
from cloudimage.vocabulary.marks import Marks

ID = "0d4bbb2a-7d4a-4b0f-a0ce-8a1d3b5f8a6e"

PORTABLE = {
    "hw_disk_bus": "scsi",
    "hw_numa_cpus.0": "0,1",
    "image_description": "made by Ada",
    "image_source": "https://images.example.org/debian.qcow2",
    "os_distro": "debian",
    "our_own": "1",
    "our_hash": "0" * 64,  # of the bytes, perhaps
    "trait:HW_CPU_X86_AVX2": "required",
}


@pytest.mark.parametrize("name", PORTABLE)
def test_carried(name: str) -> None:
    assert portable.sort({name: PORTABLE[name]}).kept == {name: PORTABLE[name]}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_image_ref", ID),
        ("boot_roles", "member,reader"),
        ("cinder_encryption_key_id", ID),
        ("cinder_encryption_key_deletion_policy", "on_image_deletion"),
        ("cinder_img_volume_type", "ceph-ssd"),
        ("hw_ephemeral_encryption_secret_uuid", ID),
        ("image_location", "snapshot"),
        ("img_signature", "aGVsbG8="),
        ("img_signature_certificate_uuid", ID),
        ("img_signature_key_type", "RSA-PSS"),
        ("instance_uuid", ID),
        ("kernel_id", ID),
        ("ramdisk_id", ""),
        ("os_encrypt_key_id", ID),
        ("os_glance_failed_import", "ceph"),
        ("owner_specified.openstack.sha256", "0" * 64),
        ("owner_user_name", "alice"),
        # What a user made up, by its value alone.
        ("our_network", ID),
        ("our_network", ID.upper()),
        ("our_project", ID.replace("-", "")),
        ("our_volumes", f"a:{ID},b"),
        ("our_copy", f"rbd://fsid/images/{ID[:8]}/snap"),
        ("our_copy", "swift+config://ref1/glance/x"),
        ("our_copy", "FILE:///var/lib/glance/x"),
        ("our_text", "x" * 4097),
        ("n" * 256, "x"),
    ],
)
def test_named_and_left_out(name: str, value: str) -> None:
    found = portable.sort({name: value, "os_distro": "debian"})
    assert found.kept == {"os_distro": "debian"}
    assert found.left_out == (name,)


def test_marks_of_the_other_clouds_operator_are_not_even_mentioned() -> None:
    found = portable.sort({str(mark): "x" for mark in Marks} | {"cloudimage_dev_later": "x"})
    assert (found.kept, found.left_out) == ({}, ())


def test_no_more_than_a_spec_may_have() -> None:
    found = portable.sort({f"p{number:03}": "x" for number in range(128)})
    assert len(found.kept) == portable.MOST
    assert found.left_out == tuple(f"p{number}" for number in range(120, 128))


def test_what_means_the_same_keeps_its_bytes_of_text() -> None:
    odd = {"our_own": "ünïcode: 'quoted'\n"}
    assert portable.sort(odd).kept == odd
