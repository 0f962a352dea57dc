"""Hooks for `st run`: the rules of Pylon that its configuration cannot express."""

import schemathesis
from hypothesis import strategies

from pylon_client.contract.headers import HTTP_TIMEOUT
from pylon_client.contract.ss58 import ss58_address
from tests.support.product.secret_texts import MARK

UNUSED_MAX_S = 1.0
"""Maximum time left until the deadline when a request times out, in seconds."""

schemathesis.openapi.format("ss58", strategies.binary(min_size=32, max_size=32).map(ss58_address))


@schemathesis.hook
def filter_case(_context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Leave out requests with an undocumented header: servers ignore it."""
    return not any(name.lower().startswith("x-schemathesis-") for name in case.headers or {})


@schemathesis.check
def documented_status(
    _context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """Check that each status is documented; the default covers statuses of later versions.

    Undocumented methods of a path are not part of the operation; the response to them is 405.
    """
    documented = case.operation.responses.status_codes
    if case.method == case.operation.method.upper():
        assert str(response.status_code) in documented, f"{response.status_code} is not documented"


@schemathesis.check
def no_needless_failure(
    _context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """Check that the only server error is a timeout, since the chain and NATS work."""
    if response.status_code < 500:
        return
    given_s = float((case.headers or {}).get(HTTP_TIMEOUT, 60))
    assert response.status_code == 504, f"unexpected status {response.status_code}"
    left_s = given_s - response.elapsed
    assert left_s < UNUSED_MAX_S, f"504 with {left_s} of {given_s} seconds left"


@schemathesis.check
def no_secret(
    _context: schemathesis.CheckContext, response: schemathesis.Response, _case: schemathesis.Case
) -> None:
    """Check that no response contains a token."""
    assert MARK.encode() not in response.content, "there is a token in the body"
    assert MARK not in str(response.headers), "there is a token in a header"


@schemathesis.check
def security_headers(
    _context: schemathesis.CheckContext, response: schemathesis.Response, _case: schemathesis.Case
) -> None:
    """Check the security headers and the request id of each response."""
    assert response.headers.get("x-content-type-options") == ["nosniff"]
    assert response.headers.get("content-security-policy")
    assert response.headers.get("x-request-id")
