"""`pylon check`."""

from collections.abc import AsyncGenerator, Callable

from pylon.cli.check.binding_check import check_binding
from pylon.cli.check.chain_check import check_chain
from pylon.cli.check.disk_check import check_disk
from pylon.cli.check.findings import Finding, Level, failure, ok, warning
from pylon.cli.check.nats_check import check_nats, check_signers
from pylon.cli.up.up_options import UpSettings
from pylon.common.variable_checks import ineffective_variables, unknown_variables
from pylon.worker.settings import WorkerSettings


async def check(settings: WorkerSettings, report: Callable[[Finding], None]) -> bool:
    """Run all checks and report each finding; return whether there is no failure."""
    is_fit = True
    async for finding in _findings(settings):
        report(finding)
        is_fit = is_fit and finding.level is not Level.FAILURE
    return is_fit


async def _findings(settings: WorkerSettings) -> AsyncGenerator[Finding]:
    names = ", ".join(settings.identity_settings) or "no identities"
    yield ok("settings", f"they can be read: {names}")
    for line in unknown_variables(settings.identities):
        found = failure if settings.strict_settings else warning
        yield found("settings", line, "correct or remove it")
    for line in ineffective_variables(settings.identities):
        yield warning("settings", line, "remove it")
    yield check_disk(settings.nats_urls, UpSettings().home)
    async for finding in check_nats(settings):
        yield finding
    async for finding in check_binding(settings):
        yield finding
    async for finding in check_signers(settings):
        yield finding
    async for finding in check_chain(settings):
        yield finding
