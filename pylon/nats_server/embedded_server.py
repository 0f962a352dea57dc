"""A nats-server that Pylon runs itself, so that one command is enough on a laptop."""

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

    It is ready on entry, and is stopped on exit. It is started again on the same port whenever it
    ends, and when it cannot store messages although its disk takes writes again. Its streams live
    in the home folder and survive it; a message is on disk before it is acknowledged. Its users and
    permissions are those of the settings.

    Args:
        home: the folder of all state; the server gets `nats` in it, for this user alone.
        settings: who may do what.
        host: the address to listen on.
        port: the port to listen on; 0 lets the operating system choose.
        fresh: forget all streams of before.

    Attributes:
        port: where it listens, once it has started.

    Raises:
        EmbeddedNatsError: it cannot start: the port is taken, the folder cannot be used or another
            one runs in it, or no nats-server is installed.
        PermissionsError: no safe users can be made from the settings.
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
        """Where clients on this machine find it."""
        return nats_url(self._host, self.port)

    @property
    def pid(self) -> int:
        """The process id of the server that runs now.

        Raises:
            EmbeddedNatsError: none runs.
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
        """Wait until the server that runs now has ended; the exit code, negative for a signal."""
        return await self._process.wait() if self._process is not None else 0

    async def reload(self, settings: DeploymentSettings) -> None:
        """Give the running server other users and permissions.

        Users that stay keep their connections, those that are gone lose them.

        Raises:
            EmbeddedNatsError: the server did not take them, and goes on as it was.
            PermissionsError: no safe users can be made from the settings.
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
            line = f"no sign of it within {RELOAD_TIMEOUT_S:.0f} s"
        finally:
            self._reload_result = None
        if not line.startswith(_RELOADED):
            raise EmbeddedNatsError(f"the embedded NATS did not take its new users: {line}")

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
            # Of its own group, so that Ctrl-C ends those that still need it first.
            process_group=0,
            preexec_fn=die_with_parent,
            # Whoever holds the lock may write the streams, and that is this process too.
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
        why_not = ""
        while True:
            await self._wait_for_restart()
            try:
                await self._start()
            except (EmbeddedNatsError, OSError) as error:
                if why_not != str(error):
                    why_not = str(error)
                    logger.error("The embedded NATS cannot be started yet: %s", error)  # noqa: TRY400 -- its text says all
                await self._end_process()
            else:
                why_not = ""
            await asyncio.sleep(RESTART_DELAY_S)

    async def _wait_for_restart(self) -> None:
        """Return once no server runs: it has ended, or it is ended to store messages again."""
        ended = asyncio.create_task(self.wait())
        writable = asyncio.create_task(self._storage.wait_until_writable())
        try:
            await asyncio.wait({ended, writable}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                logger.error(
                    "The embedded NATS ended with code %s; starting it again", ended.result()
                )
                return
            logger.warning("The disk takes writes again: restarting the embedded NATS")
            await self._end_process()
        finally:
            ended.cancel()
            writable.cancel()
            await asyncio.wait({ended, writable})

    async def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """Stop it: SIGTERM, and SIGKILL when that takes longer than `timeout_s`."""
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
        assert process.stderr is not None  # noqa: S101 -- it was asked for as a pipe
        async for raw in process.stderr:
            line = raw.decode(errors="replace").strip()
            match = _LINE.search(line)
            # Before it has read its configuration, the server says what is wrong in plain lines.
            level, text = match.groups() if match else ("ERR", line)
            self._log_tail.append(text)
            if "Plaintext passwords detected" in text:
                level = "DBG"  # tokens are long and random, and the file is this user's alone
            if self._storage.has_failed and self._storage.observe_log_line(text):
                level = "DBG"  # it says so again at every write
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
                f"the embedded NATS cannot listen on {self._host}:{self.port}: the port is taken; "
                "stop what uses it or choose another port"
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
        room = "make room on its disk, or " if error.errno in {errno.ENOSPC, errno.EDQUOT} else ""
        return EmbeddedNatsError(
            f"{self._folder} cannot be used ({error.strerror}); {room}choose another --home "
            "(PYLON_HOME)"
        )

    def _write_config(self) -> None:
        text = config_text(self._folder, self._host, self.port, self._settings)
        write_private(self._config_path, text)
