"""Extract the texts of a file: docstrings, comments, messages, Markdown, and texts of alerts."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final, cast

_CONFIGURATION_NAMES: Final = ("Caddyfile", "Dockerfile", "Makefile")
_CONFIGURATION_SUFFIXES: Final = (".yaml", ".yml", ".conf", ".env", ".toml")
_PROSE: Final = re.compile(r"(?:[A-Za-z][\w',;:()-]* ){2,}[A-Za-z]")
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
class Text:
    """A paragraph, comment or literal: its lines, each with its number in the file."""

    path: Path
    lines: tuple[tuple[int, str], ...]
    heading: bool = False


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
