"""TLS contexts and errors of HTTP clients for miners.

A miner's certificate has no known issuer, but the miner put its public key on the chain, signed
with its hotkey. The validator compares the key in the certificate with the one on the chain, and
then trusts only that certificate. A server without the private key cannot complete the handshake.
"""

import hmac
import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from pylon_client.certificate_key import ed25519_key
from pylon_client.config import BaseConfig
from pylon_client.contract.models import CertificateAlgorithm, Neuron, NeuronCertificate
from pylon_client.contract.operation import Scope
from pylon_client.contract.reads import CERTIFICATE, HotkeyParams
from pylon_client.contract.types import NetUid
from pylon_client.errors import MtlsVerificationError, PylonMisconfigured
from pylon_client.transport import OperationCall

if TYPE_CHECKING:
    import httpx

MINER_TIMEOUT_S: Final = 30.0
"""Default timeout of requests to a miner, in seconds."""
VALIDITY_ERRORS: Final = frozenset({9, 10})
"""OpenSSL's error codes for certificates that are not valid yet or have expired (x509_vfy.h)."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """The client certificate of a validator.

    Attributes:
        cert_path: PEM file of the certificate, and of its chain if any.
        key_path: PEM file of the private key.
    """

    cert_path: str
    key_path: str


def certificate_call(
    config: BaseConfig, neuron: Neuron, netuid: NetUid | None
) -> OperationCall[NeuronCertificate]:
    """Return the call that reads the public key of a neuron from the chain.

    Args:
        config: the configuration of the client.
        neuron: the neuron.
        netuid: the neuron's subnet; None for the identity's subnet.

    Raises:
        PylonMisconfigured: there is neither a netuid nor an identity.
    """
    params = HotkeyParams(hotkey=neuron.hotkey)
    if netuid is not None:
        return OperationCall(CERTIFICATE, Scope.OPEN, netuid, params)
    if config.identity is None:
        raise PylonMisconfigured(
            "the subnet of the neuron is unknown: pass netuid, or configure an identity"
        )
    return OperationCall(CERTIFICATE, Scope.IDENTITY, params=params)


def client_certificate(config: BaseConfig) -> ClientCertificate | None:
    """Return the client certificate of a configuration; None for plain HTTP."""
    if config.mtls_cert_path is None or config.mtls_key_path is None:
        return None
    return ClientCertificate(config.mtls_cert_path, config.mtls_key_path)


def miner_url(neuron: Neuron, scheme: str) -> str:
    """Return the URL of a neuron's axon.

    Raises:
        ValueError: the neuron has not announced an address.
    """
    axon = neuron.axon_info
    # Port 0 cannot be reached.
    if not axon.is_serving or not axon.port:
        raise ValueError(f"the neuron {neuron.hotkey} has not announced an address")
    host = f"[{axon.ip}]" if axon.ip.version == 6 else f"{axon.ip}"  # noqa: PLR2004 - IPv6
    return f"{scheme}://{host}:{axon.port}"


def pinned_context(
    neuron: Neuron, on_chain: NeuronCertificate, certificate: ClientCertificate, timeout_s: float
) -> ssl.SSLContext:
    """Return a TLS context that trusts only the current certificate of a miner.

    Args:
        neuron: the miner, to which a handshake is made to read its certificate.
        on_chain: the public key of the miner on the chain.
        certificate: the client certificate.
        timeout_s: timeout of the handshake, in seconds.

    Raises:
        MtlsVerificationError: the certificate has another key than the chain.
        OSError: the miner cannot be reached.
    """
    if on_chain.algorithm is not CertificateAlgorithm.ED25519:
        raise MtlsVerificationError(
            f"{neuron.hotkey} has a key of an unknown algorithm on the chain"
        )
    shown = _fetch_certificate(neuron, certificate, timeout_s)
    expected = bytes.fromhex(on_chain.public_key.removeprefix("0x"))
    try:
        key = ed25519_key(shown)
    except ValueError as error:
        raise MtlsVerificationError(f"{neuron.hotkey} has no Ed25519 certificate") from error
    if not hmac.compare_digest(key, expected):
        raise MtlsVerificationError(
            f"{neuron.hotkey} has a certificate with another key than on the chain"
        )
    context = _context(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    # The issuer does not matter: the certificate itself is trusted.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(shown))
    return context


@cache
def default_context() -> ssl.SSLContext:
    """Return the TLS context of clients for miners on plain HTTP, which follow links to any host.

    It is shared: loading the trusted certificates takes tens of milliseconds of CPU.
    """
    import httpx  # noqa: PLC0415 - imported if used

    return httpx.create_ssl_context(trust_env=False)


def missing_certificate_error(neuron: Neuron) -> MtlsVerificationError:
    """Return the error for a miner without a public key on the chain."""
    return MtlsVerificationError(f"{neuron.hotkey} has no certificate on the chain")


@contextmanager
def translate_tls_errors(neuron: Neuron, url: str) -> Generator[None]:
    """Translate certificate errors of a miner within the block; pass those of other hosts.

    Args:
        neuron: the miner.
        url: the URL of the miner.

    Raises:
        MtlsVerificationError: the miner has replaced its certificate, or it is not valid now.
    """
    import httpx  # noqa: PLC0415 - imported if used

    try:
        yield
    except httpx.RequestError as error:
        refused = _find_verification_error(error)
        if refused is None or _origin(error.request.url) != _origin(httpx.URL(url)):
            raise
        is_validity_error = refused.verify_code in VALIDITY_ERRORS
        reason = (
            "a certificate that is not valid now"
            if is_validity_error
            else "replaced its certificate"
        )
        raise MtlsVerificationError(f"{neuron.hotkey} has {reason}") from error


def _find_verification_error(error: BaseException) -> ssl.SSLCertVerificationError | None:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    return cause


def _origin(url: "httpx.URL") -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _context(certificate: ClientCertificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # A miner is identified by its key; its certificate has no host name.
    context.check_hostname = False
    context.load_cert_chain(certificate.cert_path, certificate.key_path)
    return context


def _fetch_certificate(neuron: Neuron, certificate: ClientCertificate, timeout_s: float) -> bytes:
    context = _context(certificate)
    context.verify_mode = ssl.CERT_NONE  # its key is compared with the chain's
    address = (str(neuron.axon_info.ip), neuron.axon_info.port)
    try:
        with (
            socket.create_connection(address, timeout_s) as connection,
            context.wrap_socket(connection) as secured,
        ):
            shown = secured.getpeercert(binary_form=True)
    except ssl.SSLError as error:
        raise MtlsVerificationError(f"the TLS handshake with {neuron.hotkey} failed") from error
    if shown is None:
        raise MtlsVerificationError(f"{neuron.hotkey} sent no certificate")
    return shown
