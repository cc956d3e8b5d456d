"""The generated CRD says all that the models say, in words that the API server enforces."""

import copy
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, StringConstraints, TypeAdapter

from cloudimage.api.kinds import CLOUD_IMAGE, KINDS, Kind
from cloudimage.api.meta import ApiModel, rules
from cloudimage.codegen import crd, files
from support.schemas import walk
from testbed.paths import REPOSITORY

# All that apiextensions.k8s.io/v1 knows of a structural schema, but for what it refuses
# (uniqueItems), what CEL makes needless (oneOf, anyOf, allOf, not) and what switches validation
# off (x-kubernetes-preserve-unknown-fields, x-kubernetes-int-or-string).
STRUCTURAL = {
    *("type", "description", "format", "enum", "pattern", "default", "required"),
    *("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems"),
    *("minProperties", "maxProperties", "properties", "additionalProperties", "items"),
    *("x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
    "x-kubernetes-map-type",
}


def complaints(path: str, node: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with one schema."""
    if unknown := node.keys() - STRUCTURAL:
        yield f"{path}: {sorted(unknown)} is not structural"
    if "type" not in node:
        yield f"{path}: no type"
    if node.get("type") == "array" and "maxItems" not in node:
        yield f"{path}: list without maxItems"
    if "additionalProperties" in node and "maxProperties" not in node:
        yield f"{path}: map without maxProperties"
    if node.get("type") == "object" and not node.keys() & {"properties", "additionalProperties"}:
        yield f"{path}: anything may be in it"
    if "description" not in node and not path.endswith(("[]", "{}")):
        yield f"{path}: no description"
    if "default" in node and ("[]" in path or "{}" in path or path.startswith(".status")):
        yield f"{path}: default that nobody may rely on"
    bounded = node.keys() & {"maxLength", "enum"} or node.get("format") == "date-time"
    if node.get("type") == "string" and path.startswith(".spec") and not bounded:
        yield f"{path}: string without maxLength"


def all_complaints(schema: dict[str, Any]) -> list[str]:
    """Return what is wrong with a whole schema, from the spec and the status on."""
    parts = ((f".{name}", schema["properties"][name]) for name in ("spec", "status"))
    return [
        text
        for path, part in parts
        for at, node in walk(part, path)
        for text in complaints(at, node)
    ]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def kind(request: pytest.FixtureRequest) -> Kind:
    selected: Kind = request.param
    return selected


def test_generated_files_are_what_the_models_say() -> None:
    assert files.stale(REPOSITORY) == [], "run `make crds`"


def test_drift_is_seen_and_mended(tmp_path: Path) -> None:
    files.write(tmp_path)
    assert files.stale(tmp_path) == []

    edited = "crds/cloudimage.dev_cloudimages.yaml"
    (tmp_path / edited).write_text("edited by hand")
    missing = "docs/reference/cloudimage.md"
    (tmp_path / missing).unlink()
    left = "helm/cloudimage-operator/templates/crds/cloudimage.dev_gone.yaml"
    (tmp_path / left).write_text("of a kind that is no more")
    assert files.stale(tmp_path) == [edited, missing, left]

    files.write(tmp_path)
    assert files.stale(tmp_path) == []
    assert not (tmp_path / left).exists()


def test_every_schema_is_structural_and_bounded(kind: Kind) -> None:
    assert all_complaints(crd.schema(kind)) == []


@pytest.mark.parametrize(
    ("at", "change", "complaint"),
    [
        ("image.properties.name", {"maxLength": None}, "image.name: string without maxLength"),
        ("image.properties.tags", {"maxItems": None}, "image.tags: list without maxItems"),
        ("image.properties.tags.items", {"default": "x"}, "image.tags[]: default that nobody"),
        ("image.properties.properties", {"maxProperties": None}, "map without maxProperties"),
        (
            "image.properties.properties.additionalProperties",
            {"maxLength": None},
            "image.properties{}: string without maxLength",
        ),
        ("source.properties.http.properties.url", {"description": None}, "url: no description"),
        ("source.properties.http.properties.url", {"const": "x"}, "['const'] is not structural"),
        ("source.properties.http", {"properties": None}, "http: anything may be in it"),
        ("deletionPolicy", {"type": None}, "deletionPolicy: no type"),
    ],
)
def test_the_walk_finds_what_it_looks_for(at: str, change: dict[str, Any], complaint: str) -> None:
    schema = copy.deepcopy(crd.schema(CLOUD_IMAGE))
    node = schema["properties"]["spec"]["properties"]
    for step in at.split("."):
        node = node[step]
    for key, value in change.items():
        node.pop(key, None)
        if value is not None:
            node[key] = value
    [found] = all_complaints(schema)
    assert complaint in found


def test_the_definition_has_the_names_and_columns_of_the_design() -> None:
    spec = crd.definition(CLOUD_IMAGE)["spec"]
    [version] = spec["versions"]
    assert spec["names"] == {
        "kind": "CloudImage",
        "listKind": "CloudImageList",
        "plural": "cloudimages",
        "singular": "cloudimage",
        "shortNames": ["cimg"],
        "categories": ["openstack"],
    }
    assert (spec["scope"], version["subresources"]) == ("Namespaced", {"status": {}})
    columns = version["additionalPrinterColumns"]
    shown = [column["name"].upper() for column in columns if not column.get("priority")]
    wide = [column["name"].upper() for column in columns if column.get("priority")]
    assert ", ".join(shown) == (
        "READY, VERIFIED, STAGE, PROGRESS, FORMAT, SIZE, VISIBILITY, IN USE, USE CHECKED, AGE"
    )
    assert wide == ["VERSION", "BOOTED", "CHECKED", "IMAGE ID", "REASON", "MESSAGE"]


class Inner(ApiModel, json_schema_extra=rules(("self.a != ''", "a is needed"))):
    """An inner object."""

    a: Annotated[str, StringConstraints(max_length=9)] = Field(default="x", description="A.")


class Words(StrEnum):
    """Words."""

    ONE = "One"
    TWO = "Two"


class Model(ApiModel):
    """One field of each sort."""

    optional: int | None = Field(default=None, description="Of any size.")
    small: int = Field(default=3, ge=0, le=10, description="Small.")
    unbounded_below: int = Field(le=10, description="Perhaps very negative.")
    fixed: Literal["only"] = Field(default="only", description="One choice.")
    inner: Inner | None = Field(
        default=None,
        description="The field's own words win.",
        json_schema_extra=rules(("true", "a rule of the field")),
    )
    inners: tuple[Inner, ...] = Field(default=(), max_length=2, description="Several.")
    tags: frozenset[Words] = Field(default=frozenset(), max_length=2, description="Words.")
    labels: dict[Annotated[str, StringConstraints(min_length=1, max_length=5)], bool] = Field(
        default={}, max_length=3, description="Labels."
    )


INNER_RULE = {"rule": "self.a != ''", "message": "a is needed"}


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("optional", {"type": "integer", "format": "int64"}),
        (
            "small",
            {"type": "integer", "format": "int32", "minimum": 0, "maximum": 10, "default": 3},
        ),
        ("unboundedBelow", {"type": "integer", "format": "int64", "maximum": 10}),
        ("fixed", {"type": "string", "enum": ["only"], "default": "only"}),
        (
            "inner",
            {
                "type": "object",
                "properties": {
                    "a": {"description": "A.", "type": "string", "maxLength": 9, "default": "x"}
                },
                crd.RULES: [INNER_RULE, {"rule": "true", "message": "a rule of the field"}],
            },
        ),
        (
            "inners",
            {
                "type": "array",
                "maxItems": 2,
                crd.LIST_TYPE: "atomic",
                "items": {
                    "description": "An inner object.",
                    "type": "object",
                    "properties": {"a": {"description": "A.", "type": "string", "maxLength": 9}},
                    crd.RULES: [INNER_RULE],
                },
            },
        ),
        (
            "tags",
            {
                "type": "array",
                "maxItems": 2,
                crd.LIST_TYPE: "set",
                "items": {"description": "Words.", "type": "string", "enum": ["One", "Two"]},
            },
        ),
        (
            "labels",
            {
                "type": "object",
                "maxProperties": 3,
                "additionalProperties": {"type": "boolean"},
                crd.RULES: [
                    {
                        "rule": "self.all(key, size(key) >= 1 && size(key) <= 5)",
                        "message": "a name here has 1 to 5 characters",
                    }
                ],
            },
        ),
    ],
)
def test_a_field_becomes_structural(field: str, expected: dict[str, Any]) -> None:
    document = Model.model_json_schema()
    got = crd.structural(document["properties"][field], document["$defs"])
    description = got.pop("description")
    assert got == expected
    assert description == Model.model_json_schema()["properties"][field]["description"]


@pytest.mark.parametrize(
    ("type_", "what"),
    [
        (int | str, "a union of 2 types"),
        (tuple[int, str], "prefixItems"),
        (Annotated[int, Field(gt=0)], "exclusiveMinimum"),
        (dict[Annotated[str, StringConstraints(pattern="^a$")], str], "patternProperties"),
        (dict[Annotated[str, StringConstraints(max_length=9)], str], "keys of maps"),
    ],
)
def test_what_the_api_server_would_not_enforce_is_an_error(type_: Any, what: str) -> None:
    with pytest.raises(crd.UnsupportedSchemaError, match=what):
        crd.structural(TypeAdapter(type_).json_schema(), {})
