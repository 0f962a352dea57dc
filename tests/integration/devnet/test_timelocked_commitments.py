"""Commitments under a time lock: timelocked by the library of the SDK, opened as the chain does."""

from collections.abc import AsyncGenerator
from typing import Any

import bittensor
import bittensor_core
import pytest
from bittensor import calls

from pylon_devnet import Devnet, DevnetOptions
from pylon_devnet.population import hotkey
from tests.integration.devnet.on_demand import included
from tests.support.chain.dev_wallet import dev_wallet
from tests.support.chain.sdk_storage import st
from tests.support.chain.timelock import ROUND_1000, envelope, scale_text, timelocked

FUTURE = 1 << 40
WHO = hotkey(1, 0)
RUNTIMES = ("newest", "finney-424")


@pytest.fixture(params=RUNTIMES)
async def any_devnet(request: pytest.FixtureRequest) -> AsyncGenerator[Devnet]:
    options = DevnetOptions(
        port=0, block_time_s=0.25, autostart=False, tempo_blocks=400, runtime=request.param
    )
    async with Devnet(options) as node:
        await node.advance(2)
        yield node


@pytest.fixture
async def reader(any_devnet: Devnet) -> AsyncGenerator[bittensor.Client]:
    async with bittensor.Client(any_devnet.url) as connected:
        yield connected


def commitment(encrypted: bytes, drand_round: int, *more: Any) -> Any:
    field = {"TimelockEncrypted": {"encrypted": encrypted, "reveal_round": drand_round}}
    return calls.Commitments.set_commitment(netuid=1, info={"fields": [field, *more]})


async def publish(devnet: Devnet, client: bittensor.Client, call: Any) -> None:
    assert await included(devnet, client, call, dev_wallet("sn1")) is None


async def kinds(client: bittensor.Client) -> list[str]:
    """Return the kinds of the fields that are stored."""
    stored = await client.query(st.Commitments.CommitmentOf, [1, WHO])
    fields = [] if stored is None else stored["info"]["fields"]
    return [one if isinstance(one, str) else next(iter(one)) for one in fields]


async def reveals(devnet: Devnet) -> bytes | None:
    return devnet.chain.state_at_hash(None).get_raw("Commitments", "RevealedCommitments", 1, WHO)


async def test_a_real_signature_decrypts_commitments_of_its_round(
    any_devnet: Devnet, reader: bittensor.Client
) -> None:
    text = "hello \u00e9"
    await publish(any_devnet, reader, commitment(timelocked(scale_text(text)), 1000))
    await any_devnet.advance()
    assert await kinds(reader) == ["TimelockEncrypted"]
    assert await reader.query(st.Commitments.TimelockedIndex) == [(1, WHO)]
    any_devnet.drand_signature(1000, ROUND_1000)
    await any_devnet.advance()
    block = any_devnet.best_number
    plain = scale_text(text)
    assert await reveals(any_devnet) == (
        bytes([4, len(plain) << 2]) + plain + block.to_bytes(8, "little")
    )
    assert await kinds(reader) == []
    assert await reader.query(st.Commitments.TimelockedIndex) == []
    assert any_devnet.events()[0]["event_id"] == "CommitmentRevealed"
    # The SDK strips the length prefix blindly.
    shown = (await reader.subnets.metagraph(1)).commitments[0]
    assert (shown.value, shown.is_revealed) == (text, True)


async def test_the_chain_decrypts_commitments_of_the_sdk(
    any_devnet: Devnet, reader: bittensor.Client
) -> None:
    core: Any = bittensor_core  # of Rust, without types
    encrypted, drand_round = core.get_encrypted_commitment("some text", 10, 12.0)
    await publish(any_devnet, reader, commitment(encrypted, drand_round))
    any_devnet.reveal_commitment(1, WHO, "some text")
    await any_devnet.advance()
    shown = (await reader.subnets.metagraph(1)).commitments[0]
    assert (shown.value, shown.is_revealed) == ("some text", True)


