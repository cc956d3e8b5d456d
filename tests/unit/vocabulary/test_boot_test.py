"""By what the server of a boot test is told from others."""

import pytest

from cloudimage.vocabulary.boot_test import is_test, name_prefix, server_marks, server_name

UID, IMAGE = "0a8b2b5e-0000-4000-8000-000000000001", "0a8b2b5e-0000-4000-8000-000000000002"
TOKEN = "0123456789abcdef0123456789abcdef"


def test_name_and_marks_belong_together() -> None:
    name, marks = server_name(UID, TOKEN), server_marks(UID, IMAGE, TOKEN)
    assert name == f"cloudimage-boot-test-{UID}-01234567"
    assert name.startswith(name_prefix(UID))
    assert is_test(name, marks)
    assert len(name) < 255


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("web", {}),
        (f"x{server_name(UID, TOKEN)}", {}),
        (f"{server_name(UID, TOKEN)}x", {}),
        (server_name(IMAGE, TOKEN), {}),
        (server_name(UID, "f" * 32), {}),
        (server_name(UID, TOKEN), {"cloudimage_dev_uid": IMAGE}),
        (server_name(UID, TOKEN), {"cloudimage_dev_boot_token": TOKEN[:8]}),
        (server_name("", TOKEN), {"cloudimage_dev_uid": ""}),
        (server_name(UID, ""), {"cloudimage_dev_boot_token": ""}),
    ],
)
def test_one_of_them_alone_or_another_proves_nothing(name: str, changes: dict[str, str]) -> None:
    assert not is_test(name, server_marks(UID, IMAGE, TOKEN) | changes)
    assert not is_test(name, {})
