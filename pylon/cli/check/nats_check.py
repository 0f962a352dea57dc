"""Check NATS as a worker would use it: connection, streams, storage and signers."""

import asyncio
from collections.abc import AsyncGenerator

from pylon.cli.check.findings import Finding, Level, failure, ok, warning
from pylon.cli.check.stream_check import check_storage
from pylon.events.signer_events import SignerEvents
from pylon.jetstream.provision import (
    ProvisionError,
    StorageUsage,
    storage_usage,
    stream_differences,
)
from pylon.jetstream.stream_rules import stream_remedy
from pylon.jobs.signer_directory import ANNOUNCE_INTERVAL_S, SignerDirectory
from pylon.nats_server.worker_user import worker_connection_options
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.topology import STREAMS, StreamPlan
from pylon_client.nats.nats_connection import ConnectionOptions, NatsConnection, connect

STORAGE_FULL_RATIO = 0.9
"""Fraction of JetStream's storage in use from which on the check fails."""

_REMEDIES = {
    ErrorCode.NATS_UNAVAILABLE: "start a nats-server, or correct PYLON_NATS_URL",
    ErrorCode.FORBIDDEN: "write the users again with `pylon nats-conf`, and reload the server",
    ErrorCode.UNAUTHENTICATED: "set PYLON_NATS_WORKER_PASSWORD",
}


async def check_signers(settings: WorkerSettings) -> AsyncGenerator[Finding]:
    """Check that a signer runs for each identity, when this deployment's worker is a reader."""
    if settings.worker_role.signs or not settings.identity_settings:
        return
    try:
        connection = await connect(_options(settings))
    except FailureError:
        return  # `check_nats` has reported it
    directory = SignerDirectory(settings.identity_settings, grace_s=0)
    try:
        await SignerEvents(connection).subscribe(directory.observe)
        await asyncio.sleep(ANNOUNCE_INTERVAL_S + 1)
    finally:
        await connection.close()
    for name in settings.identity_settings:
        missing = directory.unavailable_reason(name)
        if missing:
            yield warning(f"identity {name}", "it cannot write", missing)
        else:
            yield ok(f"identity {name}", "a signer with its hotkey is running")


async def check_nats(settings: WorkerSettings) -> AsyncGenerator[Finding]:
    """Check that a worker can use NATS."""
    options = _options(settings)
    try:
        connection = await connect(options)
    except FailureError as error:
        yield failure("NATS", error.failure.detail, _REMEDIES.get(error.code, "see the settings"))
        return
    try:
        place = connection.nats.connected_url
        yield ok("NATS", f"connected to {place.netloc if place else 'it'} as {connection.user}")
        if options.user is None:
            yield warning(
                "NATS", "it requires no password: any client could act as a worker",
                "give it users with `pylon nats-conf`",
            )  # fmt: skip
        if not settings.uses_reader_user:  # this user may not look at streams
            are_made = True
            for plan in STREAMS:
                finding = await _check_stream(connection, plan)
                are_made = are_made and finding.level is Level.OK
                yield finding
            yield _check_usage(await storage_usage(connection))
            if are_made:
                async for finding in check_storage(connection, settings.block_duration_seconds):
                    yield finding
    except ProvisionError as error:
        yield failure("JetStream", str(error), "enable JetStream on every NATS server")
    finally:
        await connection.close()


def _options(settings: WorkerSettings) -> ConnectionOptions:
    return worker_connection_options(settings, "pylon check", is_confined=settings.uses_reader_user)


async def _check_stream(connection: NatsConnection, plan: StreamPlan) -> Finding:
    name = plan.name
    found = await stream_differences(connection, plan)
    if found is None:
        return warning(f"stream {name}", "does not exist yet", "the first worker creates it")
    if found:
        text = "; ".join(difference.text for difference in found)
        return failure(f"stream {name}", text, stream_remedy(plan, found))
    return ok(f"stream {name}", "is as it should be")


def _check_usage(usage: StorageUsage) -> Finding:
    used = f"{usage.used_bytes / 2**20:.0f} MiB"
    if usage.limit_bytes is None:
        return ok("JetStream", f"{used} in use, without its own limit")
    part = usage.used_bytes / max(usage.limit_bytes, 1)
    text = f"{used} in use of {usage.limit_bytes / 2**20:.0f} MiB"
    if part >= STORAGE_FULL_RATIO:
        return failure("JetStream", text, "give the NATS servers more storage")
    return ok("JetStream", text)
