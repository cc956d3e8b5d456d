"""How images in registries, their digests and architectures are named; pure.

The grammar is that of https://github.com/distribution/reference, and of the OCI image spec.
"""

import re
from dataclasses import dataclass
from typing import Final

DIGEST: Final = "sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}"
"""The registered algorithms (OCI image spec, "Digests")."""

ARCHITECTURE: Final = "[a-z0-9_]+(/[a-z0-9.]+)?"
DEFAULT_ARCHITECTURE: Final = "amd64"

_LABEL: Final = "[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?"
_HOST: Final = rf"({_LABEL}(\.{_LABEL})*|\[[0-9a-fA-F:]+\])(:[0-9]{{1,5}})?"
_PART: Final = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_TAG: Final = "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}"
IMAGE: Final = rf"((https?://)?{_HOST}/)?{_PART}(/{_PART})*(:{_TAG})?(@({DIGEST}))?"

_IMAGE: Final = re.compile(
    rf"((?P<scheme>https?)://)?(?P<name>[^@]+?)(:(?P<tag>{_TAG}))?(@(?P<digest>{DIGEST}))?"
)
_DOCKER_HUB: Final = "docker.io"
_DOCKER_HUBS_REGISTRY: Final = "registry-1.docker.io"
_DOCKER_HUBS_NAMES: Final = frozenset({_DOCKER_HUB, "index.docker.io", _DOCKER_HUBS_REGISTRY})

_BY_GLANCE: Final = {
    "x86_64": "amd64",
    "i686": "386",
    "aarch64": "arm64",
    "armv7l": "arm/v7",
    "mips64el": "mips64le",
    "loongarch64": "loong64",
}
"""Names of Go, which OCI uses, of those that Glance's property has; others are the same."""


@dataclass(frozen=True)
class ImageName:
    """An image of a registry.

    Attributes:
        registry: Host and port; Docker Hub's is ``docker.io``.
        repository: Its path there.
        tag: None: it is named by its digest.
        digest: None: it is named by its tag alone.
        scheme: Of the registry's URL, if it is given.
    """

    registry: str
    repository: str
    tag: str | None
    digest: str | None
    scheme: str | None = None

    @property
    def reference(self) -> str:
        """What the registry is asked for; a digest comes before a tag."""
        return self.digest or self.tag or "latest"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.registry}/{self.repository}{tag}" + (
            f"@{self.digest}" if self.digest else ""
        )

    def origin(self, *, certified: bool) -> str:
        """Return the registry's URL without a path.

        Without a scheme a loopback address is asked by HTTP, as containerd and Docker do.

        Args:
            certified: Whether there is a CA certificate to verify the registry with.
        """
        host = _DOCKER_HUBS_REGISTRY if self.registry == _DOCKER_HUB else self.registry
        plain = not certified and is_loopback(host)
        return f"{self.scheme or ('http' if plain else 'https')}://{host}"


def parse(image: str, digest: str | None = None) -> ImageName:
    """Return what the name of an image says.

    Args:
        image: As a pod has it; it matches :data:`IMAGE`.
        digest: Given beside it.

    Raises:
        ValueError: It is no such name.
    """
    found = _IMAGE.fullmatch(image) if re.fullmatch(IMAGE, image) else None
    if found is None:
        raise ValueError("no name of an image")
    digest = digest or found["digest"]
    tag = found["tag"] or (None if digest else "latest")
    first, slash, rest = found["name"].partition("/")
    # A first part that cannot be a host is one of a path (distribution/reference, normalize.go).
    is_host = bool(slash) and (
        bool(found["scheme"])
        or "." in first
        or ":" in first
        or first == "localhost"
        or first != first.lower()
    )
    registry, repository = (first, rest) if is_host else (_DOCKER_HUB, found["name"])
    if registry.lower() in _DOCKER_HUBS_NAMES:
        registry = _DOCKER_HUB
        repository = repository if "/" in repository else f"library/{repository}"
    return ImageName(registry.lower(), repository, tag, digest, found["scheme"])


def spellings(registry: str) -> frozenset[str]:
    """Return by which hosts a registry's credentials may be found: Docker Hub has several."""
    return _DOCKER_HUBS_NAMES if registry == _DOCKER_HUB else frozenset({registry})


def architecture(name: str) -> str:
    """Return an architecture as OCI writes it, also if it is given as Glance's property has it."""
    return _BY_GLANCE.get(name, name)


def is_loopback(host: str) -> bool:
    """Return whether a registry, given as a host and perhaps a port, is on this machine."""
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    return name in {"localhost", "[::1]"} or re.fullmatch(r"127(\.\d{1,3}){3}", name) is not None
