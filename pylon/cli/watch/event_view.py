"""Show blocks and neurons as they are published."""

import sys
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from rich.console import Console

from pylon.cli.screen import Column, Screen
from pylon.common.deployment_settings import DeploymentSettings
from pylon.events.event_log import EventLog
from pylon.events.published_subnets import published_subnets
from pylon.nats_server.worker_user import worker_connection_options
from pylon_client.contract.models import BlockInfo, Neuron, SubnetNeurons
from pylon_client.contract.subjects import BlockEventSubject, NeuronsEventSubject
from pylon_client.contract.types import NetUid
from pylon_client.events.feed import EventFeed
from pylon_client.nats.nats_connection import connect

BLOCKS_SHOWN: Final = 20
NEURONS_SHOWN: Final = 30

_BLOCK_COLUMNS: Final = (
    Column("block", 0),
    Column("time (UTC)", 3),
    Column("hash", 1),
    Column("not published", 2),
)
_NEURON_COLUMNS: Final = (
    Column("uid", 0),
    Column("hotkey", 1),
    Column("stake", 2),
    Column("trust", 5),
    Column("incentive", 3),
    Column("dividends", 6),
    Column("permit", 4),
    Column("updated", 7),
)


async def watch_blocks(settings: DeploymentSettings, console: Console) -> None:
    """Show each block as it is published, until interrupted.

    Raises:
        FailureError: NATS cannot be reached.
    """
    rows: deque[tuple[str, ...]] = deque(maxlen=BLOCKS_SHOWN)
    connection = await connect(worker_connection_options(settings, "pylon watch"))
    try:
        feed = EventFeed(connection, [str(BlockEventSubject())], EventLog(connection))
        with Screen(console, _BLOCK_COLUMNS, "Blocks") as screen:
            async with feed:
                async for event in feed:
                    info = BlockInfo.model_validate_json(event.body)
                    lost = str(len(event.lost) or "")
                    rows.append((str(info.number), _time(info), info.hash, lost))
                    screen.show(lambda: rows, " ".join(filter(None, rows[-1])))
    finally:
        await connection.close()


async def watch_neurons(settings: DeploymentSettings, netuid: NetUid, console: Console) -> None:
    """Show the neurons of a subnet as they are published, ordered by stake.

    If nothing is published about the subnet yet, this is reported and the first neurons are shown
    when they arrive.

    Raises:
        FailureError: NATS cannot be reached.
    """
    connection = await connect(worker_connection_options(settings, "pylon watch"))
    try:
        subject = str(NeuronsEventSubject(netuid))
        published = await published_subnets(connection)
        if netuid not in published:
            _report_untracked(netuid, published)
        feed = EventFeed(connection, [subject], EventLog(connection))
        with Screen(console, _NEURON_COLUMNS, f"Neurons of subnet {netuid}") as screen:
            async with feed:
                async for event in feed:
                    snapshot = SubnetNeurons.model_validate_json(event.body)
                    screen.show(lambda of=snapshot: _neuron_rows(of), _summary(netuid, snapshot))
    finally:
        await connection.close()


def _report_untracked(netuid: NetUid, published: Sequence[NetUid]) -> None:
    tracked = ", ".join(map(str, published)) or "none yet"
    sys.stderr.write(
        f"Nothing is published about subnet {netuid}; published subnets: {tracked}. Workers "
        "publish the subnets of PYLON_TRACKED_NETUIDS and of the identities. Waiting for neurons.\n"
    )


def _time(info: BlockInfo) -> str:
    return datetime.fromtimestamp(info.timestamp, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _neuron_rows(snapshot: SubnetNeurons) -> list[tuple[str, ...]]:
    by_stake = sorted(snapshot.neurons.values(), key=lambda one: one.stakes.total, reverse=True)
    return [_neuron_row(neuron) for neuron in by_stake[:NEURONS_SHOWN]]


def _neuron_row(neuron: Neuron) -> tuple[str, ...]:
    return (
        str(neuron.uid),
        neuron.hotkey,
        f"{neuron.stakes.total:.3f}",
        f"{neuron.trust:.4f}",
        f"{neuron.incentive:.4f}",
        f"{neuron.dividends:.4f}",
        "yes" if neuron.validator_permit else "",
        str(neuron.last_update),
    )


def _summary(netuid: NetUid, snapshot: SubnetNeurons) -> str:
    neurons = snapshot.neurons.values()
    permits = sum(neuron.validator_permit for neuron in neurons)
    stake = sum(neuron.stakes.total for neuron in neurons)
    return (
        f"{snapshot.block.number} subnet {netuid}: {len(neurons)} neurons, "
        f"{permits} with a permit, stake {stake:.3f}"
    )
