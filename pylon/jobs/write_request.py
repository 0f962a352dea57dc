"""Requests to write, and the ids and records that are derived from them."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from pylon.jobs.acceptance_context import AcceptanceContext
from pylon.jobs.stored_job import JobRecord
from pylon_client.contract import json_codec
from pylon_client.contract.jobs import Job
from pylon_client.contract.subjects import JobSubject
from pylon_client.contract.types import IdentityName, JobId, JobKind, MechanismId, NetUid

_ID_BYTES: Final = 16


@dataclass(frozen=True)
class WriteRequest:
    """A validated request to write to the chain.

    Attributes:
        identity: identity that writes.
        netuid: subnet of the identity.
        kind: kind of job.
        params: parameters of the operation.
        mechanism: mechanism of the subnet; None for kinds without one.
        count: number of items, for example of weights.
        idempotency_key: the caller's key; requests with the same key get the same job.
        submit_after_response: whether submission waits until `JobAcceptor.release`.
    """

    identity: IdentityName
    netuid: NetUid
    kind: JobKind
    params: Mapping[str, Any]
    mechanism: MechanismId | None = None
    count: int = 1
    idempotency_key: str | None = None
    submit_after_response: bool = False

    @property
    def subject(self) -> JobSubject:
        """Return the queue subject of the job."""
        return JobSubject(self.identity, self.kind, self.mechanism)

    @cached_property
    def digest(self) -> str:
        """Return the digest of the content, which does not depend on the order of keys."""
        return _digest(json_codec.encode(_canonical(self.params)))

    def job_id_by_key(self, key: str) -> JobId:
        """Return the id of the job of an idempotency key."""
        return self._job_id("key", key)

    def job_id_after(self, number: int) -> JobId:
        """Return the id of a job without a key.

        Concurrent requests with the same content derive the same id from the latest job.

        Args:
            number: number of the latest job of the queue.
        """
        return self._job_id("place", self.digest, str(number))

    def record(self, context: AcceptanceContext, job_id: JobId, number: int) -> JobRecord:
        """Return the record of a new job.

        Args:
            context: time and chain state at which the write is accepted.
            job_id: id of the job.
            number: number of the job in its queue.
        """
        job = Job(
            job_id=job_id,
            identity=self.identity,
            netuid=self.netuid,
            kind=self.kind,
            mechanism=self.mechanism,
            created_at_ms=context.accepted_at_ms,
            updated_at_ms=context.accepted_at_ms,
            count=self.count,
            genesis=context.genesis,
            **context.deadline_fields(self.kind),
        )
        return JobRecord(
            job=job,
            number=number,
            digest=self.digest,
            request=dict(self.params),
            unanswered=self.submit_after_response,
        )

    def _job_id(self, *parts: str) -> JobId:
        # Stored ids contain these texts: they must not change.
        return JobId(_digest(*(part.encode() for part in (str(self.subject), *parts))))


def _digest(*parts: bytes) -> str:
    """Return 26 characters of base32 that depend on every part and on the part boundaries."""
    digest = hashlib.blake2b(digest_size=_ID_BYTES)
    for part in parts:
        digest.update(b"%d:" % len(part) + part)
    return base64.b32encode(digest.digest()).decode().rstrip("=").lower()


def _canonical(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the parameters with sorted keys."""
    return {
        name: dict(sorted(value.items())) if isinstance(value, dict) else value  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType, reportUnknownVariableType] -- of any names and values
        for name, value in sorted(params.items())
    }
