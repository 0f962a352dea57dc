"""The client for programs without an event loop."""

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
    from anyio.from_thread import BlockingPortal

T = TypeVar("T")
ArgsT = TypeVarTuple("ArgsT")


class PylonClient:
    """Asks Pylon as `AsyncPylonClient` does, and waits for each answer.

    Use it in a `with` block, or call `open()` and `close()`; from any number of threads at a
    time. Connections live in an event loop of the client's own, in a thread of its own, so that
    NATS's are kept alive between calls and no other event loop is disturbed. A client that is
    still open when the interpreter exits is closed then, and daemon threads that use it end.

    Args:
        config: where Pylon is, who asks, and how patiently.
        transport: what carries the calls instead of HTTP or NATS, in tests.

    Attributes:
        open_access: what everybody may ask for.
        identity: what the configured identity may ask for.

    Raises:
        PylonMisconfigured: at construction, for a configuration that is no `Config`.
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
        """Whether it can be used."""
        return self._portal is not None

    def open(self) -> None:
        """Make ready for use; it may be open already."""
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
        """Close every connection; it may be closed already, and may be opened again.

        Calls of other threads that are under way end with `PylonClosed`.
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
        self, neuron: Neuron, timeout: float = TIMEOUT_S, *, netuid: NetUid | None = None
    ) -> Generator["httpx.Client"]:
        """An HTTP client for a miner, as long as the block lasts: `httpx.Client`.

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
        following = ResumingStream(
            self._requester.listen, self._requester.confirm, stream, after, give_up_after_s
        )
        try:
            self.config.retry(partial(self._run_in_loop, following.connect))
            while True:
                yield self._run_in_loop(following.__anext__)
        finally:
            # A client that is closed has let go of everything already.
            with suppress(PylonClosed):
                self._run_in_loop(following.close)

    def _run_in_loop(self, function: Callable[[*ArgsT], Awaitable[T]], *args: *ArgsT) -> T:
        portal = self._portal
        if portal is None:
            raise self._closed_error(
                "the client is not open: use it in a `with` block, or call open()"
            )
        try:
            answer = portal.start_task_soon(function, *args)
        except RuntimeError as error:
            raise self._closed_error("the client is closed") from error
        try:
            return answer.result()
        except (CancelledError, PylonClosed) as error:
            raise self._closed_error("the client was closed during the call") from error
        except BaseException:
            # The waiting thread may have been interrupted: nobody wants the answer any more.
            answer.cancel()
            raise

    def _closed_error(self, why: str) -> BaseException:
        # At exit only daemon threads are left. They end then, and Python says nothing of it.
        return SystemExit() if self._is_exiting else PylonClosed(why)


class _RunInLoop(Protocol):
    """Runs something in the client's event loop, and waits for it."""

    def __call__(self, function: Callable[[*ArgsT], Awaitable[T]], *args: *ArgsT) -> T: ...


class _BlockingJobUpdates:
    """The changes of a job, received in the client's event loop."""

    def __init__(self, changes: JobUpdateSubscription, run: _RunInLoop) -> None:
        self._updates = changes
        self._run = run

    @property
    def is_live(self) -> bool:
        return self._updates.is_live

    def next(self, timeout_s: float) -> Job | None:
        return self._run(self._updates.next, timeout_s)

    def close(self) -> None:
        # A client that is closed has let go of everything already.
        with suppress(PylonClosed):
            self._run(self._updates.close)
