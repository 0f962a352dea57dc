"""Help is wrapped to the terminal, not as the docstrings are."""

import typer
from typer.testing import CliRunner

from pylon.cli.help_texts import unwrap_help


def test_paragraphs_are_wrapped_once() -> None:
    inner, app = typer.Typer(), typer.Typer()
    text = "First line.\n\n    One two three\n    four five.\n\n    Last\n    paragraph.\n    "

    @inner.command()
    def command() -> None: ...

    @app.command()
    def other() -> None: ...

    command.__doc__ = other.__doc__ = text
    app.add_typer(inner, name="inner")
    unwrap_help(app)
    for arguments in (["other", "--help"], ["inner", "command", "--help"]):
        shown = CliRunner().invoke(app, arguments, terminal_width=80).output
        assert "One two three four five." in shown
        assert "Last paragraph." in shown
