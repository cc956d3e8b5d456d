"""The samples' page has every sample, and no other."""

import re

from testbed.paths import REPOSITORY

SAMPLES = REPOSITORY / "manifests" / "samples"


PAGES = [
    REPOSITORY / "README.md",
    *(REPOSITORY / "docs").glob("*.md"),
    *(REPOSITORY / "helm").rglob("*.md"),
    *(REPOSITORY / "helm").rglob("NOTES.txt"),
    *SAMPLES.glob("*"),
    *(REPOSITORY / "manifests" / "argocd").rglob("*.yaml"),
]


def test_one_name_of_a_cloud_everywhere() -> None:
    for page in PAGES:
        text = page.read_text()
        named = set(re.findall(r"cloudName: *([\w-]+)|--(?:os-)?cloud ([\w-]+)", text))
        names = {one or other for one, other in named} - {"old", "new", "NAME"}
        assert names <= {"images"} or "two-clouds" in page.name, f"{page}: {names}"


def test_no_url_of_a_build_that_its_publisher_takes_away() -> None:
    for page in PAGES:
        dated = re.findall(r"https?://\S*[-/]20\d{6}\S*", page.read_text())
        assert dated == [], page


def test_every_sample_is_on_the_page() -> None:
    linked = re.findall(r"\]\(([^)]+)\)", (SAMPLES / "README.md").read_text())
    assert set(linked) == {path.name for path in SAMPLES.glob("*.yaml")}
