"""What answers each read operation."""

from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel

from pylon.blocks.snapshots import Snapshot, Snapshots
from pylon.chain.chain_reader import ChainReader
from pylon.chain.query import Neurons, Query
from pylon.reads.read_query import resolve
from pylon.reads.recent_neurons import RecentNeurons
from pylon.reads.specs import READ_SPECS
from pylon.rpc.calls import CallResult, ServiceCall
from pylon_client.contract import wire
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block, Identities
from pylon_client.contract.reads import IDENTITIES, LATEST_BLOCK, RECENT_NEURONS, BlockParams
from pylon_client.contract.subjects import NeuronsEventSubject
from pylon_client.contract.types import Hotkey, IdentityName, NetUid

if TYPE_CHECKING:
    from pylon.rpc.request_server import Handler

T = TypeVar("T")


class ReadHandlers:
    """Answers from the newest snapshots where there are any, else from the chain.

    A request that waits for the chain is parked: it takes no place from those that need no chain.

    Args:
        snapshots: what was published.
        reader: of the chain.
        recent: what is answered without the chain.
        list_identities: the configured identities and their subnets.
        addresses: the hotkeys of the identities, as far as they are known.

    Attributes:
        by_operation: the handler of each operation, by its name.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        reader: ChainReader,
        recent: RecentNeurons,
        *,
        identities: Mapping[IdentityName, NetUid],
        addresses: Mapping[IdentityName, Hotkey],
    ) -> None:
        self._snapshots = snapshots
        self._reader = reader
        self._recent = recent
        self._identities = wire.encode(Identities(identities=dict(identities)))
        self._addresses = addresses
        self.by_operation: Final[dict[str, Handler]] = {
            **dict.fromkeys(READ_SPECS, self.read),
            LATEST_BLOCK.name: self.latest_block,
            RECENT_NEURONS.name: self.recent_neurons,
            IDENTITIES.name: self.list_identities,
        }

    async def latest_block(self, call: ServiceCall) -> CallResult:
        """The newest block and its timestamp."""
        snapshot = self._snapshots.latest_block()
        if snapshot is not None:
            return CallResult(snapshot.body, snapshot.block)
        with call.without_admission_slot():
            block, body = await self._with_last_head(
                self._reader.latest_block_info(timeout_s=call.timeout_s)
            )
        return CallResult(body, block)

    async def recent_neurons(self, call: ServiceCall) -> CallResult:
        """The neurons of a tracked subnet as they were published last."""
        if call.netuid is None:
            raise TypeError(f"{call.operation} is about a subnet")
        try:
            return self._recent.get(call.netuid)
        except FailureError as error:
            if error.code is ErrorCode.NO_RECENT_SNAPSHOT:
                await self._require_subnet(call.netuid, call)
            raise

    async def _require_subnet(self, netuid: NetUid, call: ServiceCall) -> None:
        """Raise NOT_FOUND where nothing was ever published since there is no such subnet.

        An outage makes nobody wait for this: it is looked at only while the chain is heard of.
        """
        is_live = self._snapshots.latest_block() is not None
        if is_live and self._snapshots.get(str(NeuronsEventSubject(netuid))) is None:
            try:
                await self._query_latest(Neurons(netuid), call)
            except FailureError as error:
                if error.code is ErrorCode.NOT_FOUND:
                    raise

    async def list_identities(self, _call: ServiceCall) -> CallResult:
        """The configured identities and their subnets."""
        return CallResult(self._identities)

    async def read(self, call: ServiceCall) -> CallResult:
        """What the call's family asks of the chain, at the block that is named or the newest."""
        family = READ_SPECS[call.operation]
        asked = resolve(call, self._addresses, uses_own_hotkey=family.uses_own_hotkey)
        question = family.query(asked)
        if isinstance(call.params, BlockParams):
            with call.without_admission_slot():
                block = await self._reader.block(call.params.block_number, timeout_s=call.timeout_s)
            found = await self._query_at(question, block, call)
        else:
            block, found = await self._query_latest(question, call)
        show = family.project
        if show is None:
            return CallResult(found, block)

        async def shown() -> bytes:
            return wire.encode(show(wire.decode(found), asked))

        key = (asked, block.hash)
        return CallResult(await self._reader.cached(key, shown, timeout_s=call.timeout_s), block)

    async def _query_latest(
        self, query: Query[BaseModel], call: ServiceCall
    ) -> tuple[Block, bytes]:
        newest = self._newest_snapshot(query)
        if newest is not None:
            try:
                return newest.block, await self._query_at(query, newest.block, call)
            except FailureError as error:
                if error.code is not ErrorCode.NOT_FOUND:
                    raise
                # Either it does not exist, or the block was reorganised away meanwhile.
        with call.without_admission_slot():
            block = await self._with_last_head(self._reader.latest_block(timeout_s=call.timeout_s))
        return block, await self._query_at(query, block, call)

    def _newest_snapshot(self, query: Query[BaseModel]) -> Snapshot | None:
        if isinstance(query, Neurons):
            snapshot = self._snapshots.latest_neurons(query.netuid)
            if snapshot is not None:
                return snapshot
        return self._snapshots.latest_block()

    async def _query_at(self, query: Query[BaseModel], block: Block, call: ServiceCall) -> bytes:
        if isinstance(query, Neurons):
            snapshot = self._snapshots.get(str(NeuronsEventSubject(query.netuid)))
            if snapshot is not None and snapshot.block.hash == block.hash:
                return snapshot.body
        with call.without_admission_slot():
            return await self._reader.query(query, block, timeout_s=call.timeout_s)

    async def _with_last_head(self, response: Coroutine[Any, Any, T]) -> T:
        """What the chain answers; when it does not, the failure tells what was last known of it."""
        try:
            return await response
        except FailureError as error:
            if error.code not in {ErrorCode.CHAIN_UNAVAILABLE, ErrorCode.CHAIN_TIMEOUT}:
                raise
            detail = error.failure.detail + self._snapshots.describe_last_head()
            raise FailureError(error.code, detail) from error
