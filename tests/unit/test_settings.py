"""The settings of ``cloudimage run``: one declaration, which all others follow."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from cloudimage.access.policy import OPEN
from cloudimage.cli.app import app
from cloudimage.settings import SETTINGS, Setting, Settings
from cloudimage.transfer.contract import Limits, UrlPolicy
from testbed.paths import REPOSITORY

CHART = REPOSITORY / "helm" / "cloudimage-operator"
OTHER_DEFAULTS_IN_THE_CHART = {
    "CLOUDIMAGE_CLOUD_ALLOW_NETWORKS",  # a pod has no cloud of its own at loopback
    "CLOUDIMAGE_JOB_RESOURCES",
    "CLOUDIMAGE_MAX_SCRATCH_GIB",  # by the volume's size
}
BY_NAME = {setting.name: setting for setting in SETTINGS}


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Settings]:
    """The settings of each operator that is run; none does anything."""
    made: list[Settings] = []

    class Operator:
        def __init__(self, settings: Settings) -> None:
            made.append(settings)

        def run(self) -> None:
            """Do nothing."""

    monkeypatch.setattr("cloudimage.operator.Operator", Operator)
    monkeypatch.setattr("cloudimage.operator.load_kubernetes_config", lambda: None)
    monkeypatch.setattr("cloudimage.logs.configure", lambda _: None)
    monkeypatch.setenv("CLOUDIMAGE_SCRATCH_DIR", str(tmp_path))
    return made


def run(*words: str, **environment: str) -> tuple[int, str]:
    """Run the operator; return its exit status and what it printed, out of its boxes."""
    terminal = {"TERM": "dumb", "COLUMNS": "300"}
    done = CliRunner().invoke(app, ["run", *words], env={**terminal, **environment})
    return done.exit_code, " ".join(done.output.replace("│", " ").split())


def test_help_has_each_option_with_its_variable_default_and_sentence() -> None:
    status, text = run("--help")
    assert status == 0
    for setting in SETTINGS:
        default = f" [default: {setting.default}]" if setting.default else ""
        assert f"{setting.description} [env var: {setting.variable}]{default}" in text
        assert f"{setting.option} " in text
    assert "--no-delete-orphans" in text


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("namespaces", " a, b,", ("a", "b")),
        ("max_concurrent_transfers", " 5 ", 5),
        ("max_concurrent_boot_tests", "2", 2),
        ("resync_seconds", "7.5", 7.5),
        ("schemes", "https", ("https",)),
        ("log_level", "debug", "DEBUG"),
        ("job_resources", '{"limits": {"cpu": 1}}', {"limits": {"cpu": 1}}),
    ],
)
def test_a_setting_comes_from_its_option_else_from_its_variable(
    made: list[Settings], name: str, value: str, expected: object
) -> None:
    setting = BY_NAME[name]
    assert run(**{setting.variable: value})[0] == 0
    assert run(setting.option, value, **{setting.variable: "ignored"})[0] == 0
    assert run(**{setting.variable: ""})[0] == 0, "an empty variable counts as unset"
    found = [getattr(each, name) for each in made]
    assert found == [expected, expected, getattr(Settings(), name)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", True), ("TRUE", True), (" true ", True), ("y", True), ("on", True), ("off", False)],
)
def test_spellings_of_yes_and_no(made: list[Settings], value: str, *, expected: bool) -> None:
    assert run(CLOUDIMAGE_DELETE_ORPHANS=value)[0] == 0
    assert run("--delete-orphans", CLOUDIMAGE_DELETE_ORPHANS="no")[0] == 0
    assert run("--no-delete-orphans", CLOUDIMAGE_DELETE_ORPHANS="yes")[0] == 0
    assert [each.delete_orphans for each in made] == [expected, True, False]


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("resync_seconds", "4", "greater than or equal to 5"),
        ("transfer_memory_mib", "255", "greater than or equal to 256"),
        ("max_scratch_gib", "many", "a valid integer"),
        ("auth_needs_hosts", "perhaps", "a valid boolean"),
        ("runner", "train", "'child' or 'job'"),
        ("log_level", "LOUD", "LOUD is no level"),
        ("allow_networks", "10.0.0.1/8", "10.0.0.1/8 has host bits set"),
        ("cloud_deny_networks", "example.org", "does not appear to be an IPv4 or IPv6 network"),
        ("job_resources", "[]", "[] is no JSON object"),
        ("job_env", "{", "Expecting property name"),
        ("job_pod", '{"hostNetwork": true}', "hostNetwork cannot be set"),
        ("lease", "images", "images is not NAMESPACE/NAME of a Lease"),
        ("lease_seconds", "2", "greater than or equal to 3"),
        ("shard_count", "0", "greater than or equal to 1"),
        ("shard_index", "-1", "greater than or equal to 0"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(
    made: list[Settings], name: str, value: str, complaint: str
) -> None:
    setting = BY_NAME[name]
    tries = [run(**{setting.variable: value})]
    if setting.kind != "boolean":  # which is a flag
        tries.append(run(setting.option, value))
    for status, text in tries:
        assert status == 2
        assert f"{setting.option} (env var: {setting.variable}): " in text
        assert complaint in text
    assert made == []


def test_all_that_is_wrong_is_said_at_once(made: list[Settings]) -> None:
    status, text = run("--lease-seconds", "x", CLOUDIMAGE_RESYNC_SECONDS="y")
    assert status == 2
    assert "CLOUDIMAGE_RESYNC_SECONDS" in text
    assert "CLOUDIMAGE_LEASE_SECONDS" in text
    status, text = run(CLOUDIMAGE_RUNNER="job")
    assert status == 2
    assert "the runner job needs --job-image" in text
    status, text = run("--shard-index", "2", CLOUDIMAGE_SHARD_COUNT="2", CLOUDIMAGE_LEASE="a/b")
    assert status == 2
    assert "counts from 0 and is less than --shard-count" in text
    status, text = run(CLOUDIMAGE_SHARD_COUNT="2")
    assert status == 2
    assert "--shard-count needs --lease" in text
    assert made == []


def test_defaults_are_strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    settings = Settings()
    assert settings.policy == UrlPolicy()
    assert settings.policy.allow_networks == ()
    assert settings.cloud_policy == OPEN, "a cloud of one's own may be at loopback"
    assert settings.limits == Limits()
    assert (settings.job, settings.terms) == (None, None)


def test_the_scratch_has_a_variable_of_another_name(made: list[Settings], tmp_path: Path) -> None:
    assert run()[0] == 0
    assert run("--scratch", str(tmp_path / "mine"))[0] == 0
    assert [each.scratch for each in made] == [tmp_path, tmp_path / "mine"]
    assert Settings(scratch=tmp_path / "own").scratch == tmp_path / "own"


def chart() -> Iterator[tuple[str, str]]:
    """Yield each variable that the chart sets, and the expression of its value."""
    for name in ("deployment.yaml", "_helpers.tpl"):
        text = (CHART / "templates" / name).read_text()
        yield from re.findall(r"- name: (CLOUDIMAGE_\w+)\s+value: (.*)", text)


def test_the_chart_sets_every_setting() -> None:
    # The operator's own container image has no libguestfs: that is for a machine which has.
    own = {"CLOUDIMAGE_CUSTOMIZE_APPLIANCE"}
    assert {name for name, _ in chart()} == {setting.variable for setting in SETTINGS} - own


def values() -> dict[str, str]:
    """Return the path of the chart's value that a variable has, where it is one alone."""
    found = {name: re.findall(r"(?:\.Values|\$job)(?:\.\w+)+", text) for name, text in chart()}
    return {
        name: paths[0].replace("$job", ".Values.transfer.job").removeprefix(".Values.")
        for name, paths in found.items()
        if len(paths) == 1
    }


def at(tree: Any, path: str, *between: str) -> Any:
    """Return what is at a path; ``between`` are the keys before each step."""
    for step in path.split("."):
        for key in between:
            tree = tree[key]
        tree = tree[step]
    return tree


def shown(value: Any) -> str:
    """Return a value of the chart as a setting's default is shown."""
    if isinstance(value, list):
        return ",".join(value)
    return value if isinstance(value, str) else json.dumps(value)


PATHS = values()


@pytest.mark.parametrize(
    "setting", [each for each in SETTINGS if each.variable in PATHS], ids=lambda each: each.name
)
def test_the_charts_value_has_the_settings_default_and_bounds(setting: Setting) -> None:
    path = PATHS[setting.variable]
    default = at(yaml.safe_load((CHART / "values.yaml").read_text()), path)
    if setting.variable not in OTHER_DEFAULTS_IN_THE_CHART:
        assert shown(default) == setting.default
    schema = at(json.loads((CHART / "values.schema.json").read_text()), path, "properties")
    assert setting.kind.partition(" >= ")[2] == str(schema.get("minimum", ""))
