"""By what the servers and key pairs of boot tests are told from all others in a cloud."""

import re
from collections.abc import Mapping
from typing import Final

from cloudimage.vocabulary.marks import PREFIX, Marks

TOKEN_MARK: Final = f"{PREFIX}boot_token"
"""The token of one test, which keys the signature of what its guest reports."""

_SHOWN: Final = 8
_TOKEN: Final = re.compile(r"[0-9a-f]{32}")


def name_prefix(uid: str) -> str:
    """Return how the names of all servers and key pairs begin that test images of a CloudImage."""
    return f"{ANY_PREFIX}{uid}-"


ANY_PREFIX: Final = "cloudimage-boot-test-"


def server_name(uid: str, token: str) -> str:
    """Return the name of one test's server, and of its key pair.

    Args:
        uid: UID of the CloudImage.
        token: 32 hexadecimal digits, other ones for each server.
    """
    return f"{name_prefix(uid)}{token[:_SHOWN]}"


def server_marks(uid: str, image_id: str, token: str) -> dict[str, str]:
    """Return the metadata of one test's server."""
    return {Marks.UID.value: uid, Marks.IMAGE_ID.value: image_id, TOKEN_MARK: token}


def is_test(name: str, metadata: Mapping[str, str]) -> bool:
    """Return whether a server's name and metadata are those of one boot test.

    Anybody can write them, so this proves something only of a server of the own project.
    """
    uid, token = metadata.get(Marks.UID, ""), metadata.get(TOKEN_MARK, "")
    return _TOKEN.fullmatch(token) is not None and bool(uid) and name == server_name(uid, token)
