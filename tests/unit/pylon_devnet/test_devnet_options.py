from typing import Any

import pytest

from pylon_devnet.devnet_options import DevnetOptions


@pytest.mark.parametrize(
    "wrong",
    [{"block_time_s": 0.01}, {"keep_blocks": 0}, {"tempo_blocks": 0}, {"neurons": 8}],
)
def test_invalid_options_are_rejected(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"block|tempo|neurons"):
        DevnetOptions(**wrong)
