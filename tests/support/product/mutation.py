"""Run tests against a copy of the tree in which one defence is switched off."""

import argparse
import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
HANGS_AFTER_S: Final = 60.0
"""Timeout of one wait of a test, in seconds: many mutants cause a wait that never ends."""
RUN_MAX_S: Final = 900.0
"""Timeout of one run of pytest, in seconds."""
_LEAK: Final = "secrets were written"
_NOT_COPIED: Final = shutil.ignore_patterns(
    ".git", ".venv*", ".nox", "__pycache__", ".*_cache", ".hypothesis", "node_modules"
)
_RUFF: Final = (sys.executable, "-m", "ruff")
_FAILED: Final = re.compile(r"^FAILED (\S+)", re.MULTILINE)


def _errors_in(source: str) -> str:
    """Return the syntax errors and undefined names of a module: they would fail any test."""
    checked = subprocess.run(
        [*_RUFF, "check", "--isolated", "--select", "F821", "--output-format", "concise", "-"],
        input=source,
        capture_output=True,
        text=True,
        check=False,
    )
    return checked.stdout if checked.returncode else ""


@dataclass(frozen=True)
class Edit:
    """A replacement in one file.

    Attributes:
        file: relative to the root of the repository.
        old: text that occurs exactly once in the file.
        new: text to put in its place.
    """

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """The product with one defence switched off.

    Attributes:
        name: of the defence, in lower case with hyphens.
        edits: the changes that switch it off.
        tests: node ids of tests, at least one of which must fail.
    """

    name: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]

    def problems(self, root: Path = ROOT) -> list[str]:
        """Return why the mutant does not apply to the tree, if it does not."""
        found: list[str] = []
        for edit in self.edits:
            path = root / edit.file
            count = path.read_text().count(edit.old) if path.is_file() else 0
            if count != 1:
                found.append(f"{self.name}: {edit.file} has {count} times {edit.old!r}")
                continue
            if errors := _errors_in(path.read_text().replace(edit.old, edit.new)):
                found.append(f"{self.name}: {edit.file} cannot run: {errors}")
        for test in self.tests:
            file, _, function = test.partition("::")
            path = root / file
            name = function.partition("[")[0]
            if not path.is_file() or (name and f"def {name}(" not in path.read_text()):
                found.append(f"{self.name}: there is no test {test}")
        return found

    def apply(self, root: Path) -> None:
        """Change the files below a folder."""
        for edit in self.edits:
            path = root / edit.file
            path.write_text(path.read_text().replace(edit.old, edit.new))


class Outcome(StrEnum):
    """Result of the tests of one mutant."""

    KILLED = "killed"
    SURVIVED = "SURVIVED"
    BROKEN = "BROKEN"
    """The tests did not run."""


@dataclass(frozen=True)
class Result:
    """Result of one mutant.

    Attributes:
        by: the test or check that failed.
        output: of pytest.
    """

    outcome: Outcome
    by: tuple[str, ...]
    seconds: float
    output: str


@asynccontextmanager
async def copied_tree() -> AsyncGenerator[Path]:
    """Yield a copy of the tree, which exists within the block."""
    with tempfile.TemporaryDirectory(prefix="mutant") as folder:
        copy = Path(folder) / "tree"
        await asyncio.to_thread(shutil.copytree, ROOT, copy, ignore=_NOT_COPIED)
        yield copy


def _environment(root: Path) -> dict[str, str]:
    """Return the environment in which a copy's own code is imported by every process."""
    return {
        **os.environ,
        "PYTHONPATH": str(root),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TESTS_HANG_AFTER_S": str(HANGS_AFTER_S),
    }


async def require_own_code(root: Path) -> None:
    """Check that a process of another working directory imports the code of a copy.

    Raises:
        RuntimeError: it imports other code.
    """
    packages = ("pylon", "pylon_client", "bridge", "pylon_devnet")
    program = f"import {', '.join(packages)}\nprint({', '.join(f'{p}.__file__' for p in packages)})"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program),
        cwd=root.parent,
        env=_environment(root),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    files = out.decode().split()
    if len(files) != len(packages) or not all(Path(one).is_relative_to(root) for one in files):
        raise RuntimeError(f"not the code of the copy: {files}")


