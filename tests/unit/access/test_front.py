"""What of a proxy's page is shown: a heading that says no more than the status does."""

import pytest
import requests

from cloudimage.access import front

NGINX = (
    b"<html>\r\n<head><title>504 Gateway Time-out</title></head>\r\n<body>\r\n<center>"
    b"<h1>504 Gateway Time-out</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n"
    b"</html>\r\n"
)
HAPROXY = (
    b"<html><body><h1>504 Gateway Time-out</h1>\nThe server didn't respond in time.\n</body></html>"
)
APACHE = (
    b'<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n<title>403 Forbidden</'
    b"title>\n</head><body>\n<h1>Forbidden</h1>\n<p>You don't have permission to access this "
    b"resource.</p>\n<hr>\n"
    b"<address>Apache/2.4.57 (Debian) Server at cloud.example.org Port 5000</address>\n"
    b"</body></html>\n"
)
ELB = (
    b"<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden"
    b"</h1></center>\r\n</body>\r\n</html>\r\n"
)
INNER = b"<html><head><title>db_password=hunter2</title></head><body><h1>403</h1></body></html>"


def answer(
    status: int, page: bytes, kind: str = "text/html", server: str = ""
) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers.update({"Content-Type": kind, "Server": server})
    response._content = page
    return response


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (answer(504, NGINX), "504 Gateway Time-out (nginx)"),
        (answer(504, HAPROXY), "504 Gateway Time-out"),
        (answer(403, APACHE, "text/html; charset=iso-8859-1"), "403 Forbidden (Apache)"),
        (answer(403, ELB, server="awselb/2.0"), "403 Forbidden (awselb)"),
        (answer(503, b"<h1>Service Unavailable</h1>"), "503 Service Unavailable"),
        (answer(403, INNER), "403"),
        (answer(502, INNER), None),
        (answer(504, NGINX, "text/plain"), None),
        (answer(504, NGINX.replace(b"504", b"505")), None),
        (answer(403, b"<h1>403 " + b"x" * 150 + b"</h1>"), None),
        (answer(403, b"<title>" * 100_000), None),
        (answer(599, b"<title>\x1b[2J</title>"), None),
        (answer(200, b""), None),
    ],
)
def test_a_heading_is_shown_where_it_says_no_more_than_the_status(
    response: requests.Response, expected: str | None
) -> None:
    assert front.heading(response) == expected
