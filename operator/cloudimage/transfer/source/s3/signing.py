"""Signs requests for an object of a bucket (AWS Signature Version 4)."""

import time
from typing import Final
from urllib.parse import quote, unquote

import requests
from requests_aws4auth import AWS4Auth

from cloudimage.transfer.contract import TransferError
from cloudimage.transfer.source.s3 import rules
from cloudimage.transfer.source.s3.model import AccessKey, S3Source

_SERVICE: Final = "s3"


class ObjectCredentials:
    """:class:`cloudimage.transfer.source.http.credentials.Credentials` of an object's URL.

    Attributes:
        identity: Who asks.
        tag: The object's entity tag once it is known: every request is for those bytes.
    """

    def __init__(self, source: S3Source) -> None:
        """Prepare.

        Raises:
            TransferError: ``InvalidCredentials``.
        """
        key = source.access_key()
        self.identity = f"s3:{key.model_dump_json() if key else ''}"
        self.tag: str | None = None
        self._source = source
        self._signer = _Signer(key, source.region) if key else None

    def show(self, request: requests.PreparedRequest) -> None:
        """Ask for one version of the object, and sign that."""
        # A question whether the object is another one is answered by 304, and by 412 to both.
        if self.tag is not None and "If-None-Match" not in request.headers:
            request.headers["If-Match"] = self.tag
        if self._signer is not None:
            self._signer(request)

    def renew(self, _response: requests.Response) -> bool:
        """Return that another signature would be as good."""
        return False

    def explain(self, response: requests.Response, body: bytes) -> TransferError | None:
        """Return what an error of S3 means, by its code."""
        return rules.refusal(
            self._source, response.status_code, response.headers, body, time.time()
        )


class _Signer(AWS4Auth):  # type: ignore[misc]  # it has no types
    def __init__(self, key: AccessKey, region: str) -> None:
        token = {"session_token": key.session_token} if key.session_token else {}
        super().__init__(key.id, key.secret, region, _SERVICE, **token)

    def amz_cano_path(self, path: str) -> str:
        """Return the path as it is signed, which for S3 is as it is sent.

        The library would join slashes, of which a key may have several in a row ("Create a signed
        AWS API request": "Do not normalize URI paths for requests to Amazon S3").
        """
        return quote(unquote(path), safe="/~")
