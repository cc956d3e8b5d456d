"""Conditions as Kubernetes' API conventions and kstatus want them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeVar

from cloudimage.api.meta import Condition, Resource, ResourceStatus
from cloudimage.api.names import FORCE_DELETE_ANNOTATION
from cloudimage.api.reasons import ConditionType, Reason, ShareCondition, ShareReason
from cloudimage.plaintext import plain

S = TypeVar("S", bound=ResourceStatus)

ConditionStatus = Literal["True", "False", "Unknown"]

MESSAGE_BYTES: Final = 32768
"""Kubernetes' API conventions allow so many characters; bytes bound the object as a whole."""

HOW_TO_LET_GO: Final = (
    f"To remove the object but leave everything in the cloud, annotate it with "
    f'{FORCE_DELETE_ANNOTATION}="true" and delete it.'
)


@dataclass(frozen=True, slots=True)
class Declared:
    """How a condition behaves, whichever kind has it.

    Attributes:
        abnormal: True is what is wrong, or not over yet (Kubernetes calls that negative polarity).
        transient: It is present only while True, as kstatus wants it.
    """

    type: ConditionType | ShareCondition
    abnormal: bool = False
    transient: bool = False


CONDITIONS: Final = (
    Declared(ConditionType.READY),
    Declared(ShareCondition.ACCEPTED),
    Declared(ConditionType.VERIFIED),
    Declared(ConditionType.CUSTOMIZED),
    Declared(ConditionType.UPLOADED),
    Declared(ConditionType.LINTED),
    Declared(ConditionType.SYNCED),
    Declared(ConditionType.PROPERTIES_VALID),
    Declared(ConditionType.NAME_UNIQUE),
    Declared(ConditionType.FOLLOWING),
    Declared(ConditionType.UPDATE_AVAILABLE, abnormal=True),
    Declared(ConditionType.BOOTED),
    Declared(ConditionType.RETENTION_APPLIED),
    Declared(ConditionType.PROVENANCE_COMPLETE),
    Declared(ConditionType.PUBLISHED),
    Declared(ConditionType.DELETION_BLOCKED, abnormal=True),
    Declared(ConditionType.RECONCILING, abnormal=True, transient=True),
    Declared(ConditionType.STALLED, abnormal=True, transient=True),
)
"""Each condition of either kind, in the order in which they are written."""

_TRANSIENT: Final = frozenset(each.type for each in CONDITIONS if each.transient)
ABNORMAL: Final = frozenset(each.type for each in CONDITIONS if each.abnormal)


@dataclass(frozen=True, slots=True)
class Draft:
    """A condition as decided now, before it is compared with the one that stands.

    Attributes:
        message: Words from outside may be in it: it is made plain here, and cut.
    """

    type: ConditionType | ShareCondition
    status: ConditionStatus
    reason: Reason | ShareReason
    message: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", plain(self.message, MESSAGE_BYTES))


def find(conditions: Iterable[Condition], kind: str) -> Condition | None:
    """Return the condition of that type, if there is one."""
    return next((each for each in conditions if each.type == kind), None)


def is_true(conditions: Iterable[Condition], kind: str) -> bool:
    """Return whether the condition of that type stands at True."""
    condition = find(conditions, kind)
    return condition is not None and condition.status == "True"


def merge(
    standing: Iterable[Condition], drafts: Iterable[Draft], generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Return the conditions to write, in a fixed order.

    A type without a draft stays as it stands; Reconciling and Stalled stay only when drafted.
    ``lastTransitionTime`` moves only when the status flips.
    """
    before = {each.type: each for each in standing}
    after: dict[str, Condition] = {
        kind: each for kind, each in before.items() if kind not in _TRANSIENT
    }
    for draft in drafts:
        old = before.get(draft.type)
        after[draft.type] = Condition(
            type=draft.type,
            status=draft.status,
            reason=draft.reason,
            message=draft.message,
            last_transition_time=(
                old.last_transition_time if old and old.status == draft.status else now
            ),
            observed_generation=generation,
        )
    known = [after.pop(each.type) for each in CONDITIONS if each.type in after]
    return (*known, *after.values())


def amended(
    standing: Iterable[Condition], drafts: Iterable[Draft], generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Return the conditions with some of them changed; every other one stays as it stands."""
    before = tuple(standing)
    after = merge(before, drafts, generation, now)
    known = {each.type for each in after}
    return (*after, *(each for each in before if each.type not in known))


def with_conditions(
    status: S,
    generation: int,
    drafts: Iterable[Draft],
    now: datetime,
    changes: Mapping[str, object] | None = None,
) -> S:
    """Return a status with other conditions and other fields, for a generation of its object."""
    return status.model_copy(
        update={
            "cloud_unreachable_since": None,
            **(changes or {}),
            "observed_generation": generation,
            "conditions": merge(status.conditions, drafts, generation, now),
        }
    )


def unreachable_since(resource: Resource, reason: str, now: datetime) -> datetime | None:
    """Return when the cloud became unreachable; None if the failure is another one."""
    if reason != Reason.CLOUD_UNREACHABLE:
        return None
    return resource.status.cloud_unreachable_since or now


def sentences(said: str, since: datetime | None) -> str:
    """Return what went wrong as whole sentences, with the time at which it began.

    The time is the first failure's and not the last one's: the status is written once and not at
    each try.
    """
    sentence = said if said.endswith((".", "!", "?")) else f"{said}."
    if since is None:
        return sentence
    return f"{sentence} The cloud has been unreachable since {since:%Y-%m-%d %H:%M} UTC."


def keep_first(resource: Resource, kind: str, reason: str, text: str) -> str:
    """Return the text, or what a condition already says about a cloud that stays unreachable.

    Each try may fail at another request; the status is to be written once.
    """
    standing = find(resource.status.conditions, kind)
    if standing is not None and standing.reason == reason == Reason.CLOUD_UNREACHABLE:
        return standing.message
    return text


def deletion_message(resource: Resource, reason: str, said: str, now: datetime) -> str:
    """Return what a blocked deletion says about the cloud, and how to delete anyway."""
    text = f"{sentences(said, unreachable_since(resource, reason, now))} {HOW_TO_LET_GO}"
    return keep_first(resource, ConditionType.DELETION_BLOCKED, reason, text)
