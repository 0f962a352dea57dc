"""The record of the chain that the state of a deployment belongs to: written once, never changed.

It is an entry of the ledger, so that it is lost together with the jobs and kept together with them.
"""

import contextlib
from typing import Final, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from pylon.chain.chain_identity import ChainIdentity
from pylon.jetstream.bucket import ABSENT, ConflictError, Entry
from pylon.jobs.stored_job import UnreadableEntryError
from pylon_client.contract.types import Revision

_KEY: Final = "bound-chain"
_LEGACY_KEY: Final = "chain"
"""Where versions without this record note the genesis of the chain that they saw last."""


class ChainRecordBucket(Protocol):
    """The part of the ledger's store that the record needs."""

    async def get(self, key: str) -> Entry | None:
        """Return the newest value of a key."""
        ...

    async def put(
        self, key: str, value: bytes, *, revision: Revision, ttl_s: int | None = None
    ) -> Revision:
        """Set a key whose revision is `revision`, or raise ConflictError."""
        ...


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)

    network: str
    genesis: str


class ChainRecord:
    """The record of the bound chain.

    Args:
        store: of the ledger.
    """

    def __init__(self, store: ChainRecordBucket) -> None:
        self._store = store

    async def get(self) -> ChainIdentity | None:
        """Return the chain that the state belongs to; None where no worker has bound it.

        Raises:
            UnreadableEntryError: the record cannot be read.
            FailureError: NATS_UNAVAILABLE.
        """
        entry = await self._store.get(_KEY)
        if entry is None:
            return None
        try:
            record = _Record.model_validate_json(entry.value)
        except ValidationError:
            raise UnreadableEntryError(entry.key) from None
        return ChainIdentity(record.network, record.genesis)

    async def bind(self, chain: ChainIdentity) -> ChainIdentity:
        """Bind the state to a chain, unless it is bound; return the chain that it is bound to.

        Raises:
            UnreadableEntryError: the record cannot be read.
            FailureError: NATS_UNAVAILABLE.
        """
        value = _Record(network=chain.network, genesis=chain.genesis).model_dump_json().encode()
        while (bound := await self.get()) is None:
            try:
                await self._store.put(_KEY, value, revision=ABSENT)
            except ConflictError:
                continue  # another worker binds it at the same time
        return bound

    async def genesis(self) -> str | None:
        """Return the genesis of the chain that jobs are for; None where it was never known."""
        bound = await self.get()
        return await self.legacy_genesis() if bound is None else bound.genesis

    async def set_legacy_genesis(self, genesis: str) -> None:
        """Note which chain jobs are for, for the worker that binds them; as earlier versions do.

        A note that is there stays.
        """
        with contextlib.suppress(ConflictError):
            await self._store.put(_LEGACY_KEY, genesis.encode(), revision=ABSENT)

    async def legacy_genesis(self) -> str | None:
        """Return the genesis that workers of earlier versions have seen last, if any has."""
        entry = await self._store.get(_LEGACY_KEY)
        return None if entry is None else entry.value.decode(errors="replace")
