"""CloudImages with the status of a situation, for the tests of decisions."""

from datetime import timedelta

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.status import CloudImageStatus
from cloudimage.images.logic import available_status
from cloudimage.images.logic.desired import Desired
from cloudimage.transfer.contract import Result, SourceInfo
from support.resources import NOW, glance_image

LATER = NOW + timedelta(minutes=5)


RESULT = Result(
    image_id="i",
    disk_format="raw",
    size=1,
    virtual_size=7,
    hash_algo="sha512",
    hash_value="h",
    source=SourceInfo(
        format="qcow2", size=5, actual_size=6, virtual_size=7, checksums={"sha256": "s"}
    ),
)


def states(new: CloudImageStatus) -> dict[str, tuple[str, str]]:
    return {each.type: (each.status, each.reason) for each in new.conditions}


def after(resource: CloudImage, new: CloudImageStatus, generation: int = 3) -> CloudImage:
    metadata = resource.metadata.model_copy(update={"generation": generation})
    return resource.model_copy(update={"status": new, "metadata": metadata})


def ready(resource: CloudImage) -> CloudImage:
    return after(
        resource,
        available_status.available(
            resource, Desired.of(resource.spec), glance_image(resource), None, None, NOW
        ),
    )
