"""The versioned storage against a plain model: one whole dict per block."""

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pylon_devnet.state_history import History, StateDiscardedError

KEYS = st.binary(min_size=1, max_size=2).map(lambda key: key.translate(bytes([97, 98] * 128)))
CHANGES = st.dictionaries(KEYS, st.none() | st.binary(max_size=2), max_size=4)


class HistoryMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.history = History()
        self.states: list[dict[bytes, bytes]] = []

    @rule(changes=CHANGES)
    def write(self, changes: dict[bytes, bytes | None]) -> None:
        self.history.write(len(self.states), changes)
        after = dict(self.states[-1]) if self.states else {}
        for key, value in changes.items():
            after.pop(key, None)
            if value is not None:
                after[key] = value
        self.states.append(after)

    @precondition(lambda self: self.states)
    @rule(data=st.data())
    def prune(self, data: Any) -> None:
        self.history.prune(data.draw(st.integers(0, len(self.states) - 1)))

    @precondition(lambda self: self.states)
    @rule(data=st.data())
    def rewind(self, data: Any) -> None:
        number = data.draw(st.integers(self.history.oldest, len(self.states) - 1))
        self.history.rewind(number)
        del self.states[number + 1 :]

    @precondition(lambda self: self.states)
    @rule()
    def restore(self) -> None:
        restored = History()
        restored.restore(
            list(self.history.versions()),
            oldest=self.history.oldest,
            newest=self.history.newest,
        )
        self.history = restored

    @precondition(lambda self: self.states)
    @rule(data=st.data())
    def page(self, data: Any) -> None:
        number = data.draw(st.integers(self.history.oldest, len(self.states) - 1))
        prefix, after = data.draw(st.just(b"") | KEYS), data.draw(st.none() | KEYS)
        limit = data.draw(st.none() | st.integers(0, 3))
        expected = sorted(
            key
            for key in self.states[number]
            if key.startswith(prefix) and (after is None or after <= prefix or key > after)
        )
        assert self.history.keys(prefix, number, after, limit) == expected[:limit]

    @invariant()
    def every_kept_state_reads_as_it_was(self) -> None:
        keys = set().union(*self.states) if self.states else set()
        for number, state in enumerate(self.states):
            for key in keys:
                if number < self.history.oldest:
                    with pytest.raises(StateDiscardedError):
                        self.history.value(key, number)
                else:
                    assert self.history.value(key, number) == state.get(key)

    @invariant()
    def of_what_is_too_old_to_tell_apart_one_version_is_kept(self) -> None:
        old = [key for key, number, _ in self.history.versions() if number <= self.history.oldest]
        assert len(old) == len(set(old))


HistoryMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
TestHistory = pytest.mark.fuzz(HistoryMachine.TestCase)


def test_blocks_come_in_order() -> None:
    history = History()
    history.write(0, {})
    with pytest.raises(ValueError, match="block 0 comes after block 0"):
        history.write(0, {})


def test_pruning_forgets_deleted_keys_altogether() -> None:
    history = History()
    history.write(0, {b"a": b"1", b"b": b"1"})
    history.write(1, {b"a": None})
    history.write(2, {})
    assert sorted(history.prune(1)) == [(b"a", 0), (b"a", 1)]
    assert len(history) == 1
    assert list(history.versions()) == [(b"b", 0, b"1")]


def test_readers_learn_which_keys_changed() -> None:
    history = History()
    changed: list[set[bytes]] = []
    history.on_change = lambda keys: changed.append(set(keys))
    history.write(0, {b"a": b"1", b"b": b"1"})
    history.write(1, {b"a": None})
    history.prune(1)
    history.write(2, {b"b": b"2"})
    history.rewind(1)
    assert changed == [{b"a", b"b"}, {b"a"}, {b"b"}, {b"b"}]


def test_many_new_keys_are_in_order() -> None:
    history = History()
    keys = [number.to_bytes(2, "little") for number in range(3000)]
    for number, added in enumerate((keys[::2], keys[1::2], [b"a", b"z"])):
        history.write(number, dict.fromkeys(added, b"1"))
    assert history.keys(b"", 0) == sorted(keys[::2])
    assert history.keys(b"", 2) == sorted([*keys, b"a", b"z"])
