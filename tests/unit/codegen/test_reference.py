"""The reference and the samples show users what there is, all of it."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloudimage.api import reasons
from cloudimage.api.kinds import CLOUD_IMAGE, KINDS, Kind
from cloudimage.codegen import crd, files, reference
from support.schemas import walk
from testbed.paths import REPOSITORY

SAMPLES = sorted((REPOSITORY / "manifests" / "samples").glob("*.yaml"))


class Words(StrEnum):
    """Words."""

    ONE = "One"
    """The first."""
    TWO = "Two"
    """The second,
    over two lines."""


class Silent(StrEnum):
    """Words without their meaning."""

    ONE = "One"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_reference_has_every_field_once_and_every_reason(kind: Kind) -> None:
    page = files.files()[f"docs/reference/{kind.singular}.md"]
    lines = page.splitlines()
    for part in ("spec", "status"):
        for path, node in walk(crd.schema(kind)["properties"][part], part):
            if "properties" in node:
                heading = f"{'##' if path == part else '###'} {path}"
                assert lines.count(heading) == 1
                section = page.partition(f"{heading}\n")[2].partition("\n##")[0]
                for name in node["properties"]:
                    assert section.count(f"| `{name}` |") == 1
    for vocabulary in files.VOCABULARIES[kind.name]:
        for member in vocabulary:
            assert f"### {member.value}" in lines


def test_cells_of_the_reference_do_not_break_their_table() -> None:
    page = reference.render(CLOUD_IMAGE)
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert {row.replace("\\|", "").count("|") for row in rows} == {5}


def test_words_are_documented_by_the_docstrings_below_them() -> None:
    assert reference.member_docs(Words) == {
        "One": "The first.",
        "Two": "The second,\nover two lines.",
    }
    with pytest.raises(ValueError, match=r"Silent: no docstring below \['One'\]"):
        reference.member_docs(Silent)


@pytest.mark.parametrize("parts", [(*reasons._PARTS, Words), reasons._PARTS[1:]])
def test_reasons_and_their_parts_have_the_same_members(
    monkeypatch: pytest.MonkeyPatch, parts: tuple[type[StrEnum], ...]
) -> None:
    monkeypatch.setattr(reasons, "_PARTS", parts)
    with pytest.raises(ValueError, match="only in"):
        reasons.member_docs(reasons.Reason)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_are_valid(path: Path) -> None:
    text = path.read_text().replace("${SOURCE_URL}", "https://example.org/image.qcow2")
    for sample in yaml.safe_load_all(text.replace("${SOURCE_SHA256}", "a" * 64)):
        for kind in KINDS:
            if sample["kind"] == kind.name:
                identity = {"namespace": "images", "uid": "1", "resourceVersion": "1"}
                kind.model.model_validate(sample | {"metadata": sample["metadata"] | identity})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_samples_together_show_every_field(kind: Kind) -> None:
    documents = [each for path in SAMPLES for each in yaml.safe_load_all(path.read_text())]
    specs = [each["spec"] for each in documents if each["kind"] == kind.name]

    def missing(node: dict[str, Any], values: list[Any], path: str) -> Iterator[str]:
        for name, part in node.get("properties", {}).items():
            shown = [value[name] for value in values if name in value]
            if shown:
                yield from missing(part, shown, f"{path}.{name}")
            else:
                yield f"{path}.{name}"

    spec = crd.schema(kind)["properties"]["spec"]
    # Weak ones, and others that are written as the one that is shown.
    hidden = {"http": ("md5", "sha1", "blake2b")}
    hidden |= dict.fromkeys(("s3", "swift"), ("md5", "sha1", "sha512", "blake2b"))
    others = {f"spec.source.{of}.checksum.{name}" for of, names in hidden.items() for name in names}
    others.add("spec.source.oci.caCertificate.secret")
    lists = ("checksums", "releases", "simpleStreams")
    others |= {f"spec.source.http.index.{name}" for name in lists}
    assert set(missing(spec, specs, "spec")) == (others if kind is CLOUD_IMAGE else set())
