"""The test bed's OpenStack: Keystone, Glance, Placement and Nova on loopback, for real.

Cinder comes with it where a test asks for it (see ``OpenStack.start_cinder``).

The one thing that is not real is Nova's hypervisor: servers never boot, but their disks hold the
bytes of their images (see ``nova_aio.py``). Servers of ``OpenStack.booting()``, for root only, do
boot (see ``hypervisor.py``), and have networks (see ``network.py``).
"""

from testbed.openstack.bed import OpenStack, Status

__all__ = ["OpenStack", "Status"]
