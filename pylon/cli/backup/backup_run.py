"""Making a backup, and restoring one."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from pylon.chain.archive_routing import genesis_hash
from pylon.chain.subtensor_reader import Subtensor
from pylon.cli.backup.backup_file import BackupError, BackupFile, archive_in
from pylon.cli.backup.job_store_copy import LedgerCopy
from pylon.cli.backup.state_access import connected, running_signers
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.failures import FailureError
from pylon_client.contract.topology import LEDGER

Tell = Callable[[str], None]
"""Shows the operator a line."""

TELL_EVERY: Final = 1000
"""Entries between two lines of progress."""


async def make_backup(
    settings: WorkerSettings, home: Path | None, file: BinaryIO, tell: Tell
) -> str:
    """Write the ledger of a deployment into a file; workers may run.

    Args:
        settings: of the deployment's worker.
        home: the folder of a stopped Pylon; None for a NATS that runs.
        file: where to.
        tell: shows how far it is.

    Returns:
        What the backup holds, in a sentence.

    Raises:
        BackupError: NATS cannot be reached, or is not as Pylon needs it.
    """
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    async with connected(settings, home, "pylon backup") as connection:
        ledger = LedgerCopy(connection)
        genesis = await ledger.genesis()
        with archive_in(file, genesis=genesis, stream=LEDGER.name, made_at=made_at) as writer:
            async for entry in ledger.entries():
                writer.add(entry)
                if writer.count % TELL_EVERY == 0:
                    tell(f"{writer.count} entries read")
    return f"{writer.count} entries, of the chain with genesis {genesis or 'unknown'}"


async def restore(
    settings: WorkerSettings,
    home: Path | None,
    backup: BackupFile,
    tell: Tell,
    *,
    replace: bool,
    check_chain: bool,
) -> str:
    """Fill the ledger of a deployment from a backup; no worker may run.

    Args:
        settings: of the deployment's worker.
        home: the folder of a stopped Pylon; None for a NATS that runs.
        backup: what to restore.
        tell: shows how far it is.
        replace: whether the jobs that are there are removed first.
        check_chain: whether the chain's genesis is compared with the backup's.

    Returns:
        What was restored, in a sentence.

    Raises:
        BackupError: it is not restored; the text says why.
    """
    genesis = backup.manifest.genesis
    if check_chain and genesis is not None:
        await _require_chain(settings, genesis)
    async with connected(settings, home, "pylon restore") as connection:
        if home is None and (running := await running_signers(connection)):
            raise BackupError(
                f"workers run, for {', '.join(sorted(running))}: stop every worker, then restore"
            )
        ledger = LedgerCopy(connection)
        if replace:
            await ledger.clear()
        await _require_empty(ledger, genesis)
        await ledger.bind(genesis)

        def progress(count: int) -> None:
            if count % TELL_EVERY == 0 or count == len(backup):
                tell(f"{count} of {len(backup)} entries written")

        left_out = await ledger.fill(
            backup.entries(), ended_kept_days=settings.ended_jobs_kept_days, progress=progress
        )
    what = f"{len(backup) - left_out} entries of the backup of {backup.manifest.made_at}"
    return f"{what}; {left_out} cannot be read and were left out" if left_out else what


async def _require_empty(ledger: LedgerCopy, genesis: str | None) -> None:
    remedy = "add --replace to remove them first, or restore elsewhere"
    if not await ledger.is_empty():
        raise BackupError(f"there are jobs already: {remedy}")
    there = await ledger.genesis()
    if None not in {genesis, there} and genesis != there:
        raise BackupError(
            f"the state is of the chain with genesis {there}, the backup of {genesis}: {remedy}"
        )


async def _require_chain(settings: WorkerSettings, genesis: str) -> None:
    """Raise unless the chain of the settings is the one that a backup is of."""
    remedy = "correct PYLON_BITTENSOR_NETWORK, or add --no-chain-check"
    try:
        chain = Subtensor(settings.bittensor_network)
    except ValueError as error:
        raise BackupError(f"{error}: {remedy}") from None
    try:
        found = await genesis_hash(chain, settings.chain_timeout_s)
    except FailureError as error:
        raise BackupError(
            f"{chain.place} does not give its genesis: {error.failure.detail.rstrip('.')}: {remedy}"
        ) from None
    finally:
        await chain.close()
    if found != genesis:
        raise BackupError(
            f"the backup is of the chain with genesis {genesis}, {chain.place} of {found}: "
            "correct PYLON_BITTENSOR_NETWORK, or restore another backup"
        )
