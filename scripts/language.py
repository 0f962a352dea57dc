"""List the turns of phrase to avoid in the project's texts, and count them per 10,000 words.

The turns are data: `tests/unit/repository/turns.toml`. Texts of code are docstrings, comments and
string literals of at least three words (log and error messages, help texts). Texts of docs are
Markdown pages, comments of configuration files and the texts of alerts. Code spans and fenced
blocks do not count.

Without paths, the whole project is measured. Each place is printed as `path:line: turn: text`.
"""

import argparse
import ast
import re
import signal
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final, cast

ROOT: Final = Path(__file__).parents[1]
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
_CONFIGURATION_NAMES: Final = ("Caddyfile", "Dockerfile", "Makefile")
_CONFIGURATION_SUFFIXES: Final = (".yaml", ".yml", ".conf", ".env", ".toml")

_WORD: Final = re.compile(r"[A-Za-z][A-Za-z'-]*")
_PROSE: Final = re.compile(r"(?:[A-Za-z][\w',;:()-]* ){2,}[A-Za-z]")
_CODE_SPAN: Final = re.compile(r"``[^`]+``|`[^`]+`")
_LINK: Final = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_ADDRESS: Final = re.compile(r"https?://\S+")
_COMMENT_OR_STRING: Final = re.compile(
    r'''#[^\n]*|"""(?:\\.|[^\\])*?"""|"(?:\\.|[^"\\\n])*"'''
    r"""|'''(?:\\.|[^\\])*?'''|'(?:\\.|[^'\\\n])*'""",
    re.DOTALL,
)
"""A comment of Python, or a string: a `#` within it begins no comment."""
_FENCE: Final = re.compile(r"^\s*(?:>\s*)?(```|~~~)")
_ITEM: Final = re.compile(r"^\s*(?:[-*+]|\d+\.)\s+")
_HEADING: Final = re.compile(r"^#+\s+")
_TABLE_RULE: Final = re.compile(r"^\s*\|?[\s:|-]+\|[\s:|-]*$")
_DIRECTIVE: Final = re.compile(r"^(?:noqa|type:|pyright:|pragma|fmt:|!|ruff:|syntax=)")
_ALERT_TEXT: Final = re.compile(
    r"^(?P<indent>\s*)\"?(?:summary|description|title)\"?: *(?P<text>.*)$"
)
_BLOCK_SCALARS: Final = (">", ">-", "|", "|-", "")


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
class Text:
    """A paragraph, comment or literal: its lines, each with its number in the file."""

    path: Path
    lines: tuple[tuple[int, str], ...]
    heading: bool = False


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


def _paragraphs(path: Path, lines: Iterable[tuple[int, str]]) -> Iterator[Text]:
    """Yield the paragraphs of plain text; list items and doctest lines separate them too."""
    held: list[tuple[int, str]] = []
    for number, line in lines:
        if not line.strip() or line.lstrip().startswith(">>>") or _ITEM.match(line):
            if held:
                yield Text(path, tuple(held))
            held = []
        if line.strip() and not line.lstrip().startswith(">>>"):
            held.append((number, _ITEM.sub("", line).strip()))
    if held:
        yield Text(path, tuple(held))


