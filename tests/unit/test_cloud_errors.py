"""What a service says reaches the user as a sentence."""

import pytest
import requests
from openstack.exceptions import raise_from_response

from cloudimage.cloud.errors import CloudError, ConflictError, translated

PAGE = b"""<html><head><title>409 Conflict</title></head><body><h1>409 Conflict</h1>
Image 7 could not be deleted because it is in use.<br /><br /></body></html>"""
JSON = b'{"conflictingRequest": {"code": 409, "message": "Image 7 is in use."}}'


@pytest.mark.parametrize(
    ("kind", "content", "sentence"),
    [
        ("text/html; charset=UTF-8", PAGE, "Image 7 could not be deleted because it is in use."),
        ("", PAGE, "Image 7 could not be deleted because it is in use."),
        ("application/json", JSON, "Image 7 is in use."),
    ],
)
def test_a_page_and_a_document_become_their_sentence(
    kind: str, content: bytes, sentence: str
) -> None:
    response = requests.Response()
    response.status_code = 409
    response.url = "http://glance.example.org/v2/images/7"
    response.headers["Content-Type"] = kind
    response._content = content
    with pytest.raises(CloudError) as caught, translated("deleting image 7"):
        raise_from_response(response)
    assert isinstance(caught.value, ConflictError)
    assert str(caught.value) == f"deleting image 7: {sentence}"
