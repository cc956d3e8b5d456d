"""The site of docs/: links lead somewhere, nothing is loaded from others, no page is left out."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from cloudimage import generated

REPOSITORY = Path(__file__).parents[2]
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
    """Collects what a page loads by itself, the ids of its elements, and its classes."""

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
    assert 'href="application.yaml/"' in folder or "resources-finalizer" in folder
    assert 'href="health/"' in folder
    # A README.md beside it would be the first page, too.
    assert "Something is wrong?" in (site / "index.html").read_text()
    chart = (site / "helm" / "cloudimage-operator" / "index.html").read_text()
    assert 'href="../../operations/"' in chart


def test_a_link_or_an_anchor_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    for name in ("docs", "helm", "manifests", "tools"):
        shutil.copytree(REPOSITORY / name, repository / name)
    for name in ("mkdocs.yml", "CHANGELOG.md"):
        shutil.copy(REPOSITORY / name, repository)
    with (repository / "docs" / "sharing.md").open("a") as page:
        page.write("\n[a](../manifests/none.yaml) [b](metadata.md#none) [c](none.md)\n")
    (repository / "docs" / "forgotten.md").write_text("# Forgotten\n")
    complaint = build(repository, tmp_path / "site")
    for each in ("'../manifests/none.yaml'", "'#none'", "'none.md'", "forgotten.md"):
        assert each in complaint


@pytest.mark.parametrize("kind", generated.VOCABULARIES)
def test_every_reason_has_its_place_in_troubleshooting(site: Path, kind: str) -> None:
    page = Tags((site / "troubleshooting" / "index.html").read_text())
    _, reasons = generated.VOCABULARIES[kind]
    assert {f"reason-{each.lower()}" for each in reasons} <= page.ids


def test_every_decision_is_in_the_list_of_decisions() -> None:
    folder = REPOSITORY / "docs" / "decisions"
    listed = re.findall(r"\]\((\d{4}-[^)]+)\)", (folder / "README.md").read_text())
    assert listed == sorted(path.name for path in folder.glob("0*.md"))
