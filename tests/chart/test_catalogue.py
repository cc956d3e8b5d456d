"""manifests/catalogue: kubectl makes of it what the command line prints."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from cloudimage.catalogue import Entry, entries
from cloudimage.cli.app import app
from testbed.paths import REPOSITORY

CATALOGUE = REPOSITORY / "manifests" / "catalogue"
PAGE = REPOSITORY / "docs" / "catalogue.md"

Kustomize = Callable[[Path], list[dict[str, Any]]]
Objects = dict[tuple[str, str], dict[str, Any]]


def keyed(objects: list[dict[str, Any]]) -> Objects:
    """Return objects by kind and name."""
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


def printed(entry: Entry, secret: str, cloud: str) -> Objects:
    """Return what ``cloudimage new`` prints."""
    words = ["new", entry.name, "--secret", secret, "--cloud", cloud]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return keyed(list(yaml.safe_load_all(done.output)))


@pytest.mark.parametrize("entry", entries(), ids=lambda each: each.name)
def test_kustomize_and_the_command_print_the_same(kustomize: Kustomize, entry: Entry) -> None:
    assert keyed(kustomize(CATALOGUE / entry.name)) == printed(entry, "openstack", "images")


def test_all_of_them_at_once(kustomize: Kustomize) -> None:
    built = keyed(kustomize(CATALOGUE))
    names = {name for kind, name in built if kind == "CloudImage"}
    assert names == {each.name for each in entries()}


def test_the_cloud_is_named_once_as_the_page_says(kustomize: Kustomize, tmp_path: Path) -> None:
    text = next(
        block
        for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
        if "kind: Kustomization" in block
    )
    # kustomize takes no absolute path.
    here = os.path.relpath(REPOSITORY / "manifests", tmp_path)
    (tmp_path / "kustomization.yaml").write_text(text.replace("../manifests", here))
    built = keyed(kustomize(tmp_path))
    images = [each for (kind, _), each in built.items() if kind == "CloudImage"]
    assert [each["metadata"]["name"] for each in images] == ["debian-12", "ubuntu-24.04"]
    for each in images:
        reference = {"secretName": "my-cloud", "cloudName": "images"}
        assert each["spec"]["cloudCredentialsRef"] == reference
        assert each["spec"]["image"]["visibility"] == "public"
    assert {each["metadata"]["namespace"] for each in built.values()} == {"images"}
