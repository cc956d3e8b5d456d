"""A transfer as a Job: what stands in it, what is mounted, and how the pod puts it together."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cli import transfer_job
from cloudimage.images.logic import transfer_request
from cloudimage.images.logic.desired import Desired
from cloudimage.runners.logic.job_manifest import (
    MOUNTS,
    REQUEST_ANNOTATION,
    JobTemplate,
    job_name,
    manifest,
    without_secrets,
)
from cloudimage.sources.registry import source_of
from cloudimage.transfer.contract import (
    Checksum,
    Cloud,
    Limits,
    Reason,
    TransferError,
    UrlPolicy,
)
from cloudimage.transfer.request import TransferRequest
from cloudimage.transfer.source.file.model import FileSource
from support.resources import SHA256, UID, cloud_image
from testbed.kubernetes.certificates import Authority

SECRET = "s3cret"
CLOUDS = {
    "clouds": {"prod": {"auth": {"auth_url": "https://cloud", "password": SECRET}}, "other": {}}
}
KEYS = {"auth": ("username", "user\n"), "ca": ("text", "CA " + SECRET), "keyring": ("text", SECRET)}
WHOLE = {
    "auth": {"secretName": "source"},
    "caCertificate": {"secret": {"name": "ca", "key": "ca.crt"}},
    "checksum": {
        "from": {"url": "https://example.org/SUMS"},
        "signature": {
            "url": "https://example.org/SUMS.gpg",
            "keyring": {"configMap": {"name": "keys", "key": "debian"}},
        },
    },
}
TEMPLATE = JobTemplate(image="example.org/operator:v9")


CERTIFICATE = f"# {SECRET}\n{Authority.new().pem}"


def request(resource: CloudImage, cacert: str | None = CERTIFICATE) -> TransferRequest:
    """Return the request that the reconciler makes for a resource."""
    source = source_of(resource.spec)
    known = {
        "auth": {"username": "user", "header.X-Key": SECRET},
        "ca": {"text": KEYS["ca"][1]},
        "keyring": {"text": SECRET},
    }
    texts = {each.name: known[each.name] for each in source.references()}
    return TransferRequest(
        source=source.request().with_texts(texts),
        image=transfer_request.new_image(resource, Desired.of(resource.spec), "debian-12"),
        cloud=Cloud(config=CLOUDS["clouds"]["prod"], ca_certificate=cacert),
        scratch=Path("/operators/own"),
        cache=Path("/operators/own/cache"),
        policy=UrlPolicy(deny_networks=("10.0.0.0/8",)),
        limits=Limits(max_scratch=7),
    )


def pod(job: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = job["spec"]["template"]["spec"]
    return spec


def volumes(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in pod(job)["volumes"]}


@pytest.mark.parametrize("http", [{}, WHOLE], ids=["plain", "whole"])
def test_no_secret_stands_in_a_job(http: dict[str, Any]) -> None:
    resource = cloud_image(http=http)
    assert SECRET not in json.dumps(manifest(resource, "digest", request(resource), TEMPLATE))


def hidden(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """Return the paths of a model's fields that have no repr, because they hold secrets."""
    for name, field in model.model_fields.items():
        if not field.repr:
            yield f"{path}{name}"
            continue
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from hidden(part, f"{path}{name}.")


def test_whatever_is_marked_as_secret_is_left_out() -> None:
    """A secret that is new in the request must get a mount before this passes again."""
    resource = cloud_image(http=WHOLE)
    shown = json.loads(without_secrets("prod", request(resource)))["request"]
    paths = list(hidden(TransferRequest))
    assert "source.auth" in paths
    for path in paths:
        *parents, name = path.split(".")
        holder = shown
        for parent in parents:
            holder = holder.get(parent) or {}
        assert name not in holder, path


def test_what_the_spec_names_is_mounted_and_nothing_else() -> None:
    resource = cloud_image(http=WHOLE)
    found = volumes(manifest(resource, "digest", request(resource), TEMPLATE))
    assert found.keys() == {"request", "cloud", "auth", "ca", "keyring", "scratch"}
    assert found["cloud"]["secret"]["secretName"] == "openstack"
    assert [each["key"] for each in found["cloud"]["secret"]["items"]] == ["clouds.yaml", "cacert"]
    assert found["auth"]["secret"]["secretName"] == "source"
    assert found["ca"]["secret"]["items"] == [{"key": "ca.crt", "path": "text"}]
    assert found["keyring"]["configMap"]["name"] == "keys"
    plain = cloud_image()
    found = volumes(manifest(plain, "digest", request(plain, cacert=None), TEMPLATE))
    assert found.keys() == {"request", "cloud", "scratch"}
    # A key that is not in the Secret would keep the pod from starting.
    assert [each["key"] for each in found["cloud"]["secret"]["items"]] == ["clouds.yaml"]


