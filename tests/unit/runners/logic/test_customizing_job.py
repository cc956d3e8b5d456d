"""A Job that customizes: its container image, what is mounted, and how the pod puts it together."""

import json
from pathlib import Path
from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cli import transfer_job
from cloudimage.images.logic import transfer_request
from cloudimage.images.logic.desired import Desired
from cloudimage.runners.logic.job_manifest import JobTemplate, manifest, without_secrets
from cloudimage.sources.registry import source_of
from cloudimage.transfer.contract import Cloud, Failure, Reason, Stage
from cloudimage.transfer.customize import model
from cloudimage.transfer.request import TransferRequest
from cloudimage.transfer.step_result import StepResult
from support.resources import cloud_image

SECRET = "s3cret-content"
STEPS: list[dict[str, Any]] = [
    {"run": {"secretKeyRef": {"name": "scripts", "key": "a.sh"}}},
    {"writeFile": {"path": "/etc/motd", "content": "hi"}},
    {"copyIn": {"directory": "/etc/x", "configMapRef": {"name": "files"}}},
]
TEXTS = {"customize-0": {"text": SECRET}, "customize-2": {"a": "A", "b": "B"}}
CLOUDS = "clouds: {prod: {auth: {auth_url: 'https://cloud', password: pass}}}"
LIMITS = {"limits": {"memory": "2Gi"}}
TEMPLATE = JobTemplate(
    image="example.org/operator:v9",
    customize_image="example.org/customize:v9",
    customize_resources=LIMITS,
)


def made(*steps: dict[str, Any]) -> tuple[CloudImage, TransferRequest]:
    """Return a CloudImage and the request that the reconciler makes for it."""
    resource = cloud_image(customize={"steps": steps} if steps else None)
    request = TransferRequest(
        source=source_of(resource.spec).request(),
        image=transfer_request.new_image(resource, Desired.of(resource.spec), "debian-12"),
        cloud=Cloud(config={"auth": {"auth_url": "https://cloud"}}),
        scratch=Path("/operators/own"),
        customize=transfer_request.customize(resource.spec, TEXTS),
        appliance=Path("/operators/appliance"),
    )
    return resource, request


def pod(template: JobTemplate, *steps: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = manifest(*split(*steps), template)["spec"]["template"]["spec"]
    return spec


def split(*steps: dict[str, Any]) -> tuple[CloudImage, str, TransferRequest]:
    resource, request = made(*steps)
    return resource, "digest", request


def test_it_has_the_container_image_with_libguestfs_and_its_resources() -> None:
    (container,) = pod(TEMPLATE, *STEPS)["containers"]
    assert container["image"] == "example.org/customize:v9"
    assert container["resources"] == LIMITS
    (container,) = pod(TEMPLATE)["containers"]
    assert container["image"] == "example.org/operator:v9"
    # Without one the transfer itself says what is missing.
    (container,) = pod(JobTemplate(image="example.org/operator:v9"), *STEPS)["containers"]
    assert container["image"] == "example.org/operator:v9"


def test_what_steps_refer_to_is_mounted_and_not_in_the_job() -> None:
    resource, digest, request = split(*STEPS)
    job = manifest(resource, digest, request, TEMPLATE)
    assert SECRET not in json.dumps(job)
    volumes = {each["name"]: each for each in job["spec"]["template"]["spec"]["volumes"]}
    assert volumes["customize-0"]["secret"]["items"] == [{"key": "a.sh", "path": "text"}]
    assert volumes["customize-2"]["configMap"]["name"] == "files"
    assert "customize-1" not in volumes


def test_the_pod_puts_it_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, request = made(*STEPS)
    monkeypatch.setenv(transfer_job.APPLIANCE, "/usr/share/appliance")
    for name, files in {
        "request": {"request.json": without_secrets("prod", request)},
        "cloud": {"clouds.yaml": CLOUDS},
        **TEXTS,
    }.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
    found = transfer_job.assembled(tmp_path, Path("/scratch"))
    assert found.customize == request.customize
    assert found.customize is not None
    assert isinstance(found.customize.steps[0], model.Run)
    assert found.customize.steps[0].files == {"text": SECRET}
    assert found.appliance == Path("/usr/share/appliance")


def test_an_outcome_with_many_steps_fits_in_the_termination_message() -> None:
    steps = [StepResult(step="installPackages", result="Succeeded", seconds=1.5)] * 31
    failed = StepResult(step="run", result="Failed", message="x" * 900)
    failure = Failure(
        reason=Reason.CUSTOMIZE_FAILED,
        message=f"step 32 of spec.customize (run) failed: {'x' * 900}",
        stage=Stage.CUSTOMIZING,
        customize=(*steps, failed),
    )
    text = transfer_job.termination_message(failure)
    assert len(text.encode()) <= transfer_job.TERMINATION_MESSAGE_BYTES
    told = Failure.model_validate_json(text)
    assert [each.result for each in told.customize] == ["Succeeded"] * 31 + ["Failed"]
    assert told.message.startswith("step 32 of spec.customize (run) failed: xxx")
