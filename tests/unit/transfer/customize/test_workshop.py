"""What an image becomes without a step: nothing of a run is needed for that."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cloudimage.transfer.contract import Limits, Reason, TransferError, UrlPolicy
from cloudimage.transfer.customize.customization import Customized, Workshop
from cloudimage.transfer.customize.model import Customize
from cloudimage.transfer.image.inspection import inspect
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.tools.toolbox import Toolbox
from support.guests import CLEAN, disk, file_system, tree
from support.transfer_images import make

NOTHING = Customize()
Customizing = Callable[..., Customized]


@pytest.fixture
def customize(tmp_path: Path) -> Customizing:
    system = file_system(tmp_path / "system", "ext4", tree(tmp_path / "guest", CLEAN))
    raw = disk(tmp_path / "raw", "gpt", system)

    def customized(
        folder: Path,
        most: Limits | None = None,
        asked: Customize = NOTHING,
        *,
        compress: bool = False,
    ) -> Customized:
        folder.mkdir()
        make(raw, folder / "source", "qcow2")
        limits = Limits()
        tools = Toolbox(folder, limits.tool_memory, limits.tool_cpu_seconds)
        cache = Cache(folder, limits, shared=False)
        found = inspect(folder / "source", "qcow2", None, limits, tools, verified=True)
        meter = Meter(lambda _: None)
        policy = UrlPolicy()
        workshop = Workshop(tools, cache, most or limits, meter, tmp_path, policy, compress)
        return workshop.customize(folder / "source", found, asked)

    return customized


@pytest.mark.parametrize("compress", [False, True])
def test_no_more_space_is_kept_than_the_result_takes(
    tmp_path: Path, customize: Customizing, compress: bool
) -> None:
    """What follows, such as a look or a conversion, needs what there is."""
    made = customize(tmp_path / "t", compress=compress)
    promises = {each.name: int(each.read_text()) for each in (tmp_path / "t").glob("*.promise")}
    assert promises == {"customized.promise": made.path.stat().st_size}


def test_a_result_that_is_refused_says_nothing_of_the_source(
    tmp_path: Path, customize: Customizing
) -> None:
    with pytest.raises(TransferError, match="the image is not as it must be: ") as caught:
        customize(tmp_path / "t", Limits(max_virtual_size=2**20))
    assert caught.value.reason is Reason.CUSTOMIZE_FAILED


def test_a_scratch_whose_path_is_too_long_for_sockets(
    tmp_path: Path, customize: Customizing
) -> None:
    with pytest.raises(TransferError, match="the path of the scratch is too long") as caught:
        customize(tmp_path / ("d" * 80), None, Customize(sparsify=True))
    assert caught.value.reason is Reason.CUSTOMIZE_UNAVAILABLE
    assert not list((tmp_path / ("d" * 80)).glob("custom*"))
