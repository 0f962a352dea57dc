"""HTTP clients for miners, against real TLS servers of right and wrong identity."""

import asyncio
import contextlib
import datetime as dt
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from pylon_client.certificate_key import ed25519_key
from pylon_client.contract.models import CertificateAlgorithm, NeuronCertificate
from pylon_client.contract.types import Port, PublicKey
from pylon_client.testing import FakePylon, reads, sample_neuron
from pylon_client.v1 import (
    AsyncConfig,
    AxonInfo,
    AxonProtocol,
    Config,
    MtlsVerificationError,
    NetUid,
    Neuron,
    PylonMisconfigured,
    PylonNotFound,
)
from tests.support.product.client_methods import HOTKEY


@dataclass(frozen=True)
class Identity:
    """A key, and a certificate that says it is of that key, in two PEM files."""

    key: Any
    cert: Path
    key_file: Path
    der: bytes

    @property
    def on_chain(self) -> NeuronCertificate:
        raw = self.key.public_key().public_bytes_raw()
        return NeuronCertificate(
            algorithm=CertificateAlgorithm.ED25519, public_key=PublicKey(f"0x{raw.hex()}")
        )


Issue = Callable[..., Identity]


@pytest.fixture
def issue(tmp_path: Path) -> Issue:
    def make(
        name: str, *, key: Any = None, hidden: bytes | None = None, valid_days: float = 1
    ) -> Identity:
        key = key or Ed25519PrivateKey.generate()
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=valid_days))
        )
        if hidden is not None:
            oid = x509.ObjectIdentifier("1.3.6.1.4.1.99999.1")
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, hidden), critical=False)
        algorithm = None if isinstance(key, Ed25519PrivateKey) else SHA256()
        certificate = builder.sign(key, algorithm)
        made = Identity(
            key,
            tmp_path / f"{name}.pem",
            tmp_path / f"{name}.key",
            certificate.public_bytes(serialization.Encoding.DER),
        )
        made.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        made.key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return made

    return make


@dataclass
class Miner:
    """A miner that answers every request with `mined`.

    Attributes:
        asked: the first line of each request.
        shown: the certificates that its callers showed, in DER.
    """

    port: int
    request_lines: list[str]
    client_certificates: list[bytes | None]

    @property
    def neuron(self) -> Neuron:
        axon = AxonInfo(
            ip=IPv4Address("127.0.0.1"), port=Port(self.port), protocol=AxonProtocol.HTTP
        )
        return sample_neuron(3, axon_info=axon, hotkey=HOTKEY)


@asynccontextmanager
async def miner(
    certificate: Identity | None = None, trusts: Identity | None = None, *, port: int = 0
) -> AsyncGenerator[Miner]:
    serving = Miner(0, [], [])

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if request := await reader.readline():
            secured = writer.get_extra_info("ssl_object")
            serving.client_certificates.append(
                secured.getpeercert(binary_form=True) if secured else None
            )
            serving.request_lines.append(request.decode().strip())
            while (await reader.readline()).strip():
                pass
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nmined")
            await writer.drain()
        writer.close()

    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.cert, certificate.key_file)
        if trusts is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(trusts.cert)
    server = await asyncio.start_server(answer, "127.0.0.1", port, ssl=context)
    serving.port = server.sockets[0].getsockname()[1]
    async with server:
        yield serving


def pylon_with(certificate: NeuronCertificate | None) -> FakePylon:
    pylon = FakePylon()
    if certificate is None:
        pylon.fail(reads.CERTIFICATE, PylonNotFound(), times=None)
    else:
        pylon.answer(reads.CERTIFICATE, certificate)
    return pylon


async def post_async(pylon: FakePylon, neuron: Neuron, **fields: Any) -> str:
    async with (
        pylon.async_client(**fields) as client,
        client.get_neuron_client(neuron, timeout=20) as http,
    ):
        return (await http.post("/work", json={"task": 1})).text


async def post_sync(pylon: FakePylon, neuron: Neuron, **fields: Any) -> str:
    def post() -> str:
        with pylon.client(**fields) as client, client.get_neuron_client(neuron, timeout=20) as http:
            return http.post("/work", json={"task": 1}).text

    return await asyncio.to_thread(post)


