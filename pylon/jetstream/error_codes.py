"""JetStream's API error codes, each in one place, and what they mean for a request.

An answer that is not one of JetStream's is an error too, and a temporary one.

Source of the codes: `server/errors.json` of nats-server 2.15. Each docstring has the name there and
the function that answers with the code.
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
the subject, so that its last sequence is not known. This message was not proposed.

From `checkMsgHeadersPreClusteredProposal`; a stream with one replica never answers it.
"""
MESSAGE_ID_IN_FLIGHT: Final = 10158
"""`JSStreamDuplicateMessageConflict`: a replicated stream has not yet stored another message of the
same `Nats-Msg-Id`. This message was not proposed.

From `checkMsgHeadersPreClusteredProposal`; a stream with one replica never answers it.
"""
STORE_FAILED: Final = 10077
"""`JSStreamStoreFailedErrF`: the store did not take the message; the description says why.

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
INSUFFICIENT_RESOURCES: Final = 10023
"""`JSInsufficientResourcesErr`: the server has stored its `max_file_store`.

From `processJetStreamMsg`.
"""
STORAGE_EXCEEDED: Final = 10047
"""`JSStorageResourcesExceededErr`: the server has no storage left for a stream or a message."""
ACCOUNT_EXCEEDED: Final = 10002
"""`JSAccountResourcesExceededErr`: the account has stored all that it may."""

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
"""What the NATS library raises when it reads an answer that is not one of JetStream's."""


class UnreadableReplyError(nats.errors.Error):
    """An answer that is not one of JetStream's: the request may have taken effect, or not.

    It counts as no answer, so that a caller sends the request again, and in the end reports
    NATS_UNAVAILABLE. The text names no part of the answer.
    """

    def __init__(self, what: str) -> None:
        super().__init__(f"nats: unreadable answer of JetStream: {what}")


@contextlib.contextmanager
def readable_replies() -> Generator[None]:
    """Raise `UnreadableReplyError` where the block meets an answer that is not JetStream's.

    The block must hold the call of the NATS library and the reading of what it returns, and nothing
    else: every type error in it is taken for one of the answer.
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


def require_type(found: object, kind: type | UnionType, problem: str) -> None:
    """Check a value of an answer: the NATS library takes values of any type.

    Args:
        found: the value.
        kind: its type.
        problem: what the answer is if it has another type.

    Raises:
        UnreadableReplyError: it has another type.
    """
    if not isinstance(found, kind):
        raise UnreadableReplyError(problem)


def ack_sequence(ack: api.PubAck, stream: str) -> int:
    """Return where a stream has stored a message.

    Args:
        ack: the acknowledgement.
        stream: the stream that the message was for.

    Raises:
        UnreadableReplyError: the acknowledgement is of another stream, or has no sequence.
    """
    if ack.stream != stream:
        raise UnreadableReplyError("an acknowledgement of another stream")
    return _sequence(ack.seq)


def message_sequence(message: api.RawStreamMsg) -> int:
    """Return the sequence of a message that a stream returned.

    Raises:
        UnreadableReplyError: it has no sequence, or a body that is not of bytes.
    """
    require_type(message.data, bytes | None, "a message without a body")
    require_type(message.subject, str | None, "a message without a subject")
    return _sequence(message.seq)


def _sequence(found: object) -> int:
    if type(found) is not int or found < 1:
        raise UnreadableReplyError("a message without a sequence")
    return found


def is_conflict(error: nats.js.errors.APIError) -> bool:
    """Return whether the subject's last sequence is not the expected one."""
    return error.err_code == WRONG_LAST_SEQUENCE


def is_in_flight(error: nats.js.errors.APIError) -> bool:
    """Return whether the outcome depends on a message in flight: a retry gets the answer."""
    return error.err_code in {SUBJECT_IN_FLIGHT, MESSAGE_ID_IN_FLIGHT}


def is_full(error: nats.js.errors.APIError) -> bool:
    """Return whether the stream, or the message's subject in it, holds all that it may."""
    return error.err_code == STORE_FAILED and error.description in _FULL


def is_out_of_storage(error: nats.js.errors.APIError) -> bool:
    """Return whether JetStream says that it has no room for anything, whatever the stream."""
    return error.err_code in {INSUFFICIENT_RESOURCES, STORAGE_EXCEEDED, ACCOUNT_EXCEEDED}


def is_store_broken(error: nats.js.errors.APIError) -> bool:
    """Return whether a stream failed to store a message although it is not full."""
    return error.err_code == STORE_FAILED and not is_full(error)


def is_stream_missing(error: nats.js.errors.APIError) -> bool:
    """Return whether the stream does not exist."""
    return error.err_code == STREAM_NOT_FOUND


def is_name_in_use(error: nats.js.errors.APIError) -> bool:
    """Return whether a stream that was to be made exists with another configuration."""
    return error.err_code == STREAM_NAME_IN_USE


def is_temporary(error: nats.js.errors.APIError) -> bool:
    """Return whether a retry may succeed: a message in flight, no leader, a missing stream.

    A full stream is not temporary, although JetStream answers 503 for it.
    """
    if is_full(error):
        return False
    is_unavailable = isinstance(error, nats.js.errors.ServiceUnavailableError)
    return is_unavailable or is_in_flight(error) or is_stream_missing(error)
