"""Routing of reads between the main node and the archive node."""

import pytest

from pylon.chain.archive_routing import RoutedChain
from pylon.chain.queries.neuron_queries import Neurons
from pylon_client.contract import neurons_body
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import BlockNumber, NetUid
from tests.support.chain.fake_chain import FakeChain, block_of

NETUID = NetUid(1)
HEAD = 1_000
OF_WHICH_CHAIN = ("block", 0)


def nodes(*, keeps: int = 256) -> tuple[FakeChain, FakeChain]:
    return FakeChain(HEAD, keeps=keeps), FakeChain(HEAD)


@pytest.mark.parametrize("age", [0, 1, 255, 256, 299, 300, 301, 999])
async def test_every_age_is_readable_and_old_blocks_are_read_from_the_archive_only(
    age: int,
) -> None:
    main, archive = nodes()
    chain = RoutedChain(main, archive, cutoff_blocks=300)
    number = BlockNumber(HEAD - age)
    block = await chain.block(number, timeout_s=5)
    result = await chain.query(Neurons(NETUID), block, timeout_s=5)
    await chain.timestamp(block, timeout_s=5)
    assert neurons_body.is_of_block(result, block_of(number))
    touched_main = [read for read in main.reads if read not in ("latest", OF_WHICH_CHAIN)]
    touched_archive = [read for read in archive.reads if read != OF_WHICH_CHAIN]
    assert bool(touched_main) is (age <= 300)
    assert bool(touched_archive) is (age >= 256)


async def test_a_discarded_state_is_requested_once_from_the_lite_node() -> None:
    main, archive = nodes(keeps=10)
    chain = RoutedChain(main, archive, cutoff_blocks=300)
    await chain.query(Neurons(NETUID), block_of(HEAD - 50), timeout_s=5)
    assert main.reads["neurons", NETUID, HEAD - 50] == 1
    assert archive.reads["neurons", NETUID, HEAD - 50] == 1


@pytest.mark.parametrize("age", [50, 400])
async def test_without_an_archive_the_error_names_the_setting(age: int) -> None:
    main, _ = nodes(keeps=10)
    chain = RoutedChain(main, None, cutoff_blocks=300)
    with pytest.raises(FailureError) as caught:
        await chain.query(Neurons(NETUID), block_of(HEAD - age), timeout_s=5)
    assert caught.value.code is ErrorCode.ARCHIVE_REQUIRED
    assert "PYLON_BITTENSOR_ARCHIVE_NETWORK" in caught.value.failure.detail


async def test_other_errors_of_the_lite_node_are_not_retried_on_the_archive() -> None:
    main, archive = nodes()
    chain = RoutedChain(main, archive, cutoff_blocks=300)
    await chain.latest_block(timeout_s=5)
    main.down = FailureError(ErrorCode.CHAIN_UNAVAILABLE, "down")
    with pytest.raises(FailureError, match="down"):
        await chain.query(Neurons(NETUID), block_of(HEAD), timeout_s=5)
    assert not archive.reads


async def test_age_is_counted_from_the_last_observed_head() -> None:
    main, archive = nodes()
    chain = RoutedChain(main, archive, cutoff_blocks=300)
    chain.observe_head(BlockNumber(HEAD + 500))
    await chain.block(BlockNumber(HEAD), timeout_s=5)
    assert set(main.reads) == {OF_WHICH_CHAIN}, "the age was known without asking"
    assert archive.reads["block", HEAD] == 1
    chain.observe_head(BlockNumber(HEAD))
    await chain.block(BlockNumber(HEAD), timeout_s=5)
    assert main.reads["block", HEAD] == 1, "a lower head counts too"


async def test_an_announced_head_sends_no_read_to_the_archive() -> None:
    main, archive = nodes()
    chain = RoutedChain(main, archive, cutoff_blocks=300)
    heads = chain.subscribe_heads(silence_s=5)
    main.announcements.put_nowait(2**32 - 1)
    assert await anext(heads) == 2**32 - 1
    await heads.aclose()
    main.head = HEAD
    await chain.block(BlockNumber(HEAD), timeout_s=5)
    assert not archive.reads


async def test_without_an_archive_a_wrong_head_affects_no_read() -> None:
    main, _ = nodes()
    chain = RoutedChain(main, None, cutoff_blocks=300)
    chain.observe_head(BlockNumber(HEAD + 10_000))
    assert (await chain.block(BlockNumber(HEAD), timeout_s=5)).number == HEAD


async def test_an_archive_of_another_chain_is_not_used() -> None:
    main, archive = nodes()
    archive.fork = 1
    chain = RoutedChain(main, archive, cutoff_blocks=300)
    for _ in range(2):
        with pytest.raises(FailureError, match="another chain") as caught:
            await chain.block(BlockNumber(10), timeout_s=5)
        assert caught.value.code is ErrorCode.ARCHIVE_REQUIRED
    assert set(archive.reads) == {OF_WHICH_CHAIN}


async def test_the_chain_of_the_archive_is_checked_once() -> None:
    main, archive = nodes()
    chain = RoutedChain(main, archive, cutoff_blocks=300)
    for number in (10, 20, 30):
        await chain.block(BlockNumber(number), timeout_s=5)
    assert (main.reads[OF_WHICH_CHAIN], archive.reads[OF_WHICH_CHAIN]) == (1, 1)


async def test_a_block_of_the_future_is_not_found() -> None:
    chain = RoutedChain(*nodes(), cutoff_blocks=300)
    with pytest.raises(FailureError, match=r"Block 5000 not found\."):
        await chain.block(BlockNumber(5_000), timeout_s=5)


async def test_closing_closes_both() -> None:
    main, archive = nodes()
    await RoutedChain(main, archive, cutoff_blocks=300).close()
    assert (main.closed, archive.closed) == (True, True)
