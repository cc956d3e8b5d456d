"""Our verdicts on what Glance takes, against the real one's."""

from pathlib import Path
from typing import Any

import pytest

from support.glance_inputs import GIVEN, Given
from support.transfer_runs import Bench


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_glance_agrees(given: Given, bench: Bench, disk: Path, tmp_path: Path) -> None:
    path = tmp_path / "image"
    given.build(disk, path)
    api: Any = bench.connection().image
    body = {"name": bench.unique, "disk_format": given.shape, "container_format": given.container}
    image = api.post("/images", json={**body, "visibility": "private"}).json()
    headers = {"Content-Type": "application/octet-stream"}
    with path.open("rb") as file:
        answer = api.put(f"/images/{image['id']}/file", data=file, headers=headers)
    refused = answer.status_code >= 400
    assert refused == (given.refused is not None), answer.text
    status = api.get(f"/images/{image['id']}").json()["status"]
    assert (status == "active") != refused
