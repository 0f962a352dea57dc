"""The JSON-RPC methods of the node, except subscriptions, which are in `websocket_server`."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from cachetools import LRUCache

from pylon_devnet.apis import execute_api
from pylon_devnet.chain_state import PastState
from pylon_devnet.encoded_answers import EncodedAnswers
from pylon_devnet.request_log import RequestLog
from pylon_devnet.rpc_error import RpcError
from pylon_devnet.runtime.runtime_metadata import SPEC_NAME, TRANSACTION_VERSION
from pylon_devnet.runtime.scale_encoding import (
    encode_bytes,
    encode_option,
    encode_u32,
    encode_vector,
)
from pylon_devnet.simulated_chain import DevnetChain, StateDiscardedError, UnknownBlockError
from pylon_devnet.transaction_pool import StatusCallback, TransactionPool

METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
STATE_UNAVAILABLE = 4003
_METADATA_VERSION = 15
_MAX_KEYS_PER_PAGE = 1000
_MAX_CACHE_BYTES = 64 << 20
_FEE_QUERIES = (
    "TransactionPaymentApi_query_info",
    "TransactionPaymentApi_query_fee_details",
)

SubmitExtrinsic = Callable[[str, StatusCallback | None], bytes]
"""Submits an extrinsic (0x-hex) to the pool and returns its hash; raises RpcError."""


class NodeRpc:
    """Executes JSON-RPC requests.

    Args:
        chain: the simulated chain.
        pool: the transaction pool.
        submit: submits an extrinsic to the pool.
        log: log of requests.
    """

    def __init__(
        self, chain: DevnetChain, pool: TransactionPool, submit: SubmitExtrinsic, log: RequestLog
    ) -> None:
        self._chain = chain
        self._pool = pool
        self._submit = submit
        self._log = log
        self._answers = EncodedAnswers(chain.codec, chain.declaration)
        self._call_cache = RuntimeCallCache(_MAX_CACHE_BYTES)
        self.methods: dict[str, Callable[..., Any]] = {
            "state_getRuntimeVersion": self._runtime_version,
            "chain_getRuntimeVersion": self._runtime_version,
            "state_call": self._state_call,
            "state_getMetadata": self._legacy_metadata,
            "state_getStorage": self._storage,
            "state_getStorageAt": self._storage,
            "state_getKeys": self._keys,
            "state_getKeysPaged": self._keys_paged,
            "state_getKeysPagedAt": self._keys_paged,
            "state_queryStorageAt": self._query_storage,
            "chain_getBlockHash": self._block_hash,
            "chain_getHead": self._block_hash,
            "chain_getFinalizedHead": self._finalized_head,
            "chain_getFinalisedHead": self._finalized_head,
            "chain_getHeader": self._header,
            "chain_getBlock": self._block,
            "account_nextIndex": self._next_nonce,
            "system_accountNextIndex": self._next_nonce,
            "author_submitExtrinsic": self._submit_extrinsic,
            "author_pendingExtrinsics": lambda: ["0x" + raw.hex() for raw in self._pool.pending()],
            "system_chain": lambda: "pylon devnet",
            "system_name": lambda: "pylon devnet",
            "system_version": lambda: "1",
            "system_chainType": lambda: "Development",
            "system_properties": lambda: {
                "ss58Format": 42, "tokenDecimals": 9, "tokenSymbol": "TAO",
            },
            "system_health": lambda: {"peers": 0, "isSyncing": False, "shouldHavePeers": False},
            "rpc_methods": lambda: {"methods": sorted(self.methods)},
        }  # fmt: skip

    def call(self, method: str, params: list[Any]) -> Any:
        """Execute a request and return its result.

        Raises:
            RpcError: the request is invalid or rejected.
        """
        function = self.methods.get(method)
        if function is None:
            self._log.add(method)
            raise RpcError(METHOD_NOT_FOUND, "Method not found")
        if method != "state_call":
            self.log_request(method, params)
        try:
            return function(*params)
        except StateDiscardedError:
            at = next((p for p in reversed(params) if _is_hash(p)), "")
            discarded = f"Client error: UnknownBlock: State already discarded for {at}"
            raise RpcError(STATE_UNAVAILABLE, discarded) from None
        except UnknownBlockError:
            unknown = "Client error: UnknownBlock: Header was not found in the database"
            raise RpcError(STATE_UNAVAILABLE, unknown) from None
        except NotImplementedError as error:
            raise RpcError(STATE_UNAVAILABLE, f"Client error: Execution failed: {error}") from None
        except (TypeError, ValueError, KeyError) as error:
            raise RpcError(INVALID_PARAMS, f"Invalid params: {error}") from error

    def log_request(self, method: str, params: list[Any]) -> None:
        """Add a request to the log."""
        at = params[-1] if params and _is_hash(params[-1]) else None
        leading = params[:-1] if at is not None else params
        self._log.add(method, leading[:2], at, self._height(at))

    def _height(self, at: str | None) -> int | None:
        if at is None:
            return self._chain.best.number
        try:
            return self._chain.number(_bytes(at))
        except (UnknownBlockError, StateDiscardedError):
            return None

    def _at(self, at: str | None) -> PastState:
        return self._chain.state_at_hash(None if at is None else _bytes(at))

    def _runtime_version(self, at: str | None = None) -> dict[str, Any]:
        if at is not None:
            self._chain.number(_bytes(at))
        return {
            "specName": SPEC_NAME,
            "implName": SPEC_NAME,
            "authoringVersion": 1,
            "specVersion": self._chain.codec.spec_version,
            "implVersion": 1,
            "apis": [],
            "transactionVersion": TRANSACTION_VERSION,
            "stateVersion": 1,
        }

    def _state_call(self, name: str, data: str, at: str | None = None) -> str:
        key = (name, data, at or self._chain.best.hash)
        known = self._call_cache.get(key)
        api, _, method = name.partition("_")
        declared = self._chain.codec.has_api(api, method)
        arguments = known[0] if known else self._arguments(api, method, data) if declared else ()
        self._log.add(f"state_call:{name}", arguments, at, self._height(at))
        if not declared:
            missing = f"Client error: Execution failed: Exported method {name} is not found"
            raise RpcError(STATE_UNAVAILABLE, missing)
        state = self._at(at)
        if known:
            return known[1]
        result = "0x" + self._execute(state, api, method, arguments).hex()
        self._call_cache.put(key, (arguments, result))
        return result

    def _arguments(self, api: str, method: str, data: str) -> tuple[Any, ...]:
        if f"{api}_{method}" in _FEE_QUERIES:
            # An extrinsic and its length; its signature need not be valid.
            return (data.removeprefix("0x")[:-8],)
        return tuple(self._chain.codec.api_inputs(api, method, _bytes(data)))

    def _execute(
        self, state: PastState, api: str, method: str, arguments: tuple[Any, ...]
    ) -> bytes:
        codec = self._chain.codec
        match f"{api}_{method}":
            case "Metadata_metadata":
                encoded = encode_bytes(codec.metadata)
            case "Metadata_metadata_at_version":
                known = arguments[0] == _METADATA_VERSION
                encoded = encode_option(encode_bytes(codec.metadata) if known else None)
            case "Metadata_metadata_versions":
                encoded = encode_vector([encode_u32(_METADATA_VERSION)])
            case "Core_version":
                encoded = self._chain.metadata.version
            case "TransactionPaymentApi_query_info":
                encoded = codec.api_output(api, method, self._payment_info(*arguments))
            case "TransactionPaymentApi_query_fee_details":
                fee = self._payment_info(*arguments)["partial_fee"]
                inclusion = {"base_fee": fee, "len_fee": 0, "adjusted_weight_fee": 0}
                details = {"inclusion_fee": inclusion, "tip": 0}
                encoded = codec.api_output(api, method, details)
            case "NeuronInfoRuntimeApi_get_neurons_lite":
                encoded = self._answers.neurons_lite(state, *arguments)
            case "SubnetInfoRuntimeApi_get_subnet_state":
                encoded = self._answers.subnet_state(state, *arguments)
            case _:
                encoded = codec.api_output(
                    api, method, execute_api(state, api, method, list(arguments))
                )
        return encoded

    def _payment_info(self, extrinsic: str) -> dict[str, Any]:
        raw = _bytes(extrinsic)
        return {
            "weight": {"ref_time": 0, "proof_size": 0},
            "class": "Normal",
            "partial_fee": self._pool.fee(raw),
        }

    def _submit_extrinsic(self, extrinsic: str) -> str:
        return "0x" + self._submit(extrinsic, None).hex()

    def _next_nonce(self, account: str) -> int:
        return self._pool.next_nonce(account)

    def _legacy_metadata(self, _at: str | None = None) -> str:
        return "0x" + self._chain.metadata.legacy.hex()

    def _storage(self, key: str, at: str | None = None) -> str | None:
        return _hex(self._at(at).raw(_bytes(key)))

    def _keys(self, prefix: str, at: str | None = None) -> list[str]:
        return ["0x" + key.hex() for key in self._at(at).keys(_bytes(prefix))]

    def _keys_paged(
        self, prefix: str | None, count: int, start: str | None = None, at: str | None = None
    ) -> list[str]:
        if count > _MAX_KEYS_PER_PAGE:
            raise RpcError(4002, f"count exceeds maximum value. value: {count}, max: 1000")
        after = _bytes(start) if start else None
        keys = self._at(at).keys(_bytes(prefix or "0x"), after, count)
        return ["0x" + key.hex() for key in keys]

    def _query_storage(self, keys: list[str], at: str | None = None) -> list[dict[str, Any]]:
        state = self._at(at)
        block = at or "0x" + self._chain.best.hash.hex()
        changes = [[key, _hex(state.raw(_bytes(key)))] for key in keys]
        return [{"block": block, "changes": changes}]

    def _block_hash(self, number: Any = None) -> Any:
        if isinstance(number, list):
            return [self._block_hash(one) for one in number]  # pyright: ignore[reportUnknownVariableType] - JSON
        if number is None:
            return _hex(self._chain.best.hash)
        height = int(number, 16) if isinstance(number, str) else int(number)
        return _hex(self._chain.hash(height))

    def _finalized_head(self) -> str | None:
        return _hex(self._chain.finalized_hash())

    def _header(self, at: str | None = None) -> dict[str, Any] | None:
        block = self._chain.block(None if at is None else _bytes(at))
        return None if block is None else block.header.as_json()

    def _block(self, at: str | None = None) -> dict[str, Any] | None:
        block = self._chain.block(None if at is None else _bytes(at))
        return None if block is None else block.as_json()


class RuntimeCallCache:
    """LRU cache of runtime calls by (method, input, block).

    Args:
        max_bytes: maximum size of the cache.
    """

    def __init__(self, max_bytes: int) -> None:
        self._entries = LRUCache[tuple[Any, ...], tuple[int, tuple[tuple[Any, ...], str]]](
            max_bytes, getsizeof=lambda entry: entry[0]
        )

    def get(self, key: tuple[Any, ...]) -> tuple[tuple[Any, ...], str] | None:
        """Return the cached (arguments, result) of a call, or None."""
        entry = self._entries.get(key)
        return None if entry is None else entry[1]

    def put(self, key: tuple[Any, ...], result: tuple[tuple[Any, ...], str]) -> None:
        """Cache the (arguments, result) of a call."""
        with suppress(ValueError):  # larger than the whole cache
            self._entries[key] = (_entry_size_bytes(key, result[1]), result)


def _entry_size_bytes(key: tuple[Any, ...], result: str) -> int:
    # Estimated overhead of the objects around a result.
    return 1024 + len(key[1]) + len(result)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _hex(data: bytes | None) -> str | None:
    return None if data is None else "0x" + data.hex()


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 66 and value.startswith("0x")  # noqa: PLR2004 - 0x and 32 bytes
