"""Hooks for all tests: mark each test with its level, run slow files first, search for secrets.

After the last test, the hooks search the folders of the tests and the captured output for secrets.
"""

import gc
from collections.abc import Generator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from pylon.common.unreadable_records import UNREADABLE
from tests.support.product.leaks import known_secrets, leaks_in, leaks_under

TESTS = Path(__file__).parent
LEVELS = {
    "unit": "unit",
    "integration": "integration",
    "compat": "compat",
    "fuzz": "fuzz",
}
"""The marker of each folder of `tests`; the tests of all other folders are `system`."""
_SYSTEM = "system"

pytest_plugins = [
    "tests.support.chain.plugin",
    "tests.support.k8s.plugin",
    "tests.support.nats.plugin",
    "tests.support.product.plugin",
]


# No result depends on the speed of the machine.
settings.register_profile("pylon", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pylon")


def pytest_configure(config: pytest.Config) -> None:
    # If tests run in several processes, the controller checks for all of them.
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(LeakCheck(config))


@pytest.hookimpl(tryfirst=True)  # before `-m` selects by the markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    levels = {*LEVELS.values(), _SYSTEM}
    for item in items:
        if levels.isdisjoint(marker.name for marker in item.iter_markers()):
            item.add_marker(level_of(item.path))
    # If a slow file started last, one process would run it while the others are idle.
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@cache
def level_of(path: Path) -> str:
    """Return the marker of the tests in a file that states none itself."""
    if not path.is_relative_to(TESTS):
        return "unit"
    return LEVELS.get(path.relative_to(TESTS).parts[0], _SYSTEM)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    # Modules and tests live as long as the process: no garbage collection needs to look at them.
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def unreadable_records() -> None:
    """Forget the unreadable records of earlier tests in the same process."""
    UNREADABLE.clear()


class LeakCheck:
    """Fail the session if a secret was written."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._found: list[str] = []
        self._secrets = known_secrets()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, text in report.sections:
            for what in leaks_in(text.encode(errors="replace"), self._secrets):
                self._found.append(f"{report.nodeid}: {name!r} holds {what}")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        factory: pytest.TempPathFactory = vars(self._config)["_tmp_path_factory"]
        self._found += leaks_under(factory.getbasetemp(), self._secrets)
        if self._found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._found:
            terminalreporter.section("secrets were written", red=True, bold=True)
            for line in sorted(set(self._found)):
                terminalreporter.line(line, red=True)
