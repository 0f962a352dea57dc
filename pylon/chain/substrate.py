"""The SDK's connection to one chain node, for reads and writes."""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cached_property, partial
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

from bittensor import RpcSubstrate
from bittensor._transport import SubstrateConnection
from bittensor._transport.codec import RuntimeCodec
from bittensor._transport.errors import SubstrateRequestException
from bittensor._transport.rpc import (
    _default_connect,  # pyright: ignore[reportPrivateUsage] -- a test holds it
    classify_rpc_error,  # pyright: ignore[reportUnknownVariableType] -- the library says no more than dict
)
from bittensor._transport.runtime_api import (
    decode_runtime_api_result,
    encode_runtime_api_params,  # pyright: ignore[reportUnknownVariableType] -- the same
)
from bittensor.settings import NETWORKS, SS58_FORMAT
from cachetools import LRUCache

from pylon.chain.answer_types import AnswerTypes
from pylon.chain.bounds import block_hash
from pylon.chain.chain_guard import ForeignChainError
from pylon.chain.changed_neurons import MAX_REMEMBERED_SUBNETS, ChangedNeurons
from pylon.chain.endpoint_label import is_node_url
from pylon.chain.faults import describe_error
from pylon.chain.runtime_answers import RuntimeAnswer
from pylon_client.contract.types import BlockHash, NetUid

logger = logging.getLogger(__name__)

GENESIS_NUMBER: Final = 0
GENESIS_CHECK_TIMEOUT_S: Final = 10.0
"""Timeout of the requests that check a new connection, in seconds."""
_MAX_UNRELATED_MESSAGES: Final = 100
"""Maximum number of unrelated messages before a request without a reply fails."""


class WrongChainError(SubstrateRequestException):
    """A node is of another chain; the SDK raises it unchanged after trying all endpoints."""


def node_url(network: str) -> str:
    """Return the URL of a network's node.

    Args:
        network: a network's name that the SDK knows, or a `ws://` or `wss://` URL.

    Raises:
        ValueError: it is neither; the text does not contain it, since it may contain a key.
    """
    if is_node_url(network):
        return network
    try:
        return NETWORKS[network]
    except KeyError:
        known = ", ".join(sorted(NETWORKS))
        raise ValueError(
            f"unknown network: choose one of {known}, or give a ws:// or wss:// URL"
        ) from None


class _AnswerConnection(SubstrateConnection):
    """The SDK's connection, which also returns answers that are not decoded yet."""

    @cached_property
    def _types(self) -> WeakKeyDictionary[RuntimeCodec, AnswerTypes]:
        return WeakKeyDictionary()

    async def runtime_answer(
        self, api: str, method: str, params: list[Any], block_hash: str
    ) -> RuntimeAnswer:
        codec = await self._runtimes.codec_at(block_hash)  # a test holds it
        request = [f"{api}_{method}", encode_runtime_api_params(codec, api, method, params)]
        result: Any = await self.rpc_request("state_call", [*request, block_hash])  # pyright: ignore[reportUnknownMemberType] -- the library says no more than list
        if result is None:
            raise SubstrateRequestException(f"no result from runtime call {api}.{method}")
        data = bytes.fromhex(result.removeprefix("0x"))
        decode = partial(decode_runtime_api_result, codec, api, method, data)
        types = self._types.setdefault(codec, AnswerTypes(codec))
        return RuntimeAnswer(data, codec, decode, types.of(api, method))


