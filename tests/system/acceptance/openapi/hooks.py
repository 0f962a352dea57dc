"""Hooks for `st run`: the rules of Pylon that its configuration cannot express."""

import schemathesis
from hypothesis import strategies

from pylon_client.contract.headers import HTTP_TIMEOUT
from pylon_client.contract.ss58 import ss58_address
from tests.support.product.secret_texts import MARK

UNUSED_MAX_S = 1.0
"""Time that may be left of a caller's deadline when its request times out, in seconds."""

schemathesis.openapi.format("ss58", strategies.binary(min_size=32, max_size=32).map(ss58_address))


@schemathesis.hook
def filter_case(_context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Leave out requests with a made-up header: HTTP ignores it, whatever a schema says."""
    return not any(name.lower().startswith("x-schemathesis-") for name in case.headers or {})


@schemathesis.check
def documented_status(
    _context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """Every status is documented by its number: the default is for those of later versions.

    Undocumented methods of a path are not part of the operation; the response to them is 405.
    """
    documented = case.operation.responses.status_codes
    if case.method == case.operation.method.upper():
        assert str(response.status_code) in documented, f"{response.status_code} is not documented"


@schemathesis.check
def no_needless_failure(
    _context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """With a chain and a NATS that work, the one failure is time that the caller did not give."""
    if response.status_code < 500:
        return
    given_s = float((case.headers or {}).get(HTTP_TIMEOUT, 60))
    assert response.status_code == 504, f"{response.status_code} is answered"
    left_s = given_s - response.elapsed
    assert left_s < UNUSED_MAX_S, f"504 is answered with {left_s} of {given_s} seconds left"


@schemathesis.check
def no_secret(
    _context: schemathesis.CheckContext, response: schemathesis.Response, _case: schemathesis.Case
) -> None:
    """Whatever is asked, and with whichever token, no answer says one."""
    assert MARK.encode() not in response.content, "there is a token in the body"
    assert MARK not in str(response.headers), "there is a token in a header"


@schemathesis.check
def security_headers(
    _context: schemathesis.CheckContext, response: schemathesis.Response, _case: schemathesis.Case
) -> None:
    """Every answer has them."""
    assert response.headers.get("x-content-type-options") == ["nosniff"]
    assert response.headers.get("content-security-policy")
    assert response.headers.get("x-request-id")
