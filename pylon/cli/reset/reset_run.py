"""Set state aside: move a folder of `pylon up`, or empty the streams of another NATS."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pylon.cli.backup.backup_file import BackupError, create_private_file
from pylon.cli.backup.backup_run import make_backup
from pylon.cli.backup.state_access import connect_to_deployment, running_signers
from pylon.cli.reset.reset_state import DeploymentState, has_publisher, read_state
from pylon.common.folder_lock import FolderLock
from pylon.jetstream.provision import ProvisionError, provision_streams, recreate_stream
from pylon.worker.binding.legacy_state_check import UNKNOWN_NETWORK
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.failures import FailureError
from pylon_client.contract.topology import STREAMS

SET_ASIDE: Final = "set-aside"
"""Folder of a home for the state that was set aside; each of its folders is a home."""
DEVNET_CHAIN: Final = "chain"
"""Folder of the simulated chain in the state of `pylon up --devnet`."""
_NATS: Final = "nats"
_JETSTREAM: Final = "jetstream"
_CONNECTION_NAME: Final = "pylon reset"
_WORKERS_RUNNING: Final = "workers run: stop every worker first"

Confirm = Callable[[str], None]
"""Shows the operator what will be done; raises if the operator declines."""


class ResetError(Exception):
    """State that cannot be set aside; the text is for the operator."""


@dataclass(frozen=True, slots=True)
class StateReset:
    """Sets state aside.

    Attributes:
        network: name of the network that the state must belong to.
        settings: settings of a worker.
        confirm: asks the operator for confirmation.
    """

    network: str
    settings: WorkerSettings
    confirm: Confirm

    async def set_aside_home(self, home: Path) -> str:
        """Move the streams of the network out of a home, with a simulated chain if there is one.

        Returns:
            How to use the moved state, for the operator.

        Raises:
            ResetError: the home has no such state, it is in use, or it cannot be moved.
        """
        states = [each for each in (home, home / "devnet") if (each / _NATS / _JETSTREAM).is_dir()]
        if not states:
            raise ResetError(
                f"there is no state in {home}: name its folder with --home, or set "
                "PYLON_NATS_URL for the state in another NATS"
            )
        found_chains: list[str] = []
        for folder in states:
            state = await self._read_state(folder)
            found_chains.append(str(state.chain))
            if state.chain.network == self.network:
                return self._move(home, folder, state)
        raise self._wrong_network(found_chains, str(home))

    async def set_aside_nats(self, folder: Path) -> str:
        """Write the jobs in the configured NATS to a file in a folder, and empty the streams.

        Returns:
            How to restore the jobs, for the operator.

        Raises:
            ResetError: workers run, or NATS holds the state of another network.
        """
        try:
            async with connect_to_deployment(self.settings, None, _CONNECTION_NAME) as connection:
                await provision_streams(connection, replicas=self.settings.nats_stream_replicas)
                state = await read_state(connection)
                if state.chain.network != self.network:
                    raise self._wrong_network([str(state.chain)], "NATS")
                if await has_publisher(connection):
                    raise ResetError(_WORKERS_RUNNING)
                file = folder / f"pylon-{state.label}-{_timestamp()}.backup"
                self.confirm(
                    f"NATS holds the state of {state.chain}, with {state.jobs_text}. All jobs are "
                    f"written to {file}. Then every stream of Pylon is emptied; published blocks "
                    "are not kept."
                )
                if await running_signers(connection):
                    raise ResetError(_WORKERS_RUNNING)
                with create_private_file(file) as opened:
                    description = await make_backup(self.settings, None, opened, lambda _: None)
                for plan in STREAMS:
                    await recreate_stream(connection, plan)
        except (BackupError, ProvisionError) as error:
            raise ResetError(str(error)) from None
        except FailureError as error:
            raise ResetError(error.failure.detail) from None
        return f"Wrote {file}: {description}. `pylon restore {file}` brings the jobs back"

    async def _read_state(self, folder: Path) -> DeploymentState:
        with _LockedFolder(folder):
            pass  # otherwise a nats-server that cannot start would be the error
        try:
            async with connect_to_deployment(self.settings, folder, _CONNECTION_NAME) as connection:
                return await read_state(connection)
        except BackupError as error:
            raise ResetError(str(error)) from None
        except FailureError as error:
            raise ResetError(error.failure.detail) from None

    def _move(self, home: Path, folder: Path, state: DeploymentState) -> str:
        other_home = home / SET_ASIDE / f"{state.label}-{_timestamp()}"
        other_folder = other_home / folder.relative_to(home)
        target = other_folder / _NATS / _JETSTREAM
        # The next start would remove state without its simulated chain.
        chain = [folder / DEVNET_CHAIN] if (folder / DEVNET_CHAIN).is_dir() else []
        subject = "It and the simulated chain are" if chain else "It is"
        self.confirm(
            f"{folder} holds the state of {state.chain}, with {state.jobs_text}. {subject} "
            f"moved to {other_home}; none of its jobs is carried out from there."
        )
        try:
            with _LockedFolder(folder):
                target.parent.mkdir(parents=True, mode=0o700)
                (folder / _NATS / _JETSTREAM).rename(target)
                for each in chain:
                    each.rename(other_folder / DEVNET_CHAIN)
        except OSError as error:
            raise ResetError(f"{target} cannot be written: {error.strerror}") from None
        devnet = "" if folder == home else "--devnet "
        return f"`pylon up {devnet}--home {other_home}` runs with that state again"

    def _wrong_network(self, found_chains: list[str], where: str) -> ResetError:
        return ResetError(
            f"{where} holds the state of {' and of '.join(found_chains)}, "
            f"and not of {self.network}: name that network "
            f"({UNKNOWN_NETWORK} for state that no worker has bound to a chain)"
        )


class _LockedFolder:
    """Holds the lock of the embedded NATS of a folder: `with _LockedFolder(folder): …`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = FolderLock(folder / _NATS)

    def __enter__(self) -> None:
        try:
            self._lock.acquire()
        except OSError as error:
            raise ResetError(
                f"{self._folder} is in use ({error.strerror}): stop the `pylon up` that "
                "runs from it"
            ) from None

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _timestamp() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