class Substrate(RpcSubstrate):
    """The SDK's client of one node, with clean-up after failed connections.

    It has a single endpoint, because Pylon implements routing, retries and timeouts itself.

    The SDK registers a connection only after it is open. A connection whose opening is cancelled,
    as by a timeout, would stay alive in the background and reconnect whenever it breaks. So this
    class closes every connection that was created.

    A task of the SDK reconnects a broken connection, and raises if that fails. The SDK drops the
    task at the next request, and asyncio would log its exception. So the exception is retrieved
    here; requests fail with it nevertheless.

    The SDK also reconnects without notice, and keeps its cached chain data. So the genesis is
    checked whenever a WebSocket is opened.

    Args:
        endpoint: URL of the node.
        check_genesis: receives the genesis hash of the node for each new WebSocket, and raises if
            the node must not be used.

    Attributes:
        changed_neurons: the last neurons of each subnet over this connection.
    """

    def __init__(self, endpoint: str, check_genesis: Callable[[str], None] | None = None) -> None:
        super().__init__(endpoint, fallback_endpoints=[], archive_endpoints=[])
        self.changed_neurons = LRUCache[NetUid, ChangedNeurons](MAX_REMEMBERED_SUBNETS)
        self._check_genesis = check_genesis
        self._connections: list[Any] = []
        self._is_closed = False
        self._reconnect_task: asyncio.Task[Any] | None = None

    async def runtime_answer(
        self, api: str, method: str, params: list[Any], block_hash: str
    ) -> RuntimeAnswer:
        """Return the result of a runtime API at a block without decoding it.

        Raises:
            Exception: any error of the SDK, as of its `runtime_call`.
        """
        return await self._read(
            lambda connection: cast("_AnswerConnection", connection).runtime_answer(
                api, method, params, block_hash
            )
        )

    def _interface(self, endpoint: str, fallbacks: list[str]) -> Any:
        connection = _AnswerConnection(
            endpoint,
            ss58_format=SS58_FORMAT,
            fallback_urls=fallbacks,
            retry_forever=self.retry_forever,
            connect_factory=self._open_websocket,
        )
        self._connections.append(connection)
        return connection

    async def _open_websocket(self, endpoint: str) -> Any:
        """Open a WebSocket; called in the SDK's task that reconnects."""
        if self._is_closed:
            # The SDK reopens a closed session to end a subscription.
            raise ConnectionError("closed")
        task = asyncio.current_task()
        if task is not None and task is not self._reconnect_task:
            self._reconnect_task = task
            task.add_done_callback(_log_task_error)
        opened = await _default_connect(endpoint)
        if self._check_genesis is not None:
            try:
                (genesis,) = await _request_block_hashes(opened, [GENESIS_NUMBER])
                self._check_genesis(str(genesis))
            except BaseException as error:
                with contextlib.suppress(Exception):
                    await opened.close()
                if isinstance(error, ForeignChainError):
                    raise WrongChainError("of another chain") from error
                raise
        return opened

    async def close(self) -> None:
        """Close every connection that was created, open or not."""
        self._is_closed = True
        await super().close()
        for connection in self._connections:
            await connection.close()


def _log_task_error(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.info("Connection to the chain ended: %s", describe_error(error))


async def block_hashes(endpoint: str, numbers: Sequence[int]) -> list[BlockHash | None]:
    """Return the hash of each block of the best chain, over a separate connection.

    Raises:
        Exception: any error of the SDK; see `pylon.chain.faults`.
    """
    async with _open_connection(endpoint) as connection:
        return await _request_block_hashes(connection, numbers)


@asynccontextmanager
async def _open_connection(endpoint: str) -> AsyncGenerator[Any]:
    connection = await _default_connect(endpoint)
    try:
        yield connection
    finally:
        with contextlib.suppress(Exception):
            await connection.close()


async def _request_block_hashes(connection: Any, numbers: Sequence[int]) -> list[BlockHash | None]:
    async with asyncio.timeout(GENESIS_CHECK_TIMEOUT_S):
        return [await _request_block_hash(connection, number) for number in numbers]


async def _request_block_hash(connection: Any, number: int) -> BlockHash | None:
    request = {"jsonrpc": "2.0", "id": number, "method": "chain_getBlockHash", "params": [number]}
    await connection.send(json.dumps(request))
    for _ in range(_MAX_UNRELATED_MESSAGES):
        reply: Any = json.loads(await connection.recv())
        if not isinstance(reply, dict) or reply.get("id") != number:  # pyright: ignore[reportUnknownMemberType] -- of anything
            continue
        if (error := reply.get("error")) is not None:  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] -- the same
            raise classify_rpc_error(error if isinstance(error, dict) else {})  # pyright: ignore[reportUnknownArgumentType] -- the same
        found: object = reply.get("result")  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] -- the same
        return None if found is None else block_hash(found)  # pyright: ignore[reportUnknownArgumentType] -- the same
    raise ConnectionError("no reply to a request")
