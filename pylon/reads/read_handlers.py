"""Handlers of the read operations."""

from collections.abc import Coroutine, Mapping
from functools import partial
from typing import Any, TypeVar

from pylon.blocks.snapshots import Snapshot, Snapshots
from pylon.chain.chain_reader import ChainReader
from pylon.chain.queries.neuron_queries import Neurons
from pylon.chain.query import AnyQuery
from pylon.reads.read_query import resolve
from pylon.reads.read_spec import ReadSpec
from pylon.reads.recent_neurons import RecentNeurons
from pylon.reads.specs import READ_SPECS
from pylon.rpc.calls import CallResult, HandlerTable, ParamsT, ServiceCall
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Identities
from pylon_client.contract.operations import Params
from pylon_client.contract.reads import (
    IDENTITIES,
    LATEST_BLOCK,
    LATEST_NEURONS,
    NEURON_CHANGES,
    RECENT_NEURONS,
    BlockParams,
    ChangesParams,
)
from pylon_client.contract.snapshot_changes import neuron_changes
from pylon_client.contract.subjects import NeuronsEventSubject
from pylon_client.contract.types import BlockNumber, Hotkey, IdentityName, NetUid

T = TypeVar("T")


class ReadHandlers:
    """Executes reads from fresh snapshots if there are any, else from the chain.

    A request that waits for the chain releases its admission slot, so that it does not delay
    requests that do not need the chain.

    Args:
        snapshots: the newest published events.
        reader: reads the chain.
        recent: the recent neurons of tracked subnets.
        identities: the configured identities and their subnets.
        addresses: the known hotkeys of identities.
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
        self._identities = json_codec.encode(Identities(identities=dict(identities)))
        self._addresses = addresses

    def register(self, service: HandlerTable) -> None:
        """Register the handler of each read."""
        for spec in READ_SPECS:
            service.add(spec.operation, partial(self.read, spec))
        service.add(LATEST_BLOCK, self.latest_block)
        service.add(RECENT_NEURONS, self.recent_neurons)
        service.add(NEURON_CHANGES, self.neuron_changes)
        service.add(IDENTITIES, self.list_identities)
        service.add_memory(LATEST_NEURONS, self.stored_neurons)
        service.add_memory(LATEST_BLOCK, self.stored_block)

    async def latest_block(self, call: ServiceCall[Params]) -> CallResult:
        """Return the newest block and its timestamp from the chain."""
        with call.without_permit():
            block, body = await self._with_last_head(self._reader.latest_block_info())
        return CallResult(body, block)

    def stored_block(self, _call: ServiceCall[Params]) -> CallResult | None:
        """Return the newest block and its timestamp, if the snapshot is fresh."""
        return _stored(self._snapshots.latest_block())

    def stored_neurons(self, call: ServiceCall[Params]) -> CallResult | None:
        """Return the latest neurons of a subnet, if the snapshot is fresh."""
        return _stored(self._snapshots.get_fresh(str(NeuronsEventSubject(call.subnet))))

    async def recent_neurons(self, call: ServiceCall[Params]) -> CallResult:
        """Return the last published neurons of a tracked subnet."""
        try:
            return self._recent.get(call.subnet)
        except FailureError as error:
            if error.code is ErrorCode.NO_RECENT_SNAPSHOT:
                await self._require_subnet(call.subnet, call)
            raise

    async def neuron_changes(self, call: ServiceCall[ChangesParams]) -> CallResult:
        """Return the changes from a subnet's neurons at a block to the latest ones.

        Another worker may have been ahead when it named a block that is newer than the latest
        neurons here. Nothing has changed since then.

        Raises:
            FailureError: NOT_FOUND for an unknown block or subnet; otherwise as the chain port
                says.
        """
        query = Neurons(call.subnet)
        with call.without_permit():
            older = await self._query_at(query, call.params.since)
            newer = self._latest_snapshot(query, call.params)
            if newer is None:
                newer = await self._query_chain(query, call.params)
        if newer.block.number < older.block.number:
            newer = older

        async def compared() -> bytes:
            return neuron_changes(older.body, newer.body)

        key = (NEURON_CHANGES.name, call.subnet, older.block.hash, newer.block.hash)
        return CallResult(await self._reader.cached(key, compared), newer.block)

    async def _require_subnet(self, netuid: NetUid, call: ServiceCall[Params]) -> None:
        """Raise NOT_FOUND if nothing was ever published because the subnet does not exist.

        The chain is queried only while its head is fresh, so that an outage does not delay the
        caller.
        """
        is_live = self._snapshots.latest_block() is not None
        if is_live and self._snapshots.get(str(NeuronsEventSubject(netuid))) is None:
            try:
                with call.without_permit():
                    await self._query_chain(Neurons(netuid), call.params)
            except FailureError as error:
                if error.code is ErrorCode.NOT_FOUND:
                    raise

    async def list_identities(self, _call: ServiceCall[Params]) -> CallResult:
        """Return the configured identities and their subnets."""
        return CallResult(self._identities)

    async def read(self, spec: ReadSpec[ParamsT], call: ServiceCall[ParamsT]) -> CallResult:
        """Execute a read at the block of its parameters, or at the newest block.

        Raises:
            FailureError: NOT_FOUND or UNDECODABLE, if the result does not contain the item;
                otherwise as the chain port says.
        """
        read = resolve(call, self._addresses, uses_own_hotkey=spec.uses_own_hotkey)
        query = spec.query(read)
        found = self._latest_snapshot(query, call.params)
        if found is None:
            with call.without_permit():
                found = await self._query_chain(query, call.params)
        project = spec.project
        if project is None:
            return CallResult(found.body, found.block)

        async def projected() -> bytes:
            return json_codec.encode(project(json_codec.decode(found.body), read))

        body = await self._reader.cached((read, found.block.hash), projected)
        return CallResult(body, found.block)

    def _latest_snapshot(self, query: AnyQuery, params: Params) -> Snapshot | None:
        if not isinstance(query, Neurons) or isinstance(params, BlockParams):
            return None
        return self._snapshots.get_fresh(str(NeuronsEventSubject(query.netuid)))

    async def _query_chain(self, query: AnyQuery, params: Params) -> Snapshot:
        """Return the result at the block of the parameters, or at the newest block."""
        if isinstance(params, BlockParams):
            return await self._query_at(query, params.block_number)
        newest = self._snapshots.latest_block()
        if newest is not None:
            try:
                return Snapshot(newest.block, await self._reader.query(query, newest.block))
            except FailureError as error:
                if error.code is not ErrorCode.NOT_FOUND:
                    raise
                # Either the item does not exist, or a reorg has removed the block.
        block = await self._with_last_head(self._reader.latest_block())
        return Snapshot(block, await self._reader.query(query, block))

    async def _query_at(self, query: AnyQuery, number: BlockNumber) -> Snapshot:
        block = await self._reader.block(number)
        if isinstance(query, Neurons):
            snapshot = self._snapshots.get_at(str(NeuronsEventSubject(query.netuid)), block)
            if snapshot is not None:
                return snapshot
        return Snapshot(block, await self._reader.query(query, block))

    async def _with_last_head(self, response: Coroutine[Any, Any, T]) -> T:
        """Return the chain's response; add the last known head to an outage's error."""
        try:
            return await response
        except FailureError as error:
            if error.code not in {ErrorCode.CHAIN_UNAVAILABLE, ErrorCode.CHAIN_TIMEOUT}:
                raise
            detail = error.failure.detail + self._snapshots.describe_last_head()
            raise FailureError(error.code, detail) from error


def _stored(snapshot: Snapshot | None) -> CallResult | None:
    return None if snapshot is None else CallResult(snapshot.body, snapshot.block)
