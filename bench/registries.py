"""A disk out of a registry, against the same blob as a file behind a URL."""

import tempfile
import uuid
from pathlib import Path

from bench.results import Bar, Limit
from bench.rig import Rig
from bench.scale import Scale
from cloudimage.transfer.request import TransferRequest
from cloudimage.transfer.source.oci.model import OciSource
from testbed.oci_images import artifact, container, digest, layer
from testbed.registry import Registry


def registries(rig: Rig, scale: Scale) -> Bar:
    """A raw artifact, and a containerDisk with a compressed qcow2 that becomes raw."""
    bar = Bar("registries", "a disk out of a registry, against the http source for the same blob")
    raw = rig.image("raw", scale.raw, scale.raw // 2)
    qcow2 = rig.image("qcow2", scale.virtual, scale.data, compress=True)
    with (
        tempfile.TemporaryDirectory(dir=rig.folder) as name,
        Registry(Path(name) / "registry", secure=False) as registry,
    ):
        packed = layer(Path(name), {"disk/disk.qcow2": qcow2})
        images = {
            "artifact": (artifact(registry, "bench/raw:1", raw.parent, raw.name), raw),
            "containerDisk": (container(registry, "bench/disk:1", packed), packed),
        }
        for label, (image, blob) in images.items():
            repository = image.removeprefix(f"{registry.host}/").removesuffix(":1")
            url = f"{registry.url}/v2/{repository}/blobs/{digest(blob)}"
            http = rig.request(url, blob, "raw")
            oci = http.model_copy(update={"source": OciSource(image=image)})
            # In turns: what else the machine does meanwhile is for both.
            pairs = [(_seconds(rig, http), _seconds(rig, oci)) for _ in range(scale.repeats)]
            by_http, by_oci = map(min, zip(*pairs, strict=True))
            bar.seconds |= {f"{label}: http": by_http, f"{label}: oci": by_oci}
            bar.limits.append(Limit(f"{label}: oci / http", by_oci / by_http, 1.1))
    return bar


def _seconds(rig: Rig, request: TransferRequest) -> float:
    """Return the seconds of a transfer, of an image of its own."""
    fresh = request.image.model_copy(update={"id_seed": str(uuid.uuid4())})
    return rig.transfer(request.model_copy(update={"image": fresh})).seconds
