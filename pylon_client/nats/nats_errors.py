"""What the errors of the NATS library mean, in texts that hold nothing secret."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import nats.errors

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import inbox_prefix
from pylon_client.nats.connection_options import ConnectionOptions
from pylon_client.nats.nats_client import NoTlsError
from pylon_client.nats.server_pool import host_and_port
from pylon_client.network_errors import network_error_reason

_VIOLATION = re.compile(r'permissions violation for (publish|subscription) to "([^"]*)"')


@dataclass(frozen=True, slots=True)
class PermissionViolation:
    """What a server refuses to a user that it has let in.

    Attributes:
        subject: of what; in lower case, as the NATS library gives the server's text, so that
            subjects are compared that way.
        is_subscription: whether to hear it, rather than to send to it.
    """

    subject: str
    is_subscription: bool

    def __str__(self) -> str:
        return f"{'subscription' if self.is_subscription else 'publish'} to {self.subject}"

    def is_inbox_of(self, user: str) -> bool:
        """Whether no answers can reach a user, since its own inbox is refused."""
        return self.is_subscription and self.subject.startswith(f"{inbox_prefix(user)}.".lower())

    def denies_subscribe(self, subject: str) -> bool:
        """Whether a subscription to this subject, which may be a wildcard, is refused."""
        return self.is_subscription and self.subject == subject.lower()

    def denies_publish(self, subject: str) -> bool:
        """Whether what is sent to this subject is refused."""
        return not self.is_subscription and self.subject == subject.lower()


def parse_permission_violation(error: Exception) -> PermissionViolation | None:
    """What an error of the connection says is refused; None where it is about something else."""
    found = _VIOLATION.search(str(error).lower())
    return None if found is None else PermissionViolation(found[2], found[1] == "subscription")


def connect_failure(
    options: ConnectionOptions, error: Exception, connect_errors: Sequence[Exception] = ()
) -> FailureError:
    """Return what to raise where a connect failed, or will from now on.

    Args:
        options: where to, and as whom.
        error: what ended the connect.
        connect_errors: what the attempts to reach single servers failed with.
    """
    where = ", ".join(host_and_port(url) for url in options.urls)
    if not is_authorization_error(error):
        # Of many servers the library says no more than that there is none.
        has_more = isinstance(error, nats.errors.NoServersError) and connect_errors
        kinds = dict.fromkeys(map(describe_error, connect_errors if has_more else [error]))
        return FailureError(
            ErrorCode.NATS_UNAVAILABLE, f"NATS cannot be reached at {where}: {'; '.join(kinds)}."
        )
    if options.user is None:
        return FailureError(
            ErrorCode.UNAUTHENTICATED, f"NATS at {where} asks for a user and its token."
        )
    return FailureError(
        ErrorCode.FORBIDDEN,
        f"NATS at {where} does not accept this token for the user {options.user!r}.",
    )


def is_authorization_error(error: Exception) -> bool:
    """Whether the server said no to who we are, rather than being out of reach."""
    return "authorization violation" in str(error).lower() or isinstance(
        error, nats.errors.AuthorizationError
    )


def describe_error(error: Exception) -> str:
    """A short text on an error that can hold nothing of what was sent."""
    match error:
        case TimeoutError():
            return "no answer in time"
        case NoTlsError():
            return "it offers no TLS"
        case nats.errors.NoServersError():
            return "nobody listens there"
        case OSError():
            return network_error_reason(error) or error.strerror or type(error).__name__
        case _:
            return str(error).removeprefix("nats: ")
