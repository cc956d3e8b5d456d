"""The operator's container image, built here without any registry, and the smallest pod's.

The base is Debian's own packages (mmdebstrap), the rest is the repository's Dockerfile (buildah).
Layers stay in the per-user cache, so that a change of the operator's code costs seconds.
"""

import os
import resource
import shutil
import sys
from pathlib import Path

from filelock import FileLock

import cloudimage
from testbed.commands import CommandError, run
from testbed.paths import REPOSITORY, cache_dir

SUITE = os.environ.get("TESTBED_DEBIAN", "bookworm")
"""The Debian of the base; by default that of the Dockerfile."""
REPOSITORY_NAME = "testbed.local/cloudimage-operator"
"""The chart's ``image.repository`` for it; no such host is ever asked."""
OPERATOR = f"{REPOSITORY_NAME}:{cloudimage.__version__}"
CUSTOMIZE = f"{REPOSITORY_NAME}-customize:{cloudimage.__version__}"
"""The same with libguestfs: the chart's ``customize.image.repository``."""
PAUSE = "testbed.local/pause:1"
"""The image of every pod's sandbox."""


def build_all() -> None:
    """Build both images.

    Raises:
        CommandError: It failed.
    """
    locks = cache_dir() / "locks"
    locks.mkdir(exist_ok=True)
    with FileLock(locks / "containers"):
        _base()
        _operator(OPERATOR)
        _pause()


def build_customize() -> None:
    """Build the image for spec.customize, which takes minutes.

    Raises:
        CommandError: It failed.
    """
    locks = cache_dir() / "locks"
    locks.mkdir(exist_ok=True)
    with FileLock(locks / "containers"):
        _base()
        _operator(CUSTOMIZE, "--target", "customize")


def said_in(name: str, *words: str) -> str:
    """Run a command in a container of an image, as the image's user, and return what it printed.

    Raises:
        CommandError: It failed.
    """
    # The limits are the container's: "run" takes none in Debian 12's buildah.
    container = _buildah("from", *_own_limits(), name).strip()
    try:
        return _buildah("run", "--isolation", "chroot", container, "--", *words)
    finally:
        _buildah("rm", container)


def archives(folder: Path) -> tuple[Path, Path]:
    """Write both images into the folder, as containerd imports them, and return the paths."""
    paths = (folder / "operator.tar", folder / "pause.tar")
    for name, path in zip((OPERATOR, PAUSE), paths, strict=True):
        archive(name, path)
    return paths


def archive(name: str, path: Path) -> Path:
    """Write one image into an archive, and return the path."""
    path.unlink(missing_ok=True)
    _buildah("push", "--quiet", name, f"docker-archive:{path}:{name}")
    return path


def _operator(name: str, *words: str) -> None:
    """Build the Dockerfile on our base."""
    _buildah(
        *("bud", "--quiet", "--layers", "--isolation", "chroot", "--network", "host"),
        # pip asks its index over TLS, maybe through a proxy that only this machine knows.
        *("--volume", "/etc/ssl/certs:/etc/ssl/certs:ro"),
        *("--build-arg", f"BASE={_base_name()}"),
        *_own_limits(),
        *build_arguments(),
        *words,
        *("--tag", name, str(REPOSITORY)),
    )


def _own_limits() -> tuple[str, ...]:
    """Have steps run under our own limits: root without CAP_SYS_RESOURCE can raise none."""
    kinds = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
    limits: dict[str, tuple[int, ...]] = {
        name: resource.getrlimit(kind) for name, kind in kinds.items()
    }
    # buildah first lowers that of processes to how many there can be.
    processes = int(Path("/proc/sys/kernel/pid_max").read_text())
    limits["nproc"] = tuple(
        processes if each == resource.RLIM_INFINITY else min(each, processes)
        for each in limits["nproc"]
    )
    return tuple(f"--ulimit={name}={soft}:{hard}" for name, (soft, hard) in limits.items())


def build_arguments() -> tuple[str, ...]:
    """Return what tells the Dockerfile which version and commit it builds."""
    version, revision = f"VERSION={cloudimage.__version__}", f"REVISION={_revision()}"
    return ("--build-arg", version, "--build-arg", revision)


def _base_name() -> str:
    return f"testbed.local/debian:{SUITE}"


def _base() -> None:
    """Make Debian's smallest system, once."""
    if _exists(_base_name()):
        return
    say(f"container: making Debian {SUITE} (once, half a minute)")
    tar = cache_dir() / f"debian-{SUITE}.tar"
    run("mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates", SUITE, str(tar))
    container = _buildah("from", "scratch").strip()
    _buildah("add", "--quiet", container, str(tar), "/")
    _buildah("commit", "--quiet", "--rm", container, _base_name())
    tar.unlink()


def _pause() -> None:
    """Make an image that does nothing: a sandbox only holds a pod's namespaces."""
    if _exists(PAUSE):
        return
    container = _buildah("from", "scratch").strip()
    _buildah("add", "--quiet", container, shutil.which("busybox") or "busybox", "/busybox")
    _buildah("config", "--entrypoint", '["/busybox", "sleep", "2147483647"]', container)
    _buildah("commit", "--quiet", "--rm", container, PAUSE)


def _revision() -> str:
    """Return the commit that ``cloudimage --version`` tells; marked where files differ from it."""
    git = ("git", "-C", str(REPOSITORY))
    try:
        commit = run(*git, "rev-parse", "HEAD").strip()
        changed = run(*git, "status", "--porcelain", "--untracked-files=no")
    except (CommandError, FileNotFoundError):
        return ""  # sources without Git
    return f"{commit}-dirty" if changed else commit


def _exists(name: str) -> bool:
    listed = _buildah("images", "--format", "{{.Name}}:{{.Tag}}")
    return name in listed.split()


def _buildah(*words: str) -> str:
    store = cache_dir() / "containers"
    return run("buildah", "--root", str(store), "--runroot", str(store / "run"), *words)


def say(text: str) -> None:
    """Print progress."""
    print(text, file=sys.stderr, flush=True)
