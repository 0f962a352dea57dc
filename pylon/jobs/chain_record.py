"""The record of the chain that a deployment's state belongs to: written once, never changed.

The record is an entry of the job store, so jobs and record are kept or lost together.
"""

import contextlib
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from pylon.chain.chain_identity import ChainIdentity
from pylon.jetstream.bucket import ABSENT, ConflictError
from pylon.jobs.bucket_port import EntryPort
from pylon.jobs.stored_job import UnreadableEntryError

_KEY: Final = "bound-chain"
_LEGACY_KEY: Final = "chain"
"""Key under which versions without this record store the genesis of the chain seen last."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)

    network: str
    genesis: str


class ChainRecord:
    """Reads and writes the record of the bound chain.

    Args:
        store: the bucket of the job store.
    """

    def __init__(self, store: EntryPort) -> None:
        self._store = store

    async def get(self) -> ChainIdentity | None:
        """Return the chain that the state belongs to; None if no worker has bound it yet.

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
        """Bind the state to a chain unless it is bound already; return the bound chain.

        Raises:
            UnreadableEntryError: the record cannot be read.
            FailureError: NATS_UNAVAILABLE.
        """
        value = _Record(network=chain.network, genesis=chain.genesis).model_dump_json().encode()
        while (bound := await self.get()) is None:
            try:
                await self._store.put(_KEY, value, revision=ABSENT)
            except ConflictError:
                continue  # a concurrent worker has bound it
        return bound

    async def genesis(self) -> str | None:
        """Return the genesis of the chain that the jobs are for; None if it is unknown."""
        bound = await self.get()
        return await self.legacy_genesis() if bound is None else bound.genesis

    async def set_legacy_genesis(self, genesis: str) -> None:
        """Store the genesis under the key of earlier versions, unless that key is set.

        The worker that binds the state reads it.
        """
        with contextlib.suppress(ConflictError):
            await self._store.put(_LEGACY_KEY, genesis.encode(), revision=ABSENT)

    async def legacy_genesis(self) -> str | None:
        """Return the genesis that workers of earlier versions saw last; None if none is stored."""
        entry = await self._store.get(_LEGACY_KEY)
        return None if entry is None else entry.value.decode(errors="replace")
