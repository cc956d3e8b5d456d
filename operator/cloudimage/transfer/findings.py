"""What a look into an image found: part of a transfer's result, and of the status."""

from enum import StrEnum
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict

from cloudimage.plaintext import plain

LintMode = Literal["Auto", "Warn", "Enforce", "Skip"]
"""Whether an image is looked into: ``Auto`` where its bytes are in the scratch anyway."""

MOST_FINDINGS: Final = 32
"""Kept of one image; the rest is counted."""

_PATH_BYTES: Final = 160
_MESSAGE_BYTES: Final = 320
_SYSTEM_BYTES: Final = 80
_WHY_BYTES: Final = 600


class Rule(StrEnum):
    """What an image for a cloud must have, or must not; in the order of weight."""

    EMPTY_PASSWORD = "EmptyPassword"  # noqa: S105 - a rule, not a password
    PASSWORD = "PasswordSet"  # noqa: S105 - as above
    AUTHORIZED_KEY = "AuthorizedKeys"
    HOST_KEY = "SSHHostKey"
    MACHINE_ID = "MachineID"
    TOO_LARGE = "FileTooLarge"
    UNREADABLE = "Unreadable"
    CLOUD_INIT = "CloudInitMissing"
    GROWPART = "GrowpartMissing"
    LOGS = "Logs"
    HISTORY = "ShellHistory"


class Finding(BaseModel):
    """One departure from the rules.

    Attributes:
        path: In the image; its name is the image's own words.
        message: A sentence that says what it means and what to do.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: Rule
    path: str
    message: str

    @classmethod
    def of(cls, rule: Rule, path: str, message: str) -> Self:
        """Return a finding whose texts are plain and short."""
        return cls(rule=rule, path=plain(path, _PATH_BYTES), message=plain(message, _MESSAGE_BYTES))


class LintResult(BaseModel):
    """What came of looking into an image.

    Attributes:
        outcome: Clean or FindingsFound; else why nothing is known.
        message: A sentence for the user.
        findings: The first of them, by weight.
        more: Number of further ones.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    outcome: Literal["Clean", "FindingsFound", "NotLookedInto", "FileSystemUnknown"]
    message: str
    findings: tuple[Finding, ...] = ()
    more: int = 0

    @classmethod
    def unknown(cls, outcome: Literal["NotLookedInto", "FileSystemUnknown"], why: str) -> Self:
        """Return that nothing is known, and why; the end of a sentence, in anybody's words."""
        said = plain(why, _WHY_BYTES)
        return cls(outcome=outcome, message=f"The image was not looked into: {said}.")

    @classmethod
    def of(cls, findings: tuple[Finding, ...], system: str) -> Self:
        """Return the result of a look.

        Args:
            findings: All of them.
            system: What the image has on it, such as ``Debian GNU/Linux 12 (bookworm)``.
        """
        system = plain(system, _SYSTEM_BYTES)
        if not findings:
            return cls(outcome="Clean", message=f"Nothing was found in the image ({system}).")
        ranked = sorted(findings, key=lambda each: list(Rule).index(each.rule))
        kept = tuple(ranked[:MOST_FINDINGS])
        rules = ", ".join(dict.fromkeys(each.rule.value for each in ranked))
        first = kept[0]
        count = f"{len(findings)} finding{'s' * (len(findings) != 1)} in the image ({system})"
        return cls(
            outcome="FindingsFound",
            message=f"{count}: {rules}. {first.path}: {first.message}.",
            findings=kept,
            more=len(findings) - len(kept),
        )

    def shorter(self) -> Self:
        """Return the same with half of the findings, for where there is little room."""
        kept = self.findings[: len(self.findings) // 2]
        return self.model_copy(
            update={"findings": kept, "more": self.more + len(self.findings) - len(kept)}
        )
