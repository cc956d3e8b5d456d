"""CloudImages in the states that commands tell of."""

from typing import Any

from cloudimage.api.cloudimage import CloudImage
from support.resources import NOW, cloud_image


def condition(kind: str, status: str, reason: str) -> dict[str, Any]:
    """Return a condition with a message that names its reason."""
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": f"{reason} is why.",
        "lastTransitionTime": NOW,
        "observedGeneration": 3,
    }


def image(*conditions: tuple[str, str, str], **more: Any) -> CloudImage:
    """Return a CloudImage of generation 3 with conditions."""
    annotations = more.pop("annotations", {})
    status = {"observedGeneration": 3, "conditions": [condition(*each) for each in conditions]}
    made = cloud_image(status=status | more.pop("status", {}), annotations=annotations)
    return made.model_copy(update={"metadata": made.metadata.model_copy(update=more)})


AVAILABLE = image(("Ready", "True", "Available"))
UPLOADING = image(
    ("Ready", "False", "Progressing"),
    status={"progress": {"stage": "Uploading", "percent": 63, "bytesPerSecond": 2**25}},
)
MISMATCH = image(("Ready", "False", "ChecksumMismatch"), ("Stalled", "True", "ChecksumMismatch"))
BLOCKED = image(("DeletionBlocked", "True", "InUse"), deletion_timestamp=NOW)
