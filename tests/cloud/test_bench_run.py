"""The benchmarks work: each bar compares what it says, and the results have their shape."""

import json
from pathlib import Path

import pytest

from bench.__main__ import main
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cloud, pytest.mark.slow]

BARS = [
    *("conversion", "passage", "bucket", "registries", "copying", "store"),
    *("footprint", "crowd", "fanout", "reading"),
]
RATIOS = {
    "conversion": ["ours / the shell way", "ours / the slowest stage alone"],
    "passage": ["ours / curl -T"],
    "bucket": ["s3 / http"],
    "registries": ["artifact: oci / http", "containerDisk: oci / http"],
    "copying": ["ours / the slower of both"],
    "store": ["ours / the shell way"],
    "fanout": ["ours / 4 curl -T at once"],
    "crowd": ["ours / what the slowest shared resource allows"],
}


@pytest.mark.timeout(900)  # each measurement waits for the disk, which other tests keep busy
def test_quick_run(openstack: OpenStack, sources: Sources, tmp_path: Path) -> None:
    main(["--quick", "--results", str(tmp_path), *BARS])
    (path,) = tmp_path.iterdir()
    results = json.loads(path.read_text())
    assert results["scale"]["name"] == "quick"
    assert results["machine"]["cpus"] > 0
    bars = {bar["name"]: bar for bar in results["bars"]}
    assert list(bars) == BARS
    for bar in bars.values():
        assert all(seconds > 0 for seconds in bar["seconds"].values())
        assert all(each["met"] == (each["value"] <= each["limit"]) for each in bar["limits"])
    for name, ratios in RATIOS.items():
        values = {each["what"]: each["value"] for each in bars[name]["limits"]}
        assert all(values[ratio] > 0 for ratio in ratios)
    seconds = bars["conversion"]["seconds"]
    ratio = bars["conversion"]["limits"][0]["value"]
    assert ratio == pytest.approx(seconds["ours"] / seconds["the shell way"])
    footprint = {each["what"]: each for each in bars["footprint"]["limits"]}
    assert footprint["memory at 64 MiB"]["value"] > 20
    assert footprint["raw bytes in the scratch at 64 MiB"]["met"]