async def test_a_text_without_its_length_prefix_is_noticed(
    any_devnet: Devnet, reader: bittensor.Client
) -> None:
    await publish(any_devnet, reader, commitment(timelocked(b"some text"), FUTURE))
    with pytest.raises(ValueError, match=r"253 bytes long.*254"):
        any_devnet.reveal_commitment(1, WHO, "some text")
    with pytest.raises(ValueError, match="no timelocked commitment"):
        any_devnet.reveal_commitment(1, hotkey(1, 1), "some text")


@pytest.mark.parametrize(
    ("encrypted", "reason"),
    [(b"\xee" * 300, "CiphertextDeserialize"), (timelocked(b"x", 1001), "Decrypt")],
    ids=["not a ciphertext", "of another round"],
)
async def test_undecryptable_commitments_fail_once(
    any_devnet: Devnet, reader: bittensor.Client, encrypted: bytes, reason: str
) -> None:
    plain = {"Raw3": b"abc"}
    await publish(any_devnet, reader, commitment(encrypted, 1000, plain))
    any_devnet.drand_signature(1000, ROUND_1000)
    await any_devnet.advance()
    failed = [one for one in any_devnet.events() if one["event_id"] == "CommitmentRevealFailed"]
    if any_devnet.options.runtime == "newest":
        assert await kinds(reader) == ["TimelockRevealFailed", "Raw3"]
        (attributes,) = (one["attributes"] for one in failed)
        assert (attributes["reveal_round"], attributes["error"]) == (1000, reason)
    else:
        assert await kinds(reader) == ["Raw3"]
        assert failed == []
    assert await reveals(any_devnet) is None
    assert await reader.query(st.Commitments.TimelockedIndex) == []
    await any_devnet.advance()
    assert [one["event_id"] for one in any_devnet.events()] == ["ExtrinsicSuccess"]


async def test_data_that_no_signature_opens_fails_when_its_round_is_past(
    any_devnet: Devnet, reader: bittensor.Client
) -> None:
    await publish(any_devnet, reader, commitment(b"\xee" * 300, FUTURE))
    await any_devnet.advance(3)
    assert await kinds(reader) == ["TimelockEncrypted"]
    await publish(any_devnet, reader, commitment(b"\xee" * 300, 1000))
    await any_devnet.advance()
    newest = any_devnet.options.runtime == "newest"
    assert await kinds(reader) == (["TimelockRevealFailed"] if newest else [])


async def test_the_portable_envelope_is_opened_by_the_newest_runtime_alone(
    any_devnet: Devnet, reader: bittensor.Client
) -> None:
    await publish(any_devnet, reader, commitment(envelope(scale_text("hello")), 1000))
    any_devnet.drand_signature(1000, ROUND_1000)
    await any_devnet.advance()
    assert await kinds(reader) == []
    newest = any_devnet.options.runtime == "newest"
    assert (await reveals(any_devnet) is not None) == newest


async def test_an_expired_pulse_fails_the_reveal(devnet: Devnet, client: bittensor.Client) -> None:
    await publish(devnet, client, commitment(timelocked(scale_text("hello")), 1000))
    devnet.set_storage("Drand", "OldestStoredRound", [], 1001)
    await devnet.advance()
    assert await kinds(client) == ["TimelockRevealFailed"]


async def test_the_newest_ten_reveals_are_stored(devnet: Devnet, client: bittensor.Client) -> None:
    devnet.set_storage("Commitments", "MaxSpace", [], 100_000)
    devnet.drand_signature(1000, ROUND_1000)
    await devnet.advance()
    for number in range(11):
        text = f"text {number}"
        await publish(devnet, client, commitment(timelocked(scale_text(text)), 1000))
    await devnet.advance()
    reveals_stored = await client.query(st.Commitments.RevealedCommitments, [1, WHO])
    assert len(reveals_stored) == 10
    assert "text 1" in reveals_stored[0][0]
    assert "text 10" in reveals_stored[-1][0]
