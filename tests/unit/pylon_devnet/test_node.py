import itertools

from pylon_devnet import Devnet, DevnetOptions


async def test_a_new_chain_may_begin_with_a_past_made_in_time() -> None:
    options = DevnetOptions(port=0, block_time_s=2.0, past_blocks=10, autostart=False)
    async with Devnet(options) as devnet:
        assert devnet.best_number == 10
        times_ms = [
            devnet.chain.state_at_number(number).get("Timestamp", "Now") for number in range(1, 11)
        ]
        gaps_ms = [later - earlier for earlier, later in itertools.pairwise(times_ms)]
        assert all(1_000 < gap < 3_000 for gap in gaps_ms)
