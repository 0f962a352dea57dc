"""Help of commands, wrapped to the width of the terminal."""

import inspect

import typer


def unwrap_help(app: typer.Typer) -> None:
    """Join the lines of each paragraph in the help of all commands of an app.

    Typer prints the lines after the first paragraph as the docstring wraps them, so a narrower
    terminal wraps each line once more.
    """
    for command in app.registered_commands:
        text = command.help or (command.callback and inspect.getdoc(command.callback)) or ""
        command.help = _unwrapped(text)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            unwrap_help(group.typer_instance)


def _unwrapped(text: str) -> str:
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
