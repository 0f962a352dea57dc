"""Classes of the contract are importable by their old names, with a warning."""

import pytest

from pylon_client.testing import operations, reads, writes


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        (reads, "AtBlock", reads.BlockParams),
        (reads, "OfHotkey", reads.HotkeyParams),
        (reads, "ExtrinsicAt", reads.ExtrinsicParams),
        (reads, "WeightsStatusAt", reads.WeightsStatusParams),
        (writes, "OfJob", writes.JobParams),
        (operations, "AtBlock", reads.BlockParams),
    ],
)
def test_an_old_name_finds_the_class_and_warns(module: object, old: str, new: type) -> None:
    with pytest.warns(DeprecationWarning, match=f"{old} is deprecated: use {new.__name__}"):
        assert getattr(module, old) is new


@pytest.mark.parametrize("name", ["Unknown"])
@pytest.mark.parametrize("module", [reads, writes, operations])
def test_an_unknown_name_raises_attribute_error(module: object, name: str) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Unknown'"):
        getattr(module, name)
