"""Errors of JSON-RPC."""

from typing import Any


class RpcError(Exception):
    """A JSON-RPC error response.

    Args:
        code: error code.
        message: error message.
        data: additional data, or None.
    """

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def as_json(self) -> dict[str, Any]:
        """Return the `error` member of a response."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        return error if self.data is None else {**error, "data": self.data}
