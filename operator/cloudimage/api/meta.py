"""What all our resources share: the group, naming, conditions, object metadata."""

import operator
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PlainSerializer,
    StringConstraints,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_after_validator_function

from cloudimage.plaintext import plain

M = TypeVar("M", bound=BaseModel)


class ApiModel(BaseModel):
    """A part of a resource: snake_case in Python, camelCase in YAML."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        # The API server prunes unknown fields; a newer CRD must not break an older operator.
        extra="ignore",
    )

    def to_json(self) -> dict[str, Any]:
        """Return what belongs into the object: camelCase, JSON types, nothing unset."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


_RULES: Final = "x-kubernetes-validations"


def rules(*given: tuple[str, ...]) -> dict[str, Any]:
    """Return ``json_schema_extra`` with CEL validations.

    Args:
        given: Of each, the rule, its message, and perhaps a CEL expression of a message that names
            what is wrong; the reference shows the plain one.
    """
    names = ("rule", "message", "messageExpression")
    return {_RULES: [dict(zip(names, each, strict=False)) for each in given]}


@dataclass(frozen=True)
class Like:
    """Metadata of a text that must match a regular expression as a whole.

    A pattern of JSON Schema would do, but the API server answers with the pattern itself.

    Attributes:
        pattern: In the syntax that RE2 and Python share.
        message: What the text must be, as the end of a sentence.
    """

    pattern: str
    message: str

    def __get_pydantic_core_schema__(
        self, source: type[str], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Return the schema of a text that is checked."""
        return no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema with a rule in place of a pattern."""
        rule = f"self.matches(r'^(?:{self.pattern})$')"
        return {**handler(schema), **rules((rule, self.message))}

    def _checked(self, text: str) -> str:
        if re.fullmatch(self.pattern, text) is None:
            raise ValueError(self.message)
        return text


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


SecretName = Annotated[str, StringConstraints(min_length=1, max_length=253)]

Timestamp = Annotated[datetime, PlainSerializer(_rfc3339, when_used="json")]
"""A moment in Kubernetes' own form: UTC, whole seconds."""


class Condition(ApiModel):
    """One aspect of the object's state, as Kubernetes' API conventions define it."""

    type: str = Field(max_length=316, description="Type of the condition.")
    status: Literal["True", "False", "Unknown"] = Field(description="Whether the condition holds.")
    reason: str = Field(
        max_length=1024, description="Why, as one CamelCase word; see docs/reference."
    )
    message: str = Field(max_length=32768, description="Why, as human-readable text.")
    last_transition_time: Timestamp = Field(description="When the status last changed.")
    observed_generation: int = Field(
        ge=0, description="The metadata.generation this condition was computed from."
    )


class ObjectMeta(ApiModel):
    """The part of Kubernetes' object metadata that the operator reads."""

    name: str
    namespace: str
    uid: str
    generation: int = 1
    resource_version: str
    deletion_timestamp: datetime | None = None
    finalizers: tuple[str, ...] = ()
    annotations: dict[str, str] = {}


class ResourceStatus(ApiModel):
    """The status fields that all our kinds have."""

    observed_generation: int | None = Field(
        default=None, description="The metadata.generation this status was computed from."
    )
    last_handled_retry: Annotated[str, StringConstraints(max_length=253)] | None = Field(
        default=None,
        description="The last value of the annotation cloudimage.dev/retry that was acted on.",
    )
    credentials_secret: SecretName | None = Field(
        default=None,
        description="The Secret kept by the finalizer cloudimage.dev/credentials for this object: "
        "it is needed to delete what the object made in the cloud.",
    )
    cloud_unreachable_since: Timestamp | None = Field(
        default=None, description="When the cloud stopped answering; absent while it answers."
    )
    last_sync_time: Timestamp | None = Field(
        default=None, description="When Glance was last compared with the spec."
    )
    conditions: tuple[Condition, ...] = ()


def conditions_field(description: str) -> Any:  # noqa: ANN401  # what pydantic's Field returns
    """Return the field of a status that holds its conditions, a map by their type."""
    return Field(
        default=(),
        max_length=24,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        },
        description=description,
    )


class Resource(ApiModel):
    """An object of one of our kinds."""

    metadata: ObjectMeta
    spec: ApiModel
    status: ResourceStatus


EVENT_BYTES: Final = 1024
"""The API server refuses Events with longer messages."""


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event about the object.

    Attributes:
        message: Words from outside may be in it: it is made plain here, and cut.
    """

    type: Literal["Normal", "Warning"]
    reason: str
    message: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", plain(self.message, EVENT_BYTES))


def plain_model(model: M) -> M:
    """Return a model whose texts are plain lines; the same one where they are already."""
    values = {name: getattr(model, name) for name in type(model).model_fields}
    changes = {name: new for name, old in values.items() if (new := _plain_value(old)) is not old}
    return model.model_copy(update=changes) if changes else model


def _plain_value(value: Any) -> Any:  # noqa: ANN401  # a field's value may be anything
    match value:
        case str():
            text = plain(value)
            return value if text == value else text
        case BaseModel():
            return plain_model(value)
        case tuple():
            items = tuple(map(_plain_value, value))
            return value if all(map(operator.is_, items, value)) else items
        case dict():
            return {_plain_value(key): _plain_value(item) for key, item in value.items()}
        case _:
            return value
