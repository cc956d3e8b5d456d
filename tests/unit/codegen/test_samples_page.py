"""The samples' page has every sample, and no other."""

import re

from testbed.paths import REPOSITORY

SAMPLES = REPOSITORY / "manifests" / "samples"


def test_every_sample_is_on_the_page() -> None:
    linked = re.findall(r"\]\(([^)]+)\)", (SAMPLES / "README.md").read_text())
    assert set(linked) == {path.name for path in SAMPLES.glob("*.yaml")}
