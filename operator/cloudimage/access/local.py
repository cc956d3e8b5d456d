"""A cloud of the user's own clouds.yaml, for commands that a user runs by hand.

The files are looked for where openstacksdk looks, but read by the same rules as a Secret's: a
clouds.yaml is often handed over by the cloud's provider. One thing more is allowed in it:
``cacert`` as the path of a file, since the files are the user's own. Other sections of the file
are for other programs and ignored.
https://docs.openstack.org/openstacksdk/latest/user/config/configuration.html#configuration-files
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openstack.config import loader

from cloudimage.access import entry, yamltext
from cloudimage.access.yamltext import MAX_BYTES


class LocalCloudError(ValueError):
    """There is no such cloud, or its entry cannot be used; the message is a sentence."""


def find(cloud: str) -> tuple[dict[str, Any], str | None]:
    """Return the checked entry of a cloud, and the PEM text of its CA certificate or None.

    Raises:
        LocalCloudError: No file has the cloud, or its entry says what is not allowed.
    """
    path, clouds = _clouds("OS_CLIENT_CONFIG_FILE", loader.CONFIG_FILES)
    _, secure = _clouds("OS_CLIENT_SECURE_FILE", loader.SECURE_FILES)
    if cloud not in clouds:
        raise LocalCloudError(f"{path or 'clouds.yaml'} has no cloud {cloud!r}")
    found = clouds[cloud]
    if isinstance(found, Mapping):
        found = _merged(found, secure.get(cloud) or {})
    certificate = found.get("cacert") if isinstance(found, Mapping) else None
    if certificate is not None:
        found = {key: value for key, value in found.items() if key != "cacert"}
    try:
        return entry.check(found, cloud), _pem(certificate) if certificate is not None else None
    except entry.EntryRefusedError as error:
        raise LocalCloudError(f"{path}: {error}") from None


def _clouds(variable: str, places: list[str]) -> tuple[Path | None, Mapping[str, Any]]:
    """Return the first file that is there, and its clouds."""
    named = os.environ.get(variable)
    for path in map(Path, [*([named] if named else []), *places]):
        if path.exists():
            return path, _read(path)
    return None, {}


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = yamltext.load(_text(path, MAX_BYTES))
    except yamltext.YamlRefusedError as error:
        raise LocalCloudError(f"{path} {error}") from None
    clouds = document.get("clouds") if isinstance(document, dict) else None
    return clouds if isinstance(clouds, dict) else {}


def _text(path: Path, limit: int) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(limit + 1)
    except OSError as error:
        raise LocalCloudError(f"{path} cannot be read: {error.strerror}") from error
    if len(text) > limit:
        raise LocalCloudError(f"{path} is larger than {limit // 2**10} KiB")
    return text


def _pem(path: object) -> str:
    if not isinstance(path, str):
        raise LocalCloudError("cacert must be the path of a file")
    return _text(Path(path).expanduser(), entry.MAX_CA_BYTES)


def _merged(public: Mapping[str, Any], secure: object) -> dict[str, Any]:
    """Lay secure.yaml over clouds.yaml, as the SDK does."""
    merged = dict(public)
    for key, value in secure.items() if isinstance(secure, Mapping) else ():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(old, value) if both else value  # type: ignore[arg-type]  # by both
    return merged
