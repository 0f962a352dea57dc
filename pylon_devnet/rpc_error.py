"""How JSON-RPC says no."""

from typing import Any


class RpcError(Exception):
    """A refusal, as JSON-RPC says it.

    Args:
        code: of the error.
        message: for people.
        data: anything more.
    """

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def as_json(self) -> dict[str, Any]:
        """The `error` member of a response."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        return error if self.data is None else {**error, "data": self.data}
