"""Which Secrets must stay until an object is gone."""

from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.names import FINALIZER, FORCE_DELETE_ANNOTATION
from cloudimage.credentials.logic import guard
from cloudimage.images.logic import status
from support.resources import cloud_image

DELETED = {"deletion_timestamp": "2026-01-02T03:04:05Z"}


def image(
    spec: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    **metadata: Any,
) -> CloudImage:
    resource = cloud_image(status=status, **(spec or {}))
    values = {"finalizers": (FINALIZER,), **metadata}
    return resource.model_copy(update={"metadata": resource.metadata.model_copy(update=values)})


UNMANAGED = {"managementPolicy": "Unmanaged", "source": None}


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (image(), {"openstack"}),
        (image(finalizers=()), set()),
        (image(UNMANAGED), set()),
        (image(status={"credentialsSecret": "openstack"}), {"openstack"}),
        (image(status={"credentialsSecret": "old"}), {"openstack", "old"}),
        (image(status={"digest": "d"}, **DELETED), {"openstack"}),
        (image(**DELETED), set()),
        (
            image(status={"digest": "d"}, annotations={FORCE_DELETE_ANNOTATION: "true"}, **DELETED),
            set(),
        ),
    ],
)
def test_an_object_needs_its_secret_while_something_of_it_may_be_in_the_cloud(
    resource: CloudImage, expected: set[str]
) -> None:
    assert guard.needed(resource) == expected


@pytest.mark.parametrize(
    ("resource", "held", "expected"),
    [
        (image(), False, True),
        (image(), True, False),
        (image(finalizers=()), False, False),
        (image(UNMANAGED), False, False),
        (image(status={"digest": "d"}, **DELETED), False, False),
    ],
)
def test_only_a_living_object_has_its_secret_held(
    resource: CloudImage, *, held: bool, expected: bool
) -> None:
    assert guard.is_to_be_held(resource, held=held) is expected


def test_another_secret_in_the_spec_outlives_the_one_before() -> None:
    assert guard.outlived(image()) == set()
    moved = image(status={"credentialsSecret": "old"})
    assert guard.outlived(moved) == {"old"}
    assert guard.is_news(moved)
    recorded = moved.model_copy(update={"status": guard.recorded(moved)})
    assert guard.outlived(recorded) == set()
    assert not guard.is_news(recorded)


def test_a_deleted_object_of_which_nothing_is_left_needs_nothing() -> None:
    resource = image(status={"digest": "d", "imageID": "i"}, **DELETED)
    left = resource.model_copy(update={"status": status.nothing_left(resource)})
    assert guard.needed(left) == set()
    assert guard.named(left) == {"openstack"}
