from pylon.chain.queries.drand_queries import LastDrandRound
from tests.support.chain.fake_chain import block_of
from tests.support.chain.scripted_sdk import ScriptedSdk


async def test_the_newest_stored_round_is_returned() -> None:
    for stored in (0, 2**64 - 1):
        sdk = ScriptedSdk(storage={"LastStoredRound": stored})
        found = await LastDrandRound().execute(sdk, block_of(1))
        assert found.last_stored_round == stored
