"""The small parts of a transfer: progress, verification, tools, interrupts, Glance's sentences."""

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import psutil
import pytest
import requests
from keystoneauth1 import exceptions as keystone
from openstack import exceptions as sdk

from cloudimage.access.answers import said
from cloudimage.transfer.contract import (
    Limits,
    NewImage,
    Progress,
    Reason,
    Stage,
    TransferError,
)
from cloudimage.transfer.glance.errors import answer_error, exception_error
from cloudimage.transfer.glance.image_lifecycle import image_id, new_image
from cloudimage.transfer.image.expansion import expand
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.tools.toolbox import Output, Toolbox, ToolError, complaint
from cloudimage.vocabulary.marks import Marks
from support.transfer_images import MIB, make, raw_disk

GIB = 2**30
ZSTD = b"\x28\xb5\x2f\xfd"


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        """Return its time."""
        return self.now


def test_progress_is_reported_at_most_twice_a_second() -> None:
    events: list[Progress] = []
    clock = Clock()
    meter = Meter(events.append, clock)
    meter.start(Stage.FETCHING, 1000)
    for step in range(100):
        clock.now += 0.125
        meter.count(step)
    assert len(events) == 1 + 25


def test_rate_is_of_the_last_seconds() -> None:
    events: list[Progress] = []
    clock = Clock()
    meter = Meter(events.append, clock)
    meter.start(Stage.UPLOADING, 1000)
    for transferred in (100, 200, 300, 300, 300, 300, 300, 300):
        clock.now += 1
        meter.count(transferred)
    assert [event.rate for event in events[:4]] == [0, 100, 100, 100]
    assert events[-1].rate == 0


def test_the_end_of_a_stage_is_always_reported() -> None:
    events: list[Progress] = []
    meter = Meter(events.append, Clock())
    meter.start(Stage.UPLOADING, 10)
    meter.count(9)
    meter.count(10)
    assert [event.transferred for event in events] == [0, 10]


@pytest.fixture
def tools(tmp_path: Path) -> Toolbox:
    return Toolbox(tmp_path, memory=GIB, cpu_seconds=1)


