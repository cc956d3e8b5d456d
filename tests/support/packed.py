"""Content in compressions and archives, made by other programs than what takes it out."""

import io
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from cloudimage.transfer.contract import Limits
from cloudimage.transfer.image.expansion import expand
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.tools.toolbox import Toolbox

_LIMITS = Limits(max_expanded=50_000_000)


def zstd(content: bytes) -> bytes:
    command = ["zstd", "-qc"]
    return subprocess.run(command, input=content, capture_output=True, check=True).stdout


def tar(
    *members: tuple[str, bytes], edit: Callable[[tarfile.TarInfo], None] | None = None
) -> bytes:
    """Return a tar archive; ``edit`` changes each header."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if edit:
                edit(info)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED, mode: int = 0) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return out.getvalue()


def expanded_telling(content: bytes, folder: Path) -> tuple[Path, list[str]]:
    """Expand, and return what was left out besides."""
    path = folder / "source"
    path.write_bytes(content)
    tools = Toolbox(folder, _LIMITS.tool_memory, _LIMITS.tool_cpu_seconds)
    told: list[str] = []
    found = expand(
        path,
        _LIMITS,
        tools,
        Meter(lambda _: None),
        Cache(folder, _LIMITS, shared=False),
        told.append,
    )
    return found, told
