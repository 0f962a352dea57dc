"""Why a server cannot be reached, in texts that hold nothing of what was sent."""

import socket
import ssl
from collections.abc import Iterator

_CAUSES_MAX = 20


def network_error_reason(error: BaseException) -> str | None:
    """Return why a connection failed, from an error or one that caused it; None if unknown."""
    for cause in _with_causes(error):
        match cause:
            case socket.gaierror():
                return "the host name cannot be resolved"
            case ConnectionRefusedError():
                return "nobody listens there"
            case ssl.SSLCertVerificationError():
                return f"its certificate is not trusted: {cause.verify_message}"
            case ssl.SSLError():
                return "it does not speak TLS, or not in a version that is accepted"
            case _:
                pass
    return None


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    waiting = [error]
    for _ in range(_CAUSES_MAX):
        if not waiting:
            return
        found = waiting.pop(0)
        yield found
        if isinstance(found, BaseExceptionGroup):
            waiting += found.exceptions  # pyright: ignore[reportUnknownMemberType] -- of any kind
        cause = found.__cause__ or found.__context__
        if cause is not None:
            waiting.append(cause)
