"""Make and restore backups."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from pylon.chain.archive_routing import read_genesis_hash
from pylon.chain.subtensor_reader import SubtensorReader
from pylon.cli.backup.backup_file import BackupError, BackupFile, write_archive
from pylon.cli.backup.job_store_copy import JobStoreCopy
from pylon.cli.backup.state_access import connect_to_deployment, running_signers
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.failures import FailureError
from pylon_client.contract.topology import JOB_STORE

ShowProgress = Callable[[str], None]
"""Shows a line of progress to the operator."""

PROGRESS_INTERVAL: Final = 1000
"""Number of entries between two lines of progress."""


async def make_backup(
    settings: WorkerSettings, home: Path | None, file: BinaryIO, show_progress: ShowProgress
) -> str:
    """Write the job store of a deployment to a file; workers may run.

    Args:
        settings: settings of the deployment's worker.
        home: folder of a stopped Pylon; None for a running NATS.
        file: file to write.
        show_progress: shows a line of progress.

    Returns:
        A description of the backup for the operator.

    Raises:
        BackupError: NATS cannot be reached, or its streams are not as Pylon needs them.
    """
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    async with connect_to_deployment(settings, home, "pylon backup") as connection:
        copy = JobStoreCopy(connection)
        genesis = await copy.genesis()
        with write_archive(file, genesis=genesis, stream=JOB_STORE.name, made_at=made_at) as writer:
            async for entry in copy.export_entries():
                writer.add(entry)
                if writer.count % PROGRESS_INTERVAL == 0:
                    show_progress(f"{writer.count} entries read")
    return f"{writer.count} entries, of the chain with genesis {genesis or 'unknown'}"


async def restore(
    settings: WorkerSettings,
    home: Path | None,
    backup: BackupFile,
    show_progress: ShowProgress,
    *,
    replace: bool,
    check_chain: bool,
) -> str:
    """Fill the job store of a deployment from a backup; no worker may run.

    Args:
        settings: settings of the deployment's worker.
        home: folder of a stopped Pylon; None for a running NATS.
        backup: the backup to restore.
        show_progress: shows a line of progress.
        replace: whether to remove the existing jobs first.
        check_chain: whether to compare the genesis of the chain with the backup's.

    Returns:
        A description of the restored entries for the operator.

    Raises:
        BackupError: the backup is not restored; the text says why.
    """
    genesis = backup.manifest.genesis
    if check_chain and genesis is not None:
        await _require_same_chain(settings, genesis)
    async with connect_to_deployment(settings, home, "pylon restore") as connection:
        if home is None and (running := await running_signers(connection)):
            raise BackupError(
                f"workers run, for {', '.join(sorted(running))}: stop every worker, then restore"
            )
        copy = JobStoreCopy(connection)
        if replace:
            await copy.clear()
        await _require_empty(copy, genesis)
        await copy.set_legacy_genesis(genesis)

        def progress(count: int) -> None:
            if count % PROGRESS_INTERVAL == 0 or count == len(backup):
                show_progress(f"{count} of {len(backup)} entries written")

        left_out = await copy.import_entries(
            backup.entries(),
            ended_retention_days=settings.ended_jobs_kept_days,
            on_progress=progress,
        )
    what = f"{len(backup) - left_out} entries of the backup of {backup.manifest.made_at}"
    return f"{what}; {left_out} cannot be read and were left out" if left_out else what


async def _require_empty(copy: JobStoreCopy, genesis: str | None) -> None:
    remedy = "add --replace to remove them first, or restore elsewhere"
    if not await copy.is_empty():
        raise BackupError(f"there are jobs already: {remedy}")
    state_genesis = await copy.genesis()
    if None not in {genesis, state_genesis} and genesis != state_genesis:
        raise BackupError(
            f"the state is of the chain with genesis {state_genesis}, "
            f"the backup of {genesis}: {remedy}"
        )


async def _require_same_chain(settings: WorkerSettings, genesis: str) -> None:
    """Raise unless the chain of the settings is the chain of the backup."""
    remedy = "correct PYLON_BITTENSOR_NETWORK, or add --no-chain-check"
    try:
        chain = SubtensorReader(settings.bittensor_network)
    except ValueError as error:
        raise BackupError(f"{error}: {remedy}") from None
    try:
        node_genesis = await read_genesis_hash(chain, settings.chain_timeout_seconds)
    except FailureError as error:
        raise BackupError(
            f"{chain.endpoint_label} does not return its genesis: "
            f"{error.failure.detail.rstrip('.')}: {remedy}"
        ) from None
    finally:
        await chain.close()
    if node_genesis != genesis:
        raise BackupError(
            f"the backup is of the chain with genesis {genesis}, {chain.endpoint_label} of "
            f"{node_genesis}: correct PYLON_BITTENSOR_NETWORK, or restore another backup"
        )