def test_a_volume_is_mounted_read_only_and_is_where_the_file_is_looked_for(tmp_path: Path) -> None:
    claim = {"claimName": "builds", "path": "a/disk.raw", "sha256": SHA256}
    resource = cloud_image(source={"persistentVolumeClaim": claim})
    job = manifest(resource, "digest", request(resource), TEMPLATE)
    volume = {"claimName": "builds", "readOnly": True}
    assert volumes(job)["claim"] == {"name": "claim", "persistentVolumeClaim": volume}
    [container] = pod(job)["containers"]
    mount = {"name": "claim", "mountPath": f"{MOUNTS}/claim", "readOnly": True}
    assert mount in container["volumeMounts"]
    annotation = job["spec"]["template"]["metadata"]["annotations"][REQUEST_ANNOTATION]
    for name, file, text in (
        ("request", "request.json", annotation),
        ("cloud", "clouds.yaml", json.dumps(CLOUDS)),
        ("claim", "large", "not to be read"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(text)
    (tmp_path / "claim" / "large").chmod(0)
    assembled = transfer_job.assembled(tmp_path, tmp_path / "scratch")
    assert not assembled.across_nodes
    assert transfer_job.assembled(tmp_path, tmp_path, tmp_path / "cache").across_nodes
    assert assembled.source == FileSource(
        root=tmp_path / "claim",
        path="a/disk.raw",
        claim="builds",
        checksum=Checksum(algorithm="sha256", value=SHA256),
    )


def test_the_job_is_the_images_and_is_tried_by_the_operator_alone() -> None:
    resource = cloud_image()
    job = manifest(resource, "digest", request(resource), TEMPLATE)
    [owner] = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("CloudImage", "debian-12", UID)
    assert job["metadata"]["namespace"] == "images"
    assert job["metadata"]["labels"] == job["spec"]["template"]["metadata"]["labels"]
    assert (job["spec"]["backoffLimit"], pod(job)["restartPolicy"]) == (0, "Never")
    assert job["spec"]["activeDeadlineSeconds"] == TEMPLATE.deadline_seconds
    assert pod(job)["automountServiceAccountToken"] is False
    [container] = pod(job)["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["terminationMessagePath"] in container["args"]


@pytest.mark.parametrize(
    ("template", "scratch"),
    [
        (JobTemplate(image="i", scratch_size="9Gi"), {"emptyDir": {"sizeLimit": "9Gi"}}),
        (
            JobTemplate(image="i", scratch_size="9Gi", storage_class="fast"),
            {
                "ephemeral": {
                    "volumeClaimTemplate": {
                        "spec": {
                            "accessModes": ["ReadWriteOnce"],
                            "storageClassName": "fast",
                            "resources": {"requests": {"storage": "9Gi"}},
                        }
                    }
                }
            },
        ),
        (
            JobTemplate(image="i", storage_class="fast", scratch_claim="shared"),
            {"persistentVolumeClaim": {"claimName": "shared"}},
        ),
    ],
    ids=["emptyDir", "volume of its own", "shared claim"],
)
def test_scratch_is_an_empty_folder_or_a_volume(
    template: JobTemplate, scratch: dict[str, Any]
) -> None:
    resource = cloud_image()
    found = volumes(manifest(resource, "digest", request(resource), template))
    assert found["scratch"] == {"name": "scratch", **scratch}


def test_pods_that_share_a_scratch_have_their_other_files_elsewhere() -> None:
    resource = cloud_image()
    job = manifest(
        resource, "digest", request(resource), JobTemplate(image="i", scratch_claim="shared")
    )
    [container] = pod(job)["containers"]
    assert "--shared-scratch" in container["args"]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    environment = {each["name"]: each["value"] for each in container["env"]}
    assert environment["TMPDIR"] == mounts["tmp"] != mounts["scratch"]
    assert volumes(job)["tmp"]["emptyDir"]["sizeLimit"]
    [alone] = pod(manifest(resource, "digest", request(resource), TEMPLATE))["containers"]
    assert "--shared-scratch" not in alone["args"]


def test_the_settings_place_the_pod_but_cannot_weaken_it() -> None:
    resource = cloud_image()
    template = JobTemplate(image="i", pod={"nodeSelector": {"disk": "fast"}})
    job = manifest(resource, "digest", request(resource), template)
    assert pod(job)["nodeSelector"] == {"disk": "fast"}
    with pytest.raises(ValueError, match="hostNetwork cannot be set"):
        JobTemplate(image="i", pod={"hostNetwork": True})


def test_the_settings_name_a_proxy() -> None:
    resource = cloud_image()
    template = JobTemplate(image="i", environment={"HTTPS_PROXY": "http://proxy:3128"})
    [container] = pod(manifest(resource, "digest", request(resource), template))["containers"]
    assert {"name": "HTTPS_PROXY", "value": "http://proxy:3128"} in container["env"]


def test_a_name_is_valid_and_one_for_each_content() -> None:
    resource = cloud_image()
    long = resource.metadata.model_copy(update={"name": "a." * 120 + "b"})
    names = {
        job_name(resource, "one"),
        job_name(resource, "two"),
        job_name(resource.model_copy(update={"metadata": long}), "one"),
    }
    assert len(names) == 3
    for name in names:
        assert len(name) <= 63
        assert name.replace("-", "").isalnum()


@pytest.fixture
def mounted(tmp_path: Path) -> Any:
    """Lay a Job's volumes out as a kubelet does."""

    def lay(resource: CloudImage, wanted: TransferRequest) -> Path:
        job = manifest(resource, "digest", wanted, TEMPLATE)
        annotation = job["spec"]["template"]["metadata"]["annotations"][REQUEST_ANNOTATION]
        texts = {
            "request/request.json": annotation,
            "cloud/clouds.yaml": json.dumps(CLOUDS),
            **(
                {"cloud/cacert": wanted.cloud.ca_certificate} if wanted.cloud.ca_certificate else {}
            ),
        }
        if "auth" in volumes(job):
            texts |= {"auth/username": "user\n", "auth/header.X-Key": SECRET, "auth/..data": "no"}
        for name in ("ca", "keyring"):
            if name in volumes(job):
                texts[f"{name}/text"] = KEYS[name][1]
        for name, text in texts.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return lay


@pytest.mark.parametrize(
    "http",
    [
        {},
        WHOLE,
        {
            "checksum": {
                "signature": {
                    "url": "https://e.org/s",
                    "keyring": {"secret": {"name": "k", "key": "k"}},
                }
            }
        },
    ],
    ids=["plain", "whole", "signature"],
)
def test_the_pod_has_the_very_request(http: dict[str, Any], mounted: Any, tmp_path: Path) -> None:
    resource = cloud_image(http=http)
    wanted = request(resource)
    assembled = transfer_job.assembled(mounted(resource, wanted), tmp_path)
    assert assembled == wanted.model_copy(update={"scratch": tmp_path, "cache": None})


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("cloud/clouds.yaml", "clouds.yaml cannot be read: No such file"),
        ("keyring/text", "text cannot be read: No such file"),
    ],
)
def test_what_is_not_mounted_is_named(
    broken: str, message: str, mounted: Any, tmp_path: Path
) -> None:
    resource = cloud_image(http=WHOLE)
    folder = mounted(resource, request(resource))
    (folder / broken).unlink()
    with pytest.raises(TransferError, match=message) as error:
        transfer_job.assembled(folder, tmp_path)
    assert error.value.reason is Reason.INVALID_CREDENTIALS


def test_an_annotation_has_letters_as_they_are() -> None:
    """It may have 256 KiB of UTF-8, whatever the alphabet of a script."""
    resource = cloud_image(http={**WHOLE, "url": "https://example.org/ü"})
    written = without_secrets("c", request(resource))
    assert "ü" in written
    assert "\\u00fc" not in written


def test_mounts_are_where_the_command_looks() -> None:
    resource = cloud_image(http=WHOLE)
    [container] = pod(manifest(resource, "digest", request(resource), TEMPLATE))["containers"]
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert mounts.pop("scratch") == "/scratch"
    assert mounts == {name: f"{MOUNTS}/{name}" for name in mounts}
    assert "SHA" not in str(container["env"])
