"""What the commands share that fetch a source on the user's own machine."""

import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)

from cloudimage.access.local import LocalCloudError
from cloudimage.cli.errors import CommandError
from cloudimage.cli.local_scratch import default_scratch, private, run_folder
from cloudimage.plaintext import plain
from cloudimage.transfer import contract
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.resource_limits import restrain
from cloudimage.transfer.source.http.model import HttpAuth, HttpSource
from cloudimage.transfer.verify.checksum_lines import HEX_LENGTHS


@dataclass
class Outcome:
    """How a command ended.

    Attributes:
        status: Its exit status.
        failure: What the file or its source was refused for.
    """

    status: int = 0
    failure: contract.TransferError | None = None


_KEPT = "interrupted; the fetched bytes are kept for the next run"


@contextmanager
def refused(console: Console, interrupted: str = _KEPT) -> Iterator[Outcome]:
    """End the block at whatever a user can understand, say it, and keep how it ended.

    Args:
        console: Where to say it.
        interrupted: What is said after Ctrl-C.
    """
    outcome = Outcome()
    # Its warnings say in other words what the outcome says.
    logging.getLogger("oslo_utils").setLevel(logging.CRITICAL)
    try:
        yield outcome
    except (LocalCloudError, CommandError) as error:
        outcome.status = 1
        _say(console, str(error))
    except contract.TransferError as error:
        outcome.status, outcome.failure = 1, error
        _say(console, f"{error.reason}: {error.message}")
    except KeyboardInterrupt:
        outcome.status = 130
        _say(console, interrupted)


def _say(console: Console, sentence: str) -> None:
    """Print one line, whatever the terminal's width: it may be searched for."""
    console.print(plain(sentence), style="red", markup=False, soft_wrap=True)


@contextmanager
def workplace(
    scratch: Path | None, limits: contract.Limits
) -> Iterator[tuple[Path, Path, Interrupts]]:
    """Put this process under limits, for good, and make a folder for one run.

    Yields:
        The folder, that of the cache, and what interrupts the block.

    Raises:
        TransferError: ``InvalidRequest``; the scratch cannot be used.
    """
    restrain(limits)
    interrupts = Interrupts()
    interrupts.install()
    scratch = scratch or private(default_scratch())
    cache = private(scratch / "cache")
    with run_folder(scratch, cache) as folder:
        yield folder, cache, interrupts


def http_source(url: str, given: Mapping[str, Any]) -> HttpSource:
    """Return the source behind a URL as the options describe it, by their names.

    Raises:
        ValueError: One of them is invalid; with a sentence.
    """
    certificate = given["ca_certificate"]
    return HttpSource.model_validate(
        {
            "url": url,
            "mirrors": given["mirror"],
            "checksum": checksum(given["checksum"]),
            "format": given["source_format"] or None,
            "auth": auth(),
            "ca_certificate": certificate.read_text() if certificate else None,
            **_proof(given["checksums_url"], given["signature_url"], given["keyring"]),
        }
    )


def _proof(checksums_url: str, signature_url: str, keyring: Path | None) -> dict[str, Any]:
    """Return the source's ``sums`` and ``signature``; that is over the sums where there are some.

    Raises:
        ValueError: A signature needs a keyring, and a keyring something that is signed.
    """
    if signature_url and keyring is None:
        raise ValueError("a signature needs --keyring, the trusted public keys")
    if keyring is not None and not (signature_url or checksums_url):
        raise ValueError("--keyring needs --signature-url or a clearsigned --checksums-url")
    signature = None
    if keyring is not None:
        signature = {"url": signature_url or None, "keyring": keyring.read_text()}
    if checksums_url:
        return {"sums": {"url": checksums_url, "signature": signature}}
    return {"signature": signature}


def auth() -> HttpAuth | None:
    """Return what the source wants to see, from the environment: arguments are seen by all.

    Raises:
        ValueError: There is a token beside a user's name or password.
    """
    user, password, token = (
        os.environ.get(f"CLOUDIMAGE_SOURCE_{name}") or None
        for name in ("USERNAME", "PASSWORD", "TOKEN")
    )
    if token and (user or password):
        raise ValueError("CLOUDIMAGE_SOURCE_TOKEN cannot be combined with a username and password")
    if password and not user:
        raise ValueError("CLOUDIMAGE_SOURCE_PASSWORD needs CLOUDIMAGE_SOURCE_USERNAME")
    return HttpAuth(username=user, password=password, bearer=token) if user or token else None


def checksum(text: str) -> dict[str, str] | None:
    """Return ``algorithm:hash`` in parts; None for an empty text.

    Raises:
        ValueError: It is not of that form, or no hash of that algorithm.
    """
    if not text:
        return None
    algorithm, _, value = text.lower().partition(":")
    lengths = {str(name): length for name, length in HEX_LENGTHS.items()}
    if algorithm not in lengths:
        raise ValueError(f"a checksum is algorithm:hash, with one of {', '.join(lengths)}")
    if not re.fullmatch(f"[0-9a-f]{{{lengths[algorithm]}}}", value):
        raise ValueError(f"a hash of {algorithm} has {lengths[algorithm]} hexadecimal digits")
    return {"algorithm": algorithm, "value": value}


@contextmanager
def bars(console: Console) -> Iterator[Callable[[contract.Progress], None]]:
    """Show progress beside the block, a bar for each stage."""
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=console, transient=False) as shown:
        yield _Display(shown).show


class _Display:
    """A bar for each stage, the earlier ones full."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[contract.Stage, TaskID] = {}

    def show(self, progress: contract.Progress) -> None:
        """Draw what a transfer tells."""
        if progress.stage not in self._tasks:
            for task in self._tasks.values():
                self._bars.stop_task(task)
            self._tasks[progress.stage] = self._bars.add_task(progress.stage, total=progress.total)
        self._bars.update(
            self._tasks[progress.stage], completed=progress.transferred, total=progress.total
        )