def test_tool_has_a_bare_environment_and_no_input(
    tools: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_PASSWORD", "secret")
    assert b"secret" not in tools.run("env")
    assert tools.run("cat") == b""
    assert tools.run("pwd").decode().strip() == str(tools.folder)


def test_tool_that_fails(tools: Toolbox) -> None:
    with pytest.raises(ToolError) as caught:
        tools.run("sh", "-c", "echo too  bad >&2; exit 3")
    assert (caught.value.message, caught.value.status) == ("too bad", 3)


def test_tool_that_is_not_installed(
    tools: Toolbox, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    programs = tmp_path_factory.mktemp("bin")
    monkeypatch.setenv("PATH", str(programs))
    (tools.folder / "source").write_bytes(ZSTD)
    cache = Cache(tools.folder, Limits(), shared=False)
    with pytest.raises(TransferError, match="zstd is not installed;") as caught:
        expand(tools.folder / "source", Limits(), tools, Meter(lambda _: None), cache)
    assert caught.value.reason is Reason.INTERNAL_ERROR
    with pytest.raises(TransferError, match="qemu-nbd is not installed;"):
        tools.disk_head("source", "raw", 512)


def test_tool_that_cannot_be_run(tools: Toolbox) -> None:
    broken = tools.folder / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    with pytest.raises(TransferError, match=r"broken cannot be run: .*No such file") as caught:
        tools.run(str(broken))
    assert caught.value.reason is Reason.INTERNAL_ERROR


PREALLOCATE = ["qemu-img", "create", "-f", "raw", "-o", "preallocation=full", "disk", "64M"]
OVER_QUOTA = ["sh", "-c", "echo error while writing: Disk quota exceeded >&2; exit 1"]


@pytest.mark.parametrize("command", [PREALLOCATE, OVER_QUOTA])
def test_tool_for_which_the_disk_is_too_small(small_disk: Path, command: list[str]) -> None:
    tools = Toolbox(small_disk, memory=GIB, cpu_seconds=1)
    with pytest.raises(TransferError, match="scratch is full") as caught:
        tools.run(*command, output=Output("disk", GIB))
    assert caught.value.reason is Reason.INSUFFICIENT_SCRATCH


def test_head_of_a_disk(tools: Toolbox) -> None:
    disk = tools.folder / "disk"
    raw_disk(disk, 2 * MIB + 512)
    for shape in ("raw", "qcow2", "vmdk"):
        make(disk, tools.folder / "source", shape)
        for length in (512, MIB, 4 * MIB):
            head = tools.disk_head("source", shape, length)
            assert head == disk.read_bytes()[:length]
    assert {each.name for each in tools.folder.iterdir()} == {"disk", "source"}


def test_complaint_has_no_path_of_the_scratch(tools: Toolbox) -> None:
    with pytest.raises(ToolError) as caught:
        tools.run("sh", "-c", f"echo tool: {tools.folder}/source: odd >&2; exit 1")
    assert caught.value.message == "tool: source: odd"


def test_tool_over_its_cpu_time(tools: Toolbox) -> None:
    with pytest.raises(ToolError) as caught:
        tools.run("sh", "-c", "while :; do :; done")
    assert caught.value.message in {"it used up its CPU time", "ended by SIGKILL"}


def test_tool_over_its_memory(tools: Toolbox) -> None:
    with pytest.raises(ToolError, match="MemoryError"):
        tools.run(sys.executable, "-c", f"bytes({2 * GIB})")


def test_tool_is_killed_when_its_reader_gives_up(tools: Toolbox) -> None:
    def give_up() -> None:
        with tools.stream("sh", "-c", "echo $$; exec sleep 100") as output:
            children.append(psutil.Process(int(output.readline())))
            raise InterruptedError

    children: list[psutil.Process] = []
    with pytest.raises(InterruptedError):
        give_up()
    assert not children[0].is_running()


CHATTERBOX = """
import sys
for _ in range(64): sys.stderr.write("x" * 2**20)
sys.exit(" the reason")
"""


def test_tool_with_much_to_complain_of(small_disk: Path) -> None:
    """It fills neither the scratch nor the memory."""
    tools = Toolbox(small_disk, memory=GIB, cpu_seconds=10)
    tracemalloc.start()
    with pytest.raises(ToolError, match=r"x the reason$") as caught:
        tools.run(sys.executable, "-c", CHATTERBOX)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.status == 1
    assert peak < 8 * MIB


def test_tool_with_endless_output(tools: Toolbox) -> None:
    with pytest.raises(ToolError, match="it wrote more than 4194304 bytes"):
        tools.run("cat", "/dev/zero")


def test_complaint_is_the_end_of_a_long_one() -> None:
    text = complaint("x" * 1000 + "\nthe reason\n", 1)
    assert text.endswith("the reason")
    assert len(text) < 500


def test_an_interrupt_waits_for_the_end_of_a_clean_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Interrupts, "_leave", lambda _: None)  # it would end the tests 10 s later
    interrupts = Interrupts()
    previous = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    interrupts.install()
    steps = []

    def clean_up() -> None:
        with interrupts.deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            steps.append("cleaned up")

    try:
        with pytest.raises(KeyboardInterrupt):
            clean_up()
        os.kill(os.getpid(), signal.SIGTERM)  # a second one is nothing
    finally:
        signal.signal(signal.SIGTERM, previous[0])
        signal.signal(signal.SIGINT, previous[1])
    assert steps == ["cleaned up"]


HANGING = """
import sys, time
from pathlib import Path
from cloudimage.transfer import interrupts as module
module.GRACE_SECONDS = 0.5
interrupts = module.Interrupts()
interrupts.install()
interrupts.folder = Path(sys.argv[1])
try:
    interrupts.watch(0)
    time.sleep(60)
finally:
    time.sleep(60)
"""


def test_a_clean_up_that_hangs_is_cut_off(tmp_path: Path) -> None:
    folder = tmp_path / "transfer-x"
    folder.mkdir()
    began = time.monotonic()
    command = [sys.executable, "-c", HANGING, str(folder)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=30, check=False)
    assert done.returncode == 1
    assert time.monotonic() - began < 20
    assert not folder.exists()


def test_ids_of_attempts_differ_and_stay() -> None:
    ids = [image_id("seed", attempt) for attempt in range(3)]
    assert len(set(ids)) == 3
    assert ids[0] == image_id("seed", 0) != image_id("other", 0)


def test_new_image_is_private_hidden_and_marked() -> None:
    image = NewImage(id_seed="s", name="n", min_disk=3, properties={"os_distro": "debian"})
    body = new_image(image, "some-id", "raw")
    assert body["visibility"] == "private"
    assert body["os_hidden"] is True
    assert body[Marks.IMAGE_ID] == body["id"] == "some-id"
    assert body["os_distro"] == "debian"
    assert body["min_disk"] == 3
    assert "min_ram" not in body


def test_properties_cannot_take_the_place_of_what_is_ours() -> None:
    hostile = {"visibility": "public", "id": "x", Marks.IMAGE_ID: "x", "os_hidden": "false"}
    body = new_image(NewImage(id_seed="s", name="n", properties=hostile), "some-id", "raw")
    assert (body["visibility"], body["id"], body["os_hidden"]) == ("private", "some-id", True)
    assert body[Marks.IMAGE_ID] == "some-id"


QUOTA = (
    "The request returned a 413 Request Entity Too Large. This generally means that rate limiting "
    "or a quota threshold was breached.\n\nThe response body:\n"
    "Project x is over a limit for [Resource image_size_total]<br /><br />\n\n\n"
)
SCHEMA = (
    "Provided object does not match schema 'image': 3 is not of type 'string'\n\n"
    "Failed validating 'type' in schema['additionalProperties']:\n    {'type': 'string'}"
)


def answered(status: int, body: object, kind: str = "application/json") -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response.headers["Content-Type"] = kind
    response._content = (body if isinstance(body, str) else json.dumps(body)).encode()
    return response


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (QUOTA, "Project x is over a limit for [Resource image_size_total]"),
        (SCHEMA, "Provided object does not match schema 'image': 3 is not of type 'string'"),
        ("no   such", "no such"),
        ("", None),
    ],
)
def test_sentence_of_an_error(message: str, expected: str | None) -> None:
    body = {"message": message, "code": "400 Bad Request", "title": "Bad Request"}
    assert said(answered(400, body)) == expected


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, Reason.INVALID_IMAGE),
        (401, Reason.INVALID_CREDENTIALS),
        (403, Reason.FORBIDDEN),
        (413, Reason.QUOTA_EXCEEDED),
        (415, Reason.INVALID_IMAGE),
        (503, Reason.CLOUD_UNREACHABLE),
        (500, Reason.UPLOAD_FAILED),
        (520, Reason.UPLOAD_FAILED),
        (410, Reason.UPLOAD_FAILED),
    ],
)
def test_status_of_glance(status: int, reason: Reason) -> None:
    response = answered(status, {"message": "why", "code": f"{status} Bad", "title": "Bad"})
    error = answer_error(response, "store the image", Reason.UPLOAD_FAILED)
    assert error.reason is reason
    assert error.message == f"Glance refuses to store the image ({status}): why"
    assert "image_size_cap" not in error.message
    page = answered(status, "<html>db_password=hunter2</html>", "text/html")
    assert "hunter2" not in answer_error(page, "store the image", Reason.UPLOAD_FAILED).message


