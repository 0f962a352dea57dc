"""Show a table that is updated in place on a terminal, or lines if the output is redirected."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.table import Table

REFRESHES_PER_S: Final = 4
"""Maximum number of screen updates per second."""
MIN_WRAPPED_CHARS: Final = 16
"""Minimum width of a column with wrapped text, in characters."""
BORDER_CHARS: Final = 1
"""Width of the left border of the table, in characters."""
PADDING_AND_BORDER_CHARS: Final = 3
"""Width of the padding and the border of each column, in characters."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: heading of the column.
        hide_priority: on a narrow terminal, columns with higher values are hidden first.
        wraps: whether its text may be wrapped; other cells, such as ids, stay on one line.
    """

    title: str
    hide_priority: int
    wraps: bool = False


class Screen:
    """Shows rows: `with Screen(console, columns, title) as screen: screen.show(rows, line)`.

    Args:
        console: where to write.
        columns: columns of the table, from left to right.
        title: title above the table.
    """

    def __init__(self, console: Console, columns: Sequence[Column], title: str) -> None:
        self._console = console
        self._columns = columns
        self._title = title
        self._live = Live(console=console, refresh_per_second=REFRESHES_PER_S, transient=False)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, rows: Callable[[], Iterable[Sequence[str]]], line: str) -> None:
        """Show the current rows; without a terminal, print one line about the change."""
        if self._console.is_terminal:
            self._live.update(build_table(self._title, self._columns, rows(), self._console.width))
        else:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def build_table(
    title: str, columns: Sequence[Column], rows: Iterable[Sequence[str]], width: int
) -> Table:
    """Return a table that fits a terminal; its cells are plain text without markup.

    Args:
        title: title above the table.
        columns: columns from left to right.
        rows: one cell per column.
        width: width of the terminal, in characters. Columns that do not fit are hidden and named.
    """
    lines = list(rows)
    needed = {
        column: max(cell_len(column.title), *(cell_len(row[place]) for row in lines), 1)
        for place, column in enumerate(columns)
    }
    empty = {column for place, column in enumerate(columns) if not any(row[place] for row in lines)}
    shown = _columns_that_fit(columns, needed, empty, width)
    left_out = ", ".join(
        column.title for column in columns if column not in shown and column not in empty
    )
    made = Table(
        title=title,
        title_justify="left",
        caption=f"A wider terminal also shows: {left_out}" if left_out else None,
        caption_justify="left",
    )
    for column in columns:
        if column in shown:
            made.add_column(
                column.title,
                overflow="fold",
                no_wrap=not column.wraps,
                min_width=None if column.wraps else needed[column],
            )
    for row in lines:
        cells = zip(columns, row, strict=True)
        made.add_row(*(cell.replace("[", r"\[") for column, cell in cells if column in shown))
    return made


def _columns_that_fit(
    columns: Iterable[Column], needed: Mapping[Column, int], empty: AbstractSet[Column], width: int
) -> frozenset[Column]:
    """Return the columns that fit beside each other, and always the most important one.

    Columns without any text are hidden first.
    """
    left = width - BORDER_CHARS
    shown: set[Column] = set()
    for column in sorted(columns, key=lambda one: (one in empty, one.hide_priority)):
        chars = min(needed[column], MIN_WRAPPED_CHARS) if column.wraps else needed[column]
        left -= chars + PADDING_AND_BORDER_CHARS
        if left < 0 and shown:
            break
        shown.add(column)
    return frozenset(shown)
