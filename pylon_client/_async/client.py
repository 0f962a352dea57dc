"""The asynchronous client."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pylon_client._async.identity import AsyncIdentity
from pylon_client._async.open_access import AsyncOpenAccess
from pylon_client.config import AsyncConfig
from pylon_client.contract.models import Neuron, NeuronCertificate
from pylon_client.contract.types import BlockNumber, NetUid
from pylon_client.errors import PylonNotFound
from pylon_client.events.resuming_stream import ResumingStream
from pylon_client.miner_tls import (
    MINER_TIMEOUT_S,
    certificate_call,
    client_certificate,
    default_context,
    miner_url,
    missing_certificate_error,
    pinned_context,
    translate_tls_errors,
)
from pylon_client.requester import Requester, require_config
from pylon_client.transport import OperationCall, ReplyT, StreamSpec, Transport

if TYPE_CHECKING:
    import httpx


class AsyncPylonClient:
    """A client of Pylon over HTTP or NATS, with retries.

    Use it in an `async with` block, or call `open()` and `close()`. Any number of tasks of one
    event loop may share a client. Connections are made on first use.

    Args:
        config: the address, the credentials, the timeouts and the retries.
        transport: replaces HTTP and NATS in tests.

    Attributes:
        open_access: reads without an identity.
        identity: reads and writes as the configured identity.

    Raises:
        PylonMisconfigured: at construction, for a configuration of another class than
            `AsyncConfig`.
    """

    def __init__(self, config: AsyncConfig, *, transport: Transport | None = None) -> None:
        require_config(config, AsyncConfig, "AsyncPylonClient")
        self.config = config
        self._requester = Requester(config, transport)
        self.open_access = AsyncOpenAccess(self._send, self._open_stream)
        self.identity = AsyncIdentity(self._send, self._requester.job_updates)

    @property
    def is_open(self) -> bool:
        """Return whether the client is open."""
        return self._requester.is_open

    async def open(self) -> None:
        """Open the client; a second call does nothing."""
        await self._requester.open()

    async def close(self) -> None:
        """Close all connections; a second call does nothing. The client may be opened again."""
        await self._requester.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @asynccontextmanager
    async def get_neuron_client(
        self,
        neuron: Neuron,
        timeout: float = MINER_TIMEOUT_S,  # noqa: ASYNC109 -- the published name; httpx keeps it
        *,
        netuid: NetUid | None = None,
    ) -> AsyncGenerator["httpx.AsyncClient"]:
        """Yield an `httpx.AsyncClient` for a miner, which is closed after the block.

        The client uses plain HTTP, or mutual TLS if the configuration has `mtls_cert_path` and
        `mtls_key_path`. With TLS, the miner's certificate must contain the public key that the
        miner put on the chain; otherwise nothing is sent.

        Args:
            neuron: the miner.
            timeout: timeout of each step of a request, in seconds.
            netuid: the miner's subnet; None for the identity's subnet.

        Raises:
            MtlsVerificationError: the miner's certificate does not match the chain, or was
                replaced within the block.
            OSError: the miner cannot be reached to read its certificate.
            ValueError: the miner has not announced an address.
        """
        import httpx  # noqa: PLC0415 - imported if used

        own = client_certificate(self.config)
        url = miner_url(neuron, "http" if own is None else "https")
        if own is None:
            context = default_context()
        else:
            on_chain = await self._fetch_chain_certificate(neuron, netuid)
            context = await asyncio.to_thread(pinned_context, neuron, on_chain, own, timeout)
        async with httpx.AsyncClient(
            base_url=url, timeout=timeout, verify=context, trust_env=False
        ) as http:
            with translate_tls_errors(neuron, url):
                yield http

    async def _fetch_chain_certificate(
        self, neuron: Neuron, netuid: NetUid | None
    ) -> NeuronCertificate:
        try:
            return await self._send(certificate_call(self.config, neuron, netuid))
        except PylonNotFound as error:
            raise missing_certificate_error(neuron) from error

    async def _send(self, call: OperationCall[ReplyT]) -> ReplyT:
        # A tenacity object stores its state per thread, so concurrent calls need a copy each.
        reply: ReplyT = await self.config.retry.copy()(self._requester.attempt, call)
        return reply

    async def _open_stream(
        self, stream: StreamSpec[ReplyT], *, after: BlockNumber | None, give_up_after_s: float
    ) -> AsyncGenerator[ReplyT]:
        events = ResumingStream(
            self._requester.listen, self._requester.confirm, stream, after, give_up_after_s
        )
        try:
            await self.config.retry.copy()(events.connect)
            async for event in events:
                yield event
        finally:
            await events.close()
