"""A nats-server that `pylon up` runs, so that one command is enough on a laptop."""

import asyncio
import errno
import logging
import os
import re
import shutil
import signal
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pylon.common.deployment_settings import DeploymentSettings
from pylon.common.folder_lock import FolderLock
from pylon.common.private_file import write_private
from pylon.common.processes import die_with_parent, terminate_process
from pylon.nats_server.embedded_config import config_text, nats_url, store_dir
from pylon.nats_server.embedded_process import (
    EmbeddedNatsError,
    listening_port,
    nats_server_binary,
    server_environment,
)
from pylon.nats_server.embedded_storage import EmbeddedStorage

__all__ = ["EmbeddedNats", "EmbeddedNatsError"]

logger = logging.getLogger(__name__)

START_TIMEOUT_S: Final = 15.0
STOP_TIMEOUT_S: Final = 5.0
RELOAD_TIMEOUT_S: Final = 10.0
RESTART_DELAY_S: Final = 0.5
POLL_INTERVAL_S: Final = 0.01
LOG_TAIL_LINES: Final = 20

_LINE = re.compile(r"\[(INF|WRN|ERR|FTL|DBG|TRC)\] ?(.*)")
_LEVELS = {"WRN": logging.WARNING, "ERR": logging.ERROR, "FTL": logging.ERROR}
_RELOADED = "Reloaded server configuration"
_NOT_RELOADED = "Failed to reload server configuration"


