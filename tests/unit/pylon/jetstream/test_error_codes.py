"""The meaning of JetStream's error codes, and replies that do not have its format."""

import nats.errors
import nats.js.errors
import pytest
from nats.js import api

from pylon.jetstream import error_codes
from pylon.jetstream.error_codes import UnreadableReplyError, readable_replies


def error_of(
    err_code: int, description: str = "", *, unavailable: bool = False
) -> nats.js.errors.APIError:
    kind = nats.js.errors.ServiceUnavailableError if unavailable else nats.js.errors.APIError
    return kind(code=503 if unavailable else 400, err_code=err_code, description=description)


@pytest.mark.parametrize(
    ("error", "temporary"),
    [
        (error_of(error_codes.SUBJECT_IN_FLIGHT), True),
        (error_of(error_codes.MESSAGE_ID_IN_FLIGHT), True),
        (error_of(error_codes.STREAM_NOT_FOUND), True),
        (error_of(10008, "JetStream system temporarily unavailable", unavailable=True), True),
        (error_of(error_codes.STORE_FAILED, "maximum messages exceeded", unavailable=True), False),
        (error_of(error_codes.WRONG_LAST_SEQUENCE), False),
    ],
)
def test_errors_in_flight_and_during_elections_are_temporary(
    error: nats.js.errors.APIError, *, temporary: bool
) -> None:
    assert error_codes.is_temporary(error) is temporary


def test_a_full_stream_is_not_a_broken_store() -> None:
    full = error_of(error_codes.STORE_FAILED, "maximum bytes exceeded")
    closed = error_of(error_codes.STORE_FAILED, "store is closed")
    assert (error_codes.is_full(full), error_codes.is_store_broken(full)) == (True, False)
    assert (error_codes.is_full(closed), error_codes.is_store_broken(closed)) == (False, True)


@pytest.mark.parametrize("error", [KeyError("seq"), TypeError(), ValueError(), RecursionError()])
def test_errors_of_reading_a_reply_are_errors_of_nats(error: Exception) -> None:
    with pytest.raises(UnreadableReplyError) as caught, readable_replies():
        raise error
    assert isinstance(caught.value, nats.errors.Error)


def test_errors_of_nats_and_of_the_connection_are_raised_unchanged() -> None:
    for error in (nats.errors.TimeoutError(), OSError("no route")):
        with pytest.raises(type(error)) as caught, readable_replies():
            raise error
        assert caught.value is error


def test_an_api_error_with_values_of_wrong_types_is_unreadable() -> None:
    with pytest.raises(UnreadableReplyError), readable_replies():
        raise nats.js.errors.APIError(code=400, err_code="text")  # type: ignore[arg-type]


def test_an_acknowledgement_of_another_stream_is_unreadable() -> None:
    ack = api.PubAck(stream="OTHER", seq=3)
    with pytest.raises(UnreadableReplyError, match="another stream"):
        error_codes.ack_sequence(ack, "PYLON_EVENTS")
    assert error_codes.ack_sequence(ack, "OTHER") == 3


@pytest.mark.parametrize("sequence", [0, None, "7", True])
def test_a_message_without_a_sequence_is_unreadable(sequence: object) -> None:
    message = api.RawStreamMsg(subject="s", seq=sequence, data=b"")  # type: ignore[arg-type]
    with pytest.raises(UnreadableReplyError, match="without a sequence"):
        error_codes.message_sequence(message)
