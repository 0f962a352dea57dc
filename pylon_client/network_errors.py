"""Reasons why a server cannot be reached; no text contains anything that was sent."""

import socket
import ssl
from collections.abc import Iterator

_MAX_CAUSES = 20


def network_error_reason(error: BaseException) -> str | None:
    """Return why a connection failed, from an error or its causes; None if unknown."""
    for cause in _with_causes(error):
        match cause:
            case socket.gaierror():
                return "the host name cannot be resolved"
            case ConnectionRefusedError():
                return "connection refused"
            case ssl.SSLCertVerificationError():
                return f"the server's certificate is not trusted: {cause.verify_message}"
            case ssl.SSLError():
                return "the server does not speak TLS, or not in an accepted version"
            case _:
                pass
    return None


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    waiting = [error]
    for _ in range(_MAX_CAUSES):
        if not waiting:
            return
        found = waiting.pop(0)
        yield found
        if isinstance(found, BaseExceptionGroup):
            waiting += found.exceptions  # pyright: ignore[reportUnknownMemberType] -- of any kind
        cause = found.__cause__ or found.__context__
        if cause is not None:
            waiting.append(cause)
