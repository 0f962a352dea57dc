"""Translation of the NATS library's errors; no text contains a secret."""

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
    """A subject that an authenticated user may not publish or subscribe to.

    Attributes:
        subject: in lower case, because the NATS library lowers the server's text; comparisons
            ignore case.
        is_subscription: whether a subscription was denied; otherwise a publish.
    """

    subject: str
    is_subscription: bool

    def __str__(self) -> str:
        return f"{'subscription' if self.is_subscription else 'publish'} to {self.subject}"

    def is_inbox_of(self, user: str) -> bool:
        """Return whether the user may not subscribe to its own inbox, so that no reply arrives."""
        return self.is_subscription and self.subject.startswith(f"{inbox_prefix(user)}.".lower())

    def denies_subscribe(self, subject: str) -> bool:
        """Return whether a subscription to this subject, which may be a wildcard, is denied."""
        return self.is_subscription and self.subject == subject.lower()

    def denies_publish(self, subject: str) -> bool:
        """Return whether publishing to this subject is denied."""
        return not self.is_subscription and self.subject == subject.lower()


def parse_permission_violation(error: Exception) -> PermissionViolation | None:
    """Return the permission violation that an error reports; None for any other error."""
    found = _VIOLATION.search(str(error).lower())
    return None if found is None else PermissionViolation(found[2], found[1] == "subscription")


def connect_failure(
    options: ConnectionOptions, error: Exception, connect_errors: Sequence[Exception] = ()
) -> FailureError:
    """Return the error to raise when a connection cannot be made.

    Args:
        options: the options of the connection.
        error: the error that ended the connect.
        connect_errors: the errors of the attempts to reach single servers.
    """
    servers = ", ".join(host_and_port(url) for url in options.urls)
    if not is_authorization_error(error):
        # For several servers, the library raises only that none is available.
        has_more = isinstance(error, nats.errors.NoServersError) and connect_errors
        kinds = dict.fromkeys(map(describe_error, connect_errors if has_more else [error]))
        return FailureError(
            ErrorCode.NATS_UNAVAILABLE, f"NATS cannot be reached at {servers}: {'; '.join(kinds)}."
        )
    if options.user is None:
        return FailureError(
            ErrorCode.UNAUTHENTICATED, f"NATS at {servers} requires a user and its token."
        )
    return FailureError(
        ErrorCode.FORBIDDEN,
        f"NATS at {servers} does not accept this token for the user {options.user!r}.",
    )


def is_authorization_error(error: Exception) -> bool:
    """Return whether the server rejected the credentials."""
    return "authorization violation" in str(error).lower() or isinstance(
        error, nats.errors.AuthorizationError
    )


def describe_error(error: Exception) -> str:
    """Return a short description of an error, without anything that was sent."""
    match error:
        case TimeoutError():
            return "no reply in time"
        case NoTlsError():
            return "the server does not offer TLS"
        case nats.errors.NoServersError():
            return "connection refused"
        case OSError():
            return network_error_reason(error) or error.strerror or type(error).__name__
        case _:
            return str(error).removeprefix("nats: ")
