"""The order of the checks, and whether they pass."""

from collections.abc import AsyncGenerator

import pytest

from pylon.cli.check import check_command
from pylon.cli.check.check_command import check
from pylon.cli.check.findings import Finding, Level, failure, ok, warning
from pylon.worker.settings import WorkerSettings

CHECKS = ("check_nats", "check_binding", "check_signers", "check_chain")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> dict[str, Finding]:
    """The finding of each check."""
    found = {name: ok(name, "fine") for name in CHECKS}

    for name in CHECKS:

        async def run(_settings: WorkerSettings, name: str = name) -> AsyncGenerator[Finding]:
            yield found[name]

        monkeypatch.setattr(check_command, name, run)
    monkeypatch.setattr(check_command, "check_disk", lambda *_: ok("disk", "fine"))
    monkeypatch.setattr(check_command, "unknown_variables", lambda _: [])
    monkeypatch.setattr(check_command, "ineffective_variables", lambda _: [])
    return found


async def run_checks(settings: WorkerSettings) -> tuple[bool, list[Finding]]:
    findings: list[Finding] = []
    return await check(settings, findings.append), findings


async def test_all_checks_run_in_order(found: dict[str, Finding]) -> None:
    is_fit, findings = await run_checks(WorkerSettings())
    assert is_fit
    assert [finding.subject for finding in findings] == ["settings", "disk", *CHECKS]


@pytest.mark.parametrize("place", CHECKS)
async def test_one_failure_fails_but_does_not_end_the_check(
    found: dict[str, Finding], place: str
) -> None:
    found[place] = warning(place, "not nice", "improve it")
    assert (await run_checks(WorkerSettings()))[0]
    found[place] = failure(place, "broken", "repair it")
    is_fit, findings = await run_checks(WorkerSettings())
    assert not is_fit
    assert len(findings) == 2 + len(CHECKS)


@pytest.mark.parametrize(("strict", "level"), [(False, Level.WARNING), (True, Level.FAILURE)])
@pytest.mark.usefixtures("found")
async def test_unknown_variables_fail_if_settings_are_strict(
    monkeypatch: pytest.MonkeyPatch, level: Level, *, strict: bool
) -> None:
    monkeypatch.setattr(check_command, "unknown_variables", lambda _: ["PYLON_X is not known"])
    is_fit, findings = await run_checks(WorkerSettings(strict_settings=strict))
    assert findings[1].level is level
    assert is_fit is not strict
