"""Probes of a node's chain, whose errors are failures."""

import asyncio
from collections.abc import Sequence

import pytest

from pylon.chain import node_probe
from pylon.chain.node_probe import NodeProbe
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import BlockHash
from tests.support.chain.fake_chain import hash_of

Hashes = list[BlockHash | None]


def answers(monkeypatch: pytest.MonkeyPatch, found: Hashes | Exception | None) -> list[object]:
    """Answer the reads of hashes; None never answers. Return the list of what is read."""
    asked: list[object] = []

    async def read(url: str, numbers: Sequence[int]) -> Hashes:
        asked.append((url, list(numbers)))
        if found is None:
            await asyncio.Event().wait()
        if isinstance(found, Exception):
            raise found
        return found or []

    monkeypatch.setattr(node_probe, "block_hashes", read)
    return asked


async def test_hashes_are_read_from_the_networks_node(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(monkeypatch, [hash_of(3), None])
    assert await NodeProbe("ws://node").block_hashes([3, 9]) == [hash_of(3), None]
    assert asked == [("ws://node", [3, 9])]


async def test_the_genesis_is_the_hash_of_block_0(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = answers(monkeypatch, [hash_of(0)])
    assert await NodeProbe("ws://node").genesis() == hash_of(0)
    assert asked == [("ws://node", [0])]


@pytest.mark.parametrize("error", [OSError("refused"), ConnectionError("no reply"), None])
async def test_a_node_that_does_not_respond_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    answers(monkeypatch, error)
    with pytest.raises(FailureError) as caught:
        await NodeProbe("ws://node", timeout_s=0.001).genesis()
    assert caught.value.code is ErrorCode.CHAIN_UNAVAILABLE


def test_an_unknown_network_is_an_error() -> None:
    with pytest.raises(ValueError, match="unknown network"):
        NodeProbe("nothing")
