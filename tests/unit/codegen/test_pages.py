"""The site of docs/: links lead somewhere, nothing is loaded from others, no page is left out."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloudimage.api.kinds import KINDS
from cloudimage.api.reasons import TERMINAL_IF_PROVEN, TERMINAL_REASONS
from cloudimage.codegen import crd, files, troubleshooting_page
from testbed.paths import REPOSITORY

LOADING = {"script": "src", "img": "src", "iframe": "src", "link": "href"}


def build(repository: Path, site: Path) -> str:
    """Build the site with every warning an error; return what it says when that fails."""
    done = subprocess.run(
        # Not --quiet: it silences warnings, and then they are no errors either.
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=repository,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return "" if done.returncode == 0 else done.stderr or f"exit status {done.returncode}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site."""
    folder = tmp_path_factory.mktemp("site")
    complaint = build(REPOSITORY, folder)
    assert not complaint, complaint
    return folder


class Tags(HTMLParser):
    """Collects what a page loads automatically, the ids of its elements, and its classes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.classes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one element."""
        of = dict(attrs)
        self.ids.add(of.get("id") or "")
        self.classes.update((of.get("class") or "").split())
        self.loaded.append(of.get(LOADING.get(tag, "")) or "")


def pages(site: Path) -> Iterator[Tags]:
    """Yield each page of the site."""
    for path in sorted(site.rglob("*.html")):
        yield Tags(path.read_text())


def test_the_site_loads_nothing_from_other_servers(site: Path) -> None:
    for page in pages(site):
        assert [each for each in page.loaded if "//" in each] == []
        # The theme would draw these by a script from a public server.
        assert "mermaid" not in page.classes


def test_what_is_linked_to_outside_docs_is_part_of_the_site(site: Path) -> None:
    sample = (site / "manifests" / "samples" / "imageshare.yaml" / "index.html").read_text()
    assert "debian-12-to-web" in sample
    folder = (site / "manifests" / "argocd" / "index.html").read_text()
    assert "resources-finalizer" in folder
    assert 'href="health/"' in folder
    # A README.md beside it would also be the first page.
    assert "Something is wrong?" in (site / "index.html").read_text()
    samples = (site / "manifests" / "samples" / "index.html").read_text()
    assert 'href="cloudimage-minimal.yaml/"' in samples
    chart = (site / "helm" / "cloudimage-operator" / "index.html").read_text()
    assert 'href="../../operations/"' in chart


def test_a_link_or_an_anchor_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    for name in ("docs", "helm", "manifests", "tools"):
        shutil.copytree(REPOSITORY / name, repository / name)
    for name in ("mkdocs.yml", "CHANGELOG.md", "Dockerfile"):
        shutil.copy(REPOSITORY / name, repository)
    with (repository / "docs" / "sharing.md").open("a") as page:
        page.write("\n[a](../manifests/none.yaml) [b](metadata.md#none) [c](none.md)\n")
    (repository / "docs" / "forgotten.md").write_text("# Forgotten\n")
    complaint = build(repository, tmp_path / "site")
    for each in ("'../manifests/none.yaml'", "'#none'", "'none.md'", "forgotten.md"):
        assert each in complaint


@pytest.mark.parametrize("kind", files.VOCABULARIES)
def test_every_reason_has_its_place_in_troubleshooting(site: Path, kind: str) -> None:
    page = Tags((site / "troubleshooting" / "index.html").read_text())
    _, reasons = files.VOCABULARIES[kind]
    assert {f"reason-{each.lower()}" for each in reasons} <= page.ids


def test_a_reason_says_whose_it_is_and_whether_it_is_final() -> None:
    page = troubleshooting_page.render(
        f"By hand.\n\n{troubleshooting_page.MARKER}\nOf yesterday.\n"
    )
    assert page.startswith("By hand.\n")
    assert "Of yesterday" not in page
    sections = dict(re.findall(r"### Reason (\w+)\n\n(.*?)\n(?=\n### |\Z)", page, re.DOTALL))
    assert re.match(r"CloudImage: .*\n\nImageShare: ", sections["Shared"], re.DOTALL)
    assert sections["NotOwner"].startswith("ImageShare: ")
    final = {name for name, text in sections.items() if "*Not retried automatically*:" in text}
    assert final == TERMINAL_REASONS
    proven = {name for name, text in sections.items() if "*Not retried automatically* once" in text}
    assert proven == TERMINAL_IF_PROVEN
    with pytest.raises(ValueError, match="lacks the line"):
        troubleshooting_page.render("By hand.\n")


def blocks() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the objects, and parts of CloudImages' specs, that pages show as YAML."""
    for path in sorted((REPOSITORY / "docs").rglob("*.md")):
        for text in re.findall(r"^```yaml\n(.*?)^```", path.read_text(), re.DOTALL | re.MULTILINE):
            for document in yaml.safe_load_all(text):
                if document.keys() & {"kind", "spec"}:
                    yield path.name, document


SPEC = {"cloudCredentialsRef": {"secretName": "openstack", "cloudName": "prod"}}
SOURCE = {"source": {"http": {"url": "https://images.example.org/debian-12.qcow2"}}}


def whole(document: dict[str, Any]) -> dict[str, Any]:
    """Return an object as the API server would hand it out, what a page leaves out put in."""
    identity = {"name": "debian-12", "namespace": "images", "uid": "1", "resourceVersion": "1"}
    metadata = identity | document.get("metadata", {})
    if "kind" in document:
        return document | {"metadata": metadata}
    spec = document["spec"]
    http = {**SOURCE["source"]["http"], **spec.get("source", {}).get("http", {})}
    made = {} if spec.keys() & {"adopt", "managementPolicy"} else {"source": {"http": http}}
    return {"kind": "CloudImage", "metadata": metadata, "spec": {**SPEC, **spec, **made}}


def unknown(schema: dict[str, Any], value: Any, path: str) -> Iterator[str]:
    """Yield the fields that the CRD does not have; the models pass over them."""
    if isinstance(value, list):
        for each in value:
            yield from unknown(schema["items"], each, path)
    elif "properties" in schema:
        for name, part in value.items():
            if name in schema["properties"]:
                yield from unknown(schema["properties"][name], part, f"{path}.{name}")
            else:
                yield f"{path}.{name}"


def complaints(resource: dict[str, Any]) -> list[str]:
    """Return what is wrong with an object; nothing is for kinds of others."""
    for kind in KINDS:
        if kind.name == resource["kind"]:
            kind.model.model_validate(resource)
            spec = crd.schema(kind)["properties"]["spec"]
            return list(unknown(spec, resource["spec"], "spec"))
    return []


@pytest.mark.parametrize(("page", "document"), list(blocks()), ids=lambda each: str(each)[:20])
def test_what_pages_show_is_valid(page: str, document: dict[str, Any]) -> None:
    assert complaints(whole(document)) == []


def test_an_example_with_a_misspelt_field_is_not_valid() -> None:
    document = {"spec": {"image": {"diskFormt": "raw"}}}
    assert complaints(whole(document)) == ["spec.image.diskFormt"]


def test_every_decision_is_in_the_list_of_decisions() -> None:
    folder = REPOSITORY / "docs" / "decisions"
    listed = re.findall(r"\]\((\d{4}-[^)]+)\)", (folder / "README.md").read_text())
    assert listed == sorted(path.name for path in folder.glob("0*.md"))
