"""A function's docstring begins with a verb in the imperative.

Ruff's D401 finds articles and verbs in the third person. It passes words that it does not know, so
words that begin no imperative sentence are looked for here. Properties are exempt, as for D401.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.unit.repository.packages import ROOT, is_generated_twin, modules

NO_VERBS = frozenset(
    re.findall(
        r"\w+",
        """
    a all already always an and another any as at both by called each either every
    everything first for from has here how if in is it its just last neither never no none
    nothing of on one only own some somebody someone something such that the their there
    these they this those to two under until what whatever when where whether which while
    who whoever whole whose why with within without
    """,
    )
)
PROPERTIES = {"property", "cached_property"}


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the docstrings of functions and methods that are not properties, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = {ast.unparse(one).rpartition(".")[2] for one in node.decorator_list}
            text = ast.get_docstring(node)
            if text and not decorators & PROPERTIES:
                yield node.body[0].lineno, text.splitlines()[0]


def begins_with_verb(line: str) -> bool:
    """Return whether the first word of a line may be a verb in the imperative."""
    first = line.split(maxsplit=1)[0].strip(",.;:")
    return first[:1].isalpha() and first.isascii() and first.lower() not in NO_VERBS


def test_docstrings_begin_with_a_verb() -> None:
    others = [Path("noxfile.py")]
    for folder in ("bench", "scripts", "examples"):
        others.extend(path.relative_to(ROOT) for path in sorted((ROOT / folder).rglob("*.py")))
    found = [
        f"{module}:{number}: {line}"
        for module in [*modules(), *others]
        if not is_generated_twin(module)
        for number, line in docstrings(ast.parse((ROOT / module).read_text()))
        if not begins_with_verb(line)
    ]
    assert not found, f"{len(found)} docstrings without an imperative verb:\n" + "\n".join(found)


def test_first_words_are_judged() -> None:
    assert begins_with_verb("Return the newest value.")
    assert not begins_with_verb("Whether a block is final.")
    assert not begins_with_verb("All blocks of an epoch.")
    assert not begins_with_verb("`Pallet.function`.")
