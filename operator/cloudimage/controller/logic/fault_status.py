"""The status after a fault of the operator's own; also of an object that the models do not take.

It is made from the object as the API server has it: the fault may be in reading it.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from cloudimage.api.meta import Condition
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.controller.logic import retry
from cloudimage.controller.logic.conditions import Draft, is_true, merge


def conditions_of(thing: Mapping[str, Any]) -> tuple[Condition, ...]:
    """Return the conditions of an object, without those that are not understood."""
    return tuple(_understood(_status(thing).get("conditions")))


def _understood(conditions: Any) -> Iterator[Condition]:  # noqa: ANN401  # whatever is there
    for condition in conditions if isinstance(conditions, list) else ():
        try:
            yield Condition.model_validate(condition)
        except ValidationError:
            continue


def after_fault(thing: Mapping[str, Any], fault: str, now: datetime) -> dict[str, Any]:
    """Return the status of an object that could not be looked at.

    Args:
        thing: The object, as the API server has it.
        fault: What was raised, in words without secrets.
        now: The present.
    """
    metadata, standing = thing["metadata"], conditions_of(thing)
    generation = metadata.get("generation", 1)
    text = (
        f"Internal error of the operator ({fault}); the operator's log has the details: please "
        f"report it. {retry.outlook(retry.pauses(Reason.INTERNAL_ERROR))}"
    )
    drafts = [Draft(ConditionType.STALLED, "True", Reason.INTERNAL_ERROR, text)]
    if not is_true(standing, ConditionType.READY):
        drafts.append(Draft(ConditionType.READY, "False", Reason.INTERNAL_ERROR, text))
    if "deletionTimestamp" in metadata:
        drafts.append(Draft(ConditionType.DELETION_BLOCKED, "True", Reason.INTERNAL_ERROR, text))
    conditions = merge(standing, drafts, generation, now)
    return {
        **_status(thing),
        "observedGeneration": generation,
        "conditions": [condition.to_json() for condition in conditions],
    }


def _status(thing: Mapping[str, Any]) -> Mapping[str, Any]:
    status = thing.get("status")
    return status if isinstance(status, Mapping) else {}
