"""Answers of runtime APIs without bytes, for what the runtime's types do not allow."""

from typing import Any

from pylon.chain.runtime_answers import RuntimeAnswer


def decoded_answer(value: Any) -> RuntimeAnswer:
    """Return an answer that decodes as a value."""
    return RuntimeAnswer(repr(value).encode(), "of no runtime", lambda: value)
