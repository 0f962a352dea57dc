"""Writes and jobs of an identity: part of `client.identity`.

`pylon_client._sync.identity_writes` is generated from this module by `scripts/blocking_client.py`.
"""

from collections.abc import Mapping
from typing import Literal

from pylon_client import responses
from pylon_client.contract import writes
from pylon_client.contract.operation import Scope
from pylon_client.contract.types import Hotkey, JobId, MechanismId, Weight
from pylon_client.errors import BasePylonException
from pylon_client.job_poller import JOB_TIMEOUT_S, JobPoller, OnChange
from pylon_client.requester import AsyncListenToJob, AsyncSend
from pylon_client.transport import OperationCall, idempotency_key_or_new

_DEFAULT_MECHANISM = MechanismId(0)


class AsyncIdentityWrites:
    """Writes as the configured identity, on its subnet.

    Each write has an idempotency key, by default a random one. Retries of the client therefore
    never create a second job.
    """

    def __init__(self, send: AsyncSend, listen_to_job: AsyncListenToJob) -> None:
        self._send = send
        self._listen_to_job = listen_to_job

    async def put_weights(
        self,
        weights: Mapping[Hotkey, Weight],
        mechanism_id: MechanismId = _DEFAULT_MECHANISM,
        *,
        idempotency_key: str | None = None,
    ) -> responses.SetWeightsResponse:
        """Create a job that sets weights; return when the job is stored durably.

        The weights are on the chain later: see `wait_for_job` with the returned `job_id`. Newer
        weights replace older ones that were not submitted yet.

        Args:
            weights: relative weights by hotkey, none negative and not all zero.
            mechanism_id: the subnet's mechanism.
            idempotency_key: calls with the same key are one job.
        """
        key = idempotency_key_or_new(idempotency_key)
        if mechanism_id == _DEFAULT_MECHANISM:
            params = writes.PutWeights(weights=dict(weights))
            return await self._send(
                OperationCall(writes.PUT_WEIGHTS, Scope.IDENTITY, None, params, key)
            )
        of_mechanism = writes.PutMechanismWeights(weights=dict(weights), mechanism_id=mechanism_id)
        return await self._send(
            OperationCall(writes.PUT_MECHANISM_WEIGHTS, Scope.IDENTITY, None, of_mechanism, key)
        )

    async def set_commitment(
        self,
        commitment: bytes | str,
        *,
        idempotency_key: str | None = None,
    ) -> responses.SetCommitmentResponse:
        """Publish a commitment of plain data; return when it is on the chain.

        Args:
            commitment: 1 to 128 bytes, or their hexadecimal digits with or without 0x.
            idempotency_key: calls with the same key are one job.

        Raises:
            PylonBadGateway: the chain rejected the commitment, or was not reached in time.
        """
        text = commitment if isinstance(commitment, str) else f"0x{commitment.hex()}"
        params = writes.SetCommitment(commitment=text)
        key = idempotency_key_or_new(idempotency_key)
        return await self._send(
            OperationCall(writes.SET_COMMITMENT, Scope.IDENTITY, None, params, key)
        )

    async def set_revealed_commitment(
        self,
        commitment: str,
        blocks_until_reveal: int = 360,
        *,
        idempotency_key: str | None = None,
    ) -> responses.SetRevealedCommitmentResponse:
        """Publish a timelock-encrypted text; return its reveal round when it is on the chain.

        Args:
            commitment: the text; the chain decrypts it at the reveal round.
            blocks_until_reveal: number of blocks until the reveal.
            idempotency_key: calls with the same key are one job.

        Raises:
            PylonBadGateway: the chain rejected the commitment, or was not reached in time.
        """
        params = writes.SetRevealedCommitment(
            commitment=commitment, blocks_until_reveal=blocks_until_reveal
        )
        key = idempotency_key_or_new(idempotency_key)
        return await self._send(
            OperationCall(writes.SET_REVEALED_COMMITMENT, Scope.IDENTITY, None, params, key)
        )

    async def generate_certificate(
        self, *, idempotency_key: str | None = None
    ) -> responses.GenerateCertificateResponse:
        """Generate an Ed25519 key pair for TLS, and create a job that registers the public key.

        Pylon does not store the private key: this reply is the only one that contains it. So the
        reply is sent before the public key is on the chain; `wait_for_job(pair.job_id)` waits for
        that. A repeated request, such as a retry after a lost reply, generates another pair, and
        the newest pair is valid.

        Args:
            idempotency_key: sent as with every write; it does not return an earlier pair.

        Raises:
            PylonUnavailable: no worker can sign for the identity.
            PylonBadGateway: the identity's hotkey is not registered on the subnet.
        """
        params = writes.GenerateCertificate()
        key = idempotency_key_or_new(idempotency_key)
        return await self._send(
            OperationCall(writes.GENERATE_CERTIFICATE, Scope.IDENTITY, None, params, key)
        )

    async def get_jobs(
        self,
        *,
        limit: int | None = None,
        before: str | None = None,
        state: Literal["open", "ended"] | None = None,
    ) -> responses.GetJobsResponse:
        """Return a page of the identity's jobs: open ones and recently ended ones.

        Open jobs come first, newest first, then ended jobs, last ended first. Each page is sorted
        by creation time, newest first.

        Args:
            limit: maximum number of jobs, 1 to 1000; default 100.
            before: `next` of the previous page; None for the first page.
            state: `open` or `ended`; None for both.
        """
        given = {"limit": limit, "before": before, "state": state}
        params = writes.ListJobs.model_validate(
            {name: value for name, value in given.items() if value is not None}
        )
        return await self._send(OperationCall(writes.LIST_JOBS, Scope.IDENTITY, params=params))

    async def get_job(self, job_id: JobId) -> responses.GetJobResponse:
        """Return one job of the identity.

        Raises:
            PylonNotFound: the identity has no such job, or it is no longer stored.
        """
        params = writes.JobParams(job_id=job_id)
        return await self._send(OperationCall(writes.GET_JOB, Scope.IDENTITY, params=params))

    async def wait_for_job(
        self,
        job_id: JobId,
        timeout_s: float = JOB_TIMEOUT_S,
        *,
        on_change: OnChange | None = None,
    ) -> responses.GetJobResponse:
        """Wait until a job of the identity has ended, and return it; see its `state`.

        The client subscribes to the job's events. While the subscription fails, the client polls
        with a delay of up to two seconds. Failed requests that can be retried do not end the wait.
        Each state is logged at INFO.

        Args:
            job_id: the `job_id` in the response to the write.
            timeout_s: timeout in seconds; the last request may exceed it.
            on_change: called with the first observed job, and after each change.

        Raises:
            PylonJobTimeoutException: the job has not ended in time. It may still end, and the wait
                may be repeated.
            PylonNotFound: the identity has no such job, or it is no longer stored.
        """
        poller = JobPoller(job_id, timeout_s, on_change)
        updates = self._listen_to_job(job_id)
        try:
            while True:
                try:
                    job = await self.get_job(job_id)
                except BasePylonException as error:
                    poller.observe_error(error)
                else:
                    if poller.observe(job):
                        return job
                while update := await updates.next(poller.poll_delay_s(is_live=updates.is_live)):
                    if poller.observe(update):
                        return update
        finally:
            await updates.close()

    async def cancel_job(self, job_id: JobId) -> responses.GetJobResponse:
        """Cancel a job that was not submitted yet; return an ended job unchanged.

        Raises:
            PylonNotFound: the identity has no such job, or it is no longer stored.
            PylonResponseException: with the code CONFLICT; the job is being submitted.
        """
        params = writes.JobParams(job_id=job_id)
        return await self._send(OperationCall(writes.CANCEL_JOB, Scope.IDENTITY, params=params))
