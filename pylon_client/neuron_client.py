"""An HTTP client for a miner: plain, or with mutual TLS where the chain vouches for the miner.

A miner's certificate is signed by nobody that a validator knows; but the public key in it stands
on the chain, put there with the miner's hotkey. So the key is compared, and from then on that one
certificate is trusted and no other. Whoever answers at the address without the private key cannot
complete the handshake.
"""

import hmac
import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
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

TIMEOUT_S: Final = 30.0
"""For how long a miner may take to answer, unless the caller says otherwise."""
VALIDITY_ERRORS: Final = frozenset({9, 10})
"""What OpenSSL says of certificates that are not valid yet, and not any more (x509_vfy.h)."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What a validator shows to miners: the paths of two PEM files.

    Attributes:
        cert_path: its certificate, and those that vouch for it if any.
        key_path: its private key.
    """

    cert_path: str
    key_path: str


def certificate_call(
    config: BaseConfig, neuron: Neuron, netuid: NetUid | None
) -> OperationCall[NeuronCertificate]:
    """What asks for the key that the chain has of a neuron.

    Args:
        config: who asks.
        neuron: whose key.
        netuid: the neuron's subnet; None is the identity's.

    Raises:
        PylonMisconfigured: there is neither.
    """
    params = HotkeyParams(hotkey=neuron.hotkey)
    if netuid is not None:
        return OperationCall(CERTIFICATE, Scope.OPEN, netuid, params)
    if config.identity is None:
        raise PylonMisconfigured("of which subnet is the neuron? Give netuid, or an identity")
    return OperationCall(CERTIFICATE, Scope.IDENTITY, params=params)


def client_certificate(config: BaseConfig) -> ClientCertificate | None:
    """What a configuration has to show to miners; None where it is to be plain HTTP."""
    if config.mtls_cert_path is None or config.mtls_key_path is None:
        return None
    return ClientCertificate(config.mtls_cert_path, config.mtls_key_path)


def miner_url(neuron: Neuron, scheme: str) -> str:
    """Where a neuron serves.

    Raises:
        ValueError: it serves nowhere.
    """
    axon = neuron.axon_info
    # A port of 0 is none that could be reached, whatever stands before it.
    if not axon.is_serving or not axon.port:
        raise ValueError(f"the neuron {neuron.hotkey} has not announced an address")
    host = f"[{axon.ip}]" if axon.ip.version == 6 else f"{axon.ip}"  # noqa: PLR2004 - IPv6
    return f"{scheme}://{host}:{axon.port}"


def pinned_context(
    neuron: Neuron, on_chain: NeuronCertificate, certificate: ClientCertificate, timeout_s: float
) -> ssl.SSLContext:
    """A context that trusts the certificate which this miner shows now, and no other.

    Args:
        neuron: the miner, who is asked for its certificate; nothing else is sent.
        on_chain: what the chain says about it.
        certificate: what to show to the miner.
        timeout_s: for how long the miner may take.

    Raises:
        MtlsVerificationError: the key in the certificate is not the one on the chain.
        OSError: the miner cannot be reached.
    """
    if on_chain.algorithm is not CertificateAlgorithm.ED25519:
        raise MtlsVerificationError(f"{neuron.hotkey} has a key of an algorithm that is not known")
    shown = _fetch_certificate(neuron, certificate, timeout_s)
    expected = bytes.fromhex(on_chain.public_key.removeprefix("0x"))
    try:
        key = ed25519_key(shown)
    except ValueError as error:
        raise MtlsVerificationError(f"{neuron.hotkey} shows no Ed25519 certificate") from error
    if not hmac.compare_digest(key, expected):
        raise MtlsVerificationError(f"{neuron.hotkey} shows another key than the one on the chain")
    context = _context(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    # Whoever has signed it does not matter: it is trusted by itself.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(shown))
    return context


def missing_certificate_error(neuron: Neuron) -> MtlsVerificationError:
    """What to raise about a miner of whom the chain has no key."""
    return MtlsVerificationError(f"{neuron.hotkey} has no certificate on the chain")


@contextmanager
def translate_tls_errors(neuron: Neuron, url: str) -> Generator[None]:
    """Raise what TLS says against a miner within the block as what it is.

    What others are asked within the block is none of the miner's.

    Args:
        neuron: the miner.
        url: where it is asked.

    Raises:
        MtlsVerificationError: another certificate was shown than the one that was checked, or its
            time is over.
    """
    import httpx  # noqa: PLC0415 - imported if used

    try:
        yield
    except httpx.RequestError as error:
        refused = _find_verification_error(error)
        if refused is None or _origin(error.request.url) != _origin(httpx.URL(url)):
            raise
        is_out_of_time = refused.verify_code in VALIDITY_ERRORS
        shown = (
            "a certificate out of its time" if is_out_of_time else "another certificate than before"
        )
        raise MtlsVerificationError(f"{neuron.hotkey} shows {shown}") from error


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
    # A miner is known by its key; its certificate names no address.
    context.check_hostname = False
    context.load_cert_chain(certificate.cert_path, certificate.key_path)
    return context


def _fetch_certificate(neuron: Neuron, certificate: ClientCertificate, timeout_s: float) -> bytes:
    context = _context(certificate)
    context.verify_mode = ssl.CERT_NONE  # the key in it is compared with the chain's
    address = (str(neuron.axon_info.ip), neuron.axon_info.port)
    try:
        with (
            socket.create_connection(address, timeout_s) as connection,
            context.wrap_socket(connection) as secured,
        ):
            shown = secured.getpeercert(binary_form=True)
    except ssl.SSLError as error:
        raise MtlsVerificationError(f"{neuron.hotkey} does not agree on TLS") from error
    if shown is None:
        raise MtlsVerificationError(f"{neuron.hotkey} shows no certificate")
    return shown
