"""The alerts are valid, fire when they should and only then, and say what to do."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed import promtool
from testbed.paths import REPOSITORY

ALERTS = REPOSITORY / "helm" / "cloudimage-operator" / "files" / "alerts.yaml"
TESTS = Path(__file__).parent / "alerts_test.yaml"


@pytest.fixture(scope="module")
def rules() -> list[dict[str, Any]]:
    """The alerts."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def check(*words: str, cwd: Path) -> None:
    done = subprocess.run(
        [promtool.ensure(), *words], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_the_rules(tmp_path: Path) -> None:
    check("check", "rules", "--lint=all", "--lint-fatal", str(ALERTS), cwd=tmp_path)


def test_alerts_fire_when_they_should(rules: list[dict[str, Any]], tmp_path: Path) -> None:
    short = [{**rule, "annotations": {"summary": rule["annotations"]["summary"]}} for rule in rules]
    document = {"groups": [{"name": "short", "rules": short}]}
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump(document))
    shutil.copy(TESTS, tmp_path)
    check("test", "rules", TESTS.name, cwd=tmp_path)


def test_each_alert_has_a_test_in_which_it_fires(rules: list[dict[str, Any]]) -> None:
    fires = {
        each["alertname"]
        for test in yaml.safe_load(TESTS.read_text())["tests"]
        for each in test["alert_rule_test"]
        if each["exp_alerts"]
    }
    assert fires == {rule["alert"] for rule in rules}


def test_each_alert_says_what_is_wrong_and_what_to_do(rules: list[dict[str, Any]]) -> None:
    for rule in rules:
        assert rule["annotations"].keys() == {"summary", "description", "action"}
        for text in rule["annotations"].values():
            assert text.endswith("."), text
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["for"]


def test_operations_tells_of_each_alert(rules: list[dict[str, Any]]) -> None:
    page = (REPOSITORY / "docs" / "operations.md").read_text()
    assert set(re.findall(r"^\| `(CloudImage\w+)` \|", page, re.MULTILINE)) == {
        rule["alert"] for rule in rules
    }
