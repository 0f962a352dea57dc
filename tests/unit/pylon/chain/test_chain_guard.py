"""Checks of a node's genesis before and after the state is bound."""

import pytest

from pylon.chain.chain_guard import ChainGuard, ForeignChainError
from pylon.worker.binding.remedy import mismatch_remedy
from tests.support.chain.bound_state import FINNEY, NEW, OLD


def guard_of(network: str = "test") -> ChainGuard:
    return ChainGuard(network, mismatch_remedy, needs_binding=True)


def test_a_guard_reports_a_refused_node_until_a_valid_one() -> None:
    guard, checked_again = guard_of(), list[bool]()
    guard.on_bound(lambda: checked_again.append(True))
    guard.bind(FINNEY)
    guard.bind(FINNEY)
    assert checked_again == [True]
    with pytest.raises(ForeignChainError):
        guard.check_archive_genesis(NEW)
    assert not guard.problems, "an archive of another chain does not affect readiness"
    with pytest.raises(ForeignChainError):
        guard.check_genesis(NEW)
    (problem,) = guard.problems
    assert "pylon reset --network finney" in problem
    guard.check_genesis(OLD)
    assert not guard.problems


def test_a_reader_accepts_any_node_until_it_is_bound() -> None:
    guard = ChainGuard("test", mismatch_remedy, needs_binding=False)
    guard.check_genesis(NEW)
    guard.bind(FINNEY)
    with pytest.raises(ForeignChainError):
        guard.check_genesis(NEW)
