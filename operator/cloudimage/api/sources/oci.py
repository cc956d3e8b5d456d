"""spec.source.oci: a disk in an image of a container registry."""

from typing import Annotated

from pydantic import Field, StringConstraints

from cloudimage.api.meta import ApiModel, Like, SecretName, rules
from cloudimage.api.references import TextReference
from cloudimage.vocabulary.oci import ARCHITECTURE, DIGEST, IMAGE

_IMAGE = Like(IMAGE, "must be an image as a pod has it, for example quay.io/disks/debian:12")
_DIGEST = Like(DIGEST, "must be a digest, sha256: and 64 or sha512: and 128 hexadecimal digits")
_ARCHITECTURE = Like(
    ARCHITECTURE,
    "must be an architecture such as amd64 or arm64, perhaps with a variant as in arm/v7",
)


class OciSource(
    ApiModel,
    json_schema_extra=rules(
        (
            "!has(self.digest) || !self.image.contains('@')",
            "give the digest in image or in digest, not in both",
        )
    ),
):
    """A disk in an image of a container registry: a KubeVirt containerDisk, or an ORAS artifact."""

    image: Annotated[str, StringConstraints(min_length=1, max_length=512), _IMAGE] = Field(
        description="The image as a pod has it, for example quay.io/containerdisks/debian:12. "
        "Without a tag it is latest, without a registry it is Docker Hub's. A registry is asked by "
        "HTTPS; begin with http:// for one that has none.",
    )
    digest: Annotated[str, StringConstraints(max_length=135), _DIGEST] | None = Field(
        default=None,
        description="Digest of the image's manifest or index. Only with it the image is always the "
        "same; what a tag was resolved to is in status.source.version.",
    )
    pull_secret: SecretName | None = Field(
        default=None,
        description="Secret of the type kubernetes.io/dockerconfigjson in the same namespace. Its "
        "entry for the registry is used, and shown to that registry and to where this has its "
        "tokens made, nowhere else.",
    )
    ca_certificate: TextReference | None = Field(
        default=None,
        description="CA certificates (PEM) to verify the registry's TLS certificate with, instead "
        "of the public ones.",
    )
    path: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = Field(
        default=None,
        description="Which file: of a containerDisk its path, for example /disk/debian.qcow2; of "
        "an artifact its title. If omitted, the only file in /disk, or the artifact's only disk.",
    )
    architecture: Annotated[str, StringConstraints(max_length=64), _ARCHITECTURE] | None = Field(
        default=None,
        description="Which one of an image for several architectures. Defaults to that of the "
        "property architecture in spec.image.properties, otherwise amd64.",
    )
