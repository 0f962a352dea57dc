from pylon.chain.port import read_block_info
from tests.support.chain.fake_chain import FakeChain, block_of


async def test_a_blocks_info_has_its_timestamp() -> None:
    block = block_of(7)
    info = await read_block_info(FakeChain(10), block, timeout_s=1)
    assert (info.number, info.hash) == (block.number, block.hash)
    assert info.timestamp == await FakeChain(10).timestamp(block, timeout_s=1)
