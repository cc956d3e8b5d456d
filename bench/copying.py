"""The bar that copies an image from one Glance to another."""

import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench.results import Bar, Limit
from bench.rig import PROJECT, Rig, timed
from bench.scale import Scale
from cloudimage.transfer.request import TransferRequest
from cloudimage.transfer.source.glance.model import GlanceSource
from testbed.openstack import OpenStack
from testbed.openstack.another import another

_OCTETS: Final = {"Content-Type": "application/octet-stream"}


def copying(rig: Rig, scale: Scale) -> Bar:
    """A raw image goes from one Glance to another: against its reading and its writing alone."""
    bar = Bar("copying", "raw image of another OpenStack's Glance, verified by its sha512")
    source = rig.image("raw", scale.raw, scale.raw // 2)
    saved: list[float] = []
    put: list[float] = []
    ours: list[float] = []
    with another() as old:
        old.up()
        image_id = _uploaded(old, source)
        request = _request(rig, old, image_id, source)
        for _ in range(scale.repeats):
            saved.append(timed(partial(_save, old, image_id, rig.folder / "saved.raw")))
            put.append(rig.put(source, "raw"))
            moved = rig.transfer(request)
            ours.append(moved.seconds)
            bar.seconds |= {f"ours: {label}": each for label, each in moved.stages.items()}
    alone = {"openstack image save": min(saved), "curl -T": min(put)}
    bar.seconds |= alone | {"ours": min(ours)}
    bar.limits = [Limit("ours / the slower of both", min(ours) / max(alone.values()), 1.1)]
    return bar


def _uploaded(old: OpenStack, source: Path) -> str:
    glance: Any = old.connect(PROJECT).image
    body = {"name": "bench", "disk_format": "raw", "container_format": "bare"}
    identifier: str = glance.post("/images", json=body).json()["id"]
    with source.open("rb") as file:
        glance.put(f"/images/{identifier}/file", data=file, headers=_OCTETS).raise_for_status()
    return identifier


def _request(rig: Rig, old: OpenStack, image_id: str, source: Path) -> TransferRequest:
    clouds = json.dumps({"clouds": {"old": old.cloud(PROJECT)}})
    image = GlanceSource(id=image_id, cloud_name="old", clouds_yaml=clouds)
    # As from a URL, but for that.
    from_url = rig.request("http://127.0.0.1/", source, None)
    return from_url.model_copy(update={"source": image})


def _save(old: OpenStack, image_id: str, target: Path) -> None:
    """Save an image as its user does, with the client's check of its hash."""
    target.unlink(missing_ok=True)
    words = ["--os-cloud", PROJECT, "image", "save", "--file", target, image_id]
    subprocess.run(
        [str(each) for each in (old.program("openstack"), *words)],
        env={"OS_CLIENT_CONFIG_FILE": str(old.clouds_yaml), "HOME": "/nowhere"},
        check=True,
        capture_output=True,
    )