async def run_tests(root: Path, tests: Sequence[str], *, first_only: bool) -> tuple[int, str]:
    """Return the exit code and the output of pytest in a copy; -1 after a timeout."""
    argv = ["-m", "pytest", "-q", "-rf", "-p", "no:cacheprovider", f"--basetemp={root}-tests"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *argv, *(["-x"] if first_only else []), *tests),
        cwd=root,
        env=_environment(root),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(RUN_MAX_S):
            out, _ = await process.communicate()
    except TimeoutError:
        return -1, f"no result within {RUN_MAX_S:g} s"
    finally:
        # Also kill processes that pytest started and did not end.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    return process.returncode or 0, out.decode(errors="replace")


async def result_of(mutant: Mutant) -> Result:
    """Run the tests of a mutant."""
    began_s = time.monotonic()
    async with copied_tree() as root:
        mutant.apply(root)
        await require_own_code(root)
        code, output = await run_tests(root, mutant.tests, first_only=True)
    by = tuple(_FAILED.findall(output))
    if code == 1 and not by and _LEAK in output:
        by = ("the search for secrets after the session",)
    outcome = Outcome.SURVIVED if code == 0 else Outcome.KILLED if by else Outcome.BROKEN
    return Result(outcome, by, time.monotonic() - began_s, output)


async def _passes_unchanged(mutants: Sequence[Mutant], logs: Path | None) -> bool:
    """Return whether all tests pass without a mutant: otherwise a failure would prove nothing."""
    tests = sorted({test for mutant in mutants for test in mutant.tests})
    async with copied_tree() as root:
        await require_own_code(root)
        code, output = await run_tests(root, tests, first_only=False)
    if logs is not None:
        (logs / "unchanged.log").write_text(output)
    if code != 0:
        _print(output[-3000:])
    return code == 0


async def _run(mutants: Sequence[Mutant], jobs: int, logs: Path | None, *, check: bool) -> int:
    problems = [problem for mutant in mutants for problem in mutant.problems()]
    if problems:
        _print("\n".join(problems))
        return 2
    if check and not await _passes_unchanged(mutants, logs):
        _print("The tests fail where nothing is switched off: no mutant was run.")
        return 2
    free = asyncio.Semaphore(jobs)
    survivors: list[Mutant] = []

    async def one(mutant: Mutant) -> None:
        async with free:
            result = await result_of(mutant)
        if logs is not None:
            (logs / f"{mutant.name}.log").write_text(result.output)
        failed = ", ".join(name.rpartition("/")[2] for name in result.by)
        _print(f"{mutant.name:36} {result.outcome:8} {result.seconds:4.0f} s  {failed}")
        if result.outcome is not Outcome.KILLED:
            survivors.append(mutant)
            if result.outcome is Outcome.BROKEN:
                _print(result.output[-2000:])

    async with asyncio.TaskGroup() as group:
        for mutant in mutants:
            group.create_task(one(mutant))
    _print(f"{len(mutants) - len(survivors)} of {len(mutants)} mutants killed")
    return 1 if survivors else 0


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(mutants: Sequence[Mutant]) -> int:
    """Run the mutants that the command line names, or all of them; return the exit code."""
    parser = argparse.ArgumentParser(description="Switch off one defence after the other.")
    parser.add_argument("names", nargs="*", help="of mutants; default: all mutants")
    parser.add_argument("--jobs", type=int, default=1, help="how many to run at once")
    parser.add_argument("--unchecked", action="store_true", help="skip the run without a mutant")
    parser.add_argument("--logs", type=Path, help="a folder for the output of pytest")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - {mutant.name for mutant in mutants}
    if unknown:
        parser.error(f"there are no mutants {', '.join(sorted(unknown))}")
    chosen = [mutant for mutant in mutants if not arguments.names or mutant.name in arguments.names]
    if arguments.logs is not None:
        arguments.logs.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_run(chosen, arguments.jobs, arguments.logs, check=not arguments.unchecked))
