"""Leases: at most one holder of a name at a time, and a fencing token to reject a late holder."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Final

from pylon.jetstream.bucket import ABSENT, Bucket, ConflictError
from pylon_client.contract.failures import FailureError
from pylon_client.contract.types import Revision
from pylon_client.nats.cancellation import raise_if_cancelled

logger = logging.getLogger(__name__)

SAFE_TTL_FRACTION: Final = 0.8
"""Fraction of the TTL for which a holder relies on a lease that it has not renewed."""
RENEWALS_PER_TTL: Final = 4
"""Number of renewals within the TTL."""

_RELEASED_VALUE: Final = b""
"""Value of a released lease."""


class LeaseTakenError(Exception):
    """The lease has another holder."""


class LeaseLostError(Exception):
    """The lease was not renewed in time; another holder may have it now."""


@dataclass(slots=True)
class Lease:
    """A held lease.

    Attributes:
        name: name of the lease.
        revision: revision of the last renewal; it grows with each renewal and each holder.
        fencing_token: revision of the acquisition; the token of any later holder is greater.
    """

    name: str
    revision: Revision
    fencing_token: Revision


class Leases:
    """The leases of one bucket, whose entries expire after its TTL.

    Args:
        bucket: a bucket with a maximum age, which is the TTL of the leases.
        ttl_s: that maximum age, in seconds.
    """

    def __init__(self, bucket: Bucket, ttl_s: float) -> None:
        self._bucket = bucket
        self._ttl_s = ttl_s

    @contextlib.asynccontextmanager
    async def hold(self, name: str) -> AsyncGenerator[Lease]:
        """Hold and renew a lease while the body runs; the body is cancelled if the lease is lost.

        A cancelled body may still act once: it does not notice the cancellation while it is
        suspended. Actions that must not happen twice need a compare-and-set as well.

        Raises:
            LeaseTakenError: the lease has another holder.
            LeaseLostError: the lease was lost while the body ran.
            FailureError: NATS_UNAVAILABLE, if the lease could not be requested.
        """
        holder_id = secrets.token_hex(8).encode()
        requested_at_s = asyncio.get_running_loop().time()
        lease = await self._acquire(name, holder_id)
        scope = asyncio.timeout_at(requested_at_s + self._ttl_s * SAFE_TTL_FRACTION)
        try:
            async with scope:
                renewing = asyncio.create_task(self._renew(lease, holder_id, scope))
                try:
                    yield lease
                finally:
                    renewing.cancel()
                    await asyncio.wait({renewing})
        except TimeoutError:
            if scope.expired():
                raise LeaseLostError(name) from None
            raise
        finally:
            await self._release(lease)

    async def is_held(self, name: str) -> bool:
        """Return whether a lease is held now.

        Raises:
            FailureError: NATS_UNAVAILABLE.
        """
        entry = await self._bucket.get(name)
        return entry is not None and entry.value != _RELEASED_VALUE

    async def _acquire(self, name: str, holder_id: bytes) -> Lease:
        entry = await self._bucket.get(name)
        if entry is not None and entry.value != _RELEASED_VALUE:
            raise LeaseTakenError(name)
        revision = ABSENT if entry is None else entry.revision
        try:
            acquired = await self._bucket.put(name, holder_id, revision=revision)
        except ConflictError:
            raise LeaseTakenError(name) from None
        return Lease(name, acquired, acquired)

    async def _renew(self, lease: Lease, holder_id: bytes, scope: asyncio.Timeout) -> None:
        loop = asyncio.get_running_loop()
        for count in range(1, 1 << 62):
            await asyncio.sleep(self._ttl_s / RENEWALS_PER_TTL)
            requested_at_s = loop.time()
            try:
                lease.revision = await self._bucket.put(
                    lease.name, b"%s-%d" % (holder_id, count), revision=lease.revision
                )
            except ConflictError:
                logger.warning("Lost the lease %s to another holder", lease.name)
                scope.reschedule(loop.time())
                return
            except FailureError:
                continue  # the TTL keeps running
            raise_if_cancelled()
            if not scope.expired():
                scope.reschedule(requested_at_s + self._ttl_s * SAFE_TTL_FRACTION)

    async def _release(self, lease: Lease) -> None:
        # If this fails, the lease has expired or will expire.
        with contextlib.suppress(ConflictError, FailureError, TimeoutError):
            async with asyncio.timeout(self._ttl_s):
                await self._bucket.put(lease.name, _RELEASED_VALUE, revision=lease.revision)
