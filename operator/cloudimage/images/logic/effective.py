"""The spec as it is applied to an image: templates filled in, metadata copied, provenance told."""

from collections.abc import Iterator
from typing import Final

from cloudimage import templates
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.cloud.models import GlanceImage
from cloudimage.controller.logic.conditions import Draft
from cloudimage.images.logic import copied_metadata, facts, provenance
from cloudimage.images.logic.facts import Facts
from cloudimage.templates import TemplateError

_LONGEST: Final = 255
"""Characters that Glance takes as a name or a tag (``GET /v2/schemas/image``)."""

_LONGEST_VALUE: Final = 4096


def applied(resource: CloudImage, image: GlanceImage | None = None) -> CloudImage:
    """Return the CloudImage as if its spec said what its image is to be.

    A property whose template cannot be filled stays as the image has it, a tag is left out, and a
    name is metadata.name. What the spec itself has wins over what is copied of a source's image,
    and that over what is known of the build.

    Args:
        resource: The CloudImage.
        image: Its image; None: it is yet to be made, and nothing is known of its build.
    """
    known = facts.of_image(resource, image) if image else Facts()
    return provenance.applied(copied_metadata.applied(_filled(resource, known, image)), known)


def _filled(resource: CloudImage, known: Facts, image: GlanceImage | None) -> CloudImage:
    given, present = resource.spec.image, image.properties if image else {}
    tags, properties = given.tags, given.properties
    if tags is not None:
        texts = (_text(each, known, _LONGEST) for each in tags)
        tags = frozenset(each for each in texts if each is not None)
    if properties is not None:
        values = {name: _text(each, known, _LONGEST_VALUE) for name, each in properties.items()}
        kept = {name: present.get(name) if each is None else each for name, each in values.items()}
        properties = {name: each for name, each in kept.items() if each is not None}
    update = {
        "name": given.name and _text(given.name, known, _LONGEST),
        "tags": tags,
        "properties": properties,
    }
    spec = resource.spec.model_copy(update={"image": given.model_copy(update=update)})
    return resource.model_copy(update={"spec": spec})


def _text(template: str, known: Facts, longest: int) -> str | None:
    """Return a template with its variables; None: they are not known, or too long for Glance."""
    try:
        text = templates.fill(template, known.values)
    except TemplateError:
        return None
    return text if len(text) <= longest else None


def drafts(resource: CloudImage, image: GlanceImage) -> tuple[Draft, ...]:
    """Return the conditions about what of the spec is not known of an image.

    Args:
        resource: The CloudImage.
        image: Its image.
    """
    known = facts.of_image(resource, image)
    told = provenance.draft(applied(resource, image))
    return (*_unfilled(resource, known), *([told] if told else []))


def _unfilled(resource: CloudImage, known: Facts) -> Iterator[Draft]:
    fields = [
        f"{field} ({template})"
        for field, template, longest in _templates(resource)
        if _text(template, known, longest) is None
    ]
    if not fields:
        return
    has = ", ".join(f"$({name})" for name in known.values) or "none"
    message = (
        f"These fields cannot be filled for this image, or would be too long for Glance: "
        f"{'; '.join(fields)}. "
        f"Known variables: {has}. Such a property stays as it is, a tag is left out, and the "
        "name is metadata.name. Give a text without variables, or a source that has them."
    )
    yield Draft(ConditionType.SYNCED, "False", Reason.TEMPLATE_NOT_FILLED, message)


def _templates(resource: CloudImage) -> Iterator[tuple[str, str, int]]:
    """Yield the templates of the spec: the field, the text, and how long it may become."""
    image = resource.spec.image
    if image.name:
        yield "spec.image.name", image.name, _LONGEST
    for tag in sorted(image.tags or ()):
        yield "spec.image.tags", tag, _LONGEST
    for name, value in sorted((image.properties or {}).items()):
        yield f"spec.image.properties.{name}", value, _LONGEST_VALUE