def test_an_image_that_glance_takes_from_nobody() -> None:
    said_ = "The incoming image is too large: The provided image is too large.<br /><br />"
    body = {"message": said_, "code": "413 Request Entity Too Large", "title": "Too Large"}
    error = answer_error(answered(413, body), "store the image", Reason.UPLOAD_FAILED)
    assert error.reason is Reason.IMAGE_TOO_LARGE
    assert "image_size_cap" in error.message


def test_a_proxy_that_limits_requests() -> None:
    page = "<html><head><title>413 Request Entity Too Large</title></head></html>"
    error = answer_error(answered(413, page, "text/html"), "store the image", Reason.UPLOAD_FAILED)
    assert error.reason is Reason.FORBIDDEN
    assert error.message.startswith("what stands before Glance refuses to store the image (413):")
    assert '"413 Request Entity Too Large"' in error.message
    assert "client_max_body_size" in error.message


@pytest.mark.parametrize(
    ("exception", "reason"),
    [
        (keystone.ConnectFailure("x"), Reason.CLOUD_UNREACHABLE),
        (keystone.SSLError("x"), Reason.CLOUD_MISCONFIGURED),
        (keystone.Unauthorized("x"), Reason.INVALID_CREDENTIALS),
        (keystone.BadRequest("x"), Reason.INVALID_CREDENTIALS),
        (keystone.Forbidden("x"), Reason.INVALID_CREDENTIALS),
        (keystone.NotFound("x"), Reason.INVALID_CREDENTIALS),
        (keystone.MissingAuthPlugin("x"), Reason.INVALID_CREDENTIALS),
        (keystone.EndpointNotFound("x"), Reason.CLOUD_MISCONFIGURED),
        (keystone.DiscoveryFailure("x"), Reason.CLOUD_UNREACHABLE),
        (sdk.ServiceDiscoveryException("x"), Reason.CLOUD_UNREACHABLE),
        (sdk.ConfigException("x"), Reason.CLOUD_MISCONFIGURED),
        (keystone.ServiceUnavailable("x"), Reason.CLOUD_UNREACHABLE),
        (keystone.InternalServerError("x"), Reason.CLOUD_ERROR),
        (keystone.HttpError("x", http_status=520), Reason.CLOUD_ERROR),
    ],
)
def test_exceptions_of_the_libraries(exception: Exception, reason: Reason) -> None:
    assert exception_error(exception).reason is reason


def test_each_try_fails_in_the_same_words() -> None:
    """Otherwise each of them would be another write of the status."""

    def told(number: int) -> set[str]:
        text = f"It broke. (HTTP 500) (Request-ID: req-{number}d69c5ab-5a35-4e9a-8d27-92ab3b0d4d0)"
        body = {"message": text, "code": "500 Internal Server Error", "title": "Internal"}
        answer = answer_error(answered(500, body), "store the image", Reason.UPLOAD_FAILED)
        return {answer.message, exception_error(keystone.InternalServerError(text)).message}

    assert told(1) == told(2)
