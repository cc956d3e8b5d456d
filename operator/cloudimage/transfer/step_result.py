"""What came of a step of spec.customize, as a transfer tells it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class StepResult(BaseModel):
    """How a step ended.

    Attributes:
        step: Which kind of step it is, by its name in the spec.
        seconds: How long it took; None: it did not run, or did not end.
        message: Of a failed one, why, with the last of what it wrote; plain lines.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: str
    result: Literal["Succeeded", "Failed", "NotRun"]
    seconds: float | None = None
    message: str = ""
