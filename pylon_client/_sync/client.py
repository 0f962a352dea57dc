"""The synchronous client."""

import atexit
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeVar, TypeVarTuple

from pylon_client._sync.identity import Identity
from pylon_client._sync.open_access import OpenAccess
from pylon_client.config import Config
from pylon_client.contract.jobs import Job
from pylon_client.contract.models import Neuron, NeuronCertificate
from pylon_client.contract.types import BlockNumber, JobId, NetUid
from pylon_client.errors import PylonClosed, PylonNotFound
from pylon_client.events.job_updates import JobUpdateSubscription
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
    from anyio.from_thread import BlockingPortal

T = TypeVar("T")
ArgsT = TypeVarTuple("ArgsT")


class PylonClient:
    """A blocking client of Pylon over HTTP or NATS, with retries.

    Use it in a `with` block, or call `open()` and `close()`. Any number of threads may share a
    client. Its connections belong to a separate event loop in a separate thread: NATS connections
    stay alive between calls, and other event loops are not affected. If the client is still open
    when the interpreter exits, it is closed, and daemon threads that use it end.

    Args:
        config: the address, the credentials, the timeouts and the retries.
        transport: replaces HTTP and NATS in tests.

    Attributes:
        open_access: reads without an identity.
        identity: reads and writes as the configured identity.

    Raises:
        PylonMisconfigured: at construction, for a configuration of another class than `Config`.
    """

    def __init__(self, config: Config, *, transport: Transport | None = None) -> None:
        require_config(config, Config, "PylonClient")
        self.config = config
        self._requester = Requester(config, transport)
        self._lifecycle = Lock()
        self._portal: BlockingPortal | None = None
        self._portal_thread = ExitStack()
        self._is_exiting = False
        self.open_access = OpenAccess(self._send, self._open_stream)
        self.identity = Identity(self._send, self._listen_to_job)

    @property
    def is_open(self) -> bool:
        """Return whether the client is open."""
        return self._portal is not None

    def open(self) -> None:
        """Open the client; a second call does nothing."""
        from anyio.from_thread import start_blocking_portal  # noqa: PLC0415 - imported if used

        with self._lifecycle:
            if self._portal is not None:
                return
            with ExitStack() as thread:
                portal = thread.enter_context(start_blocking_portal(name="pylon-client"))
                portal.call(self._requester.open)
                self._portal_thread = thread.pop_all()
            self._portal = portal
            atexit.register(self._close_at_exit)

    def close(self) -> None:
        """Close all connections; a second call does nothing. The client may be opened again.

        Calls in progress in other threads raise `PylonClosed`.
        """
        with self._lifecycle:
            portal, self._portal = self._portal, None
            if portal is None:
                return
            atexit.unregister(self._close_at_exit)
            with self._portal_thread:
                portal.call(self._requester.close)
                portal.call(portal.stop, True)

    def _close_at_exit(self) -> None:
        self._is_exiting = True
        self.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def get_neuron_client(
        self, neuron: Neuron, timeout: float = MINER_TIMEOUT_S, *, netuid: NetUid | None = None
    ) -> Generator["httpx.Client"]:
        """Yield an `httpx.Client` for a miner, which is closed after the block.

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
            on_chain = self._fetch_chain_certificate(neuron, netuid)
            context = pinned_context(neuron, on_chain, own, timeout)
        with (
            httpx.Client(base_url=url, timeout=timeout, verify=context, trust_env=False) as http,
            translate_tls_errors(neuron, url),
        ):
            yield http

    def _fetch_chain_certificate(self, neuron: Neuron, netuid: NetUid | None) -> NeuronCertificate:
        try:
            return self._send(certificate_call(self.config, neuron, netuid))
        except PylonNotFound as error:
            raise missing_certificate_error(neuron) from error

    def _send(self, call: OperationCall[ReplyT]) -> ReplyT:
        def attempt() -> ReplyT:
            return self._run_in_loop(self._requester.attempt, call)

        return self.config.retry(attempt)

    def _listen_to_job(self, job_id: JobId) -> "_BlockingJobUpdates":
        return _BlockingJobUpdates(self._requester.job_updates(job_id), self._run_in_loop)

    def _open_stream(
        self, stream: StreamSpec[ReplyT], *, after: BlockNumber | None, give_up_after_s: float
    ) -> Generator[ReplyT]:
        events = ResumingStream(
            self._requester.listen, self._requester.confirm, stream, after, give_up_after_s
        )
        try:
            self.config.retry(partial(self._run_in_loop, events.connect))
            while True:
                yield self._run_in_loop(events.__anext__)
        finally:
            # A closed client has closed its streams already.
            with suppress(PylonClosed):
                self._run_in_loop(events.close)

    def _run_in_loop(self, function: Callable[[*ArgsT], Awaitable[T]], *args: *ArgsT) -> T:
        portal = self._portal
        if portal is None:
            raise self._closed_error(
                "the client is not open: use it in a `with` block, or call open()"
            )
        try:
            future = portal.start_task_soon(function, *args)
        except RuntimeError as error:
            raise self._closed_error("the client is closed") from error
        try:
            return future.result()
        except (CancelledError, PylonClosed) as error:
            raise self._closed_error("the client was closed during the call") from error
        except BaseException:
            # The waiting thread was interrupted, so the result is no longer needed.
            future.cancel()
            raise

    def _closed_error(self, why: str) -> BaseException:
        # At exit only daemon threads are left; SystemExit ends them silently.
        return SystemExit() if self._is_exiting else PylonClosed(why)


class _RunInLoop(Protocol):
    """Runs a function in the client's event loop and returns its result."""

    def __call__(self, function: Callable[[*ArgsT], Awaitable[T]], *args: *ArgsT) -> T: ...


class _BlockingJobUpdates:
    """Updates of a job, received in the client's event loop."""

    def __init__(self, changes: JobUpdateSubscription, run: _RunInLoop) -> None:
        self._updates = changes
        self._run = run

    @property
    def is_live(self) -> bool:
        return self._updates.is_live

    def next(self, timeout_s: float) -> Job | None:
        return self._run(self._updates.next, timeout_s)

    def close(self) -> None:
        # A closed client has closed its streams already.
        with suppress(PylonClosed):
            self._run(self._updates.close)
