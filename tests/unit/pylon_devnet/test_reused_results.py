"""Results that are computed again when a value that they read changes."""

import pytest

from pylon_devnet.reused_results import ReusedResults


class Computation:
    """Computes the value of a key from a plain state, and counts how often."""

    def __init__(self, state: dict[bytes, int]) -> None:
        self.state = state
        self.computed: list[int] = []

    def __call__(self, at: int, row: int) -> tuple[int, tuple[bytes, ...]]:
        self.computed.append(at)
        keys = (b"all", b"%d" % at)
        return row + sum(self.state.get(key, 0) for key in keys), keys


@pytest.fixture
def compute() -> Computation:
    return Computation({b"0": 5})


def computed(results: ReusedResults, compute: Computation, rows: list[int]) -> list[int]:
    """Return the positions that are computed for these rows."""
    compute.computed.clear()
    expected = [
        row + compute.state.get(b"all", 0) + compute.state.get(b"%d" % at, 0)
        for at, row in enumerate(rows)
    ]
    assert results.get("name", rows, compute) == expected
    return list(compute.computed)


def test_only_outdated_results_are_computed(compute: Computation) -> None:
    results = ReusedResults()
    assert computed(results, compute, [10, 20]) == [0, 1]
    assert computed(results, compute, [10, 20]) == []
    assert computed(results, compute, [10, 21]) == [1]
    for key, affected in ((b"0", [0]), (b"1", [1]), (b"all", [0, 1]), (b"other", [])):
        compute.state[key] = 7
        results.on_change([key])
        assert computed(results, compute, [10, 21]) == affected
        del compute.state[key]
        results.on_change([key])
        assert computed(results, compute, [10, 21]) == affected


def test_a_list_shrinks_and_grows(compute: Computation) -> None:
    results = ReusedResults()
    assert computed(results, compute, [1, 2, 3]) == [0, 1, 2]
    results.on_change([b"2"])
    assert computed(results, compute, [1]) == []
    results.on_change([b"1", b"2"])
    assert computed(results, compute, [1, 2]) == [1]
    assert computed(results, compute, []) == []


def test_a_result_that_reads_other_keys_forgets_the_old_ones() -> None:
    results = ReusedResults()
    keys = [b"a"]
    runs: list[bytes] = []

    def compute(_at: int, _row: None) -> tuple[bytes, tuple[bytes, ...]]:
        runs.append(keys[0])
        return keys[0], (keys[0],)

    assert results.get("name", [None], compute) == [b"a"]
    keys[0] = b"b"
    results.on_change([b"a"])
    assert results.get("name", [None], compute) == [b"b"]
    results.on_change([b"a"])
    assert results.get("name", [None], compute) == [b"b"]
    assert runs == [b"a", b"b"]
    results.on_change([b"b"])
    results.get("name", [None], compute)
    assert runs == [b"a", b"b", b"b"]


def test_a_failed_computation_leaves_the_result_outdated(compute: Computation) -> None:
    results = ReusedResults()
    computed(results, compute, [1, 2])
    results.on_change([b"1"])

    def fail(_at: int, _row: int) -> tuple[int, tuple[bytes, ...]]:
        raise ValueError("no value")

    with pytest.raises(ValueError, match="no value"):
        results.get("name", [1, 3], fail)
    assert computed(results, compute, [1, 3]) == [1]


def test_returned_lists_are_copies(compute: Computation) -> None:
    results = ReusedResults()
    results.get("name", [1, 2], compute).clear()
    assert computed(results, compute, [1, 2]) == []
    assert results.get("another", [5], compute) == [10]
