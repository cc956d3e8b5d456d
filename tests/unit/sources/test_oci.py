"""What a spec says of a disk in a registry's image."""

from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImageSpec
from cloudimage.api.sources.oci import OciSource
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.schedule import is_terminal
from cloudimage.sources.base import SpecSource
from cloudimage.sources.registry import source_of
from cloudimage.transfer.contract import Reason, Stage
from cloudimage.transfer.source.oci.model import OciSource as Asked
from support.resources import cloud_image

IMAGE = "quay.io/disks/debian:12"
DIGEST = "sha256:" + "0a" * 32


def spec(properties: dict[str, str] | None = None, **oci: Any) -> CloudImageSpec:
    whole = cloud_image().spec.to_json()
    whole["source"] = {"oci": {"image": IMAGE, **oci}}
    whole["image"] = {"properties": properties or {}}
    return CloudImageSpec.model_validate(whole)


def source(properties: dict[str, str] | None = None, **oci: Any) -> SpecSource:
    return source_of(spec(properties, **oci))


def asked(properties: dict[str, str] | None = None, **oci: Any) -> Asked:
    request = source(properties, **oci).request()
    assert isinstance(request, Asked)
    return request


def test_the_architecture_is_that_of_the_source_else_of_the_image_else_amd64() -> None:
    of_image = {"architecture": "aarch64"}
    assert asked().architecture == "amd64"
    assert asked({"architecture": "x86_64"}).architecture == "amd64"
    assert asked(of_image).architecture == "arm64"
    assert asked(of_image, architecture="s390x").architecture == "s390x"
    assert asked(of_image, architecture="x86_64").architecture == "amd64"


def test_what_its_bytes_depend_on() -> None:
    plain = source().content()
    assert source(pullSecret="other").content() == plain
    assert source({"architecture": "x86_64"}).content() == plain
    assert source(image="quay.io/disks/debian:13").content() != plain
    assert source(path="/disk/a.img").content() != plain
    assert source({"architecture": "aarch64"}).content() != plain
    assert (
        source(image="debian").content()
        == source(image="docker.io/library/debian:latest").content()
    )


def test_with_a_digest_the_name_does_not_count() -> None:
    named = source(digest=DIGEST).content()
    assert source(image=f"mirror.example.org/x@{DIGEST}").content() == named
    assert source().content() != named


def test_its_secret_is_one_key_and_may_go_where_the_secret_itself_says() -> None:
    reference, authority = source(
        pullSecret="quay", caCertificate={"configMap": {"name": "ca", "key": "ca.crt"}}
    ).references()
    assert (reference.kind, reference.target) == ("Secret", "quay")
    assert (reference.key, reference.urls) == (".dockerconfigjson", ())
    texts = {reference.name: {"text": "sesame"}, authority.name: {"text": "PEM"}}
    request = source().request().with_texts(texts)
    assert isinstance(request, Asked)
    assert (request.docker_config, request.ca_certificate) == ("sesame", "PEM")
    assert "sesame" not in repr(request)
    assert request.without_texts() == source().request()


def test_where_it_is_for_people() -> None:
    assert source().location() == IMAGE
    assert source(digest=DIGEST).location() == f"{IMAGE}@{DIGEST}"


@pytest.mark.parametrize(("digest", "terminal"), [(DIGEST, True), (None, False)])
def test_a_fault_of_the_bytes_is_for_good_only_with_a_digest(
    digest: str | None, terminal: bool
) -> None:
    """A tag may be moved to others."""
    desired = Desired.of(spec(**({"digest": digest} if digest else {})))
    told = is_terminal(desired, Reason.SOURCE_NOT_AN_IMAGE, Stage.INSPECTING)
    assert told is terminal


@pytest.mark.parametrize(
    "bad",
    [
        {"image": "docker://quay.io/a"},
        {"image": "Quay.io/A"},
        {"digest": "sha256:00"},
        {"digest": "latest"},
        {"architecture": "amd64 "},
        {"path": ""},
    ],
)
def test_what_is_no_name_is_refused(bad: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"must be|at least"):
        OciSource.model_validate({"image": IMAGE, **bad})