class EmbeddedNats:
    """`async with EmbeddedNats(home, settings) as server:` runs a nats-server with JetStream.

    It is ready on entry and stopped on exit. It is restarted on the same port when its process
    ends, and when it cannot store messages although its disk is writable again. Its streams are in
    the home folder and persist; a message is on disk before it is acknowledged. Its users and
    permissions result from the settings.

    Args:
        home: the folder of all state; the server uses `nats` in it, with access for this user only.
        settings: the deployment, with its users.
        host: the address to listen on.
        port: the port to listen on; 0 lets the operating system choose.
        fresh: whether to delete existing streams.

    Attributes:
        port: the port on which it listens, after the start.

    Raises:
        EmbeddedNatsError: it cannot start: the port is in use, the folder is not usable or used by
            another server, or no nats-server is installed.
        PermissionsError: the settings do not result in safe users.
    """

    def __init__(
        self,
        home: Path,
        settings: DeploymentSettings,
        host: str = "127.0.0.1",
        port: int = 4222,
        *,
        fresh: bool = False,
    ) -> None:
        self.port = port
        self._fresh = fresh
        self._host = host
        self._settings = settings
        self._folder = home.absolute() / "nats"
        self._store_dir = store_dir(self._folder)
        self._config_path = self._folder / "nats.conf"
        self._storage = EmbeddedStorage(self._store_dir)
        self._lock = FolderLock(self._folder)
        self._process: asyncio.subprocess.Process | None = None
        self._log_task: asyncio.Task[None] | None = None
        self._supervisor_task: asyncio.Task[None] | None = None
        self._log_tail: deque[str] = deque(maxlen=LOG_TAIL_LINES)
        self._reload_result: asyncio.Future[str] | None = None

    @property
    def url(self) -> str:
        """Return the URL for clients on this machine."""
        return nats_url(self._host, self.port)

    @property
    def pid(self) -> int:
        """Return the process id of the running server.

        Raises:
            EmbeddedNatsError: the server does not run.
        """
        if self._process is None or self._process.returncode is not None:
            raise EmbeddedNatsError("the embedded NATS does not run")
        return self._process.pid

    async def __aenter__(self) -> Self:
        self._lock_folder()
        try:
            if self._fresh:
                shutil.rmtree(self._store_dir, ignore_errors=True)
            await self._start()
        except OSError as error:
            await self.stop()
            raise self._folder_error(error) from None
        except BaseException:
            await self.stop()
            raise
        self._supervisor_task = asyncio.create_task(self._supervise())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def wait(self) -> int:
        """Wait until the running server has ended; return the exit code, negative for a signal."""
        return await self._process.wait() if self._process is not None else 0

    async def reload(self, settings: DeploymentSettings) -> None:
        """Reload the running server with other users and permissions.

        Connections of remaining users stay open; connections of removed users are closed.

        Raises:
            EmbeddedNatsError: the server did not accept the configuration, and keeps the old one.
            PermissionsError: the settings do not result in safe users.
        """
        previous, self._settings = self._settings, settings
        try:
            self._write_config()
            await self._reload_config()
        except BaseException:
            self._settings = previous
            self._write_config()
            raise

    async def _reload_config(self) -> None:
        self._reload_result = asyncio.get_running_loop().create_future()
        os.kill(self.pid, signal.SIGHUP)
        try:
            async with asyncio.timeout(RELOAD_TIMEOUT_S):
                line = await self._reload_result
        except TimeoutError:
            line = f"no result within {RELOAD_TIMEOUT_S:.0f} s"
        finally:
            self._reload_result = None
        if not line.startswith(_RELOADED):
            raise EmbeddedNatsError(f"the embedded NATS did not accept its new users: {line}")

    async def _start(self) -> None:
        ports_folder = self._folder / "ports"
        shutil.rmtree(ports_folder, ignore_errors=True)
        ports_folder.mkdir()
        self._write_config()
        self._storage.reset()
        self._process = process = await asyncio.create_subprocess_exec(
            nats_server_binary(),
            "-c",
            str(self._config_path),
            env=server_environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            # A separate process group: Ctrl-C ends the clients first, which still need the server.
            process_group=0,
            preexec_fn=die_with_parent,
            # The lock protects the streams, so that the server process must hold it as well.
            pass_fds=(self._lock.fd,),
        )
        self._log_task = asyncio.create_task(self._read_log(process))
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                while (port := listening_port(ports_folder)) is None:
                    if process.returncode is not None:
                        await self._log_task
                        raise EmbeddedNatsError(self._exit_reason())
                    await asyncio.sleep(POLL_INTERVAL_S)
        except TimeoutError:
            raise EmbeddedNatsError(
                f"the embedded NATS was not ready within {START_TIMEOUT_S:.0f} s"
            ) from None
        self.port = port

    async def _supervise(self) -> None:
        last_error = ""
        while True:
            await self._wait_for_restart()
            try:
                await self._start()
            except (EmbeddedNatsError, OSError) as error:
                if last_error != str(error):
                    last_error = str(error)
                    logger.error("Could not start the embedded NATS: %s; retrying", error)  # noqa: TRY400 -- the text is complete
                await self._end_process()
            else:
                last_error = ""
            await asyncio.sleep(RESTART_DELAY_S)

    async def _wait_for_restart(self) -> None:
        """Wait until no server runs: it has ended, or was ended because a restart helps."""
        ended = asyncio.create_task(self.wait())
        writable = asyncio.create_task(self._storage.wait_until_writable())
        try:
            await asyncio.wait({ended, writable}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                logger.error("The embedded NATS ended with code %s; restarting it", ended.result())
                return
            logger.warning("The disk is writable again: restarting the embedded NATS")
            await self._end_process()
        finally:
            ended.cancel()
            writable.cancel()
            await asyncio.wait({ended, writable})

    async def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Stop the server with SIGTERM, and with SIGKILL after `timeout_s` seconds."""
        if self._supervisor_task is not None:
            self._supervisor_task.cancel()
            await asyncio.gather(self._supervisor_task, return_exceptions=True)
            self._supervisor_task = None
        await self._end_process(timeout_s)
        self._lock.release()

    async def _end_process(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        if self._process is None:
            return
        await terminate_process(self._process, timeout_s)
        if self._log_task is not None:
            await self._log_task

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None  # noqa: S101 -- it was requested as a pipe
        async for raw in process.stderr:
            line = raw.decode(errors="replace").strip()
            match = _LINE.search(line)
            # Errors of the configuration are plain lines without a level.
            level, text = match.groups() if match else ("ERR", line)
            self._log_tail.append(text)
            if "Plaintext passwords detected" in text:
                level = "DBG"  # tokens are long and random, and only this user can read the file
            if self._storage.has_failed and self._storage.observe_log_line(text):
                level = "DBG"  # the server repeats it at every write
            self._storage.observe_log_line(text)
            logger.log(_LEVELS.get(level, logging.DEBUG), "nats-server: %s", text)
            result = self._reload_result
            if (
                text.startswith((_RELOADED, _NOT_RELOADED))
                and result is not None
                and not result.done()
            ):
                result.set_result(text)

    def _exit_reason(self) -> str:
        log = "\n".join(self._log_tail)
        if "address already in use" in log:
            return (
                f"the embedded NATS cannot listen on {self._host}:{self.port}: the port is in use; "
                "stop the process that uses it, or choose another port"
            )
        return f"the embedded NATS did not start: {self._log_tail[-1] if log else 'no reason'}"

    def _lock_folder(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._folder.chmod(0o700)
            self._lock.acquire()
        except OSError as error:
            raise self._folder_error(error) from None

    def _folder_error(self, error: OSError) -> EmbeddedNatsError:
        room = "free space on its disk, or " if error.errno in {errno.ENOSPC, errno.EDQUOT} else ""
        return EmbeddedNatsError(
            f"{self._folder} cannot be used ({error.strerror}); {room}choose another --home "
            "(PYLON_HOME)"
        )

    def _write_config(self) -> None:
        text = config_text(self._folder, self._host, self.port, self._settings)
        write_private(self._config_path, text)
