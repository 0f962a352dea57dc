"""A record that cannot be decoded is logged once, and counted at each read."""

import logging
from typing import Any

import pytest

from pylon.blocks.snapshots import parse_snapshot
from pylon.chain.changed_neurons import ChangedNeurons
from pylon.common.unreadable_records import UNREADABLE, UnreadableRecords
from pylon.jetstream.bucket import Entry
from pylon.jobs.stored_job import try_decode_job
from pylon.worker.metrics import WorkerMetrics
from pylon_client.contract.models import Block
from pylon_client.contract.subjects import BlockEventSubject
from pylon_client.contract.types import BlockHash, BlockNumber, NetUid, Revision
from pylon_client.events.stored_events import FeedEvent
from tests.support.chain.decoded_answers import decoded_answer

logger = logging.getLogger(__name__)

BLOCKS = [Block(number=BlockNumber(n), hash=BlockHash(f"0x{n:064x}")) for n in range(1, 51)]
NEURONS = ChangedNeurons(NetUid(1))
STATE = {"hotkeys": ["5Alice"], "alpha_stake": [0], "tao_stake": [0], "total_stake": [0]}


def read_neurons(block: Block, records: list[dict[str, Any]]) -> None:
    fields = NEURONS.encode(block, decoded_answer(records), decoded_answer(STATE))
    assert fields.count(b'"reason"') == len(records)


def counted(kind: str) -> float | None:
    metrics = WorkerMetrics()
    return metrics.registry.get_sample_value("pylon_unreadable_records_total", {"kind": kind})


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_a_neuron_is_logged_at_its_first_block_alone(caplog: pytest.LogCaptureFixture) -> None:
    for block in BLOCKS:
        # Its other values change from block to block.
        broken = {"netuid": 1, "uid": 7, "hotkey": "5Broken", "last_update": block.number}
        read_neurons(block, [broken])
    (warning,) = warnings(caplog)
    assert "Skipped the neuron with uid 7 of block 1" in warning
    assert "further reads are only counted" in warning
    assert counted("neuron") == len(BLOCKS)


def test_other_records_are_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    for block in BLOCKS:
        broken = [{"netuid": 1, "uid": uid, "hotkey": f"5Broken{uid}"} for uid in range(3)]
        read_neurons(block, broken)
    assert len(warnings(caplog)) == 3
    assert counted("neuron") == 3 * len(BLOCKS)


def test_an_event_and_an_entry_of_the_ledger_are_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for block in BLOCKS:
        assert parse_snapshot(FeedEvent(str(BlockEventSubject()), block, b"broken")) is None
        assert try_decode_job(Entry("job.alice.x", b"broken", Revision(5))) is None
    assert len(warnings(caplog)) == 2
    assert counted("event") == counted("job") == len(BLOCKS)
    # Written again, it is another one.
    try_decode_job(Entry("job.alice.x", b"broken", Revision(6)))
    assert len(warnings(caplog)) == 3


def test_remembered_records_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    records = UnreadableRecords(max_logged=10)
    for number in (*range(10), *range(10)):
        records.report(logger, "neuron", number, "record %d", number)
    assert len(warnings(caplog)) == 10
    records.report(logger, "neuron", 10, "record %d", 10)
    records.report(logger, "neuron", 0, "record %d", 0)  # the oldest was forgotten for it
    assert len(warnings(caplog)) == 12
    assert records.counts == {"neuron": 22}


def test_the_count_starts_at_zero() -> None:
    assert UNREADABLE.counts == {}
    assert counted("neuron") is None
