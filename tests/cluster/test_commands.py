"""The users' commands against a real API server; no operator is needed, statuses are written."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes
import pytest
import yaml
from click.testing import CliRunner
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from cloudimage.api.kinds import CLOUD_IMAGE, IMAGE_SHARE
from cloudimage.cli.app import app
from cloudimage.cli.arguments import Where
from cloudimage.cli.errors import CommandError
from cloudimage.cli.kube_client import Cluster as Connected
from cloudimage.cli.kube_client import connect, sentences
from support.commands import (
    IMAGE_ID,
    READY,
    SHARES,
    STALLED,
    UPLOADING,
    Bench,
)
from testbed.kubernetes import Cluster

pytestmark = pytest.mark.cluster


@pytest.fixture
def bench(crds: Cluster) -> Bench:
    """A namespace with a CloudImage that is Ready."""
    bench = Bench(crds)
    bench.create("debian-12", READY)
    return bench


@pytest.fixture
def connected(bench: Bench) -> Connected:
    """The same cluster as the commands see it."""
    return connect(Where(str(bench.cluster.kubeconfig), namespace=bench.namespace))


def test_get_shows_what_kubectl_shows(bench: Bench) -> None:
    bench.create("other")
    kubectl = [each.split() for each in bench.kubectl("get", "cimg", "-o", "wide").splitlines()]
    ours = [each.split() for each in bench.run("get", "-o", "wide").splitlines()]
    # The last column is the age, which goes on.
    assert [each[:-1] for each in ours] == [each[:-1] for each in kubectl]
    assert bench.run("get", "-o", "name") == bench.kubectl("get", "cimg", "-o", "name")
    assert "REASON" not in bench.run("get")
    [only] = bench.run("get", "other").splitlines()[1:]
    assert only.startswith("other")


def test_get_prints_objects_as_kubectl_does(bench: Bench) -> None:
    expected = json.loads(bench.kubectl("get", "cloudimage", "debian-12", "-o", "json"))
    assert json.loads(bench.run("get", "debian-12", "-o", "json")) == expected
    assert yaml.safe_load(bench.run("get", "image/debian-12", "-o", "yaml")) == expected
    listed = json.loads(bench.run("get", "-o", "json"))
    assert (listed["kind"], listed["items"]) == ("List", [expected])


@pytest.mark.parametrize(
    "output", [(), ("-o", "wide"), ("-o", "name"), ("-o", "json"), ("-o", "yaml")]
)
def test_get_by_kubectl_is_the_same_without_the_slow_client(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, output: tuple[str, ...]
) -> None:
    by_ourselves = bench.run("get", "debian-12", *output)
    monkeypatch.setenv("PATH", str(bench.cluster.kubectl.parent))
    words = ("get", "debian-12", *output, *bench.options)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "cloudimage", *words],
        capture_output=True,
        text=True,
        check=True,
    )
    # The last column of the tables is the age, which goes on.
    assert done.stdout.split()[:-1] == by_ourselves.split()[:-1]
    assert " kubernetes\n" not in done.stderr


def test_tab_offers_names_by_kubectl(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(bench.cluster.kubectl.parent))
    script = Path(sys.executable).with_name("kubectl_complete-cloudimage")
    command = [sys.executable, "-X", "importtime", str(script), "get", *bench.options, "deb"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "debian-12\n:4\n"
    assert " kubernetes\n" not in done.stderr


def test_get_shares(bench: Bench) -> None:
    assert f"There is no ImageShare in namespace {bench.namespace}." in bench.run("get", "shares")
    bench.create_share()
    assert "to-web" in bench.run("get", "shares")
    assert bench.run("get", "share/to-web", "-o", "name") == "imageshare.cloudimage.dev/to-web\n"


def test_all_namespaces(bench: Bench) -> None:
    options = ("--kubeconfig", str(bench.cluster.kubeconfig), "-A")
    done = CliRunner().invoke(app, ["get", *options])
    assert done.output.startswith("NAMESPACE")
    assert [bench.namespace, "debian-12"] in [each.split()[:2] for each in done.output.splitlines()]


def test_namespace_and_context_of_the_kubeconfig(bench: Bench, tmp_path: Path) -> None:
    kubeconfig = yaml.safe_load(bench.cluster.kubeconfig.read_text())
    [context] = [
        each for each in kubeconfig["contexts"] if each["name"] == kubeconfig["current-context"]
    ]
    there = {"name": "there", "context": {**context["context"], "namespace": bench.namespace}}
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump({**kubeconfig, "contexts": [context, there]}))
    words = ["get", "debian-12", "-o", "name"]
    env = {"KUBECONFIG": str(path)}
    assert CliRunner().invoke(app, words, env=env).exit_code == 1
    done = CliRunner().invoke(app, [*words, "--context", "there"], env=env)
    assert done.output == "cloudimage.cloudimage.dev/debian-12\n"


@pytest.mark.slow
def test_as_a_plugin_of_kubectl(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # The installed script, whatever the path of the environment.
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    command = [str(bench.cluster.kubectl), "cloudimage", "get", "-o", "name", *bench.options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "cloudimage.cloudimage.dev/debian-12\n"


def test_describe_knows_its_shares_and_its_events(bench: Bench) -> None:
    bench.create_share()
    bench.put_status("debian-12", STALLED)
    event: Any = {
        "metadata": {"generateName": "debian-12."},
        "type": "Warning",
        "reason": "ChecksumMismatch",
        "message": "It differs.",
        "involvedObject": {
            "namespace": bench.namespace,
            "uid": bench.metadata("debian-12")["uid"],
        },
    }
    bench.core.create_namespaced_event(bench.namespace, event)
    text = bench.run("describe", "debian-12")
    assert "State:  Stalled: ChecksumMismatch." in text
    assert "Advice: The source file does not match the checksum" in text
    assert f"ImageShare {bench.namespace}/to-web: not accepted yet" in text
    assert "Warning   ChecksumMismatch   It differs." in text
    assert "Not reconciled yet." in bench.run("describe", "share", "to-web")


def test_describe_without_an_operator_says_how_old_its_number_is(bench: Bench) -> None:
    used = {"servers": 0, "scope": "OwnProject", "lastCheckTime": "2026-01-02T03:04:05Z"}
    bench.put_status("debian-12", READY | {"usedBy": used})
    begun = time.monotonic()
    text = bench.run("describe", "debian-12")
    assert time.monotonic() - begun < 15
    assert "State:  Ready" in text
    assert re.search(r"The cloud was asked \d+d ago", text)
    asked = bench.metadata("debian-12")["annotations"]["cloudimage.dev/retry"]
    bench.run("describe", "debian-12", "--no-refresh")
    bench.run("describe")  # of all in the namespace none was meant in particular
    assert bench.metadata("debian-12")["annotations"]["cloudimage.dev/retry"] == asked
    # What is not Ready is not begun again by looking at it.
    bench.create("stalled", STALLED | {"usedBy": used})
    bench.run("describe", "stalled")
    assert "annotations" not in bench.metadata("stalled")


def test_retry_gives_the_annotation_a_new_value_each_time(bench: Bench) -> None:
    values = set()
    for _ in range(2):
        assert "will be retried" in bench.run("retry", "cloudimage.cloudimage.dev/debian-12")
        values.add(bench.metadata("debian-12")["annotations"]["cloudimage.dev/retry"])
    assert len(values) == 2


def test_force_delete_asks_and_says_what_stays(bench: Bench) -> None:
    bench.put_finalizers("cloudimage.dev/finalizer")
    assert f"image {IMAGE_ID}" in bench.run("force-delete", "debian-12", status=1, stdin="n\n")
    assert "deletionTimestamp" not in bench.metadata("debian-12")
    assert "is deleted" in bench.run("force-delete", "debian-12", stdin="y\n")
    metadata = bench.metadata("debian-12")
    assert "deletionTimestamp" in metadata
    assert metadata["annotations"]["cloudimage.dev/force-delete"] == "true"
    bench.put_finalizers()


def test_force_delete_of_a_share_without_a_question(bench: Bench, connected: Connected) -> None:
    bench.create_share()
    bench.put_status("to-web", {"projects": ["p-1"], "imageID": IMAGE_ID}, SHARES)
    text = bench.run("force-delete", "share/to-web", "--yes")
    assert f"project p-1 as a member of image {IMAGE_ID}" in text
    assert connected.read_all(IMAGE_SHARE)["items"] == []


def test_watch_tells_each_change_and_ends_when_all_are_ready(bench: Bench) -> None:
    bench.create("new")
    command = [sys.executable, "-u", "-m", "cloudimage", "watch", *bench.options]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "debian-12: Ready\n"
        assert process.stdout.readline() == "new: Waiting for the operator\n"
        bench.put_status("new", UPLOADING)
        assert process.stdout.readline() == "new: Uploading 63%\n"
        bench.put_status("new", READY)
        assert process.stdout.readline() == "new: Ready\n"
        assert process.wait(20) == 0


def test_watch_ends_when_what_is_not_ready_is_stalled(bench: Bench) -> None:
    bench.create("new", STALLED)
    text = bench.run("watch", "debian-12", "new", status=1)
    assert "new is not Ready: ChecksumMismatch: ChecksumMismatch is why.\n" in text


def test_watch_gives_up_in_time(bench: Bench) -> None:
    bench.create("new", UPLOADING)
    text = bench.run("watch", "new", "--timeout", "1s", status=1)
    assert "new is not Ready after 1s: Uploading 63%." in text


def test_changes_go_on_when_the_server_ends_a_watch(bench: Bench, connected: Connected) -> None:
    changes = replace(connected, watch_seconds=1).changes(CLOUD_IMAGE, None, None)
    key = (bench.namespace, "debian-12")
    first, again = next(changes), next(changes)  # nothing changed: the watch began again
    assert first == again
    bench.put_status("debian-12", UPLOADING)
    assert any(each[key]["status"] == UPLOADING for each in changes)
    bench.objects.delete_namespaced_custom_object(*bench.address(), "debian-12")
    assert any(key not in each for each in changes)


@pytest.mark.parametrize(
    "fault", [HTTPError("broken"), ApiException(status=503), ApiException(status=410)]
)
def test_changes_go_on_after_a_fault(
    bench: Bench, connected: Connected, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def broken(*args: Any, **options: Any) -> Any:
        raise fault

    changes = replace(connected, watch_seconds=1).changes(CLOUD_IMAGE, None, None)
    first = next(changes)
    # The bed's server is shared by all tests, so it is not stopped for this one.
    with monkeypatch.context() as patch:
        patch.setattr(kubernetes.watch.Watch, "stream", broken)
        assert next(changes) == first
    bench.put_status("debian-12", UPLOADING)
    assert any(each[bench.namespace, "debian-12"]["status"] == UPLOADING for each in changes)


@pytest.mark.parametrize("command", ["get", "watch", "describe", "retry", "force-delete"])
def test_no_such_object(bench: Bench, command: str) -> None:
    text = bench.run(command, "nobody", status=1)
    assert text == (
        'There is no such object: cloudimages.cloudimage.dev "nobody" not found. Also check '
        "the namespace (-n).\n"
    )


def test_nothing_to_watch(bench: Bench) -> None:
    assert "There is no ImageShare" in bench.run("watch", "shares", status=1)


def test_no_crd_installed(connected: Connected) -> None:
    with pytest.raises(CommandError, match="does not have the CRDs"), sentences():
        connected.read_all(replace(CLOUD_IMAGE, plural="others"))


def test_without_the_right(bench: Bench) -> None:
    account: Any = {"metadata": {"name": "nobody"}}
    bench.core.create_namespaced_service_account(bench.namespace, account)
    kubeconfig = bench.cluster.token_kubeconfig(bench.namespace, "nobody")
    done = CliRunner().invoke(app, ["get", "--kubeconfig", str(kubeconfig)])
    assert done.exit_code == 1
    assert done.output.startswith(
        "You are not allowed to do that: cloudimages.cloudimage.dev is forbidden"
    )
    assert "Traceback" not in done.output


def test_kubectl_completes_kinds_and_names(bench: Bench) -> None:
    bench.create("debian-13")
    bench.create_share()
    options = ("--kubeconfig", str(bench.cluster.kubeconfig), "-n", bench.namespace)

    def offered(*words: str) -> list[str]:
        """Run what kubectl runs for TAB; the last word is the one to complete."""
        program = Path(sys.executable).with_name("kubectl_complete-cloudimage")
        done = subprocess.run([program, *words], capture_output=True, text=True, check=True)
        *offers, directive = done.stdout.splitlines()
        assert directive == ":4"
        return offers

    assert offered("get", *options, "") == ["cloudimage", "imageshare", "debian-12", "debian-13"]
    assert offered("retry", *options, "debian-12", "") == ["debian-13"]
    assert offered("get", *options, "cimgshare/") == ["cimgshare/to-web"]
    assert offered("get", "-n", "nowhere", "--kubeconfig", "/dev/null", "deb") == []
