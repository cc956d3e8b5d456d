"""Glance's API as far as a transfer needs it; every failure is a ``TransferError``."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import UnionType
from typing import Any, Final, Protocol

import requests

from cloudimage.access import logins, region
from cloudimage.access.entry import EntryRefusedError
from cloudimage.access.policy import OPEN, CloudPolicy
from cloudimage.access.session import BoundedSession
from cloudimage.transfer.contract import Cloud, Reason, TransferError
from cloudimage.transfer.glance.errors import answer_error, translated
from cloudimage.transfer.glance.methods import Offers
from cloudimage.transfer.glance.quota import Usage
from cloudimage.vocabulary.marks import Marks

_STORED_SECONDS: Final = 1800.0
"""How long Glance may take to answer after the last byte: a store may copy or flush them first."""

_SLOW: Final = 4 * 2**20
"""Bytes per second of a slow upload, by which it is judged whether a token lasts."""

_USAGE_SECONDS: Final = 10.0
"""For so long the quota's usage is not asked for again: Glance asks Keystone for each limit."""

_CHUNK: Final = 256 * 2**10
_PATCH_TYPE: Final = "application/openstack-images-v2.1-json-patch"

_log = logging.getLogger(__name__)


class Body(Protocol):
    """What can be sent: bytes in pieces, and how many they are."""

    def __len__(self) -> int:
        """Return the number of bytes, for Content-Length."""

    def __iter__(self) -> Iterator[bytes]:
        """Return the pieces."""


