"""The container image for spec.customize: the Dockerfile's second target."""

import os

import pytest

import cloudimage
from testbed import packages
from testbed.container_image import CUSTOMIZE, build_customize, said_in

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(os.geteuid() != 0, reason="buildah as it is used here needs root"),
]


def test_it_has_libguestfs_its_appliance_and_the_operator_for_nobody() -> None:
    packages.ensure("whole")
    build_customize()
    script = (
        "id -u; cloudimage --version; virt-customize --version; virt-sysprep --version; "
        'ls "$CLOUDIMAGE_CUSTOMIZE_APPLIANCE"; '
        'stat --format %s "$CLOUDIMAGE_CUSTOMIZE_APPLIANCE/root"; '
        "grep -o pkg:deb/debian/guestfs-tools@ /usr/share/sbom/debian.cdx.json | head -n 1"
    )
    said = said_in(CUSTOMIZE, "sh", "-ec", script).splitlines()
    assert said[0] == "65532"
    assert cloudimage.__version__ in said[1]
    assert said[2].startswith("virt-customize 1.")
    assert {"kernel", "initrd", "root"} <= set(said)
    # A container image knows no holes: the whole of it is pulled.
    assert str(640 * 2**20) in said
    assert said[-1] == "pkg:deb/debian/guestfs-tools@"
