from collections.abc import Iterator
from dataclasses import replace

import pytest

from bench.capacity import (
    SCENARIOS,
    Row,
    UnitCosts,
    bridges,
    leaf_nodes,
    scenarios,
    table,
    workers,
)
from bench.results import Costs, MissingCostError

COSTS = UnitCosts(
    body_s=0.0008,
    unchanged_s=0.0002,
    body_worker_s=0.0,
    unchanged_worker_s=0.0,
    nats_read_s=0.0005,
    subnet_s=0.009375,
    second_s=0.0,
    idle_share=0.02,
    block_event_s=0.00001,
    neurons_event_s=0.0001,
    body_bytes=120_000,
    block_bytes=600,
    disk_bytes=5_000_000,
    subscriber_mb=0.1,
    writes_per_s=500.0,
)


def test_a_bridge_carries_clients_up_to_its_usable_share() -> None:
    # Each client takes 1 ms per block of 12 s; three bridges have 3 * 0.7 * 12 s.
    assert COSTS.polling_clients(3) == pytest.approx(25_200, abs=1)
    counts, clients = _columns(bridges(COSTS), 0, 3)
    assert clients[counts.index("3")] == f"{COSTS.polling_clients(3):,}"


def test_publishing_is_divided_among_workers() -> None:
    assert COSTS.publishing_share(1) == pytest.approx(0.1 + 0.02)
    assert COSTS.publishing_share(10) == pytest.approx(0.01 + 0.02)
    # A worker that reads what others publish does not get cheaper.
    assert replace(COSTS, second_s=0.009375).publishing_share(10) == pytest.approx(0.1 + 0.02)
    assert COSTS.nats_reads_per_s(2) == pytest.approx(2 * (0.7 - 0.07) / 0.0005)


def test_workers_that_are_busy_publishing_answer_no_reads() -> None:
    assert replace(COSTS, subnet_s=1.0).nats_reads_per_s(2) == 0


def test_a_server_delivers_within_a_second() -> None:
    assert COSTS.subscribers_per_server(COSTS.block_event_s) == pytest.approx(280_000, abs=1)


def test_a_million_clients_need_servers_for_both_kinds_of_event() -> None:
    names, servers = _columns(scenarios(COSTS), 0, 3)
    assert dict(zip(names, servers, strict=True))["900,000"] == "4"  # 3.2 + 0.36
    assert sum(SCENARIOS[-1]) == 1_000_000


def test_a_leaf_node_receives_each_event_once() -> None:
    into_each, from_hub = _columns(leaf_nodes(COSTS), 3, 4)
    assert into_each == ["1.28", "1.28", "1.28"]  # 128 bodies and a block event in 12 s
    assert from_hub == ["1.28", "6.40", "32.0"]


def test_tables_are_markdown() -> None:
    lines = table(workers(COSTS)).splitlines()
    assert lines[1] == "| --- | --- | --- |"
    assert lines[2].startswith("| 2 | ")


def test_a_missing_cost_names_the_part() -> None:
    with pytest.raises(MissingCostError, match="--only network"):
        UnitCosts.of(Costs({}))


def _columns(rows: Iterator[Row], *numbers: int) -> list[list[str]]:
    _, *body = rows
    return [[row[number] for row in body] for number in numbers]
