"""The project's texts avoid the turns of `turns.toml`: at most 15 per 10,000 words."""

from pathlib import Path

import pytest

from scripts.language import (
    CODE,
    DOCS,
    LIMIT,
    Turn,
    files_under,
    measure,
    measure_packages,
    occurrences,
    read_turns,
    report,
    total,
)

TURNS = read_turns()
SHOWN = 300
"""Maximum number of places in the message of a failure; the script lists all."""


def words_and_turns(path: Path, text: str) -> tuple[int, list[tuple[int, str]]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    measured = measure([path])
    return measured.words, [(place.line, place.turn) for place in measured.places]


@pytest.mark.parametrize(
    "area",
    [pytest.param(CODE, id="code", marks=pytest.mark.integration), pytest.param(DOCS, id="docs")],
)
def test_turns_are_rare(area: tuple[str, ...]) -> None:
    packages = measure_packages(files_under(area))
    rate = total(packages.values()).rate
    assert rate <= LIMIT, f"{rate:.1f} per 10,000 words\n{report(packages, limit=SHOWN)}"


@pytest.mark.parametrize("turn", TURNS, ids=lambda turn: turn.name)
def test_turns_match_their_examples(turn: Turn) -> None:
    assert turn.note
    assert turn.matches
    assert turn.passes
    assert {text: occurrences(text) for text in turn.matches} == {
        text: [turn.name] for text in turn.matches
    }
    assert {text: occurrences(text) for text in turn.passes} == {text: [] for text in turn.passes}


def test_turns_in_headings_count_unless_the_turn_leaves_them_out() -> None:
    assert occurrences("What the worker does", heading=True) == []
    assert occurrences("Requests in hand", heading=True) == ["in hand"]


def test_python_docstrings_comments_and_messages_are_measured(tmp_path: Path) -> None:
    text = '''"""Begin anew."""

import logging

KEY = "anew"  # one word is data
LIMIT = 5
"""Begin here

and then anew.
"""


def f(x: int) -> None:
    # A comment of two lines: it is given
    # up here.
    logging.info("The job %s begins anew", x)
    msg = (
        f"job {x} was "
        "given up after 5 s"
    )
    raise ValueError(msg)  # begins anew
'''
    _, turns = words_and_turns(tmp_path / "one.py", text)
    assert turns == [
        (1, "anew"),
        (9, "anew"),
        (14, "given up"),
        (16, "anew"),
        (18, "given up"),
        (21, "anew"),
    ]


def test_code_spans_links_and_fenced_blocks_are_not_measured(tmp_path: Path) -> None:
    text = """# Begin anew

`begin anew` and ``begin
anew``, [anew](https://example.org/anew
"in hand")
are given up.

```python
# begin anew
```

| What | What it does |
|---|---|
| one | two begins anew |

- What it does.
- Another
"""
    words, turns = words_and_turns(tmp_path / "page.md", text)
    assert turns == [
        (1, "anew"),
        (4, "anew"),
        (6, "given up"),
        (14, "anew"),
        (16, "who or what as subject"),
    ]
    counted = (
        "Begin anew and anew are given up"
        " What What it does one two begins anew What it does Another"
    )
    assert words == counted.count(" ") + 1


def test_comments_of_configuration_are_measured(tmp_path: Path) -> None:
    text = "# It is given\n# up.\nkey: begin anew  # begin anew\nurl: a#b anew\n"
    words, turns = words_and_turns(tmp_path / "values.yaml", text)
    assert turns == [(1, "given up"), (3, "anew")]
    assert words == 6


def test_texts_of_alerts_are_measured(tmp_path: Path) -> None:
    text = """alert: Anew
annotations:
  summary: "Begins anew"
  description: >-
    One line,
    then anew.
  expr: anew
"""
    words, turns = words_and_turns(tmp_path / "observe" / "alerts.yaml", text)
    assert turns == [(3, "anew"), (6, "anew")]
    assert words == 6
