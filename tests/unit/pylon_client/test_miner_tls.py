"""TLS contexts of HTTP clients for miners; real handshakes are in the integration tests."""

import ssl

from pylon_client.miner_tls import default_context


def test_the_context_of_plain_clients_is_loaded_once_and_verifies_servers() -> None:
    context = default_context()
    assert context is default_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.cert_store_stats()["x509_ca"] > 0
