"""What a transfer has a cloud make is known by its name."""

import pytest

from cloudimage.transfer.contract import SECRET_MARK, NewImage
from cloudimage.transfer.source.snapshot.labels import is_temporary, label, marks
from cloudimage.vocabulary.marks import Marks

UID = "00000000-0000-4000-8000-000000000000"
MARKS = {Marks.UID: UID, Marks.DIGEST: "d1"}


def test_it_names_the_object_and_what_the_bytes_depend_on() -> None:
    assert label(f"{UID}/d1") == f"cloudimage-snapshot-{UID}-d1"
    assert len(label("x" * 999)) + len("snapshot for ") <= 255


@pytest.mark.parametrize(
    ("name", "properties", "is_one"),
    [
        (label(f"{UID}/d1"), MARKS, True),
        # A snapshot that a user took of a server made of a temporary image: it has its marks.
        ("nightly", MARKS, False),
        (label(f"{UID}/d2"), MARKS, False),
        (label(f"{UID}/d1"), {}, False),
        ("debian-12", {}, False),
    ],
)
def test_marks_alone_do_not_make_an_image_temporary(
    name: str, properties: dict[str, str], *, is_one: bool
) -> None:
    assert is_temporary(name, properties) is is_one


def test_it_bears_the_marks_of_its_object_but_not_the_one_that_makes_it_ours() -> None:
    given = {
        **MARKS,
        SECRET_MARK: "s",
        Marks.PROPERTIES: "[]",
        Marks.IMAGE_ID: "i",
        "os_distro": "x",
    }
    image = NewImage(id_seed="seed", name="n", properties=given)
    assert marks(image) == {**MARKS, SECRET_MARK: "s"}
