"""The command line itself: help, completion, kubectl's plugin, and failures without a cluster."""

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from cloudimage.cli import completion as complete_words
from cloudimage.cli.app import app
from testbed.paths import REPOSITORY
from testbed.process import free_ports

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{{name: a, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
contexts: [{{name: here, context: {{cluster: a, user: a, namespace: images}}}}]
users: [{{name: a, user: {{}}}}]
current-context: here
"""


def run(*words: str) -> tuple[int, str]:
    """Run a command; return its exit status and what it printed, out of its boxes."""
    done = CliRunner().invoke(app, list(words), env={"TERM": "dumb", "COLUMNS": "200"})
    return done.exit_code, " ".join(done.output.replace("│", " ").split())


def test_the_users_commands_come_first() -> None:
    status, text = run("--help")
    assert status == 0
    places = [text.index(f" {name} ") for name in ("get", "watch", "describe", "transfer", "run")]
    assert places == sorted(places)
    assert "transfer-job" not in text


@pytest.mark.parametrize(
    "command",
    [
        "get",
        "watch",
        "describe",
        "retry",
        "force-delete",
        "migrate",
        "import",
        "inspect",
        "lint",
        "check",
        "plan",
        "save",
        "upload",
        "catalogue",
        "new",
    ],
)
def test_help(command: str) -> None:
    status, text = run(command, "--help")
    assert status == 0
    assert "Usage" in text


HEAVY = ("kopf", "kubernetes", "openstack", "pydantic", "requests", "rich", "structlog", "yaml")


@pytest.mark.parametrize(
    "words",
    [
        ("cloudimage",),
        ("cloudimage", "--help"),
        ("cloudimage", "--version"),
        ("cloudimage", "get", "--help"),
        ("cloudimage", "transfer", "--help"),
        ("cloudimage", "migrate", "--help"),
        ("cloudimage", "import", "--help"),
        ("cloudimage", "inspect", "--help"),
        ("cloudimage", "lint", "--help"),
        ("cloudimage", "check", "--help"),
        ("cloudimage", "plan", "--help"),
        ("cloudimage", "save", "--help"),
        ("cloudimage", "upload", "--help"),
        ("cloudimage", "new", "--help"),
        ("cloudimage", "delete", "x"),
        ("kubectl_complete-cloudimage", ""),
        ("kubectl_complete-cloudimage", "get", "--"),
        ("kubectl_complete-cloudimage", "transfer", "--visibility", ""),
    ],
)
def test_what_asks_no_server_starts_without_slow_libraries(words: tuple[str, ...]) -> None:
    script = Path(sys.executable).with_name(words[0])
    command = [sys.executable, "-X", "importtime", str(script), *words[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "cloudimage.cli.app" in imported
    assert imported.isdisjoint(HEAVY)


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("delete", "x"), "kubectl delete cloudimage x"),
        (("delete", "x", "-n", "images"), "kubectl delete cloudimage x -n images"),
        (("delete", "share", "x"), "kubectl delete imageshare x"),
        (("delete", "cimgshare/x"), "kubectl delete imageshare/x"),
        (("delte", "image", "x"), "kubectl delete cloudimage x"),
        (("delete", "a file"), "kubectl delete cloudimage 'a file'"),
        (("edit", "x"), "kubectl edit cloudimage x"),
        (("apply", "-f", "x.yaml"), "kubectl apply -f x.yaml"),
        (("forcedelete", "x"), "Did you mean 'force-delete'?"),
        (("shwo", "x"), "No such command 'shwo'."),
    ],
)
def test_words_that_are_kubectls(words: tuple[str, ...], answer: str) -> None:
    status, text = run(*words)
    assert status == 2
    assert text.endswith(answer)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    status, text = run("completion", shell)
    assert status == 0
    assert "_CLOUDIMAGE_COMPLETE=" in text


def test_completion() -> None:
    words = {"COMP_WORDS": "cloudimage force", "COMP_CWORD": "1"}
    env = {"_CLOUDIMAGE_COMPLETE": "bash_complete", **words}  # as the script of the shell asks
    assert CliRunner().invoke(app, prog_name="cloudimage", env=env).output == "plain,force-delete\n"


@pytest.mark.parametrize(
    "script", ["cloudimage", "kubectl-cloudimage", "kubectl_complete-cloudimage"]
)
def test_installed_programs(script: str) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    module, _, function = project["scripts"][script].partition(":")
    assert callable(getattr(importlib.import_module(module), function))


@pytest.mark.parametrize(
    "words",
    [
        ("get",),
        ("get", "shares", "-A"),
        ("watch", "debian-12"),
        ("describe", "debian-12"),
        ("retry", "debian-12"),
        ("force-delete", "debian-12", "--yes"),
    ],
)
def test_a_cluster_that_is_away(tmp_path: Path, words: tuple[str, ...]) -> None:
    [port] = free_ports(1)
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(KUBECONFIG.format(port=port))
    status, text = run(*words, "--kubeconfig", str(kubeconfig))
    assert status == 1
    assert f"The cluster at http://127.0.0.1:{port} does not answer" in text
    assert "Traceback" not in text


def test_no_kubeconfig_and_no_such_context(tmp_path: Path) -> None:
    status, text = run("get", "--kubeconfig", str(tmp_path / "none"))
    assert (status, text[:33]) == (1, "There is no usable kubeconfig: In")
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(KUBECONFIG.format(port=1))
    status, text = run("get", "--kubeconfig", str(kubeconfig), "--context", "there")
    assert status == 1
    assert "there" in text


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("get", "debian-12", "-A"), "a name cannot be combined"),
        (("get", "pod/a"), "KIND/NAME"),
        (("retry", "shares"), "give the name of an object"),
        (("force-delete", "a", "b"), "force-delete takes one object"),
        (("watch", "image/a", "share/b"), "watch takes one kind"),
        (("watch", "--timeout", "soon"), "not a duration"),
        (("get", "-o", "xml"), "'json', 'yaml', 'wide', 'name'"),
    ],
)
def test_words_that_make_no_sense(tmp_path: Path, words: tuple[str, ...], complaint: str) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(KUBECONFIG.format(port=1))
    status, text = run(*words, "--kubeconfig", str(kubeconfig))
    assert status == 2
    assert complaint in text


MIGRATE = ("migrate", "--image", "x", "--secret", "openstack", "--cloud", "new", "--name", "debian")


def test_migrate_from_a_cloud_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", "/dev/null")
    status, text = run(*MIGRATE, "--from-cloud", "nowhere")
    assert status == 1
    assert "nowhere" in text
    assert "clouds.yaml" in text


def test_migrate_from_a_cloud_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [port] = free_ports(1)
    names = ("username", "password", "project_name", "user_domain_name", "project_domain_name")
    auth = {"auth_url": f"http://127.0.0.1:{port}/v3", **dict.fromkeys(names, "hush")}
    clouds = tmp_path / "clouds.yaml"
    clouds.write_text(yaml.safe_dump({"clouds": {"old": {"auth": auth}}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(clouds))
    status, text = run(*MIGRATE, "--from-cloud", "old")
    assert status == 1
    assert text.startswith("The old cloud old cannot be used: logging in: Unable to establish")
    assert "hush" not in text


@pytest.mark.parametrize(
    ("typed", "incomplete", "names", "offers"),
    [
        ((), "", ["a", "b"], ["cloudimage", "imageshare", "a", "b"]),
        ((), "ima", ["image-1", "b"], ["imageshare", "image-1"]),
        (("a",), "", ["a", "b"], ["b"]),
        (("share",), "", ["to-web"], ["to-web"]),
        ((), "cimgshare/to", ["to-web", "b"], ["cimgshare/to-web"]),
        (("a",), "x", ["a", "b"], []),
    ],
)
def test_offers(
    typed: tuple[str, ...], incomplete: str, names: list[str], offers: list[str]
) -> None:
    assert complete_words.offers(typed, incomplete, names) == offers
