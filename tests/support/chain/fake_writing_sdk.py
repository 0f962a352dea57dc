"""An SDK connection for writing, which replies from tables and records submissions."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from pylon.chain.call_composition import WritingSdk
from pylon.chain.head_reads import BEST_HEAD_METHOD, FINALIZED_HEAD_METHOD

if TYPE_CHECKING:
    from collections.abc import Callable

GENESIS_HASH = f"0x{0:064x}"


def hash_of(number: int) -> str:
    """Return the hash of a block of the fake chain."""
    return f"0x{number:064x}"


@dataclass(frozen=True)
class FakeExtrinsicResult:
    """The result of an included extrinsic; `error` is set if its call failed."""

    success: bool
    error: Any = None


@dataclass
class FakeWritingSdk:
    """The connection, its chain and its transport in one.

    Attributes:
        best, finalized: numbers of the heads; blocks after both do not exist.
        nonce: next nonce of every account.
        storage: values by storage item, or functions of keys and block number.
        included: results of extrinsics, by the number of the block.
        compose_error: raised by `compose`; None for success.
        submit_error: raised by `submit_extrinsic`; None for success.
        submitted: the submitted extrinsics.
        signed: era and nonce of each signed extrinsic.
        is_closed: whether the connection was closed.
    """

    best: int = 110
    finalized: int = 107
    nonce: Any = 5
    storage: dict[str, Any] = field(default_factory=dict[str, Any])
    included: dict[int, FakeExtrinsicResult] = field(default_factory=dict[int, FakeExtrinsicResult])
    compose_error: Exception | None = None
    submit_error: Exception | None = None
    submitted: list[Any] = field(default_factory=list[Any])
    signed: list[tuple[dict[str, int], int]] = field(
        default_factory=list[tuple[dict[str, int], int]]
    )
    is_closed: bool = False

    @property
    def raw(self) -> "FakeWritingSdk":
        return self

    async def connect(self) -> None: ...

    async def close(self) -> None:
        self.is_closed = True

    async def rpc_request(self, method: str, params: list[Any] | None = None) -> Any:
        match method, params:
            case "chain_getBlockHash", [number]:
                return hash_of(number) if number <= max(self.best, self.finalized) else None
            case "chain_getHeader", [block_hash]:
                return {"number": hex(int(block_hash, 16))}
            case "account_nextIndex", [_]:
                return self.nonce
            case method, _:
                heads = {BEST_HEAD_METHOD: self.best, FINALIZED_HEAD_METHOD: self.finalized}
                return hash_of(heads[method])

    async def genesis_hash(self) -> str:
        return GENESIS_HASH

    async def query(
        self,
        module: str,
        storage_function: str,
        params: list[Any] | None = None,
        block_hash: str | None = None,
    ) -> Any:
        number = self.best if block_hash is None else int(block_hash, 16)
        if (module, storage_function) == ("System", "Number"):
            return number
        value = self.storage[storage_function]
        if callable(value):
            return cast("Callable[[list[Any], int], Any]", value)(params or [], number)
        return value

    async def runtime_call(
        self, api: str, method: str, params: list[Any], block_hash: str | None = None
    ) -> Any:
        return await self.query(api, method, params, block_hash)

    async def block_time(self) -> float:
        return 12.0

    async def compose(self, call: Any) -> Any:
        if self.compose_error is not None:
            raise self.compose_error
        return call

    async def prepare_unsigned(
        self, call: Any, *, address: str, crypto_type: int, era: dict[str, int], nonce: int
    ) -> Any:
        self.signed.append((era, nonce))
        return SimpleNamespace(payload=b"payload", era=era)

    async def attach_signature(self, unsigned: Any, signature: bytes) -> Any:
        return SimpleNamespace(data=unsigned.payload + signature, extrinsic_hash="0xab")

    async def submit_extrinsic(self, extrinsic: Any) -> None:
        self.submitted.append(extrinsic)
        if self.submit_error is not None:
            raise self.submit_error

    async def find_extrinsic(self, extrinsic_hash: str, block_hash: str) -> Any:
        return self.included.get(int(block_hash, 16))


def as_sdk(fake: FakeWritingSdk) -> WritingSdk:
    """Return the fake as the SDK that the product uses."""
    return cast("WritingSdk", fake)
