import json
from collections.abc import AsyncGenerator

import pytest

from bench import __main__ as command
from bench.measurement import Measurement
from bench.pairs import Pair
from bench.sizes import QUICK, Run


async def _measured(run: Run) -> AsyncGenerator[Measurement]:
    assert run.sizes is QUICK
    yield Measurement("a", "A", "B", Pair(2.0, 4.0, 0.5), "ms")


async def _failing(_run: Run) -> AsyncGenerator[Measurement]:
    raise RuntimeError("no processes")
    yield  # a generator


@pytest.fixture(autouse=True)
def _two_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PARTS", {"failing": _failing, "measured": _measured})


def test_chosen_parts_print_objects(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--only", "measured", "--json", "--quick"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["ratio"] == 0.5


def test_a_failing_part_does_not_end_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--quick"]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("a ")
    assert "failing: failed: RuntimeError: no processes" in err


def test_parts_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "failing",
        "measured",
    ]
