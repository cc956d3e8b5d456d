"""Images that are customized for real, and what is in them afterwards, by other programs."""

import hashlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cloudimage.transfer.contract import Limits, UrlPolicy
from cloudimage.transfer.customize.customization import Bounds, Customized, Workshop
from cloudimage.transfer.customize.model import Customize, Step
from cloudimage.transfer.image.inspection import inspect
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.tools.toolbox import Toolbox
from testbed.images.libguestfs import appliance

BOUNDS = Bounds()
POLICY = UrlPolicy()


@dataclass(frozen=True)
class Bench:
    """A transfer's folder with a source file in it."""

    folder: Path
    policy: UrlPolicy = POLICY

    @classmethod
    def of(cls, folder: Path, image: Path) -> "Bench":
        """Return one with a copy of an image."""
        shutil.copy(image, folder / "source")
        return cls(folder)

    def customize(self, request: Customize, bounds: Bounds = BOUNDS, **more: bool) -> Customized:
        """Do what is asked for."""
        limits = Limits()
        tools = Toolbox(self.folder, limits.tool_memory, limits.tool_cpu_seconds)
        cache = Cache(self.folder, limits, shared=False)
        meter = Meter(lambda _: None)
        found = inspect(self.folder / "source", "qcow2", None, limits, tools, verified=True)
        workshop = Workshop(
            tools, cache, limits, meter, appliance(), self.policy, bounds=bounds, **more
        )
        return workshop.customize(self.folder / "source", found, request)

    def run(self, *steps: Step, bounds: Bounds = BOUNDS) -> Customized:
        """Do some steps without a network."""
        return self.customize(Customize(steps=steps), bounds)

    def source_digest(self) -> str:
        """Return the digest of the source file."""
        return hashlib.sha256((self.folder / "source").read_bytes()).hexdigest()

    def names(self) -> list[str]:
        """Return what is in the folder."""
        return sorted(str(each.relative_to(self.folder)) for each in self.folder.rglob("*"))

    def programs(self) -> list[str]:
        """Return the command lines of programs that still run with this folder."""
        found = []
        for each in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = each.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if str(self.folder) in words and "qemu" in words:
                found.append(words)
        return found


@dataclass(frozen=True)
class Guest:
    """The one file system in an image, read by e2fsprogs."""

    disk: Path

    @classmethod
    def of(cls, image: Path, disk: Path) -> "Guest":
        """Return that of a qcow2."""
        command = ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(image), str(disk)]
        subprocess.run(command, check=True)
        return cls(disk)

    def text(self, path: str) -> str:
        """Return the content of a file."""
        return self._ask(f'cat "{path}"')

    def mode(self, path: str) -> str:
        """Return mode, user and group of a file, such as ``0644 0 4``."""
        said = self._ask(f'stat "{path}"')
        mode = re.search(r"Mode: +(\d+)", said)
        user = re.search(r"User: +(\d+) +Group: +(\d+)", said)
        assert mode, said
        assert user, said
        return f"{mode[1]} {user[1]} {user[2]}"

    def target(self, path: str) -> str:
        """Return where a symbolic link points."""
        said = re.search(r'Fast link dest: "(.*)"', self._ask(f'stat "{path}"'))
        assert said, path
        return said[1]

    def has(self, path: str) -> bool:
        """Return whether there is something at a path."""
        return "File not found" not in self._ask(f'stat "{path}"')

    def check(self) -> None:
        """Fail unless the file system is whole."""
        command = ["/usr/sbin/e2fsck", "-fn", str(self.disk)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout

    def _ask(self, request: str) -> str:
        command = ["/usr/sbin/debugfs", "-R", request, str(self.disk)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout + done.stderr.partition("\n")[2]
