"""Cinder: which volumes were made from an image."""

from typing import Any

from openstack.connection import Connection
from openstack.exceptions import raise_from_response

from cloudimage.cloud.answers import Page, name, pages, typed
from cloudimage.cloud.catalogue import offers
from cloudimage.cloud.errors import ForbiddenError, NotAcceptedError, translated
from cloudimage.cloud.models import Volume

SERVICE_TYPE = "block-storage"
_GLANCE_METADATA_FILTER = "3.4"
"""The microversion since which Cinder finds volumes by what it copied from their image. For others
than administrators most clouds ignore the filter, and the answer has all volumes."""


class Cinder:
    """The volume service, as far as the credentials can see it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def volumes(self, image_id: str) -> tuple[Volume, ...] | None:
        """Return the volumes made from the image: of all projects for administrators.

        Cinder ignores a wish for all projects that it does not grant, and does not say so: see
        "List accessible volumes with details" in its API reference.

        Returns:
            The volumes, copies of volumes too; None where there is no volume service, or none
            for these credentials.

        Raises:
            CloudError: Cinder could not be asked; that is never the same as "none".
        """
        if not offers(self._connection, SERVICE_TYPE):
            return None
        try:
            with translated(f"listing the volumes of image {image_id}"):
                return self._volumes(image_id)
        except (ForbiddenError, NotAcceptedError):
            return None

    def _volumes(self, image_id: str) -> tuple[Volume, ...]:
        wanted = {"all_tenants": "1", "glance_metadata": str({"image_id": image_id})}

        def fetch(marker: str | None) -> Page:
            response = self._connection.block_storage.get(
                "/volumes/detail",
                params=wanted if marker is None else wanted | {"marker": marker},
                microversion=_GLANCE_METADATA_FILTER,
            )
            raise_from_response(response)
            body = response.json()
            # The link to the next page may have an address that only the cloud itself knows.
            return body["volumes"], any(
                each["rel"] == "next" for each in body.get("volumes_links", ())
            )

        return tuple(_volume(each) for each in pages(fetch) if _is_of(each, image_id))


def _is_of(body: dict[str, Any], image_id: str) -> bool:
    return bool(body.get("volume_image_metadata", {}).get("image_id") == image_id)


def _volume(body: dict[str, Any]) -> Volume:
    project_id = name(body.get("os-vol-tenant-attr:tenant_id"))
    return typed(
        Volume,
        id=body["id"],
        name=name(body.get("name")),
        project_id=project_id,
        server_ids=[each["server_id"] for each in body.get("attachments", ())],
    )
