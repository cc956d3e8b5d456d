"""Locks that are files."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cloudimage.transfer.file_lock import locked


def test_lock_that_was_removed_while_we_waited(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    with ThreadPoolExecutor(1) as threads:
        with locked(path, wait=True):
            waiting = threads.submit(lambda: locked(path, wait=True).__enter__())
            time.sleep(0.2)
            path.unlink()
        waiting.result(5)
    assert path.exists()
