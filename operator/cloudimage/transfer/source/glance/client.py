"""The requests to a source's Glance, by the rules of :mod:`cloudimage.access`."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, cast

import requests

from cloudimage.access import region
from cloudimage.access.clouds_yaml import CLOUDS_YAML, CloudsYamlError, entry_of
from cloudimage.access.entry import EntryRefusedError
from cloudimage.access.policy import CloudPolicy
from cloudimage.access.session import BoundedSession
from cloudimage.access.transport import Download
from cloudimage.transfer.contract import Cloud, Limits, Reason, TransferError
from cloudimage.transfer.source.glance import rules
from cloudimage.transfer.source.glance.errors import BrokenError, answer_error, translated
from cloudimage.transfer.source.glance.model import CloudSource
from cloudimage.transfer.source.glance.rules import ShownImage

_NO_PARTS: Final = frozenset(
    {HTTPStatus.BAD_REQUEST, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, HTTPStatus.NOT_IMPLEMENTED}
)
"""What Glance answers where its store reads only from the beginning; 400 by ``download()``."""


class NoPartsError(Exception):
    """This Glance gives the bytes of an image only from the beginning."""


class SourceGlance:
    """The Glance that has the source; it logs in when first used.

    A token that ends in the middle of a long read does no harm: Glance looks at it when a request
    begins, and a resume that it refuses with 401 logs in again.
    """

    def __init__(self, cloud: Cloud, policy: CloudPolicy, limits: Limits, folder: Path) -> None:
        """Read the configuration; the CA certificate, if any, is put into ``folder``.

        Raises:
            TransferError: ``InvalidCredentials``.
        """
        self._read_seconds = limits.stall_seconds
        self._connection = connected(cloud, policy, folder)

    def show(self, image_id: str) -> ShownImage:
        """Return what Glance says of an image.

        Raises:
            TransferError: ``SourceUnreachable``, ``SourceNotFound``, ``SourceRefused``,
                ``InvalidCredentials`` or ``CloudRefused``.
        """
        doing = f"show image {image_id}"
        try:
            with translated(doing):
                response = self._get(f"/images/{image_id}")
            if response.status_code != HTTPStatus.OK:
                raise answer_error(response, doing)
            with translated(doing):
                shown = ShownImage.model_validate(response.json())
        except BrokenError as broken:
            raise broken.error from broken
        return shown.model_copy(update={"id": image_id})

    @contextmanager
    def reading(self, image_id: str, start: int, stop: int, size: int) -> Iterator["Body"]:
        """Yield the bytes of an image from ``start`` on, or from its beginning.

        Args:
            image_id: The image.
            start: Where to begin.
            stop: Where to end.
            size: Bytes of the image.

        Raises:
            BrokenError: No answer, or one that asks to come again.
            NoPartsError: It gives no parts.
            TransferError: As for :meth:`show`.
        """
        doing = f"give the bytes of image {image_id}"
        partly = (start, stop) != (0, size)
        headers = {"Range": f"bytes={start}-{stop - 1}"} if partly else {}
        session = cast("BoundedSession", self._connection.session)
        with session.downloading(Download(size, self._read_seconds)), translated(doing):
            response = self._get(f"/images/{image_id}/file", headers=headers, stream=True)
        with closing(response):
            if partly and response.status_code in _NO_PARTS:
                raise NoPartsError
            if response.status_code == HTTPStatus.NO_CONTENT:
                raise TransferError(
                    Reason.SOURCE_NOT_FOUND,
                    f"the source's Glance has lost the bytes of image {image_id}",
                )
            told = response.headers.get("Content-Range")
            place = rules.place(response.status_code, told, start, size)
            if place is None and response.ok:
                raise NoPartsError
            if place is None:
                raise answer_error(response, doing)
            yield Body(response, doing, 0 if place == "beginning" else start)

    def _get(self, path: str, **arguments: Any) -> requests.Response:  # noqa: ANN401 - those of requests
        response: requests.Response = self._connection.image.request(path, "GET", **arguments)
        return response


def connected(cloud: Cloud, policy: CloudPolicy, folder: Path) -> Any:  # noqa: ANN401 - the SDK's connection
    """Return a connection to a source's cloud, which logs in when first used.

    Args:
        cloud: The cloud.
        policy: Where it may be.
        folder: Where its CA certificate is put, if it has one.

    Raises:
        TransferError: ``InvalidCredentials``.
    """
    ca_file: str | None = None
    if cloud.ca_certificate is not None:
        ca_file = str(folder / "source-cloud-ca.pem")
        Path(ca_file).write_text(cloud.ca_certificate)
    try:
        with translated("log in"):
            return region.connection(cloud.config, partial(BoundedSession, policy=policy), ca_file)
    except EntryRefusedError as error:
        raise TransferError(Reason.INVALID_CREDENTIALS, f"the source cloud: {error}") from error


class Body:
    """The bytes of an answer.

    Attributes:
        start: Where in the image they begin.
    """

    def __init__(self, response: requests.Response, doing: str, start: int) -> None:
        self._response = response
        self._doing = doing
        self.start = start

    def read(self, most: int) -> bytes:
        """Return the next bytes as they come; none at the end.

        Raises:
            BrokenError: The connection broke, or gave nothing for too long.
        """
        try:
            with translated(self._doing):
                piece: bytes = self._response.raw.read1(most, decode_content=False)
        except TransferError as error:
            # Whatever it was, it was the connection's.
            broken = TransferError(Reason.SOURCE_UNREACHABLE, error.message)
            raise BrokenError(broken) from error
        return piece


def cloud_of(source: CloudSource, own: Cloud | None) -> Cloud:
    """Return the cloud that a source is in.

    Args:
        source: The source.
        own: The transfer's.

    Raises:
        TransferError: ``InvalidCredentials`` for a clouds.yaml that is of no use.
    """
    if source.cloud_name is None:
        if own is None:
            raise TransferError(Reason.INVALID_REQUEST, "the source names no cloud")
        return own
    if not source.clouds_yaml:
        raise TransferError(
            Reason.INVALID_CREDENTIALS, f"the Secret of the source cloud has no key {CLOUDS_YAML}"
        )
    try:
        entry = entry_of(source.clouds_yaml, source.cloud_name, source.ca_certificate)
    except CloudsYamlError as error:
        raise TransferError(
            Reason.INVALID_CREDENTIALS, f"the Secret of the source cloud: {error}"
        ) from error
    return Cloud(config=entry, ca_certificate=source.ca_certificate)
