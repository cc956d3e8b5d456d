"""Glance's API as far as a transfer needs it; every failure is a ``TransferError``."""

import logging
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Protocol

import openstack
import requests
from keystoneauth1.exceptions import ClientException
from openstack.exceptions import SDKException

from cloudimage.transfer.clouderrors import answer_error, exception_error
from cloudimage.transfer.types import Cloud, Marks, Reason

_CONNECT_SECONDS: Final = 60.0
"""Also how long a send may block while Glance's store is busy."""

_ANSWER_SECONDS: Final = 60.0
_STORED_SECONDS: Final = 1800.0
"""How long Glance may take to answer after the last byte: a store may copy or flush them first."""

_PATCH_TYPE: Final = "application/openstack-images-v2.1-json-patch"
_EXCEPTIONS: Final = (ClientException, SDKException, requests.RequestException, OSError)

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

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        """Read the configuration; the CA certificate, if any, is put into ``folder``.

        Raises:
            TransferError: ``CloudError`` or ``InvalidCredentials``.
        """
        config = dict(cloud.config)
        if cloud.ca_certificate is not None:
            path = folder / "ca.pem"
            path.write_text(cloud.ca_certificate)
            config["cacert"] = str(path)
        try:
            self._connection = openstack.connect(
                load_yaml_config=False, load_envvars=False, app_name="cloudimage", **config
            )
        except _EXCEPTIONS as error:
            raise exception_error(error) from error
        except TypeError as error:  # a configuration with keys that are not the SDK's
            raise exception_error(error) from error

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

    def send(self, image_id: str, body: Body) -> None:
        """Give an image its bytes.

        The token is a new one: Glance needs it until the last byte is stored, and a stream cannot
        be sent a second time with another.

        Raises:
            TransferError: ``QuotaExceeded``, ``InvalidImage``, ``UploadFailed`` and the cloud's.
        """
        self._connection.session.invalidate()
        headers = {"Content-Type": "application/octet-stream"}
        timeout = (_CONNECT_SECONDS, _STORED_SECONDS)
        path = f"/images/{image_id}/file"
        response = self._call("PUT", path, data=body, headers=headers, timeout=timeout)
        self._expect(
            response, HTTPStatus.NO_CONTENT, "store the image", otherwise=Reason.UPLOAD_FAILED
        )

    def show(self, image_id: str) -> dict[str, Any]:
        """Return an image.

        Raises:
            TransferError: ``UploadFailed`` if it is gone, and the cloud's.
        """
        response = self._call("GET", f"/images/{image_id}")
        self._expect(response, HTTPStatus.OK, "show the image", otherwise=Reason.UPLOAD_FAILED)
        image: dict[str, Any] = response.json()
        return image

    def set_property(self, image_id: str, name: str, value: str) -> None:
        """Set one property of an image.

        Raises:
            TransferError: ``InvalidImage``, ``Forbidden`` and the cloud's.
        """
        response = self._call(
            "PATCH",
            f"/images/{image_id}",
            json=[{"op": "add", "path": f"/{name}", "value": value}],
            headers={"Content-Type": _PATCH_TYPE},
        )
        self._expect(response, HTTPStatus.OK, "set a property of the image")

    def delete(self, image_id: str) -> None:
        """Delete an image of ours that was not finished; gone already is fine.

        Raises:
            TransferError: The cloud's.
        """
        response = self._call("GET", f"/images/{image_id}")
        if response.status_code == HTTPStatus.NOT_FOUND:
            return
        self._expect(response, HTTPStatus.OK, "show the image")
        image = response.json()
        if image.get(Marks.IMAGE_ID) != image_id or Marks.VERIFIED in image:
            _log.warning("image %s is not an unfinished one of ours: kept", image_id)
            return
        response = self._call("DELETE", f"/images/{image_id}")
        if response.status_code != HTTPStatus.NOT_FOUND:
            self._expect(response, HTTPStatus.NO_CONTENT, "delete the image")

    def _call(self, method: str, path: str, **arguments: Any) -> requests.Response:  # noqa: ANN401 - those of requests
        arguments.setdefault("timeout", (_CONNECT_SECONDS, _ANSWER_SECONDS))
        try:
            response: requests.Response = self._connection.image.request(path, method, **arguments)
        except _EXCEPTIONS as error:
            raise exception_error(error) from error
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