@pytest.fixture(params=[post_async, post_sync], ids=["async", "sync"])
def post(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def validator(issue: Issue) -> Identity:
    return issue("validator")


@pytest.fixture
def mtls(validator: Identity) -> dict[str, str]:
    return {"mtls_cert_path": str(validator.cert), "mtls_key_path": str(validator.key_file)}


async def test_without_a_client_certificate_plain_http_is_used(post: Any) -> None:
    pylon = FakePylon()
    async with miner() as serving:
        assert await post(pylon, serving.neuron) == "mined"
    assert serving.request_lines == ["POST /work HTTP/1.1"]
    assert pylon.calls == []


async def test_both_sides_verify_each_others_keys(
    post: Any, issue: Issue, validator: Identity, mtls: dict[str, str]
) -> None:
    certificate = issue("miner")
    async with miner(certificate, trusts=validator) as serving:
        assert await post(pylon_with(certificate.on_chain), serving.neuron, **mtls) == "mined"
    assert serving.request_lines == ["POST /work HTTP/1.1"]
    assert serving.client_certificates == [validator.der]


async def test_nothing_is_sent_to_an_impostor(
    post: Any, issue: Issue, mtls: dict[str, str]
) -> None:
    """Certificates with another key, with the right key hidden inside, or of another algorithm."""
    real = issue("real")
    known = real.key.public_key()
    spki = known.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    impostors = [
        issue("other"),
        issue("hiding", hidden=spki),
        issue("elliptic", key=generate_private_key(SECP256R1())),
    ]
    for impostor in impostors:
        async with miner(impostor) as serving:
            with pytest.raises(MtlsVerificationError):
                await post(pylon_with(real.on_chain), serving.neuron, **mtls)
        assert serving.request_lines == []


async def test_a_miner_without_a_key_on_the_chain_or_without_tls_is_rejected(
    post: Any, issue: Issue, mtls: dict[str, str]
) -> None:
    certificate = issue("miner")
    async with miner(certificate) as serving:
        with pytest.raises(MtlsVerificationError, match="no certificate on the chain"):
            await post(pylon_with(None), serving.neuron, **mtls)
    assert serving.request_lines == []
    async with miner() as plain:
        with pytest.raises(MtlsVerificationError, match="TLS"):
            await post(pylon_with(certificate.on_chain), plain.neuron, **mtls)
    with pytest.raises(OSError, match="refused"):
        await post(pylon_with(certificate.on_chain), plain.neuron, **mtls)


async def test_a_replaced_certificate_is_rejected(issue: Issue, mtls: dict[str, str]) -> None:
    """The address changes hands after the first look."""
    requests = await count_requests(
        issue("first"), issue("second"), "replaced its certificate", mtls
    )
    assert requests == (1, 0)


async def test_an_expired_certificate_is_reported_as_such(
    issue: Issue, mtls: dict[str, str]
) -> None:
    over = issue("over", valid_days=-0.5)
    assert await count_requests(over, over, "a certificate that is not valid now", mtls) == (0, 0)


async def count_requests(
    first: Identity, second: Identity, expected: str, mtls: dict[str, str]
) -> tuple[int, int]:
    """How often each of two miners is asked, of which the second takes the first one's address."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(pylon_with(first.on_chain).async_client(**mtls))
        async with miner(first) as before:
            getting = client.get_neuron_client(before.neuron, timeout=20)
            http = await getting.__aenter__()
            with contextlib.suppress(httpx.ConnectError):
                assert (await http.get("/")).text == "mined"
        async with miner(second, port=before.port) as after:
            with pytest.raises(httpx.ConnectError) as refused:
                await http.get("/")
        with pytest.raises(MtlsVerificationError, match=expected):
            await getting.__aexit__(httpx.ConnectError, refused.value, None)
    return len(before.request_lines), len(after.request_lines)


async def test_certificate_errors_of_other_hosts_are_not_attributed_to_the_miner(
    issue: Issue, mtls: dict[str, str]
) -> None:
    certificate = issue("miner")
    async with miner(certificate) as serving, miner(issue("other")) as other:
        pylon = pylon_with(certificate.on_chain)
        async with pylon.async_client(**mtls) as client:

            async def get_from_other() -> None:
                async with (
                    client.get_neuron_client(serving.neuron, timeout=20),
                    httpx.AsyncClient() as another,
                ):
                    await another.get(f"https://127.0.0.1:{other.port}/")

            with pytest.raises(httpx.ConnectError, match="self-signed"):
                await get_from_other()


async def test_other_errors_are_not_translated(issue: Issue, mtls: dict[str, str]) -> None:
    certificate = issue("miner")
    async with miner(certificate) as serving:
        pylon = pylon_with(certificate.on_chain)
        async with pylon.async_client(**mtls) as client:
            with pytest.raises(httpx.ConnectError):
                async with client.get_neuron_client(serving.neuron, timeout=20) as http:
                    await http.get("http://127.0.0.1:1/")


async def test_the_default_subnet_is_the_identitys(mtls: dict[str, str]) -> None:
    pylon = pylon_with(None)
    neuron = Miner(1, [], []).neuron
    nobody = {"identity_name": None, "identity_token": None}
    async with pylon.async_client(**mtls, **nobody) as client:
        with pytest.raises(PylonMisconfigured, match="netuid"):
            async with client.get_neuron_client(neuron):
                pass
        with pytest.raises(MtlsVerificationError):
            async with client.get_neuron_client(neuron, netuid=NetUid(5)):
                pass
    assert [call.netuid for call in pylon.calls] == [5]


@pytest.mark.parametrize("missing", [{"ip": IPv4Address(0)}, {"port": Port(0)}])
async def test_a_miner_without_a_complete_address_is_rejected(
    missing: dict[str, Any],
) -> None:
    announced = sample_neuron().axon_info
    nowhere = sample_neuron(axon_info=announced.model_copy(update=missing))
    with FakePylon().client() as blocking, pytest.raises(ValueError, match="address"):
        blocking.get_neuron_client(nowhere).__enter__()
    async with FakePylon().async_client() as client:
        with pytest.raises(ValueError, match="address"):
            await client.get_neuron_client(nowhere).__aenter__()


@pytest.mark.parametrize("kind", [AsyncConfig, Config])
def test_a_client_certificate_requires_its_key(kind: Any) -> None:
    with pytest.raises(ValueError, match="mtls_key_path is missing"):
        kind(address="http://a", mtls_cert_path="cert.pem")
    with pytest.raises(ValueError, match="mtls_cert_path is missing"):
        kind(address="http://a", mtls_key_path="key.pem")


def test_invalid_certificates_have_no_key(issue: Issue) -> None:
    der = issue("whole").der
    assert len(ed25519_key(der)) == 32
    for cut in range(0, 200, 3):
        with pytest.raises(ValueError, match="certificate"):
            ed25519_key(der[:cut])
