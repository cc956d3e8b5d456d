"""``cloudimage transfer``: what of its command line is refused before anything is fetched."""

import hashlib

import pytest
from click.testing import CliRunner

from cloudimage.cli.app import app
from cloudimage.cli.by_hand import checksum

WORDS = ("transfer", "--url", "http://127.0.0.1:9/disk", "--name", "x", "--os-cloud", "nowhere")


@pytest.fixture(autouse=True)
def unrestrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the limits of a transfer's process: they are for good, and this one goes on."""
    monkeypatch.setattr("cloudimage.cli.by_hand.restrain", lambda _: None)


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512", "blake2b"])
def test_checksum(algorithm: str) -> None:
    value = hashlib.new(algorithm, b"").hexdigest()
    assert checksum(f"{algorithm}:{value.upper()}") == {"algorithm": algorithm, "value": value}
    assert checksum("") is None


@pytest.mark.parametrize("text", ["sha256:zz", "sha256:" + "z" * 64, "crc:00", "0" * 64, "md5:"])
def test_checksum_that_can_be_none(text: str) -> None:
    done = CliRunner().invoke(app, [*WORDS, "--checksum", text])
    assert done.exit_code == 2
    assert "hash" in done.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--signature-url", "http://127.0.0.1:9/x.asc"], "needs --keyring"),
        (["--keyring", "/dev/null"], "--keyring needs"),
        (["--ca-certificate", "/dev/null/x"], "does not exist"),
        (["--visibility", "publick"], "'private', 'shared', 'community', 'public'"),
    ],
)
def test_options_that_make_no_sense(options: list[str], words: str) -> None:
    done = CliRunner().invoke(app, [*WORDS, *options])
    assert done.exit_code == 2
    assert words in " ".join(done.output.replace("│", " ").split())  # out of their box


@pytest.mark.parametrize("names", [("TOKEN", "USERNAME"), ("TOKEN", "PASSWORD"), ("PASSWORD",)])
def test_credentials_that_make_no_sense(
    names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in names:
        monkeypatch.setenv(f"CLOUDIMAGE_SOURCE_{name}", "hush")
    done = CliRunner().invoke(app, [*WORDS])
    assert done.exit_code == 2
    assert "CLOUDIMAGE_SOURCE_" in done.output
    assert "hush" not in done.output


def test_cloud_that_nobody_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", "/dev/null")
    done = CliRunner().invoke(app, [*WORDS])
    assert (done.exit_code, done.exception.__class__) == (1, SystemExit)
    assert "nowhere" in done.output
