"""The conditions, as declared."""

from datetime import UTC, datetime

from cloudimage.api.reasons import ConditionType, Reason, ShareCondition
from cloudimage.controller.logic.conditions import CONDITIONS, Draft, merge

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_each_type_is_declared_once() -> None:
    names = [each.type.value for each in CONDITIONS]
    assert sorted(names) == sorted({*ConditionType, *ShareCondition})


def test_they_are_written_in_the_declared_order() -> None:
    drafts = [Draft(each.type, "True", Reason.PROGRESSING, "m") for each in reversed(CONDITIONS)]
    written = merge((), drafts, 1, NOW)
    assert [each.type for each in written] == [each.type for each in CONDITIONS]


def test_transient_ones_stay_only_when_decided_again() -> None:
    drafts = [Draft(each.type, "True", Reason.PROGRESSING, "m") for each in CONDITIONS]
    stayed = merge(merge((), drafts, 1, NOW), (), 2, NOW)
    assert [each.type for each in stayed] == [
        each.type for each in CONDITIONS if not each.transient
    ]
