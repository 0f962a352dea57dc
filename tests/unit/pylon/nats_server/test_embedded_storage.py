"""Store errors of the embedded nats-server, and probes of its disk."""

import asyncio
import errno
from pathlib import Path

import pytest

from pylon.nats_server import embedded_storage
from pylon.nats_server.embedded_storage import LOG_INTERVAL_S, EmbeddedStorage
from tests.support.product.stepped_loop import run_stepped

FULL = "JetStream failed to store a msg on stream: write /x: no space left on device"


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> list[OSError | None]:
    """The results of the next probes; None for success. The last one is repeated."""
    results: list[OSError | None] = [None]

    async def probe(_function: object) -> None:
        await asyncio.sleep(0)
        result = results.pop(0) if len(results) > 1 else results[0]
        if result is not None:
            raise result

    monkeypatch.setattr(asyncio, "to_thread", probe)
    return results


@pytest.mark.parametrize(
    ("line", "is_error"),
    [
        (FULL, True),
        ("Critical write error: Disk Quota Exceeded", True),
        ("read-only file system", True),
        ("JetStream out of resources, will be DISABLED", True),
        ("Server is ready", False),
        ("Slow Consumer Detected", False),
    ],
)
def test_store_errors_are_recognized_in_the_log(
    tmp_path: Path, line: str, *, is_error: bool
) -> None:
    storage = EmbeddedStorage(tmp_path)
    assert storage.observe_log_line(line) is is_error
    assert storage.has_failed is is_error
    storage.observe_log_line("Server is ready")
    assert storage.has_failed is is_error
    storage.reset()
    assert not storage.has_failed


def test_nothing_is_probed_before_an_error(tmp_path: Path, disk: list[OSError | None]) -> None:
    async def work() -> None:
        storage = EmbeddedStorage(tmp_path)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1000):
                await storage.wait_until_writable()

    run_stepped(work())
    assert disk == [None]


def test_a_full_disk_is_probed_until_it_is_writable_and_reported_now_and_then(
    tmp_path: Path, disk: list[OSError | None], caplog: pytest.LogCaptureFixture
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    disk[:] = [*[full] * 200, None]

    async def work() -> None:
        storage = EmbeddedStorage(tmp_path)
        storage.observe_log_line(FULL)
        await storage.wait_until_writable()
        waited_s = asyncio.get_running_loop().time()
        assert 100 <= waited_s <= 210, "each delay is the initial one"
        reminders = caplog.text.count("still not writable")
        assert waited_s // LOG_INTERVAL_S - 1 <= reminders <= waited_s // LOG_INTERVAL_S + 1

    run_stepped(work())
    assert caplog.text.count("cannot store messages") == 1
    assert "MiB are free" in caplog.text


def test_restarts_that_do_not_help_get_rarer(tmp_path: Path, disk: list[OSError | None]) -> None:
    async def work() -> None:
        clock_s = asyncio.get_running_loop().time
        storage = EmbeddedStorage(tmp_path)
        delays_s: list[float] = []
        for _ in range(8):
            began_s = clock_s()
            storage.observe_log_line(FULL)
            await storage.wait_until_writable()
            storage.reset()
            delays_s.append(clock_s() - began_s)
        assert delays_s[0] <= embedded_storage.PROBE_INITIAL_DELAY_S + 0.1
        assert delays_s[-1] >= embedded_storage.PROBE_MAX_DELAY_S / 2

    run_stepped(work())
    assert disk == [None]


def test_a_probe_writes_to_the_folder_and_leaves_nothing(tmp_path: Path) -> None:
    getattr(EmbeddedStorage(tmp_path), "_probe")()  # noqa: B009 -- it is not public
    assert not list(tmp_path.iterdir())
    with pytest.raises(OSError, match="No such file"):
        getattr(EmbeddedStorage(tmp_path / "missing"), "_probe")()  # noqa: B009 -- the same
