"""What ``cloudimage upload`` refuses before a byte goes, and what it knows of killed runs."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cloudimage.cli.errors import CommandError
from cloudimage.cli.upload_checks import already_there, check_kind, check_project, is_noted
from cloudimage.cli.upload_token import token_of
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.owned_images import OwnedImages
from cloudimage.vocabulary.marks import SOURCE_MARK
from support.resources import SHA256, cloud_image, glance_image

OTHER = "cd" * 32


def test_only_an_object_with_that_source_takes_one() -> None:
    assert check_kind(cloud_image(source={"upload": {"sha256": SHA256}})).sha256 == SHA256
    with pytest.raises(CommandError, match=r"its image comes from spec\.source\.http\."):
        check_kind(cloud_image())
    with pytest.raises(CommandError, match="its image comes from another image"):
        check_kind(cloud_image(source=None, adopt={"id": "0" * 8 + "-0000-4000-8000-" + "0" * 12}))
    resource = cloud_image(source={"upload": {}})
    metadata = resource.metadata.model_copy(update={"deletion_timestamp": 0})
    with pytest.raises(CommandError, match="is being deleted"):
        check_kind(resource.model_copy(update={"metadata": metadata}))


def test_only_into_the_project_of_the_credentials() -> None:
    resource = cloud_image(source={"upload": {}}, status={"upload": {"projectID": "a"}})
    check_project(resource, "a")
    with pytest.raises(CommandError, match=r"of project b, and .* made in project a"):
        check_project(resource, "b")


def test_what_is_there_is_not_uploaded_again() -> None:
    resource = cloud_image(source={"upload": {}})
    image = glance_image(resource, properties={SOURCE_MARK: SHA256})
    owned = OwnedImages(image, (), ())
    assert already_there(resource, owned, SHA256) == image.id
    assert already_there(resource, OwnedImages(None, (image,), ()), OTHER) is None
    with pytest.raises(CommandError, match=f"set spec.source.upload.sha256 to {OTHER}"):
        already_there(resource, owned, OTHER)


@pytest.mark.parametrize(
    ("changes", "noted"),
    [
        ({"upload": {}}, True),
        ({"upload": {}, "observedGeneration": 2}, False),
        ({"upload": {}, "digest": "another"}, False),
        ({}, False),
        ({"syncedGeneration": 3}, True),
    ],
)
def test_the_operator_has_seen_the_latest_spec(changes: dict[str, object], *, noted: bool) -> None:
    resource = cloud_image(source={"upload": {}})
    digest = Desired.of(resource.spec).content_key
    status = {"digest": digest, "observedGeneration": 3, **changes}
    assert is_noted(cloud_image(source={"upload": {}}, status=status)) is noted


def hold(folder: Path, number: signal.Signals | None) -> str:
    """Have another process hold the token, and end it; return the token."""
    script = (
        "import sys, pathlib; from cloudimage.cli.upload_token import token_of\n"
        "with token_of(pathlib.Path(sys.argv[1]), 'uid') as token:\n"
        "    print(token.present, flush=True); sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", script, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]  # by **
        token: str = process.stdout.readline().strip()
        with pytest.raises(CommandError, match="Another run"), token_of(folder, "uid"):
            pass
        if number:
            os.kill(process.pid, number)
        process.stdin.close()
        process.wait()
    return token


def test_a_killed_run_is_known_and_one_that_ended_is_not(tmp_path: Path) -> None:
    killed = hold(tmp_path, signal.SIGKILL)
    with token_of(tmp_path, "uid") as token:
        assert token.killed == killed != token.present
    hold(tmp_path, None)
    with token_of(tmp_path, "uid") as token:
        assert token.killed == ""
    assert list(tmp_path.iterdir()) == []
