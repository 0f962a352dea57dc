"""The commands `pylon backup` and `pylon restore`."""

import asyncio
import io
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from pylon.worker.settings import WorkerSettings

    Deployment = tuple[WorkerSettings, Path | None, Path | None]

STDIO: Final = "-"
"""File name that means standard output or standard input."""

_DevnetOption = Annotated[
    bool,
    typer.Option("--devnet", help="Use the state of `pylon up --devnet`; it must not run."),
]

_HomeOption = Annotated[
    Path | None,
    typer.Option("--home", help="Folder of all state of `pylon up`.", show_default="PYLON_HOME"),
]


def backup(
    file: Annotated[str, typer.Argument(help="File to write; - for standard output.")],
    home: _HomeOption = None,
    devnet: _DevnetOption = False,
) -> None:
    """Write all jobs to one file, for `pylon restore`.

    Workers may run. Reads the Pylon that runs from PYLON_HOME, else the NATS at PYLON_NATS_URL,
    else the stopped Pylon in PYLON_HOME. The file may contain timelocked content that is not
    revealed yet, so its mode is 0600. It contains no passwords and no keys.
    """
    from pylon.cli.backup.backup_file import BackupError, create_private_file
    from pylon.cli.backup.backup_run import make_backup

    try:
        settings, state, _ = _find_deployment(home, devnet=devnet)
        if state is not None and not (state / "nats").is_dir():
            raise BackupError(_no_state_error(state))  # noqa: TRY301 -- handled like all other errors
        if file == STDIO:
            buffer = io.BytesIO()
            description = asyncio.run(make_backup(settings, state, buffer, _echo))
            sys.stdout.buffer.write(buffer.getvalue())
        else:
            with create_private_file(Path(file)) as opened:
                description = asyncio.run(make_backup(settings, state, opened, _echo))
    except BackupError as error:
        raise _fail("backup", error) from None
    _echo(f"Wrote {file}: {description}")


def restore(
    file: Annotated[str, typer.Argument(help="A backup; - for standard input.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove the existing jobs first.")
    ] = False,
    no_chain_check: Annotated[
        bool,
        typer.Option(
            "--no-chain-check",
            help="Do not compare the genesis of the backup with the chain's, for example while the "
            "node is unreachable. Workers execute no job of another chain.",
        ),
    ] = False,
    home: _HomeOption = None,
    devnet: _DevnetOption = False,
) -> None:
    """Restore the jobs of a backup; no worker may run.

    Writes to the NATS at PYLON_NATS_URL, else to PYLON_HOME. No job is submitted again: a job that
    is open in the backup ends by the chain state, or as FAILED with OUTCOME_UNKNOWN.
    """
    from pylon.cli.backup import backup_run
    from pylon.cli.backup.backup_file import BackupError, BackupFile

    try:
        source = io.BytesIO(sys.stdin.buffer.read()) if file == STDIO else Path(file)
        backup_file = BackupFile(source, file)
        settings, state, running_home = _find_deployment(home, devnet=devnet)
        if running_home is not None:
            raise BackupError(f"Pylon runs from {running_home}: stop it, then restore")  # noqa: TRY301 -- handled like all other errors
        description = asyncio.run(
            backup_run.restore(
                *(settings, state, backup_file, _echo),
                replace=replace,
                check_chain=not (no_chain_check or devnet),
            )
        )
    except BackupError as error:
        raise _fail("restore", error) from None
    _echo(f"Restored {description}")


def _no_state_error(folder: Path) -> str:
    """Return the error for a folder without state, with the remedy."""
    if (folder / "devnet" / "nats").is_dir():
        return f"{folder.absolute()} holds only the state of `pylon up --devnet`: add --devnet"
    return (
        f"there is no state in {folder.absolute()}: run it where `pylon up` ran, add --home or set "
        "PYLON_NATS_URL"
    )


def _find_deployment(
    home: Path | None, *, devnet: bool
) -> tuple["WorkerSettings", Path | None, Path | None]:
    """Find the deployment to back up or restore.

    Returns:
        The settings; the home of a stopped Pylon, or None; the home of a running Pylon, or None.

    Raises:
        BackupError: the home cannot be used.
        SettingsError: a setting is invalid.
    """
    from pylon.cli.backup.backup_file import BackupError
    from pylon.cli.up import running_home
    from pylon.cli.up.up_options import UpError, UpSettings
    from pylon.common.redaction import REDACTOR, collect_secrets
    from pylon.worker.settings import WorkerSettings

    logging.getLogger().setLevel(logging.ERROR)  # the errors are clearer than the log
    if home is not None:
        os.environ["PYLON_HOME"] = str(home.absolute())
    try:
        running_home = running_home.load_runtime_env()
    except UpError as error:
        raise BackupError(str(error)) from None
    settings = WorkerSettings()
    REDACTOR.add_secrets(collect_secrets(settings))
    if running_home is not None or (home is None and "nats_url" in settings.model_fields_set):
        return settings, None, running_home
    state = UpSettings().home
    return settings, state / "devnet" if devnet else state, None


def _echo(text: str) -> None:
    typer.echo(text, err=True)


def _fail(command: str, error: Exception) -> typer.Exit:
    """Print why a command failed, and return the exception that ends it."""
    from pylon.common.redaction import REDACTOR

    typer.echo(REDACTOR.redact_text(f"pylon {command}: {error}"), err=True)
    return typer.Exit(1)
