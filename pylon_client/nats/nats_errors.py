"""What the errors of the NATS library mean, in texts that hold nothing secret."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import nats.errors

from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.subjects import inbox_prefix
from pylon_client.nats.connection_options import ConnectionOptions
from pylon_client.nats.nats_client import NoTlsError
from pylon_client.nats.server_pool import place
from pylon_client.network_errors import network_reason

_DENIED = re.compile(r'permissions violation for (publish|subscription) to "([^"]*)"')


@dataclass(frozen=True, slots=True)
class Denied:
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

    def forbids_hearing(self, subject: str) -> bool:
        """Whether a subscription to this subject, which may be a wildcard, is refused."""
        return self.is_subscription and self.subject == subject.lower()

    def forbids_sending(self, subject: str) -> bool:
        """Whether what is sent to this subject is refused."""
        return not self.is_subscription and self.subject == subject.lower()


def denied_by(error: Exception) -> Denied | None:
    """What an error of the connection says is refused; None where it is about something else."""
    found = _DENIED.search(str(error).lower())
    return None if found is None else Denied(found[2], found[1] == "subscription")


def connect_failure(
    options: ConnectionOptions, error: Exception, attempts: Sequence[Exception] = ()
) -> FailureError:
    """Return what to raise where a connect failed, or will from now on.

    Args:
        options: where to, and as whom.
        error: what ended the connect.
        attempts: what the attempts to reach single servers failed with.
    """
    where = ", ".join(place(url) for url in options.urls)
    if not is_refusal(error):
        # Of many servers the library says no more than that there is none.
        has_more = isinstance(error, nats.errors.NoServersError) and attempts
        kinds = dict.fromkeys(map(kind_of, attempts if has_more else [error]))
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
        case nats.errors.NoServersError():
            return "nobody listens there"
        case OSError():
            return network_reason(error) or error.strerror or type(error).__name__
        case _:
            return str(error).removeprefix("nats: ")
