"""What ``cloudimage plan`` found, as text and as JSON, and its exit status; pure."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from cloudimage.cli.output import aligned
from cloudimage.plaintext import plain, plain_tree

State = Literal["ok", "change", "unknown", "error"]
Outcome = Literal["unchanged", "changed", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one thing.

    Attributes:
        what: The thing.
        state: ``change``: applying would change it; ``error``: it would fail by this;
            ``unknown``: what it would be cannot be seen beforehand.
        text: What was found, for people.
        data: The same for programs.
    """

    what: str
    state: State
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What would happen to one CloudImage."""

    namespace: str
    name: str
    findings: tuple[Finding, ...]

    @property
    def outcome(self) -> Outcome:
        """All findings together."""
        states = {each.state for each in self.findings}
        if "error" in states:
            return "failed"
        return "changed" if "change" in states else "unchanged"


def exit_status(plans: Iterable[Plan]) -> int:
    """Return 0 if nothing would change, 2 if something would, 1 if something would fail."""
    outcomes = {each.outcome for each in plans}
    if "failed" in outcomes:
        return 1
    return 2 if "changed" in outcomes else 0


_WORDS: Final[Mapping[Outcome, str]] = {
    "unchanged": "unchanged",
    "changed": "would change",
    "failed": "would fail",
}


def text_of(plans: Sequence[Plan]) -> str:
    """Return the plans as text, and how many of each kind there are."""
    counts = Counter(each.outcome for each in plans)
    summary = ", ".join(f"{counts[name]} {word}" for name, word in _WORDS.items() if counts[name])
    return "\n\n".join([*map(_section, plans), f"CloudImages: {summary or 'none'}."])


def _section(plan: Plan) -> str:
    rows = [[f"  {each.state}", each.what, plain(each.text)] for each in plan.findings]
    head = f"CloudImage {plain(plan.namespace)}/{plain(plan.name)}: {_WORDS[plan.outcome]}"
    return f"{head}\n{aligned(rows)}"


def json_of(plans: Sequence[Plan]) -> str:
    """Return the plans as a JSON list."""
    told = [
        {
            "namespace": plan.namespace,
            "name": plan.name,
            "outcome": plan.outcome,
            "findings": [
                {"what": each.what, "state": each.state, "text": each.text, **each.data}
                for each in plan.findings
            ],
        }
        for plan in plans
    ]
    return json.dumps(plain_tree(told), indent=4)
