"""Options of a connection to NATS."""

from pylon_client.nats.connection_options import ConnectionOptions


def test_the_password_is_not_shown() -> None:
    options = ConnectionOptions(("nats://localhost",), user="sn1", password="confidential")
    assert "confidential" not in f"{options} {options!r}"
    assert "sn1" in repr(options)
