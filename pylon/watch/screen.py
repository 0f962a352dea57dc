"""A table that changes in place on a terminal, and lines where the output goes elsewhere."""

from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

REFRESHES_PER_S: Final = 4


class Screen:
    """`with Screen(console, columns) as screen:` then `screen.show(rows, line)`.

    Args:
        console: where to write.
        columns: the table's columns.
        title: what stands over it.
    """

    def __init__(self, console: Console, columns: Sequence[str], title: str) -> None:
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
        """Show the rows of this moment; where there is no terminal, one line on what is new."""
        if self._console.is_terminal:
            self._live.update(table(self._title, self._columns, rows()))
        else:
            self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table of text, in which nothing is markup."""
    made = Table(title=title, title_justify="left")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(cell.replace("[", r"\[") for cell in row))
    return made
