"""clouds.yaml is the user's: what it may say, and what it may not."""

import pytest

from cloudimage.access.answers import plain_text
from cloudimage.cloud.config import parse_clouds_yaml
from cloudimage.cloud.errors import CloudNotFoundError, InvalidCloudsYamlError
from testbed.kubernetes.certificates import Authority

GOOD = """
clouds:
  prod:
    auth: {auth_url: "https://cloud.example.org/v3", username: u, password: s3cret}
    region_name: RegionOne
"""


def test_the_named_cloud_is_taken_with_its_certificate() -> None:
    pem = "# ours\n" + Authority.new().pem
    config = parse_clouds_yaml(GOOD, "prod", pem)
    assert config.options["region_name"] == "RegionOne"
    assert config.ca_certificate == pem


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/etc/ssl/certs/ca.pem",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n",
        "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
    ],
)
def test_a_ca_certificate_that_is_none_is_told(text: str) -> None:
    with pytest.raises(InvalidCloudsYamlError, match="key cacert of the Secret has no certificate"):
        parse_clouds_yaml(GOOD, "prod", text)


def test_secrets_do_not_show() -> None:
    assert "s3cret" not in repr(parse_clouds_yaml(GOOD, "prod"))


def test_an_unknown_cloud_is_told_with_those_there_are() -> None:
    with pytest.raises(CloudNotFoundError, match="no cloud 'dev'; it has: prod"):
        parse_clouds_yaml(GOOD, "dev")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("clouds: [", "not valid YAML near line"),
        ("nothing: here", "no mapping named clouds"),
        ("just a string", "no mapping named clouds"),
        ("clouds: {prod: {}}", "no mapping named auth"),
        ("clouds: {prod: {auth: {}}}", r"no text in auth\.auth_url"),
        ("clouds: {prod: {auth: {auth_url: u}}}", r"no text in auth\.password"),
        (
            "clouds: {prod: {auth_type: v3applicationcredential, auth: {auth_url: u}}}",
            r"no text in auth\.application_credential_secret",
        ),
        ("clouds: {prod: {auth: {auth_url: u}, profile: vexxhost}}", "sets profile"),
        ("clouds: {prod: {auth: {auth_url: u}, cacert: /etc/passwd}}", "sets cacert"),
        ("clouds: {prod: {auth: {auth_url: u}, cert: /c}}", "sets cert"),
        ("clouds: {prod: {auth: {auth_url: u}, auth_type: v3oidcdeviceauthz}}", "auth_type"),
    ],
)
def test_what_is_not_allowed_is_named(text: str, words: str) -> None:
    with pytest.raises(InvalidCloudsYamlError, match=words):
        parse_clouds_yaml(text, "prod")


def test_broken_yaml_is_not_quoted_for_it_may_hold_a_password() -> None:
    with pytest.raises(InvalidCloudsYamlError) as caught:
        parse_clouds_yaml("clouds: {prod: {auth: {password: 's3cret", "prod")
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_of_an_error_page_only_the_sentence_is_left() -> None:
    page = (
        "<html><head><title>413 Request Entity Too Large</title></head><body>"
        "<h1>413 Request Entity Too Large</h1>The user&#x27;s quota is used up.<br /><br />\n\n"
        "</body></html>"
    )
    assert plain_text(page) == "The user's quota is used up."