def _literal(node: ast.expr) -> str | None:
    """Return the text of a string literal, with `_` for the values that an f-string inserts."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_literal(part) or "`_`" for part in node.values)
    return None


def _literals(tree: ast.Module) -> Iterator[tuple[ast.expr, str, bool]]:
    """Yield the string literals of a module, and whether each is a docstring."""
    pending: list[ast.AST] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Expr) and (text := _literal(node.value)) is not None:
            yield node.value, text, True
        elif isinstance(node, ast.expr) and (text := _literal(node)) is not None:
            yield node, text, False
        else:
            # `ast.iter_child_nodes` takes twice as long.
            for value in vars(node).values():
                if isinstance(value, ast.AST):
                    pending.append(value)
                elif isinstance(value, list):
                    children = cast("list[object]", value)
                    pending.extend(child for child in children if isinstance(child, ast.AST))


def _string_texts(path: Path, source: str) -> Iterator[Text]:
    lines = source.splitlines()
    for node, text, docstring in _literals(ast.parse(source)):
        if not docstring and not _PROSE.search(text):
            continue
        if "\n" in text:
            numbered = enumerate(text.splitlines(), node.lineno)
            yield from _paragraphs(path, numbered)
            continue
        # An implicitly joined literal has one text and several lines: each line gives its own part.
        rest, held = text, list[tuple[int, str]]()
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1):
            parts = re.findall(r"\"([^\"]*)\"|'([^']*)'", lines[number - 1])
            part = "".join(chain.from_iterable(parts))
            if part and rest.startswith(part):
                held.append((number, part))
                rest = rest.removeprefix(part)
        yield Text(path, tuple(held) if held and not rest else ((node.lineno, text),))


def _comment_texts(path: Path, comments: Iterable[tuple[int, int, str, bool]]) -> Iterator[Text]:
    """Join comments in the same column of consecutive lines.

    Each comment is its line, column, text and whether it has the line for itself.
    """
    held: list[tuple[int, str]] = []
    last: tuple[int, int, bool] | None = None
    for number, column, comment, alone in comments:
        text = comment.lstrip("#").removesuffix("#").strip()
        if last != (number - 1, column, alone) or not alone:
            yield from _paragraphs(path, held)
            held = []
        last = (number, column, alone)
        held.append((number, "" if _DIRECTIVE.match(text) else text))
    yield from _paragraphs(path, held)


def _python_texts(path: Path) -> Iterator[Text]:
    source = path.read_text()
    yield from _string_texts(path, source)
    comments: list[tuple[int, int, str, bool]] = []
    number, position = 1, 0
    for found in _COMMENT_OR_STRING.finditer(source):
        number += source.count("\n", position, found.start())
        position = found.start()
        if found[0].startswith("#"):
            before = source[source.rfind("\n", 0, position) + 1 : position]
            comments.append((number, len(before), found[0], not before.strip()))
    yield from _comment_texts(path, comments)


def _configuration_texts(path: Path) -> Iterator[Text]:
    comments: list[tuple[int, int, str, bool]] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if found := re.search(r"(?:^|(?<=\s))#+(?=\s|$)", line):
            alone = not line[: found.start()].strip()
            comments.append((number, found.start(), line[found.start() :], alone))
    yield from _comment_texts(path, comments)


def _alert_texts(path: Path) -> Iterator[Text]:
    """Yield what alerts and dashboards show: summaries, descriptions and titles."""
    lines = path.read_text().splitlines()
    for index, line in enumerate(lines):
        if not (found := _ALERT_TEXT.match(line)):
            continue
        text = found["text"].strip().rstrip(",")
        held = [] if text in _BLOCK_SCALARS else [(index + 1, text.strip("\"'"))]
        for number, more in enumerate(lines[index + 1 :], index + 2):
            deeper = len(more) - len(more.lstrip()) > len(found["indent"])
            if text not in _BLOCK_SCALARS or not deeper:
                break
            held.append((number, more.strip()))
        yield from _paragraphs(path, held)


def _without_fences(lines: Iterable[str]) -> Iterator[str]:
    """Replace fenced blocks with empty lines."""
    fenced = False
    for line in lines:
        fence = bool(_FENCE.match(line))
        yield "" if fenced or fence else line
        fenced ^= fence


def _markdown_texts(path: Path) -> Iterator[Text]:
    held: list[tuple[int, str]] = []
    lines = list(_without_fences(path.read_text().splitlines()))
    for number, line in enumerate(lines, 1):
        heading, row = bool(_HEADING.match(line)), line.lstrip().startswith("|")
        if heading or row or not line.strip() or _ITEM.match(line):
            if held:
                yield Text(path, tuple(held))
            held = []
        if heading:
            yield Text(path, ((number, _HEADING.sub("", line)),), heading=True)
        elif row:
            yield from _cells(path, number, line, "".join(lines[number : number + 1]))
        elif line.strip():
            held.append((number, _ITEM.sub("", line).lstrip("> ").strip()))
    if held:
        yield Text(path, tuple(held))


def _cells(path: Path, number: int, row: str, next_line: str) -> Iterator[Text]:
    """Yield the cells of a table's row; a row above the table's rule holds headings."""
    if not _TABLE_RULE.match(row):
        for cell in row.strip().strip("|").split("|"):
            yield Text(path, ((number, cell.strip()),), bool(_TABLE_RULE.match(next_line)))


def texts_of(path: Path) -> Iterator[Text]:
    """Yield the texts of a file, by the kind of the file; other kinds have none to yield."""
    if path.suffix == ".py":
        yield from _python_texts(path)
    elif path.suffix == ".md":
        yield from _markdown_texts(path)
    elif path.name in _CONFIGURATION_NAMES or path.suffix in _CONFIGURATION_SUFFIXES:
        yield from _configuration_texts(path)
    if path.parent.name == "observe" and path.suffix in {".yaml", ".json"}:
        yield from _alert_texts(path)


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
