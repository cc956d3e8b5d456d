"""What tests of looks into images share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cloudimage.transfer.contract import Limits
from cloudimage.transfer.findings import LintMode, LintResult
from cloudimage.transfer.image.inspection import Inspected, inspect
from cloudimage.transfer.lint.looking import Subject, look_into
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.tools.toolbox import Toolbox
from cloudimage.vocabulary.image import DiskFormat
from support.guests import CLEAN, Files, disk, file_system, tree

Look = Callable[..., LintResult]


@pytest.fixture
def look(tmp_path: Path) -> Look:
    """Look into the image at a path, as a transfer does after it has inspected it."""

    def looked(
        path: Path, declared: DiskFormat | None = "raw", mode: LintMode = "Warn"
    ) -> LintResult:
        limits = Limits()
        tools = Toolbox(path.parent, limits.tool_memory, limits.tool_cpu_seconds)
        size = path.stat().st_size
        if declared == "raw":
            found = Inspected("raw", size, size, proven=True)
        else:
            found = inspect(path, declared, None, limits, tools)
        cache = Cache(tmp_path / "cache", limits, shared=True)
        result = look_into(Subject(path, found), mode, tools, cache)
        assert result is not None
        return result

    return looked


@pytest.fixture
def look_at(tmp_path: Path, look: Look) -> Callable[..., LintResult]:
    """Look into a guest with other files than one in which nothing is found."""

    def looked(*layers: Files, base: Files = CLEAN) -> LintResult:
        folder = tree(tmp_path / "guest", base, *layers)
        system = file_system(tmp_path / "system", "ext4", folder)
        (tmp_path / "scratch").mkdir()
        return look(disk(tmp_path / "scratch" / "disk", "gpt", system))

    return looked
