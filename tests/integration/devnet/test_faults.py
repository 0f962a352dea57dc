"""Injected faults, observed with the SDK, and the HTTP control API."""

import asyncio
import json
from typing import Any

import bittensor
import httpx
import pytest
from bittensor import ErrorCode, calls
from bittensor._generated.runtime_apis import NeuronInfoRuntimeApi
from bittensor._transport.errors import StateDiscardedError
from bittensor.sp_core import Keypair
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException

from pylon_devnet import Devnet, DevnetOptions
from pylon_devnet.population import dev_coldkey_seed, hotkey
from tests.support.chain.dev_wallet import dev_wallet
from tests.support.chain.sdk_storage import st
from tests.support.chain.signing import signed
from tests.support.chain.timelock import ROUND_1000, store_timelocked
from tests.support.product.eventually import HANGS_AFTER_S, eventually

NOW = {"signer": "hotkey", "wait_for_finalization": False}
REMARK = calls.System.remark(remark=b".")


async def raw(devnet: Devnet, *requests: Any) -> list[Any]:
    """Return the responses on a raw connection."""
    async with connect(devnet.url, max_size=None) as connection:
        answers: list[Any] = []
        for request in requests:
            await connection.send(request if isinstance(request, str) else json.dumps(request))
            answers.append(json.loads(await connection.recv()))
        return answers


async def test_pruned_state_is_a_typed_error(devnet: Devnet, client: bittensor.Client) -> None:
    await devnet.advance(10)
    devnet.prune(keep_blocks=5)
    stored = await client.at(16)
    assert await stored.query(st.System.Number) == 16
    gone = await client.at(15)
    for reading in (gone.query(st.System.Number), gone.runtime(_NEURONS, [1])):
        with pytest.raises(bittensor.ChainError, match="discarded"):
            await reading
    assert (await client.block_info(15)).number == 15, "the block itself is still there"


_NEURONS = NeuronInfoRuntimeApi.get_neurons_lite


async def test_old_state_is_pruned_by_itself_and_stays_so(tmp_path: Any) -> None:
    options = DevnetOptions(port=0, autostart=False, keep_blocks=5, state=tmp_path)
    for best in (20, 40):
        async with Devnet(options) as devnet:
            await devnet.advance(20)
            assert devnet.best_number == best
            assert devnet.chain.history.oldest == best - 4
            versions = len(list(devnet.chain.history.versions()))
            assert versions < len(devnet.chain.history) + 5 * 200


async def test_the_sdk_reconnects_after_a_dropped_connection(
    devnet: Devnet, client: bittensor.Client
) -> None:
    assert await client.block() == 10
    assert devnet.drop_connections() == 1
    assert await client.block() == 10


async def test_a_dropped_connection_ends_a_subscription(
    devnet: Devnet, client: bittensor.Client
) -> None:
    async def follow() -> None:
        async for _ in client.blocks():
            pass

    following = asyncio.create_task(follow())
    await eventually(lambda: "chain_subscribeNewHeads" in devnet.request_counts())
    devnet.drop_connections()
    with pytest.raises(bittensor.ChainError):
        await following


async def test_connections_are_refused_for_a_while(devnet: Devnet) -> None:
    devnet.refuse_connections(0.4)
    with pytest.raises((OSError, WebSocketException)):
        await raw(devnet)

    async def accepted() -> bool:
        try:
            await raw(devnet)
        except (OSError, WebSocketException):
            return False
        return True

    async with asyncio.timeout(HANGS_AFTER_S):
        while not await accepted():
            await asyncio.sleep(0.05)


async def test_handshakes_are_refused_with_a_status(devnet: Devnet) -> None:
    devnet.refuse_handshakes(times=2, status=429)
    with pytest.raises(bittensor.RpcPolicyError) as refused:
        async with bittensor.Client(devnet.url):
            pass
    assert refused.value.status_code == 429
    with pytest.raises(InvalidStatus):
        await raw(devnet)
    assert await raw(devnet, {"id": 1, "method": "system_chain"})


async def test_a_silent_node_answers_nothing(devnet: Devnet, client: bittensor.Client) -> None:
    devnet.go_silent()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await client.block()
    devnet.speak()
    async with bittensor.Client(devnet.url) as another:
        assert await another.block() == 10


async def test_a_slow_method_does_not_delay_others(
    devnet: Devnet, client: bittensor.Client
) -> None:
    devnet.delay_method("state_call", 0.5)
    slow = asyncio.create_task(client.runtime(_NEURONS, [2]))
    assert await client.block() == 10
    assert not slow.done()
    assert len(await slow) == 16
    devnet.delay_method("state_call", 0)
    assert len(await client.runtime(_NEURONS, [2])) == 16


