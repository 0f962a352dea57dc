"""List the turns of phrase to avoid in the project's texts, and count them per 10,000 words.

The turns are data: `tests/unit/repository/turns.toml`. Texts of code are docstrings, comments and
string literals of at least three words (log and error messages, help texts). Texts of docs are
Markdown pages, comments of configuration files and the texts of alerts. Code spans and fenced
blocks do not count.

Without paths, the whole project is measured. Each place is printed as `path:line: turn: text`.
"""

import argparse
import re
import signal
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a script, only its own folder is there

from scripts.prose import Text, texts_of  # noqa: E402 -- after the path

TURNS: Final = ROOT / "tests" / "unit" / "repository" / "turns.toml"
LIMIT: Final = 15.0
"""Maximum occurrences per 10,000 words, in code and in docs."""
CODE: Final = (
    "pylon",
    "bridge",
    "pylon_client",
    "pylon_devnet",
    "scripts",
    "bench",
    "examples",
    "tests",
    "noxfile.py",
)
DOCS: Final = (
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "docs",
    "deploy",
    "Dockerfile",
    "Makefile",
    "docker-compose.yaml",
    "compose.tls.yaml",
    "nats.conf",
    "pyproject.toml",
    "distributions/client/README.md",
    "distributions/client/pyproject.toml",
)
_EXAMPLES: Final = ROOT / "tests" / "unit" / "repository" / "test_language.py"
"""The only file that is not measured: its texts are examples of the turns."""
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z'-]*")
_CODE_SPAN: Final = re.compile(r"``[^`]+``|`[^`]+`")
_LINK: Final = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_ADDRESS: Final = re.compile(r"https?://\S+")


@dataclass(frozen=True)
class Turn:
    """A turn of phrase, as `turns.toml` describes it."""

    name: str
    note: str
    pattern: re.Pattern[str]
    unless: tuple[re.Pattern[str], ...]
    headings: bool
    matches: tuple[str, ...]
    passes: tuple[str, ...]

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where the turn occurs in a text."""
        if not (found := [match.span() for match in self.pattern.finditer(text)]):
            return
        excused = [match.span() for other in self.unless for match in other.finditer(text)]
        for start, end in found:
            if not any(start < after and before < end for before, after in excused):
                yield start, end


@dataclass(frozen=True)
class Place:
    """An occurrence of a turn."""

    path: Path
    line: int
    turn: str
    text: str

    def __str__(self) -> str:
        return f"{shown(self.path)}:{self.line}: {self.turn}: {self.text}"


@dataclass(frozen=True)
class Measure:
    """The occurrences in some files, and the number of words they were looked for in."""

    words: int
    places: tuple[Place, ...]

    @property
    def rate(self) -> float:
        """Return the number of occurrences per 10,000 words."""
        return 10_000 * len(self.places) / self.words if self.words else 0.0


def shown(path: Path) -> str:
    """Return a path relative to the project where it lies inside."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def read_turns() -> tuple[Turn, ...]:
    """Return the turns of `turns.toml`, in its order."""
    return tuple(
        Turn(
            name=name,
            note=row["note"],
            pattern=re.compile(row["pattern"], re.IGNORECASE),
            unless=tuple(re.compile(other, re.IGNORECASE) for other in row.get("unless", ())),
            headings=row.get("headings", True),
            matches=tuple(row["matches"]),
            passes=tuple(row["passes"]),
        )
        for name, row in tomllib.loads(TURNS.read_text()).items()
    )


def _plain(lines: Iterable[tuple[int, str]]) -> tuple[str, list[tuple[int, int]]]:
    """Join lines without code spans, links and addresses; return where each line begins."""
    joined = "\n".join(line for _, line in lines)
    # Spans and links may continue on the next line: their line breaks stay, to count lines.
    for pattern in (_CODE_SPAN, _ADDRESS):
        joined = pattern.sub(lambda match: "`_`" + "\n" * match[0].count("\n"), joined)
    joined = _LINK.sub(
        lambda match: match[1] + "\n" * (match[0].count("\n") - match[1].count("\n")), joined
    ).replace("**", "")
    starts, position = list[tuple[int, int]](), 0
    for (number, _), line in zip(lines, joined.split("\n"), strict=True):
        starts.append((position, number))
        position += len(line) + 1
    return joined.replace("\n", " "), starts


