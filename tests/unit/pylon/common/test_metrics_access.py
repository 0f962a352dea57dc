"""Access to the metrics."""

import pytest
from pydantic import SecretStr

from pylon.common.metrics_access import metrics_access_error


@pytest.mark.parametrize(
    ("authorization", "token", "error"),
    [
        ("Bearer secret", "", "Metrics endpoint is not configured"),
        (None, "secret", "Authorization header is required"),
        ("Basic secret", "secret", "Invalid Authorization header format. Expected: Bearer <token>"),
        ("Bearer other", "secret", "Invalid authorization token"),
        ("Bearer secret", "secret", None),
    ],
)
def test_access_requires_the_token(
    authorization: str | None, token: str, error: str | None
) -> None:
    assert metrics_access_error(authorization, SecretStr(token)) == error
