"""Translation of the NATS library's errors."""

import nats.errors
import pytest

from pylon_client.contract.failures import ErrorCode
from pylon_client.nats.connection_options import ConnectionOptions
from pylon_client.nats.nats_client import NoTlsError
from pylon_client.nats.nats_errors import (
    PermissionViolation,
    connect_failure,
    describe_error,
    is_authorization_error,
    parse_permission_violation,
)

PASSWORD = "a-password"
ANONYMOUS = ConnectionOptions(("nats://a:4222", "nats://b:4223"))
KNOWN = ConnectionOptions(("tls://a:4222",), user="sn1", password=PASSWORD)


@pytest.mark.parametrize(
    ("text", "violation"),
    [
        (
            "nats: 'Permissions Violation for Publish to \"pylon.v1.Open.x\"'",
            PermissionViolation("pylon.v1.open.x", is_subscription=False),
        ),
        (
            "nats: 'Permissions Violation for Subscription to \"pylon.>\"'",
            PermissionViolation("pylon.>", is_subscription=True),
        ),
        ("nats: timeout", None),
    ],
)
def test_a_permission_violation_is_parsed(text: str, violation: PermissionViolation | None) -> None:
    assert parse_permission_violation(nats.errors.Error(text)) == violation


def test_subjects_of_violations_are_compared_without_case() -> None:
    subscription = PermissionViolation("pylon.v1.event.block", is_subscription=True)
    assert subscription.denies_subscribe("Pylon.V1.Event.Block")
    assert not subscription.denies_publish("pylon.v1.event.block")
    publish = PermissionViolation("pylon.v1.open.x", is_subscription=False)
    assert publish.denies_publish("pylon.v1.open.X")
    assert not publish.denies_subscribe("pylon.v1.open.x")
    assert str(publish) == "publish to pylon.v1.open.x"


def test_a_denied_inbox_is_recognized() -> None:
    inbox = PermissionViolation("_inbox.sn1.abc.*", is_subscription=True)
    assert inbox.is_inbox_of("SN1")
    assert not inbox.is_inbox_of("sn12")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (nats.errors.TimeoutError(), "no reply in time"),
        (NoTlsError(), "the server does not offer TLS"),
        (nats.errors.NoServersError(), "connection refused"),
        (OSError(113, "No route to host"), "No route to host"),
        (nats.errors.Error("nats: something"), "something"),
    ],
)
def test_errors_are_described(error: Exception, text: str) -> None:
    assert describe_error(error) == text


@pytest.mark.parametrize(
    ("options", "error", "code", "text"),
    [
        (
            ANONYMOUS,
            nats.errors.Error("nats: 'Authorization Violation'"),
            ErrorCode.UNAUTHENTICATED,
            "NATS at a:4222, b:4223 requires a user and its token.",
        ),
        (
            KNOWN,
            nats.errors.AuthorizationError(),
            ErrorCode.FORBIDDEN,
            "NATS at a:4222 does not accept this token for the user 'sn1'.",
        ),
        (
            KNOWN,
            OSError(113, "No route to host"),
            ErrorCode.NATS_UNAVAILABLE,
            "NATS cannot be reached at a:4222: No route to host.",
        ),
    ],
)
def test_a_failed_connect_has_a_code_and_a_text_without_the_password(
    options: ConnectionOptions, error: Exception, code: ErrorCode, text: str
) -> None:
    failure = connect_failure(options, error)
    assert (failure.code, failure.failure.detail) == (code, text)
    assert is_authorization_error(error) is (code is not ErrorCode.NATS_UNAVAILABLE)
    assert PASSWORD not in str(failure)


def test_each_reason_of_several_attempts_is_named_once() -> None:
    attempts = [OSError(113, "No route to host"), NoTlsError(), OSError(113, "No route to host")]
    failure = connect_failure(ANONYMOUS, nats.errors.NoServersError(), attempts)
    assert failure.failure.detail == (
        "NATS cannot be reached at a:4222, b:4223: No route to host; the server does not offer TLS."
    )