def _places(text: Text, turns: Iterable[Turn]) -> tuple[int, list[Place]]:
    """Return the number of words of a text and the turns in it."""
    plain, starts = _plain(text.lines)
    taken: list[tuple[int, int]] = []
    places: list[Place] = []
    for turn in turns:
        if text.heading and not turn.headings:
            continue
        for start, end in turn.spans(plain):
            if any(start < after and before < end for before, after in taken):
                continue
            taken.append((start, end))
            line = next(number for position, number in reversed(starts) if position <= start)
            excerpt = plain[max(0, start - 60) : end + 60].strip()
            places.append(Place(text.path, line, turn.name, excerpt))
    return len(_WORD.findall(plain)), places


def occurrences(text: str, *, heading: bool = False) -> list[str]:
    """Return the names of the turns in a text."""
    _, places = _places(Text(ROOT, ((1, text),), heading=heading), read_turns())
    return [place.turn for place in places]


def files_under(names: Iterable[str | Path]) -> list[Path]:
    """Return the files to measure of some files and folders that exist, in order."""
    found: set[Path] = set()
    for name in names:
        path = ROOT / name
        inside = path.rglob("*") if path.is_dir() else [path]
        found.update(one for one in inside if one.is_file() and "__pycache__" not in one.parts)
    return sorted(found - {_EXAMPLES})


def measure(paths: Iterable[Path]) -> Measure:
    """Count the words and the turns in some files."""
    turns = read_turns()
    words, places = 0, list[Place]()
    for path in paths:
        for text in texts_of(path):
            count, found = _places(text, turns)
            words += count
            places.extend(found)
    return Measure(words, tuple(sorted(places, key=lambda place: (str(place.path), place.line))))


def package_of(path: Path) -> str:
    """Return the folder that a file's figures are reported with: at most two levels deep."""
    parts = Path(shown(path)).parts
    depth = 3 if parts[0] == "tests" else 2
    return "/".join(parts[:-1][:depth]) or parts[0]


def measure_packages(paths: Iterable[Path]) -> dict[str, Measure]:
    """Measure the files of each folder, the highest number of occurrences first."""
    packages: dict[str, list[Path]] = {}
    for path in paths:
        packages.setdefault(package_of(path), []).append(path)
    measured = {name: measure(files) for name, files in packages.items()}
    return dict(sorted(measured.items(), key=lambda item: -len(item[1].places)))


def total(measures: Iterable[Measure]) -> Measure:
    """Add measures up."""
    each = list(measures)
    return Measure(
        sum(one.words for one in each), tuple(chain.from_iterable(one.places for one in each))
    )


def table(packages: dict[str, Measure]) -> str:
    """Return the rate of each folder and of all of them, as lines of text."""
    rows = [*packages.items(), ("total", total(packages.values()))]
    return "\n".join(
        [f"{'folder':40} {'per 10,000':>10} {'turns':>6} {'words':>7}"]
        + [
            f"{name:40} {one.rate:10.1f} {len(one.places):6} {one.words:7}"
            for name, one in rows
            if one.words
        ]
    )


def report(packages: dict[str, Measure], *, limit: int | None = None) -> str:
    """Return the rates, then the places: the folder with the highest number first."""
    places = [str(place) for one in packages.values() for place in one.places]
    left_out = len(places) - limit if limit is not None and len(places) > limit else 0
    more = [f"… and {left_out} more: python scripts/language.py"] if left_out else []
    return "\n".join([table(packages), "", *places[:limit], *more])


def _print_notes(places: Iterable[Place]) -> None:
    counts = Counter(place.turn for place in places)
    for turn in read_turns():
        sys.stdout.write(f"{counts[turn.name]:6}  {turn.name}: {turn.note}\n")


def main() -> int:
    """Print places or rates; return 1 where the limit is exceeded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="*", help="files and folders; default: all code and docs")
    parser.add_argument("--rates", action="store_true", help="print only the rate of each folder")
    parser.add_argument("--turns", action="store_true", help="print the count of each turn")
    parser.add_argument("--turn", metavar="NAME", help="list only the places of this turn")
    arguments = parser.parse_args()
    given = [Path(path).absolute() for path in arguments.paths]
    if missing := [str(path) for path in given if not path.exists()]:
        parser.error(f"no such file or folder: {', '.join(missing)}")
    areas = [given] if given else [CODE, DOCS]
    exceeded = False
    for area in areas:
        packages = measure_packages(files_under(area))
        measured = total(packages.values())
        exceeded |= measured.rate > LIMIT
        if not arguments.rates and not arguments.turns:
            for place in measured.places:
                if arguments.turn in {None, place.turn}:
                    sys.stdout.write(f"{place}\n")
            sys.stdout.write("\n")
        if arguments.turns:
            _print_notes(measured.places)
        sys.stdout.write(f"{table(packages)}\n\n")
    return int(exceeded)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends the output without a traceback
    sys.exit(main())
