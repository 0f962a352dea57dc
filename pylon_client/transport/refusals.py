"""What the errors of the NATS library mean, in texts that hold nothing secret."""

import nats.errors

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.transport.options import ConnectionOptions
from pylon_client.transport.ordered import NoTlsError
from pylon_client.transport.servers import place


def connect_failure(options: ConnectionOptions, error: Exception) -> FailureError:
    """What to raise where a connect failed, or will from now on."""
    where = ", ".join(place(url) for url in options.urls)
    if not is_refusal(error):
        return FailureError(
            ErrorCode.NATS_UNAVAILABLE, f"NATS cannot be reached at {where}: {kind_of(error)}."
        )
    if options.user is None:
        return FailureError(
            ErrorCode.UNAUTHENTICATED, f"NATS at {where} asks for a user and its token."
        )
    return FailureError(
        ErrorCode.FORBIDDEN,
        f"NATS at {where} does not accept this token for the user {options.user!r}.",
    )


def is_refusal(error: Exception) -> bool:
    """Whether the server said no to who we are, rather than being out of reach."""
    return "authorization violation" in str(error).lower() or isinstance(
        error, nats.errors.AuthorizationError
    )


def kind_of(error: Exception) -> str:
    """A short text on an error that can hold nothing of what was sent."""
    match error:
        case TimeoutError():
            return "no answer in time"
        case NoTlsError():
            return "it offers no TLS"
        case ConnectionRefusedError() | nats.errors.NoServersError():
            return "nobody listens there"
        case OSError():
            return error.strerror or type(error).__name__
        case _:
            return str(error).removeprefix("nats: ")