async def test_a_delayed_reply_does_not_delay_shutdown() -> None:
    async with Devnet(DevnetOptions(port=0)) as devnet:
        devnet.delay_method("system_chain", 3600)
        reading = asyncio.create_task(raw(devnet, {"id": 1, "method": "system_chain"}))
        await eventually(lambda: devnet._server._clients)
    with pytest.raises(WebSocketException):
        await reading


async def test_a_method_fails_the_configured_number_of_times(
    devnet: Devnet, client: bittensor.Client
) -> None:
    devnet.fail_method("state_call", times=2, code=-32000, message="out of order")
    for _ in range(2):
        with pytest.raises(bittensor.ChainError, match="out of order"):
            await client.runtime(_NEURONS, [2])
    assert len(await client.runtime(_NEURONS, [2])) == 16


async def test_heads_pause_and_resume(live: Devnet, writer: bittensor.Client) -> None:
    live.pause()
    paused_at = await writer.block()
    # Without the pause, several blocks would have been made by then.
    with pytest.raises(TimeoutError):
        await writer.wait_for_block(paused_at + 1, timeout=10 * live.options.block_time_s)
    assert await writer.block() == paused_at
    live.resume()
    assert (await writer.wait_for_block(paused_at + 2, timeout=30)).number >= paused_at + 2


@pytest.mark.parametrize(
    ("number", "shown"), [(2**32 - 1, "0xffffffff"), (-5, "-0x5"), ("f" * 4000,) * 2, (None,) * 2]
)
async def test_a_false_number_is_announced_and_answered(
    devnet: Devnet, number: Any, shown: Any
) -> None:
    async with connect(devnet.url) as connection:
        await connection.send('{"id": 1, "method": "chain_subscribeNewHeads"}')
        real = [json.loads(await connection.recv()) for _ in range(2)][-1]
        devnet.announce_head(number, times=2)
        for _ in range(2):
            announced = json.loads(await connection.recv())["params"]["result"]
            assert announced == real["params"]["result"] | {"number": shown}
        devnet.falsify_headers(number, times=1)
        numbers: list[Any] = []
        for _ in range(2):
            await connection.send('{"id": 2, "method": "chain_getHeader"}')
            numbers.append(json.loads(await connection.recv())["result"]["number"])
        assert numbers == [shown, hex(devnet.best_number)]


async def test_finality_stalls_and_resumes(devnet: Devnet, client: bittensor.Client) -> None:
    devnet.stall_finality()
    await devnet.advance(3)
    assert (devnet.best_number, devnet.finalized_number) == (13, 9)
    devnet.resume_finality()
    async with bittensor.Client(devnet.url) as another:
        assert await another.finalized_block() == 12


async def test_a_reorganisation(live: Devnet, writer: bittensor.Client) -> None:
    live.stall_finality()
    result = await writer.submit_call(REMARK, dev_wallet("sn1"), **NOW)
    live.pause()
    (applied,) = live.applied_extrinsics()
    lost = live.best_number - applied.block_number + 1
    hashes = {number: live.chain.hash(number) for number in range(live.best_number + 1)}
    assert live.reorg(lost) == max(hashes) + 1
    for number, hash_ in hashes.items():
        assert (live.chain.hash(number) == hash_) == (number < applied.block_number)
    (again,) = live.applied_extrinsics()
    assert again.hash == applied.hash, "the extrinsic must be included again, once"
    substrate: Any = writer._substrate
    with pytest.raises(StateDiscardedError):
        await substrate.raw.query("System", "Number", [], result.block_hash)


async def test_the_pool_rejects_with_the_injected_error(
    live: Devnet, writer: bittensor.Client
) -> None:
    live.refuse_extrinsics(times=1)
    refused = await writer.submit_call(REMARK, dev_wallet("sn1"), **NOW)
    assert (refused.error.name, refused.error.code) == (
        "RateLimitExceeded",
        ErrorCode.RATE_LIMITED,
    )
    assert (await writer.submit_call(REMARK, dev_wallet("sn1"), **NOW)).success


async def test_an_extrinsic_is_swallowed(live: Devnet, writer: bittensor.Client) -> None:
    live.swallow_extrinsics()
    lost = await writer.submit_call(
        REMARK, dev_wallet("sn1"), signer="hotkey",
        wait_for_inclusion=False, wait_for_finalization=False,
    )  # fmt: skip
    assert lost.success
    best = live.best_number
    await eventually(lambda: live.best_number > best + 2)
    assert (len(live.pool), live.applied_extrinsics()) == (0, [])


