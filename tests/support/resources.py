"""CloudImages and Glance images for the tests of decisions."""

from datetime import UTC, datetime
from typing import Any

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.imageshare import ImageShare
from cloudimage.cloud.models import GlanceImage
from cloudimage.images.logic.desired import Desired
from cloudimage.vocabulary.marks import Marks

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
UID = "6f2f6c1e-0000-4000-8000-000000000001"
SHA256 = "ab" * 32


def cloud_image(
    image: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    http: dict[str, Any] | None = None,
    **spec: Any,
) -> CloudImage:
    """Return a CloudImage like one that the API server hands out."""
    return CloudImage.model_validate(
        {
            "metadata": {
                "name": "debian-12",
                "namespace": "images",
                "uid": UID,
                "generation": 3,
                "resourceVersion": "100",
                "annotations": spec.pop("annotations", {}),
            },
            "spec": {
                "cloudCredentialsRef": {"secretName": "openstack", "cloudName": "prod"},
                "source": {
                    "http": {
                        "url": "https://example.org/debian-12.qcow2",
                        "checksum": {"sha256": SHA256},
                        **(http or {}),
                    }
                },
                "image": {"diskFormat": "raw", **(image or {})},
                **spec,
            },
            "status": status or {},
        }
    )


def glance_image(resource: CloudImage, **changes: Any) -> GlanceImage:
    """Return the complete Glance image of that resource, as a transfer leaves it."""
    image_id = changes.pop("id", "11111111-1111-4111-8111-111111111111")
    properties = {
        Marks.UID: resource.metadata.uid,
        Marks.DIGEST: Desired.of(resource.spec).content_key,
        Marks.IMAGE_ID: image_id,
        Marks.VERIFIED: "sha512:" + "cd" * 64,
        **changes.pop("properties", {}),
    }
    values: dict[str, Any] = {
        "id": image_id,
        "name": "debian-12",
        "status": "active",
        "created_at": NOW,
        "owner": "project",
        "visibility": "private",
        "protected": False,
        "hidden": False,
        "disk_format": "raw",
        "container_format": "bare",
        "min_disk": 0,
        "min_ram": 0,
        "size": 2 * 2**30,
        "virtual_size": 2 * 2**30,
        "checksum": "ef" * 16,
        "hash_algo": "sha512",
        "hash_value": "cd" * 64,
        "tags": frozenset(),
        "properties": {name: value for name, value in properties.items() if value is not None},
        **changes,
    }
    return GlanceImage(**values)


def image_share(
    status: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None, **spec: Any
) -> ImageShare:
    """Return an ImageShare like one that the API server hands out."""
    ref = {} if "image" in spec else {"imageRef": {"name": "debian-12"}}
    return ImageShare.model_validate(
        {
            "metadata": {
                "name": "to-web",
                "namespace": "images",
                "uid": UID,
                "generation": 2,
                "resourceVersion": "7",
                **(metadata or {}),
            },
            "spec": {**ref, "projects": [{"id": "web"}], **spec},
            "status": status or {},
        }
    )
