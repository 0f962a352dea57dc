"""Processes of this project's modules that start quickly: forks of a server that has imported them.

The tests start hundreds of workers and bridges, and each would compute for seconds to import its
modules. These are real processes with their own environment, working directory and output, which
can be killed; only their imports are shared. If its environment changes the interpreter or the
code, as for another release, a process executes the interpreter again. Tests of the commands
themselves run `python -m …`.
"""

import asyncio
import multiprocessing
import os
import resource
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
PRELOADED: Final = (
    "pylon.cli.main",
    "pylon.worker.main",
    "bridge.main",
    "pylon_devnet.devnet_command",
)

_FORKSERVER: Final = multiprocessing.get_context("forkserver")
_FORKSERVER.set_forkserver_preload(list(PRELOADED))


@dataclass(frozen=True)
class Program:
    """A module to run.

    Attributes:
        argv: the module and its arguments, as after `python -m`.
        cwd: the working directory.
        env: all variables of the environment.
        stdout: a file to which the standard output is appended; None passes it to the test.
        stderr: the same for the standard error.
        max_descriptors: limit of open files; that of the test when None.
    """

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    stdout: Path | None = None
    stderr: Path | None = None
    max_descriptors: int | None = None


class PreloadedProcess:
    """A running program, with methods like those of `asyncio.subprocess.Process`."""

    def __init__(self, program: Program) -> None:
        self._reader, writer = _FORKSERVER.Pipe(duplex=False)
        self._process = _FORKSERVER.Process(target=_run, args=(program, writer), daemon=True)
        self._process.start()
        writer.close()
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._process.sentinel, self._on_end)

    def _on_end(self) -> None:
        self._loop.remove_reader(self._process.sentinel)
        self._process.join()
        self._ended.set()

    @property
    def pid(self) -> int:
        """Return the id of the process."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Return its exit code, or the negative number of a signal; None while it runs."""
        return self._process.exitcode

    async def wait(self) -> int:
        """Return its exit code after its end."""
        await self._ended.wait()
        assert self._process.exitcode is not None
        return self._process.exitcode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal.

        Raises:
            ProcessLookupError: the process has ended.
        """
        if self._process.exitcode is not None:
            raise ProcessLookupError
        os.kill(self.pid, number)

    async def output(self) -> asyncio.StreamReader:
        """Return the stream of its output to the test."""
        stream = asyncio.StreamReader()
        pipe = os.fdopen(os.dup(self._reader.fileno()), "rb", buffering=0)
        self._reader.close()
        await self._loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), pipe)
        return stream


def _variables_of_interpreter(env: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that decide what the interpreter does or which code it imports."""
    this_code = ("PYTHONPATH", str(ROOT))
    return {
        name: value
        for name, value in env.items()
        if name.startswith(("PYTHON", "LD_")) and (name, value) != this_code
    }


def _run(program: Program, writer: Connection) -> None:
    """Become the program; called in the new process."""
    is_same_interpreter = _variables_of_interpreter(os.environ) == _variables_of_interpreter(
        program.env
    )
    os.chdir(program.cwd)
    os.environ.clear()
    os.environ.update(program.env)
    if program.max_descriptors is not None:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (program.max_descriptors, program.max_descriptors)
        )
    for descriptor, path in ((1, program.stdout), (2, program.stderr)):
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        os.dup2(writer.fileno() if path is None else os.open(path, flags), descriptor)
    writer.close()
    if not is_same_interpreter:
        argv = [sys.executable, "-m", *program.argv]
        os.execve(sys.executable, argv, dict(program.env))  # noqa: S606 -- a program of the tests
    module, *arguments = program.argv
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