async def test_an_extrinsic_is_included_without_a_notification(
    live: Devnet, writer: bittensor.Client
) -> None:
    live.mute_watches()
    watching = asyncio.create_task(writer.submit_call(REMARK, dev_wallet("sn1"), **NOW))
    await eventually(live.applied_extrinsics)
    best = live.best_number
    await eventually(lambda: live.best_number > best + 2)
    assert not watching.done()
    watching.cancel()


async def test_the_pool_is_emptied(live: Devnet, writer: bittensor.Client) -> None:
    live.pause()
    watching = asyncio.create_task(writer.submit_call(REMARK, dev_wallet("sn1"), **NOW))
    await eventually(lambda: len(live.pool) == 1)
    assert live.drop_extrinsics() == 1
    dropped = await watching
    assert (dropped.success, dropped.error.name) == (False, "Dropped")


async def test_a_finished_extrinsic_is_no_longer_watched(live: Devnet) -> None:
    live.pause()
    extrinsic = signed(
        live.chain, dev_coldkey_seed("sn1"), ("System", "remark", {"remark": b"!"}), 0
    )
    async with connect(live.url) as connection:

        async def ask(method: str, *params: Any) -> Any:
            request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
            await connection.send(json.dumps(request))
            while "id" not in (answer := json.loads(await connection.recv())):
                pass
            return answer["result"]

        first = await ask("author_submitAndWatchExtrinsic", "0x" + extrinsic.hex())
        assert live.drop_extrinsics() == 1
        second = await ask("author_submitAndWatchExtrinsic", "0x" + extrinsic.hex())
        assert not await ask("author_unwatchExtrinsic", first)
        assert await ask("author_unwatchExtrinsic", second)


async def test_the_outcome_is_unknown_after_a_connection_lost_while_watching(
    live: Devnet, writer: bittensor.Client
) -> None:
    live.pause()
    watching = asyncio.create_task(writer.submit_call(REMARK, dev_wallet("sn1"), **NOW))
    await eventually(lambda: len(live.pool) == 1)
    live.drop_connections()
    unknown = await watching
    assert (unknown.success, unknown.error.code) == (False, ErrorCode.UNKNOWN)
    await live.advance()
    assert len(live.applied_extrinsics()) == 1


async def test_neurons_hyperparameters_and_storage(
    devnet: Devnet, client: bittensor.Client
) -> None:
    newcomer = Keypair.create_from_seed(b"n" * 32).ss58_address
    devnet.register_neuron(2, newcomer, newcomer)
    devnet.set_hyperparameter(2, "Tempo", 77)
    devnet.set_storage("SubtensorModule", "StakeThreshold", [], 5)
    await devnet.advance()
    neurons = await client.neurons.all(2)
    assert (len(neurons), neurons[16].hotkey, neurons[16].coldkey) == (17, newcomer, newcomer)
    assert await client.query(st.SubtensorModule.Tempo, [2]) == 77
    assert await client.query(st.SubtensorModule.StakeThreshold) == 5
    with pytest.raises(ValueError, match="Nonsense is not one of"):
        devnet.set_hyperparameter(2, "Nonsense", 1)
    with pytest.raises(ValueError, match="Nonsense"):
        devnet.set_storage("SubtensorModule", "Nonsense", [], 1)
    with pytest.raises(ValueError, match="subnet 9 does not exist"):
        devnet.register_neuron(9, newcomer, newcomer)


async def test_requests_in_every_form(devnet: Devnet) -> None:
    hash_call = {"jsonrpc": "2.0", "method": "chain_getBlockHash"}
    positional, named, batch, missing, broken, wrong, unknown = await raw(
        devnet,
        {**hash_call, "id": 1, "params": [3]},
        {**hash_call, "id": "two", "params": {"hash": 3}},
        [{**hash_call, "id": 3, "params": [n]} for n in (3, 999)],
        {"jsonrpc": "2.0", "id": 4, "method": "no_such_method"},
        "{not json",
        {"jsonrpc": "2.0", "id": 5, "method": "state_getStorage", "params": ["zz"]},
        {"jsonrpc": "2.0", "id": 6, "method": "chain_getHeader", "params": ["0x" + "ab" * 32]},
    )
    expected = "0x" + (devnet.chain.hash(3) or b"").hex()
    assert positional == {"jsonrpc": "2.0", "id": 1, "result": expected}
    assert (named["id"], named["result"]) == ("two", expected)
    assert [one["result"] for one in batch] == [expected, None]
    assert missing["error"]["code"] == -32601
    assert broken["error"]["code"] == -32700
    assert wrong["error"]["code"] == -32602
    assert unknown["result"] is None
    assert devnet.request_counts()["chain_getBlockHash"] == 4