class Glance:
    """The image service of one cloud and project.

    It logs in when first used and keeps no token over a long pause: see :meth:`send`.
    """

    def __init__(self, cloud: Cloud, folder: Path, policy: CloudPolicy = OPEN) -> None:
        """Read the configuration; the CA certificate, if any, is put into ``folder``.

        Raises:
            TransferError: ``CloudError`` or ``InvalidCredentials``.
        """
        self._usage: tuple[float, dict[str, Usage]] | None = None
        ca_file: str | None = None
        if cloud.ca_certificate is not None:
            ca_file = str(folder / "ca.pem")
            Path(ca_file).write_text(cloud.ca_certificate)
        session = partial(BoundedSession, policy=policy)
        with translated():
            try:
                self._connection = region.connection(cloud.config, session, ca_file, cloud.login)
            except EntryRefusedError as error:
                raise TransferError(Reason.INVALID_CREDENTIALS, str(error)) from error

    def create(self, body: dict[str, Any]) -> bool:
        """Create a queued image; False: its id is, or was, another image's.

        Raises:
            TransferError: ``InvalidImage``, ``Forbidden``, ``QuotaExceeded`` and the cloud's.
        """
        response = self._call("POST", "/images", json=body)
        if response.status_code == HTTPStatus.CONFLICT:
            return False
        self._expect(response, HTTPStatus.CREATED, "create the image")
        return True

    def send(self, image_id: str, body: Body, stores: Sequence[str] = ()) -> None:
        """Give an image its bytes, into the first of the stores; none: the default one.

        Glance needs the token until the last byte is stored, and a stream cannot be sent a second
        time with another: where it may end before, it is a new one.

        Raises:
            TransferError: ``QuotaExceeded``, ``InvalidImage``, ``UploadFailed`` and the cloud's.
        """
        headers = {"X-Image-Meta-Store": stores[0]} if stores else {}
        self._put(f"/images/{image_id}/file", body, headers, "store the image")

    def stage(self, image_id: str, body: Body) -> None:
        """Give Glance an image's bytes, to be imported.

        Raises:
            TransferError: As for :meth:`send`.
        """
        self._put(f"/images/{image_id}/stage", body, {}, "stage the image")

    def _put(self, path: str, body: Body, headers: dict[str, str], doing: str) -> None:
        self._renew_login(_STORED_SECONDS + len(body) / _SLOW)
        response = self._call(
            "PUT",
            path,
            data=body,
            headers={"Content-Type": "application/octet-stream", **headers},
            timeout=_STORED_SECONDS,
            allow_reauth=False,
        )
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            self._connection.session.invalidate()  # for the next attempt
        self._expect(response, HTTPStatus.NO_CONTENT, doing, otherwise=Reason.UPLOAD_FAILED)

    def _renew_login(self, seconds: float) -> None:
        """Log in again, unless the token is good for so long."""
        session = self._connection.session
        with translated():
            if logins.ends_within(session, seconds):
                session.invalidate()

    def start_import(self, image_id: str, method: dict[str, str], stores: Sequence[str]) -> None:
        """Have Glance fill an image, or more stores with it; it goes on after the answer.

        Args:
            image_id: The image.
            method: As the API has it: a ``name`` and, for web-download, a ``uri``.
            stores: All of these, or none.

        Raises:
            TransferError: ``MethodUnavailable`` for a URI that Glance does not want to fetch,
                ``Forbidden``, ``QuotaExceeded``, ``UploadFailed`` and the cloud's.
        """
        body: dict[str, Any] = {"method": method}
        if stores:
            body |= {"stores": list(stores), "all_stores_must_succeed": True}
        response = self._call("POST", f"/images/{image_id}/import", json=body)
        name = method["name"]
        if response.status_code == HTTPStatus.FORBIDDEN and name == "copy-image":
            raise TransferError(
                Reason.FORBIDDEN,
                f"Glance's policy `copy_image` does not let these credentials copy an image to "
                f"{', '.join(stores)}; by default only administrators may",
            )
        if response.status_code == HTTPStatus.BAD_REQUEST and "uri" in method:
            # Not Glance's own text: it repeats the URI, which may hold secrets.
            raise TransferError(
                Reason.METHOD_UNAVAILABLE,
                "Glance itself refuses to fetch from this host: its import_filtering_opts deny "
                "the scheme, the host or the port",
            )
        if response.status_code == HTTPStatus.CONFLICT and self._imports(image_id):
            _log.warning("image %s is being imported already", image_id)
            return
        self._expect(
            response, HTTPStatus.ACCEPTED, f"import the image by {name}", Reason.UPLOAD_FAILED
        )

    def _imports(self, image_id: str) -> bool:
        task = self.newest_task(image_id)
        return task is not None and task["status"] in {"pending", "processing", "success"}

    def newest_task(self, image_id: str) -> dict[str, Any] | None:
        """Return the newest import task of an image; None when it has none, or Glance is too old.

        Raises:
            TransferError: The cloud's.
        """
        response = self._call("GET", f"/images/{image_id}/tasks")
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        self._expect(response, HTTPStatus.OK, "show the tasks of the image")
        with translated():
            tasks = [_checked(each, _TASK) for each in response.json()["tasks"]]
            return max(tasks, key=lambda task: str(task["created_at"]), default=None)

    def offers(self) -> Offers:
        """Return what this cloud offers beyond a plain upload.

        Raises:
            TransferError: The cloud's.
        """
        methods = self._info("/info/import")
        stores = self._info("/info/stores")
        with translated():
            return Offers(
                methods=frozenset(methods["import-methods"]["value"] if methods else ()),
                stores=None
                if stores is None
                else tuple(each["id"] for each in stores["stores"] if not each.get("read-only")),
            )

    def usage(self) -> dict[str, Usage]:
        """Return what the project uses of its limits, by their names.

        A Glance before Yoga cannot say it, nor one without Keystone's limits: then it is empty.
        So it is when the question fails: Glance itself refuses what is too much, only later.
        """
        if self._usage is not None and time.monotonic() - self._usage[0] < _USAGE_SECONDS:
            return self._usage[1]
        try:
            response = self._call("GET", "/info/usage")
            self._expect(response, HTTPStatus.OK, "report the quota's usage")
            usage = {
                name: Usage(used=int(each["usage"]), limit=int(each["limit"]))
                for name, each in response.json()["usage"].items()
            }
        except TransferError as error:
            _log.info("the quota is not known: %s", error.message)
            return {}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            _log.warning("Glance's answer about the quota is not understood: %r", error)
            return {}
        self._usage = time.monotonic(), usage
        return usage

    def _info(self, path: str) -> dict[str, Any] | None:
        response = self._call("GET", path)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return None
        self._expect(response, HTTPStatus.OK, "report what it offers")
        with translated():
            found: dict[str, Any] = response.json()
            return found

    def read(self, image_id: str, start: int, length: int) -> bytes | None:
        """Return a piece of an image's bytes; None where the store only reads from the start.

        Raises:
            TransferError: ``Forbidden``, ``UploadFailed`` and the cloud's.
        """
        headers = {"Range": f"bytes={start}-{start + length - 1}"}
        path = f"/images/{image_id}/file"
        response = self._call("GET", path, headers=headers, stream=True)
        with closing(response):
            whole = response.status_code == HTTPStatus.OK
            if whole and start > 0:
                return None
            if not whole:
                wanted = HTTPStatus.PARTIAL_CONTENT
                self._expect(response, wanted, "show the image's bytes", Reason.UPLOAD_FAILED)
            with translated():
                return b"".join(_first(response, length))

    def show(self, image_id: str) -> dict[str, Any]:
        """Return an image.

        Raises:
            TransferError: ``UploadFailed`` if it is gone, and the cloud's.
        """
        response = self._call("GET", f"/images/{image_id}")
        self._expect(response, HTTPStatus.OK, "show the image", otherwise=Reason.UPLOAD_FAILED)
        with translated():
            return _checked(response.json(), _IMAGE)

    def set_property(self, image_id: str, name: str, value: str) -> None:
        """Set one property of an image.

        Raises:
            TransferError: ``InvalidImage``, ``Forbidden`` and the cloud's.
        """
        self.patch(image_id, [{"op": "add", "path": f"/{name}", "value": value}])

    def patch(self, image_id: str, operations: Sequence[Mapping[str, Any]]) -> None:
        """Change an image: all of it or nothing.

        Args:
            image_id: The image.
            operations: Of a JSON patch (RFC 6902).

        Raises:
            TransferError: ``InvalidImage``, ``Forbidden`` and the cloud's.
        """
        response = self._call(
            "PATCH",
            f"/images/{image_id}",
            json=list(operations),
            headers={"Content-Type": _PATCH_TYPE},
        )
        self._expect(response, HTTPStatus.OK, "change the image")

    def delete(self, image_id: str) -> None:
        """Delete an image of ours that was not finished; gone already is fine.

        Raises:
            TransferError: The cloud's.
        """
        response = self._call("GET", f"/images/{image_id}")
        if response.status_code == HTTPStatus.NOT_FOUND:
            return
        self._expect(response, HTTPStatus.OK, "show the image")
        with translated():
            image = _checked(response.json(), _IMAGE)
        if image.get(Marks.IMAGE_ID) != image_id or Marks.VERIFIED in image:
            _log.warning("image %s is not an unfinished one of ours: kept", image_id)
            return
        response = self._call("DELETE", f"/images/{image_id}")
        if response.status_code != HTTPStatus.NOT_FOUND:
            self._expect(response, HTTPStatus.NO_CONTENT, "delete the image")

    def _call(self, method: str, path: str, **arguments: Any) -> requests.Response:  # noqa: ANN401 - those of requests
        with translated():
            response: requests.Response = self._connection.image.request(path, method, **arguments)
            return response

    def _expect(
        self,
        response: requests.Response,
        status: HTTPStatus,
        doing: str,
        otherwise: Reason = Reason.CLOUD_ERROR,
    ) -> None:
        if response.status_code != status:
            raise answer_error(response, doing, otherwise)


_IMAGE: Final[Mapping[str, type | UnionType]] = {
    "status": str,
    "size": int | None,
    "disk_format": str | None,
    "os_hash_algo": str | None,
    "os_hash_value": str | None,
    "checksum": str | None,
    "stores": str | None,
    "os_glance_importing_to_stores": str | None,
    "os_glance_failed_import": str | None,
}
_TASK: Final[Mapping[str, type | UnionType]] = {
    "status": str,
    "created_at": str,
    "message": str | None,
}


def _checked(body: Any, kinds: Mapping[str, type | UnionType]) -> dict[str, Any]:  # noqa: ANN401  # JSON
    """Return a part of an answer, in which what is used here is of its type.

    Raises:
        TypeError: Something is not.
    """
    if not isinstance(body, dict):
        raise TypeError("no object")
    for name, kind in kinds.items():
        if not isinstance(body.get(name), kind):
            raise TypeError(f"{name} is of another type")
    return body


def _first(response: requests.Response, length: int) -> Iterator[bytes]:
    for chunk in response.iter_content(_CHUNK):
        yield chunk[:length]
        length -= len(chunk)
        if length <= 0:
            return
