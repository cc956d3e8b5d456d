"""Kopf keeps no record of its own of an object."""

import kopf

from cloudimage.controller.event_settings import kopf_settings

BODY = kopf.Body({"metadata": {"annotations": {"a": "b"}}, "spec": {"image": {}}})


def test_no_object_is_copied_to_see_what_changed() -> None:
    storage = kopf_settings().persistence.diffbase_storage
    assert storage.build(body=BODY) == {}
    assert storage.fetch(body=BODY) is None


def test_no_object_is_annotated() -> None:
    storage, patch = kopf_settings().persistence.diffbase_storage, kopf.Patch()
    storage.store(body=BODY, patch=patch, essence=storage.build(body=BODY))
    assert not patch
