"""``make cli``: the commands as one file, and as what krew installs, into dist/.

shiv puts the package with all that it needs into one zip file that Python runs; it is unpacked into
~/.shiv at its first start, since some of it are shared libraries. So it is for this machine's
architecture and this Python's minor version.
"""

import argparse
import hashlib
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from string import Template
from typing import Final

from cloudimage import __version__

ROOT: Final = Path(__file__).resolve().parent.parent
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}
"""Those of Linux's kernel as Go, and so krew, calls them."""
_PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"


def main() -> None:
    """Write dist/cloudimage, the archive and the manifest for krew."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", required=True, help="Where the archive will be published.")
    parser.add_argument("--output", type=Path, default=ROOT / "dist")
    options = parser.parse_args()
    folder: Path = options.output
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "cloudimage"
    build(program)
    made = archive(program, folder)
    (folder / "cloudimage.yaml").write_text(manifest(made, options.url))
    print(f"{program}\n{made}\n{folder / 'cloudimage.yaml'}")


def build(program: Path) -> None:
    """Write the single file."""
    with tempfile.TemporaryDirectory() as site:
        install = ("uv", "pip", "install", "--quiet", "--python", sys.executable, "--target", site)
        _run(*install, "--require-hashes", "--requirement", str(ROOT / "requirements/runtime.txt"))
        _run(*install, "--no-deps", "--no-build-isolation", str(ROOT))
        shutil.rmtree(Path(site) / "bin", ignore_errors=True)  # scripts of this environment
        _run(
            *("shiv", "--site-packages", site, "--entry-point", "cloudimage.__main__:main"),
            *("--python", f"/usr/bin/env python{_PYTHON}", "--output-file", str(program)),
            # Extended: what confines programs is started as python -m.
            *("--extend-pythonpath", "--reproducible", "--compressed"),
        )


def archive(program: Path, folder: Path) -> Path:
    """Write the archive that krew unpacks, and return its path."""
    arch = _ARCHITECTURES.get(platform.machine(), platform.machine())
    path = folder / f"kubectl-cloudimage-v{__version__}-linux-{arch}.tar.gz"
    with tarfile.open(path, "w:gz") as made:
        made.add(program, "kubectl-cloudimage", filter=_plain)
        made.add(ROOT / "LICENSE", "LICENSE", filter=_plain)
    return path


def manifest(archive: Path, url: str) -> str:
    """Return krew's manifest of an archive that is published below a URL."""
    template = (ROOT / "manifests" / "krew" / "cloudimage.yaml").read_text()
    _, _, body = template.partition("apiVersion:")
    return Template("apiVersion:" + body).substitute(
        version=f"v{__version__}",
        url=url.rstrip("/"),
        python=_PYTHON,
        arch=archive.name.removesuffix(".tar.gz").rpartition("-")[2],
        archive=archive.name,
        sha256=hashlib.sha256(archive.read_bytes()).hexdigest(),
    )


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def _run(program: str, *words: str) -> None:
    subprocess.run([Path(sys.executable).with_name(program), *words], check=True)


if __name__ == "__main__":
    main()
