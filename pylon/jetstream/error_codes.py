"""JetStream's API error codes, and their meaning for a request.

A reply that does not have JetStream's format is a temporary error as well.

Source of the codes: `server/errors.json` of nats-server 2.15. Each docstring has the name there and
the function that returns the code.
"""

import contextlib
from collections.abc import Generator
from types import UnionType
from typing import Final

import nats.errors
import nats.js.errors
from nats.js import api

WRONG_LAST_SEQUENCE: Final = 10071
"""`JSStreamWrongLastSequenceErrF`: the subject's last sequence is not the expected one.

A compare-and-set conflict, from `checkMsgHeadersPreClusteredProposal` and `processJetStreamMsg`.
"""
SUBJECT_IN_FLIGHT: Final = 10164
"""`JSStreamWrongLastSequenceConstantErr`: a replicated stream has not yet stored another message of
the subject, so that its last sequence is unknown. This message was not proposed.

From `checkMsgHeadersPreClusteredProposal`; a stream with one replica never returns it.
"""
MESSAGE_ID_IN_FLIGHT: Final = 10158
"""`JSStreamDuplicateMessageConflict`: a replicated stream has not yet stored another message of the
same `Nats-Msg-Id`. This message was not proposed.

From `checkMsgHeadersPreClusteredProposal`; a stream with one replica never returns it.
"""
STORE_FAILED: Final = 10077
"""`JSStreamStoreFailedErrF`: the store rejected the message; the description has the reason.

From `checkMsgHeadersPreClusteredProposal` and `processJetStreamMsg`.
"""
NO_MESSAGE: Final = 10037
"""`JSNoMessageFoundErr`: the stream exists and has no such message, from `jsMsgGetRequest`."""
STREAM_NOT_FOUND: Final = 10059
"""`JSStreamNotFoundErr`: no stream has that name, from every API request that names a stream.

A publish has no responders then: `nats.js.errors.NoStreamResponseError`.
"""
STREAM_NAME_IN_USE: Final = 10058
"""`JSStreamNameExistErr`: a stream of that name has another configuration, from `addStream`."""
NO_PEERS: Final = 10005
"""`JSClusterNoPeersErrF`: too few servers of the cluster can store a replica; some may be starting.

From `jsClusteredStreamRequest`; a single server never returns it.
"""
INSUFFICIENT_RESOURCES: Final = 10023
"""`JSInsufficientResourcesErr`: the server has stored its `max_file_store`.

From `processJetStreamMsg`.
"""
STORAGE_EXCEEDED: Final = 10047
"""`JSStorageResourcesExceededErr`: the server has no storage left for a stream or a message."""
ACCOUNT_EXCEEDED: Final = 10002
"""`JSAccountResourcesExceededErr`: the account has reached its storage limit."""

_FULL: Final = frozenset(
    {
        "maximum messages per subject exceeded",
        "maximum messages exceeded",
        "maximum bytes exceeded",
    }
)
"""`ErrMaxMsgsPerSubject`, `ErrMaxMsgs` and `ErrMaxBytes` of `server/store.go`: the descriptions of
`STORE_FAILED` from a full stream. Others, such as "store is closed", are temporary."""

_UNREADABLE: Final = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""Errors of the NATS library on reading a reply that does not have JetStream's format."""


class UnreadableReplyError(nats.errors.Error):
    """A reply that does not have JetStream's format: the request may have taken effect, or not.

    It counts as a missing reply: the caller retries, and finally reports NATS_UNAVAILABLE. The text
    contains no part of the reply.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"nats: unreadable reply of JetStream: {what}")


@contextlib.contextmanager
def readable_replies() -> Generator[None]:
    """Raise `UnreadableReplyError` if a reply in the block does not have JetStream's format.

    The block must contain nothing but the call of the NATS library and the reading of its result:
    every type error in it is attributed to the reply.
    """
    try:
        yield
    except nats.js.errors.APIError as error:
        require_type(error.code, int | None, "an error without a status")
        require_type(error.err_code, int | None, "an error without a code")
        require_type(error.description, str | None, "an error without a description")
        raise
    except (nats.errors.Error, OSError):
        raise
    except _UNREADABLE as error:
        raise UnreadableReplyError(type(error).__name__) from error


def require_type(value: object, kind: type | UnionType, problem: str) -> None:
    """Check the type of a value of a reply: the NATS library accepts any type.

    Args:
        value: the value.
        kind: its type.
        problem: description of the reply if the value has another type.

    Raises:
        UnreadableReplyError: it has another type.
    """
    if not isinstance(value, kind):
        raise UnreadableReplyError(problem)


def ack_sequence(ack: api.PubAck, stream: str) -> int:
    """Return the sequence at which a stream has stored a message.

    Args:
        ack: the acknowledgement.
        stream: the stream that the message was for.

    Raises:
        UnreadableReplyError: it names another stream, or has no sequence.
    """
    if ack.stream != stream:
        raise UnreadableReplyError("an acknowledgement of another stream")
    return _sequence(ack.seq)


def message_sequence(message: api.RawStreamMsg) -> int:
    """Return the sequence of a message that a stream returned.

    Raises:
        UnreadableReplyError: it has no sequence, or its body is not bytes.
    """
    require_type(message.data, bytes | None, "a message without a body")
    require_type(message.subject, str | None, "a message without a subject")
    return _sequence(message.seq)


def _sequence(value: object) -> int:
    if type(value) is not int or value < 1:
        raise UnreadableReplyError("a message without a sequence")
    return value


def is_conflict(error: nats.js.errors.APIError) -> bool:
    """Return whether a compare-and-set failed: the subject's last sequence is another one."""
    return error.err_code == WRONG_LAST_SEQUENCE


def is_in_flight(error: nats.js.errors.APIError) -> bool:
    """Return whether the outcome depends on a message in flight, so that a retry is needed."""
    return error.err_code in {SUBJECT_IN_FLIGHT, MESSAGE_ID_IN_FLIGHT}


def is_full(error: nats.js.errors.APIError) -> bool:
    """Return whether the stream, or the message's subject in it, has reached its limit."""
    return error.err_code == STORE_FAILED and error.description in _FULL


def is_out_of_storage(error: nats.js.errors.APIError) -> bool:
    """Return whether JetStream has no storage left for any stream."""
    return error.err_code in {INSUFFICIENT_RESOURCES, STORAGE_EXCEEDED, ACCOUNT_EXCEEDED}


def is_store_broken(error: nats.js.errors.APIError) -> bool:
    """Return whether a stream failed to store a message although it is not full."""
    return error.err_code == STORE_FAILED and not is_full(error)


def is_stream_missing(error: nats.js.errors.APIError) -> bool:
    """Return whether the stream does not exist."""
    return error.err_code == STREAM_NOT_FOUND


def is_name_in_use(error: nats.js.errors.APIError) -> bool:
    """Return whether a stream to create exists with another configuration."""
    return error.err_code == STREAM_NAME_IN_USE


def is_temporary(error: nats.js.errors.APIError) -> bool:
    """Return whether a retry may succeed: a message in flight, no leader, a missing stream.

    A full stream is not temporary, although JetStream answers 503 for it.
    """
    if is_full(error):
        return False
    is_unavailable = isinstance(error, nats.js.errors.ServiceUnavailableError)
    return is_unavailable or is_in_flight(error) or is_stream_missing(error)
