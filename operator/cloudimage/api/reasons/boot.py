"""Reasons of conditions: what comes of spec.bootTest."""

from enum import StrEnum


class BootReason(StrEnum):
    """What a boot test has shown, or what kept it from being made."""

    BOOT_TEST_PASSED = "BootTestPassed"
    """A server made from the image has booted, and has shown what spec.bootTest expects."""
    NO_VALID_HOST = "NoValidHost"
    """Nova finds no host for the test's server, which says nothing of the image: no host has room
    for the flavor, or none fits a property of the image such as hw_firmware_type. Ask the cloud's
    administrator, or change spec.bootTest.flavor. Retried with pauses of up to an hour."""
    BUILD_FAILED = "BuildFailed"
    """Nova could not build the test's server, told nothing of it for too long, has no console of
    it, or it is gone; the message has Nova's words. The image is not blamed. Retried with pauses
    of up to an hour."""
    NO_CONSOLE = "NoConsole"
    """The test's server runs and has written nothing to its console within
    spec.bootTest.expect.within: the image does not boot, or its kernel has no serial console. Give
    the kernel console=ttyS0 (on arm64 ttyAMA0), and check hw_firmware_type and hw_disk_bus."""
    TIMEOUT = "Timeout"
    """The test's server runs, and its guest did not report within spec.bootTest.expect.within: it
    does not boot, or has no cloud-init that runs user data. The message has the last lines of its
    console. Fix the image, or give it more time."""
    NO_ADDRESS = "NoAddress"
    """The guest has booted and lacks an address that Nova gave its server, or that
    spec.bootTest.expect wants; the message says which. Check the image's network configuration: by
    DHCP for IPv4, by router advertisements or DHCPv6 for IPv6, on every interface. If earlier
    images lack it as well, check the network's subnets: whether they have DHCP, and for IPv6 a
    router."""
    KEY_NOT_INJECTED = "KeyNotInjected"
    """The guest has booted, and the key of its server lets no user in, or not spec.bootTest.user:
    it is in no authorized_keys, or for a forced command only. Check cloud-init's datasources and
    its module for SSH in the image."""
    CONSOLE_MISMATCH = "ConsoleMismatch"
    """No part of the console's text matches spec.bootTest.expect.consoleMatches in time. The
    message has its last lines."""
    SSH_FAILED = "SSHFailed"
    """The guest has the key and the addresses, and does not let the operator in by ssh, though it
    was reached; the message says why. Check how sshd is set up in the image."""
    SSH_UNREACHABLE = "SSHUnreachable"
    """The operator got no connection to the SSH server of the test's server, or to another that has
    not the host key that the guest reported; the message says why. The image is not blamed. Check
    that the operator can reach the network: the operator's cloudPolicy, the chart's
    networkPolicy.egress, and the project's security groups have to allow port 22. Then check
    that sshd starts in the image. Retried with pauses of up to an hour."""

    FLAVOR_NOT_FOUND = "FlavorNotFound"
    """Nova has no flavor of the id or the name in spec.bootTest.flavor, or none that the project
    may use. Correct it, or have a private flavor made available to the project. Not retried
    until the spec changes or the annotation cloudimage.dev/retry gets a new value."""
    FLAVOR_TOO_SMALL = "FlavorTooSmall"
    """The memory or the disk of spec.bootTest.flavor, or spec.bootTest.volumeGiB, is too small for
    the image or for its minRamMiB and minDiskGiB; or the flavor has no disk, and volumeGiB is not
    set. Choose a larger flavor or volume. Not retried until the spec changes or the annotation
    cloudimage.dev/retry gets a new value."""
    NETWORK_NOT_FOUND = "NetworkNotFound"
    """A network of spec.bootTest.networks is not there, or the project may not see it; or none is
    named, and the project has none and Nova cannot make one for it. Correct it, have the network
    shared with the project, or set networks to [] for a server without any. Or no subnet of them
    has a family of addresses that spec.bootTest.expect wants: add one. Not retried until the
    spec changes or the annotation cloudimage.dev/retry gets a new value."""
    NETWORK_AMBIGUOUS = "NetworkAmbiguous"
    """Several networks have the name in spec.bootTest.networks; the message has their ids. Or none
    is named, and the project has several: Nova does not choose. Give the id. Not retried until
    the spec changes or the annotation cloudimage.dev/retry gets a new value."""
    SERVER_REFUSED = "ServerRefused"
    """Nova refuses to make the server of the boot test; the message quotes it. Change spec.bootTest
    or the properties of spec.image that it names. Or the cloud has no Nova, or one that is too old,
    as the message says. Not retried until the spec changes or the annotation
    cloudimage.dev/retry gets a new value."""
