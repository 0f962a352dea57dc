"""The client for programs with an event loop."""

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
from pylon_client.neuron_client import (
    TIMEOUT_S,
    certificate_call,
    client_certificate,
    miner_url,
    missing_certificate_error,
    pinned_context,
    translate_tls_errors,
)
from pylon_client.requester import Requester, require_config
from pylon_client.transport import OperationCall, ReplyT, StreamSpec, Transport

if TYPE_CHECKING:
    import ssl

    import httpx


class AsyncPylonClient:
    """Asks Pylon, over HTTP or NATS as the address says, and sends again what may yet succeed.

    Use it in an `async with` block, or call `open()` and `close()`; in one event loop, by any
    number of tasks at a time. Connections are made when they are first needed.

    Args:
        config: where Pylon is, who asks, and how patiently.
        transport: what carries the calls instead of HTTP or NATS, in tests.

    Attributes:
        open_access: what everybody may ask for.
        identity: what the configured identity may ask for.

    Raises:
        PylonMisconfigured: at construction, for a configuration that is no `AsyncConfig`.
    """

    def __init__(self, config: AsyncConfig, *, transport: Transport | None = None) -> None:
        require_config(config, AsyncConfig, "AsyncPylonClient")
        self.config = config
        self._requester = Requester(config, transport)
        self.open_access = AsyncOpenAccess(self._send, self._open_stream)
        self.identity = AsyncIdentity(self._send, self._requester.job_updates)

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self._requester.is_open

    async def open(self) -> None:
        """Make ready for use; it may be open already."""
        await self._requester.open()

    async def close(self) -> None:
        """Close every connection; it may be closed already, and may be opened again."""
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
        timeout: float = TIMEOUT_S,  # noqa: ASYNC109 -- the published name; httpx keeps it
        *,
        netuid: NetUid | None = None,
    ) -> AsyncGenerator["httpx.AsyncClient"]:
        """An HTTP client for a miner, as long as the block lasts: `httpx.AsyncClient`.

        Plain HTTP; or TLS on both sides where the configuration has `mtls_cert_path` and
        `mtls_key_path`. Then the miner must show the key that it has put on the chain, and
        nothing is sent to whoever does not.

        Args:
            neuron: the miner, as of a list of neurons.
            timeout: for how many seconds it may take for each step.
            netuid: the subnet that it is of; None is the identity's.

        Raises:
            MtlsVerificationError: the miner is not the one that the chain knows; also where a
                certificate that was shown before is exchanged within the block.
            OSError: the miner cannot be reached to be looked at.
            ValueError: the miner has announced no address.
        """
        import httpx  # noqa: PLC0415 - imported if used

        own = client_certificate(self.config)
        url = miner_url(neuron, "http" if own is None else "https")
        context: ssl.SSLContext | bool = True
        if own is not None:
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
        # A tenacity object keeps the state of one call per thread, and calls share this one.
        reply: ReplyT = await self.config.retry.copy()(self._requester.attempt, call)
        return reply

    async def _open_stream(
        self, stream: StreamSpec[ReplyT], *, after: BlockNumber | None, give_up_after_s: float
    ) -> AsyncGenerator[ReplyT]:
        following = ResumingStream(
            self._requester.listen, self._requester.confirm, stream, after, give_up_after_s
        )
        try:
            await self.config.retry.copy()(following.connect)
            while True:
                yield await following.__anext__()
        finally:
            await following.close()
