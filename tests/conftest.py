"""When all tests are over, nothing that was written may hold a secret.

That is what processes and servers wrote into the tests' folders, and what pytest has captured.
"""

import pytest

from tests.support.leaks import known_secrets, leaks_in, leaks_under


def pytest_configure(config: pytest.Config) -> None:
    # Where tests run in several processes, the one that gathers their reports looks after all.
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(LeakCheck(config))


class LeakCheck:
    """Fails a session in which a secret was written."""

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
        self._found += leaks_under(self._config._tmp_path_factory.getbasetemp(), self._secrets)
        if self._found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._found:
            terminalreporter.section("secrets were written", red=True, bold=True)
            for line in sorted(set(self._found)):
                terminalreporter.line(line, red=True)
