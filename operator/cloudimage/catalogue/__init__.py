"""Public images of distributions: a CloudImage for each, and the keys of their publishers.

The files of ``images`` are the CloudImages, those of ``keyrings`` the keys. ``make crds`` makes
``manifests/catalogue`` of them, and ``cloudimage new`` prints them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Final

import yaml

KEY: Final = "keys.asc"
"""The key of a keyring's ConfigMap."""

_PROOF: Final = re.compile(r" (?=(?:Signed by|Unsigned here:) )")


@dataclass(frozen=True)
class Entry:
    """An image of the catalogue.

    Attributes:
        name: Of the CloudImage.
        text: The CloudImage as YAML, with comments above it.
        keyring: The public keys that are trusted, ASCII-armored; None: nothing is signed.
    """

    name: str
    text: str
    keyring: str | None

    @property
    def comments(self) -> tuple[str, ...]:
        """The lines above the CloudImage."""
        lines = self.text.splitlines()
        return tuple(line.removeprefix("# ") for line in lines if line.startswith("# "))

    @property
    def title(self) -> str:
        """What the image is."""
        return _PROOF.split(" ".join(self.comments))[0]

    @property
    def proof(self) -> str:
        """Which key signs it, or why none does."""
        return _PROOF.split(" ".join(self.comments))[1]

    @property
    def image_name(self) -> str:
        """The image's name in Glance."""
        name: str = self.cloud_image["spec"]["image"]["name"]
        return name

    @property
    def found(self) -> str:
        """How its newest build is found: the member of the index."""
        index = self.cloud_image["spec"]["source"]["http"]["index"]
        members = ("checksums", "listing", "releases", "simpleStreams")
        return next(each for each in members if each in index)

    @property
    def cloud_image(self) -> dict[str, Any]:
        """The CloudImage."""
        body: dict[str, Any] = yaml.safe_load(self.text)
        return body

    @property
    def config_map(self) -> dict[str, Any] | None:
        """The ConfigMap with the keyring, if there is one."""
        if self.keyring is None:
            return None
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"{self.name}-keyring"},
            "data": {KEY: self.keyring},
        }

    def objects(
        self, secret: str, cloud: str, namespace: str | None = None
    ) -> tuple[Mapping[str, Any], ...]:
        """Return the CloudImage for a cloud, and its keyring.

        Args:
            secret: Secret with the clouds.yaml.
            cloud: Entry in it.
            namespace: None for the one in which they are applied.
        """
        image, keyring = self.cloud_image, self.config_map
        image["spec"]["cloudCredentialsRef"] = {"secretName": secret, "cloudName": cloud}
        objects = (image,) if keyring is None else (image, keyring)
        for each in objects if namespace else ():
            each["metadata"]["namespace"] = namespace
        return objects


@cache
def entries() -> tuple[Entry, ...]:
    """Return the images by their names, numbers in them as numbers."""
    files = {each.name: each.read_text("utf-8") for each in (_folder() / "images").iterdir()}
    names = sorted((each.removesuffix(".yaml") for each in files), key=_order)
    return tuple(Entry(name, files[f"{name}.yaml"], _keyring(name)) for name in names)


def find(name: str) -> Entry | None:
    """Return an image by its name."""
    return next((each for each in entries() if each.name == name), None)


def _keyring(name: str) -> str | None:
    """Return the keys for an image: its own, or those of all releases of its distribution."""
    distribution, _, _ = name.rpartition("-")
    for stem in (name, distribution):
        file = _folder() / "keyrings" / f"{stem}.asc"
        if file.is_file():
            return file.read_text("utf-8")
    return None


def _folder() -> Traversable:
    return resources.files(__package__)


def _order(name: str) -> list[tuple[str, int]]:
    return [(text, int(digits or 0)) for text, digits in re.findall(r"(\D+)(\d*)", name)]
