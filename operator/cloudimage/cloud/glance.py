"""Glance: images found by a property, read, changed and deleted."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice
from typing import Any, Final

from keystoneauth1.adapter import Adapter
from openstack.exceptions import raise_from_response

from cloudimage.cloud.answers import Page, pages, typed
from cloudimage.cloud.errors import ConflictError, NotFoundError, translated
from cloudimage.cloud.models import GlanceImage, JsonPatch, Limit, Member, MemberStatus, Store
from cloudimage.http_dates import moment
from cloudimage.vocabulary.image import BASE_ATTRIBUTES

_NO_PARTS = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, HTTPStatus.NOT_IMPLEMENTED}
)
"""What Glance answers where its store reads only from the beginning."""

PAGE_SIZE: Final = 1000
"""What ``api_limit_max`` is unless the cloud sets it; of a lower one, Glance lists so many."""

_PATCH_TYPE = "application/openstack-images-v2.1-json-patch"


def _image(body: dict[str, Any]) -> GlanceImage:
    return typed(
        GlanceImage,
        id=body["id"],
        name=body.get("name"),
        status=body["status"],
        created_at=body["created_at"],
        owner=body.get("owner"),
        visibility=body["visibility"],
        protected=body["protected"],
        hidden=body.get("os_hidden", False),
        disk_format=body.get("disk_format"),
        container_format=body.get("container_format"),
        min_disk=body.get("min_disk") or 0,
        min_ram=body.get("min_ram") or 0,
        size=body.get("size"),
        virtual_size=body.get("virtual_size"),
        checksum=body.get("checksum"),
        hash_algo=body.get("os_hash_algo"),
        hash_value=body.get("os_hash_value"),
        tags=frozenset(body.get("tags", ())),
        updated_at=body.get("updated_at"),
        stores=tuple(filter(None, (body.get("stores") or "").split(","))),
        properties={
            key: str(value)
            for key, value in body.items()
            if key not in BASE_ATTRIBUTES and value is not None
        },
    )


@dataclass(frozen=True, slots=True)
class ImagePage:
    """A page of a listing, which costs something to read only where it is not the one of before.

    Attributes:
        content: What Glance sent.
        date: When, by its own clock; None: it did not say.
    """

    content: bytes
    date: datetime | None

    def images(self) -> tuple[list[GlanceImage], bool]:
        """Return what it lists, and whether there is another page.

        Raises:
            CloudError: It is no listing of images.
        """
        with translated("listing images"):
            body = json.loads(self.content)
            # Only that there is a next page is taken from the answer: a link may lead anywhere.
            return [_image(each) for each in body["images"]], bool(body.get("next"))


def _member(body: dict[str, Any]) -> Member:
    return typed(
        Member,
        project_id=body["member_id"],
        status=body["status"],
        updated_at=body["updated_at"],
    )


class Glance:
    """The image service, seen by one project.

    The requests are plain ones over the SDK's session: its resource layer cannot ask Glance to
    filter by a free-form property, and would list every image of the cloud instead.

    Attributes:
        project_id: The project whose credentials are used; None when they are not a project's.
    """

    def __init__(self, proxy: Adapter, project_id: str | None) -> None:
        self._proxy = proxy
        self.project_id = project_id

    def find(self, name: str, value: str, owner: str | None = None) -> list[GlanceImage]:
        """Return a project's images with that property, hidden ones too.

        Of one project only: anybody could publish an image that carries our marks.

        Args:
            name: The property.
            value: Its value.
            owner: Id of the project; None: the credentials' own.

        Raises:
            CloudError: The list could not be read, which is never the same as an empty list.
        """
        # "all": without it an own community image is left out.
        query = {name: value, "visibility": "all", "owner": owner or self.project_id or ""}
        query["limit"] = str(PAGE_SIZE)  # else Glance lists 25 at a time
        return [
            image
            for hidden in ("false", "true")
            for image in self._list({**query, "os_hidden": hidden})
        ]

    def search(self, query: Mapping[str, str | list[str]], at_most: int) -> list[GlanceImage]:
        """Return images of any project that fit, by Glance's own rules of who sees what.

        Without ``visibility`` in the query that leaves out what others only offer to us: their
        community images, and shared ones that were not accepted.

        Args:
            query: Parameters of ``GET /v2/images``.
            at_most: Not many more are asked for.

        Raises:
            CloudError: The list could not be read, which is never the same as an empty list.
        """
        return self._list({**query, "limit": str(at_most)}, at_most)

    def _list(
        self, query: Mapping[str, str | list[str]], at_most: int | None = None
    ) -> list[GlanceImage]:
        def fetch(marker: str | None) -> Page:
            params = query if marker is None else {**query, "marker": marker}
            response = self._proxy.get("/images", params=params)
            raise_from_response(response)
            body = response.json()
            # Only that there is a next page is taken from the answer: a link may lead anywhere.
            return body["images"], bool(body.get("next"))

        with translated("listing images"):
            return [_image(each) for each in islice(pages(fetch), at_most)]

    def page(
        self, size: int, marker: str | None, *, hidden: bool, since: datetime | None = None
    ) -> ImagePage:
        """Return a page of the credentials' own images as it came, the oldest images first.

        Those that are made meanwhile come last, so that no page before them moves.

        Args:
            size: Of the page, in images; Glance may list fewer.
            marker: Id of the last image of the page before; None: the first page.
            hidden: Whether hidden images are listed, or the others.
            since: Only images that were changed at or after that time; None: all.

        Raises:
            CloudError: The list could not be read, which is never the same as an empty list.
        """
        query = {
            "owner": self.project_id or "",
            "visibility": "all",
            "limit": str(size),
            "os_hidden": str(hidden).lower(),
            "sort": "created_at:asc,id:asc",
        }
        if marker is not None:
            query["marker"] = marker
        if since is not None:
            query["updated_at"] = f"gte:{since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        with translated("listing images"):
            response = self._proxy.get("/images", params=query)
            raise_from_response(response)
            return ImagePage(response.content, moment(response.headers.get("Date")))

    def get(self, image_id: str) -> GlanceImage | None:
        """Return the image, or None.

        Raises:
            CloudError: Glance did not say either.
        """
        try:
            with translated(f"reading image {image_id}"):
                response = self._proxy.get(f"/images/{image_id}")
                raise_from_response(response)
                return _image(response.json())
        except NotFoundError:
            return None

    def try_reading(self, image_id: str) -> None:
        """Ask for the first of an image's bytes, which are not read.

        Raises:
            ForbiddenError: The policy does not let the credentials download it.
            CloudError: Anything else, but that the store gives no parts.
        """
        path, headers = f"/images/{image_id}/file", {"Range": "bytes=0-0"}
        with translated(f"reading the bytes of image {image_id}"):
            response = self._proxy.get(path, headers=headers, stream=True)
            try:
                if response.status_code not in _NO_PARTS:
                    raise_from_response(response)
            finally:
                response.close()

    def create(self, image_id: str, body: Mapping[str, object]) -> bool:
        """Create an image without bytes; False: its id is, or was, another image's.

        Raises:
            ForbiddenError: The policy does not allow it.
            QuotaExceededError: The project may have no further image.
            CloudError: Anything else.
        """
        try:
            with translated(f"creating image {image_id}"):
                raise_from_response(self._proxy.post("/images", json={"id": image_id, **body}))
        except ConflictError:
            return False
        return True

    def patch(self, image_id: str, operations: JsonPatch) -> GlanceImage:
        """Change attributes and return the image as it is then.

        Raises:
            InvalidImageError: Glance refuses a value.
            ForbiddenError: The policy does, for instance for visibility public.
            CloudError: Anything else.
        """
        with translated(f"changing image {image_id}"):
            response = self._proxy.patch(
                f"/images/{image_id}",
                json=list(operations),
                headers={"Content-Type": _PATCH_TYPE},
            )
            raise_from_response(response)
            return _image(response.json())

    def delete(self, image_id: str) -> None:
        """Delete the image; that it is gone already is fine.

        Raises:
            ForbiddenError: It is protected, or belongs to somebody else.
            ConflictError: The store says that it is in use.
            CloudError: Anything else.
        """
        with suppress(NotFoundError), translated(f"deleting image {image_id}"):
            raise_from_response(self._proxy.delete(f"/images/{image_id}"))

    def members(self, image_id: str) -> tuple[Member, ...]:
        """Return the projects that a shared image is shared with, accepted or not.

        Raises:
            ForbiddenError: The image's visibility is not shared, or it is somebody else's.
            CloudError: Anything else.
        """
        with translated(f"listing the members of image {image_id}"):
            response = self._proxy.get(f"/images/{image_id}/members")
            raise_from_response(response)
            return tuple(map(_member, response.json()["members"]))

    def add_member(self, image_id: str, project_id: str) -> None:
        """Share a shared image with a project, which has yet to accept; that it is, is fine.

        Raises:
            ForbiddenError: The image's visibility is not shared, or it is somebody else's.
            CloudError: Anything else.
        """
        with (
            suppress(ConflictError),
            translated(f"sharing image {image_id} with project {project_id}"),
        ):
            raise_from_response(
                self._proxy.post(f"/images/{image_id}/members", json={"member": project_id})
            )

    def remove_member(self, image_id: str, project_id: str) -> None:
        """Share a shared image with a project no longer; that it is not is fine.

        Raises:
            ForbiddenError: The image's visibility is not shared, or it is somebody else's.
            CloudError: Anything else.
        """
        with (
            suppress(NotFoundError),
            translated(f"revoking project {project_id} from image {image_id}"),
        ):
            raise_from_response(self._proxy.delete(f"/images/{image_id}/members/{project_id}"))

    def set_member_status(self, image_id: str, project_id: str, status: MemberStatus) -> None:
        """Accept or reject an image for a project: its own users may, and administrators.

        Raises:
            NotFoundError: The image, or the member, is not there, or not for these credentials.
            ForbiddenError: The credentials are of another project.
            CloudError: Anything else.
        """
        with translated(f"setting project {project_id} to {status} for image {image_id}"):
            raise_from_response(
                self._proxy.put(f"/images/{image_id}/members/{project_id}", json={"status": status})
            )

    def import_methods(self) -> tuple[str, ...]:
        """Return the methods by which Glance imports; empty where it does not.

        Raises:
            CloudError: Glance did not say.
        """
        info = self._info("/info/import")
        return tuple(map(str, info["import-methods"]["value"])) if info else ()

    def stores(self) -> tuple[Store, ...] | None:
        """Return the stores of a Glance that has several; None: it has one, without a name.

        Raises:
            CloudError: Glance did not say.
        """
        info = self._info("/info/stores")
        return None if info is None else tuple(map(_store, info["stores"]))

    def limits(self) -> dict[str, Limit] | None:
        """Return the project's limits by their names; None: this Glance does not say.

        ``GET /v2/info/usage`` is there since Yoga, where limits are Keystone's.

        Raises:
            CloudError: Glance did not say.
        """
        info = self._info("/info/usage")
        if info is None:
            return None
        with translated("reading the quota"):
            return {
                str(name): typed(Limit, used=each["usage"], limit=each["limit"])
                for name, each in info["usage"].items()
            }

    def _info(self, path: str) -> Any | None:  # noqa: ANN401  # JSON
        try:
            with translated(f"reading {path}"):
                response = self._proxy.get(path)
                raise_from_response(response)
                return response.json()
        except NotFoundError:
            return None


def _store(body: dict[str, Any]) -> Store:
    return typed(
        Store,
        id=body["id"],
        # Glance writes them as texts.
        default=str(body.get("default", "")).lower() == "true",
        read_only=str(body.get("read-only", "")).lower() == "true",
    )
