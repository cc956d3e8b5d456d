"""How many ImageShares share the requests of a cloud."""

from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.images.places import PlaceIndex
from cloudimage.kube import Key
from cloudimage.shares.places import SharePlaces
from support.resources import cloud_image, image_share

IMAGE_ID = "11111111-1111-4111-8111-111111111111"


def test_those_of_one_cloud_count_whatever_they_share() -> None:
    images = PlaceIndex()
    images.update(Key("images", "a"), image_at("one"))
    images.update(Key("images", "b"), image_at("one"))
    images.update(Key("images", "c"), image_at("two"))
    places = SharePlaces(images.place_of)
    for name in ("a", "b", "c"):
        places.update(Key("images", f"of-{name}"), image_share(imageRef={"name": name}))
    places.update(Key("images", "direct"), image_share(image=reference("one")))
    assert places.beside(Key("images", "of-a")) == 3
    assert places.beside(Key("images", "direct")) == 3
    assert places.beside(Key("images", "of-c")) == 1
    places.update(Key("images", "of-b"), None)
    assert places.beside(Key("images", "of-a")) == 2


def test_a_share_of_another_namespace_counts_where_its_image_is() -> None:
    images = PlaceIndex()
    images.update(Key("images", "a"), image_at("one"))
    places = SharePlaces(images.place_of)
    places.update(Key("images", "mine"), image_share(imageRef={"name": "a"}))
    theirs = image_share(
        metadata={"namespace": "team"}, imageRef={"name": "a", "namespace": "images"}
    )
    places.update(Key("team", "theirs"), theirs)
    assert places.beside(Key("team", "theirs")) == 2


def test_one_whose_image_is_not_known_is_no_reason_to_wait() -> None:
    places = SharePlaces(PlaceIndex().place_of)
    places.update(Key("images", "early"), image_share(imageRef={"name": "a"}))
    assert places.beside(Key("images", "early")) == 1
    assert places.beside(Key("images", "unknown")) <= 1


@pytest.mark.parametrize(
    ("generation", "image_id", "known"),
    [(3, IMAGE_ID, True), (2, IMAGE_ID, False), (3, "another", False)],
    ids=["nothing changed", "its spec did", "its image did"],
)
def test_whether_a_share_knows_its_image_as_it_is(
    generation: int, image_id: str, known: bool
) -> None:
    places, key = SharePlaces(PlaceIndex().place_of), Key("images", "share")
    image = cloud_image(status={"imageID": image_id, "observedGeneration": generation})
    assert not places.is_up_to_date(key, image)
    places.update(key, image_share(status={"imageID": IMAGE_ID}))
    assert places.is_up_to_date(key, image) is known


def image_at(cloud: str) -> CloudImage:
    return cloud_image(cloudCredentialsRef={"secretName": "openstack", "cloudName": cloud})


def reference(cloud: str) -> dict[str, Any]:
    return {
        "id": IMAGE_ID,
        "cloudCredentialsRef": {"secretName": "openstack", "cloudName": cloud},
    }
