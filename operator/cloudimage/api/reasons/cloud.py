"""Reasons of conditions: the Secret, the cloud, and what it refuses."""

from enum import StrEnum


class CloudReason(StrEnum):
    """Why a cloud cannot be used."""

    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105  # a reason, not a password
    """A Secret that the spec names, or a key in it, does not exist. Continues automatically once it
    does."""
    SECRET_NOT_FOR_HOST = "SecretNotForHost"  # noqa: S105  # as above
    """The annotation cloudimage.dev/hosts of the Secret that the source names does not list its
    host, or is missing although the operator requires it. Nothing was sent. Change the
    source or the annotation. Retried within a minute."""
    CONFIG_MAP_NOT_FOUND = "ConfigMapNotFound"
    """A ConfigMap that the spec names, or its key, does not exist. Continues automatically once it
    does."""
    INVALID_CLOUDS_YAML = "InvalidCloudsYaml"
    """clouds.yaml in the Secret cannot be read, or has options that are not allowed. Retried within
    a minute."""
    CLOUD_NOT_FOUND = "CloudNotFound"
    """clouds.yaml in the Secret has no cloud of that name. Retried within a minute."""
    CLOUD_MISCONFIGURED = "CloudMisconfigured"
    """clouds.yaml in the Secret leads to no cloud that can be used: no Keystone answers at
    auth.auth_url, the catalogue has no image service for region_name and interface, or a TLS
    certificate is not trusted, has expired or is for another host. The message says which key to
    change. The Secret is read again within a minute, and the cloud is asked at once when it has
    changed, else with pauses of up to 30 minutes."""
    INVALID_CREDENTIALS = "InvalidCredentials"
    """Keystone, or the store of the source's bucket, rejects the credentials, or a pull Secret
    cannot be read. Retried with pauses of up to 5 minutes, since Keystone may lock a user out after
    several wrong passwords."""
    CLOUD_REFUSED = "CloudRefused"
    """The operator's cloudPolicy does not allow a host or address of the cloud, given in
    clouds.yaml or in the cloud's catalogue. Change clouds.yaml, or ask the operator's
    administrator. Retried with pauses of up to 5 minutes."""
    CLOUD_UNREACHABLE = "CloudUnreachable"
    """The cloud does not answer, or answers with a server error. Retried with pauses of up to 5
    minutes, or longer if the cloud asks for it; the message says since when."""
    CLOUD_ERROR = "CloudError"
    """The cloud gave an unexpected answer. Retried."""
    CONFLICT = "Conflict"
    """Glance refuses the change in the image's present state, or Nova what is asked for in the
    present state of the boot test's server or image. Retried."""
    NOT_FOUND = "NotFound"
    """The image disappeared while the operator was working on it. Retried."""
    FORBIDDEN = "Forbidden"
    """The cloud's policy does not allow it, for example visibility public without administrator
    rights, or a proxy before a service limits the size of a request, or an application credential
    has no access rule for a request of a boot test. Change the spec, or ask the cloud's
    administrator. Retried with growing pauses, since the right may be granted."""
    INVALID_IMAGE = "InvalidImage"
    """Glance rejects a value of spec.image; the message quotes Glance. Change the spec."""
    QUOTA_EXCEEDED = "QuotaExceeded"
    """The project's quota of images, or of volumes and their snapshots, is used up, or for a boot
    test that of servers, cores, memory, ports, or the user's of key pairs; the message says which.
    Delete some, or ask for a higher quota. Retried with growing pauses."""
