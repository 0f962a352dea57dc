"""Which connections a bridge closes when there are too many, and what is counted and logged."""

import logging
import resource

import pytest

from bridge import open_connections as module
from bridge.open_connections import (
    LOG_INTERVAL_S,
    CloseReason,
    ConnectionStage,
    ConnectionTracker,
    connection_limit,
)


class Fake:
    """A connection that notes whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    def evict(self) -> None:
        self.closed = True


def entered(connections: ConnectionTracker, *stages: ConnectionStage) -> list[Fake]:
    made: list[Fake] = []
    for stage in stages:
        made.append(Fake())
        assert connections.add(made[-1])
        connections.set_stage(made[-1], stage)
    return made


def test_a_new_connection_closes_the_one_that_waited_longest_for_a_head() -> None:
    connections = ConnectionTracker(4)
    response, body, old, new = entered(
        connections,
        ConnectionStage.RESPONSE,
        ConnectionStage.BODY,
        ConnectionStage.HEAD,
        ConnectionStage.HEAD,
    )
    assert connections.add(Fake())
    assert [one.closed for one in (response, body, old, new)] == [False, False, True, False]
    assert connections.counts_by_stage == {
        ConnectionStage.HEAD: 2,
        ConnectionStage.IDLE: 0,
        ConnectionStage.BODY: 1,
        ConnectionStage.RESPONSE: 1,
    }
    assert connections.closed_by_reason == {CloseReason.MADE_ROOM: 1}


def test_idle_connections_are_closed_next_and_unfinished_bodies_last() -> None:
    connections = ConnectionTracker(3)
    response, body, idle = entered(
        connections, ConnectionStage.RESPONSE, ConnectionStage.BODY, ConnectionStage.IDLE
    )
    for closed in (idle, body):
        (_new,) = entered(connections, ConnectionStage.RESPONSE)
        assert closed.closed
    assert not response.closed
    assert not connections.add(Fake())
    assert connections.closed_by_reason == {CloseReason.MADE_ROOM: 2, CloseReason.LIMIT: 1}


def test_a_connection_that_was_closed_counts_no_more() -> None:
    connections = ConnectionTracker(2)
    old, _ = entered(connections, ConnectionStage.HEAD, ConnectionStage.HEAD)
    entered(connections, ConnectionStage.HEAD)
    connections.set_stage(old, ConnectionStage.RESPONSE)
    connections.remove(old)
    connections.remove(old)
    assert sum(connections.counts_by_stage.values()) == 2


def test_a_flood_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    clock = [0.0]
    connections = ConnectionTracker(1, lambda: clock[0])
    with caplog.at_level(logging.WARNING):
        for _ in range(1000):
            connections.add(Fake())
        assert len(caplog.messages) == 1
        clock[0] += LOG_INTERVAL_S
        connections.count_closed(CloseReason.HEAD_TIMEOUT)
    assert len(caplog.messages) == 2
    assert "head_timeout 1, made_room 998; 1 of 1 are open" in caplog.messages[1]


@pytest.mark.parametrize(
    ("descriptors", "wanted", "limit"),
    [
        (300, None, 236),
        (300, 100, 100),
        (300, 1000, 236),
        (10, None, 1),
        (resource.RLIM_INFINITY, None, module.MAX_CONNECTIONS),
        (100_000, 50_000, 50_000),
    ],
)
def test_the_limit_follows_the_descriptors(
    monkeypatch: pytest.MonkeyPatch, descriptors: int, wanted: int | None, limit: int
) -> None:
    limits = [min(descriptors, 10) if descriptors > 0 else 10, descriptors]
    monkeypatch.setattr(resource, "getrlimit", lambda _: tuple(limits))
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, to: raised.append(to))
    assert connection_limit(wanted) == limit
    assert (raised == []) is (descriptors == 10)
