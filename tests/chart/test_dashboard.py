"""Dashboard and alerts use metrics that there are, by labels that they have, and leave none out."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloudimage.codegen import metrics_page
from cloudimage.metrics import operator as metrics
from testbed import promtool
from testbed.paths import REPOSITORY

FILES = REPOSITORY / "helm" / "cloudimage-operator" / "files"
DASHBOARD = json.loads((FILES / "dashboard.json").read_text())
SHARED_LABELS = {"le", "instance", "job"}
"""What every histogram has, and what Prometheus adds to whatever it reads."""

LABELS: dict[str, set[str]] = {
    name: {*labels, *SHARED_LABELS}
    for family, labels in metrics_page.described()
    for name in metrics.names(family)
}


def of_dashboard() -> Iterator[tuple[str, str]]:
    """Yield the title and each query of the dashboard's panels."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def of_alerts() -> Iterator[tuple[str, str]]:
    """Yield the name and the query of each alert."""
    groups = yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"]
    for group in groups:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


QUERIES = [*of_dashboard(), *of_alerts()]


def names_in(query: str) -> set[str]:
    return set(re.findall(r"\bcloudimage_\w+", query))


def labels_in(query: str) -> set[str]:
    grouped = re.findall(r"\b(?:by|on) \(([^)]*)\)", query)
    matched = re.findall(r"[{,]\s*(\w+)\s*[=!]", query)
    return {each.strip() for group in grouped for each in group.split(",")} | set(matched)


@pytest.mark.parametrize(("title", "query"), QUERIES, ids=[title for title, _ in QUERIES])
def test_queries_are_of_metrics_and_labels_that_there_are(title: str, query: str) -> None:
    names = names_in(query)
    assert names, title
    assert names <= LABELS.keys()
    for name in names:
        assert labels_in(query) <= LABELS[name]


def test_promtool_understands_every_query_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:number{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, (_, query) in enumerate(of_dashboard())
    ]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    command = [promtool.ensure(), "check", "rules", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_metric_is_used() -> None:
    used = {name for _, query in QUERIES for name in names_in(query)}
    unused = [
        family.name
        for family, _ in metrics_page.described()
        if not used.intersection(metrics.names(family))
    ]
    assert unused == []


def test_legends_name_labels_of_their_query() -> None:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            [*labels] = re.findall(r"{{(\w+)}}", target["legendFormat"])
            known: set[str] = set().union(*(LABELS[name] for name in names_in(target["expr"])))
            assert set(labels) <= known, panel["title"]


def test_panels_do_not_overlap_and_say_what_they_show() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place: dict[str, Any] = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["type"] == "row" or panel["description"].endswith(".")
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