async def test_every_control_over_http() -> None:
    options = DevnetOptions(port=0, control_port=0, autostart=False, tempo_blocks=20)
    async with Devnet(options) as devnet, httpx.AsyncClient() as http:
        assert devnet.control_url is not None

        async def control(route: str, **parameters: Any) -> Any:
            method, path = route.split()
            response = await http.request(method, f"{devnet.control_url}{path}", json=parameters)
            assert response.status_code == 200, response.text
            return response.json()

        listed = await control("GET /")
        assert await control("POST /advance", blocks=3) == 3
        assert await control("POST /advance?blocks=2") == 5
        assert (await control("GET /status"))["best_number"] == 5
        async with bittensor.Client(devnet.url) as client:
            await client.runtime(_NEURONS, [2])
            counts = await control("GET /requests/counts")
            assert counts["state_call:NeuronInfoRuntimeApi_get_neurons_lite"] == 1
            assert (await control("GET /requests"))[-1]["params"] == [2]
            await control("DELETE /requests")
            assert await control("GET /requests/counts") == {}
            await control("POST /refuse-extrinsics", times=1, data="Custom error: 1")
            refused = await client.submit_call(REMARK, dev_wallet("sn1"), **NOW)
            assert refused.error.name == "StakeAmountTooLow"
            await control("POST /fail-method", method="chain_getHeader", message="broken")
            with pytest.raises(bittensor.ChainError, match="broken"):
                await client.block()
            await control("POST /delay-method", method="chain_getHeader", seconds=0.01)
            assert await client.block() == 5
            await control("POST /resume")
            await control("POST /pause")
            submitting = asyncio.create_task(client.submit_call(REMARK, dev_wallet("sn1"), **NOW))
            await eventually(lambda: len(devnet.pool) == 1)
            await control("POST /advance")
            assert (await submitting).success
            assert (await control("GET /applied"))[0]["call"] == "System.remark"
            assert await control("GET /applied/counts") == {hotkey(1, 0): {"System.remark": 1}}
            assert await control("GET /pool/most-in-flight") == 1
        store_timelocked(devnet, 2, hotkey(2, 3), "a text")
        await devnet.advance()
        for route, parameters in (
            (
                "POST /reveal-commitment",
                {"netuid": 2, "hotkey": hotkey(2, 3), "text": "a text"},
            ),
            ("POST /stall-finality", {}),
            ("POST /resume-finality", {}),
            ("POST /reorg", {"depth": 1}),
            ("POST /drop-extrinsics", {}),
            ("POST /swallow-extrinsics", {"times": 0}),
            ("POST /mute-watches", {"times": 0}),
            ("POST /announce-head", {"number": 2**32 - 1, "times": 1}),
            ("POST /falsify-headers", {"number": "not a number", "times": 0}),
            ("POST /set-hyperparameter", {"netuid": 1, "item": "Tempo", "value": 5}),
            (
                "POST /set-storage",
                {"pallet": "System", "item": "EventCount", "params": [], "value": 1},
            ),
            (
                "POST /register-neuron",
                {"netuid": 2, "hotkey": hotkey(1, 9), "coldkey": hotkey(1, 9)},
            ),
            ("POST /trigger-epoch", {"netuid": 1}),
            (
                "POST /reveal",
                {"netuid": 12, "hotkey": hotkey(12, 0), "uids": [1], "weights": [2]},
            ),
            ("POST /drand-signature", {"round": 1000, "signature": ROUND_1000}),
            ("POST /deregister-neuron", {"netuid": 2, "hotkey": hotkey(2, 9)}),
            ("POST /prune", {"keep_blocks": 2}),
            ("POST /drop-connections", {}),
            ("POST /refuse-handshakes", {"times": 0}),
            ("POST /refuse-connections", {"seconds": 0}),
            ("POST /go-silent", {}),
            ("POST /speak", {}),
        ):
            await control(route, **parameters)
            listed.remove(route)
        assert len(listed) == 14, "a control has no test"
        for method, path, body, status in (
            ("POST", "/nothing", b"", 404),
            ("POST", "/prune", b"", 400),
            ("POST", "/prune", b'{"keep_blocks": 1, "more": 2}', 400),
            ("POST", "/reorg", b'{"depth": 999}', 400),
            ("POST", "/prune", b"{", 400),
        ):
            response = await http.request(method, f"{devnet.control_url}{path}", content=body)
            assert response.status_code == status
            assert response.json()["detail"]
