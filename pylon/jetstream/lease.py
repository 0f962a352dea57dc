"""Leases: at most one holder of a name at a time, and a number that tells a late one apart."""

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
"""For this share of its time to live a holder may be sure of a lease that it does not renew."""
RENEWALS_PER_TTL: Final = 4
"""How often a lease is renewed within its time to live."""

_RELEASED_VALUE: Final = b""
"""Value of a lease that nobody holds."""


class LeaseTakenError(Exception):
    """Somebody else holds the lease."""


class LeaseLostError(Exception):
    """The lease could not be renewed in time; somebody else may hold it by now."""


@dataclass(slots=True)
class Lease:
    """A lease that is held.

    Attributes:
        name: of what is held.
        revision: as of the last renewal; it only grows, also from holder to holder.
        fencing_token: the revision at which it was taken: any later holder's is greater.
    """

    name: str
    revision: Revision
    fencing_token: Revision


class Leases:
    """The leases of one bucket, whose entries expire by themselves.

    Args:
        bucket: with a maximum age, which is the leases' time to live.
        ttl_s: that maximum age.
    """

    def __init__(self, bucket: Bucket, ttl_s: float) -> None:
        self._bucket = bucket
        self._ttl_s = ttl_s

    @contextlib.asynccontextmanager
    async def hold(self, name: str) -> AsyncGenerator[Lease]:
        """Hold a lease while the body runs, renewing it; the body is cancelled when it is lost.

        Losing it is not undone by what the body does: whatever must not happen twice has to be
        guarded by a compare and set of its own, since a body may be asleep when it is cancelled.

        Raises:
            LeaseTakenError: somebody else holds it.
            LeaseLostError: it was lost while the body ran.
            FailureError: NATS_UNAVAILABLE when it could not be asked for.
        """
        mark = secrets.token_hex(8).encode()
        asked_at_s = asyncio.get_running_loop().time()
        lease = await self._acquire(name, mark)
        scope = asyncio.timeout_at(asked_at_s + self._ttl_s * SAFE_TTL_FRACTION)
        try:
            async with scope:
                renewing = asyncio.create_task(self._renew(lease, mark, scope))
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
        """Return whether somebody holds a lease now.

        Raises:
            FailureError: NATS_UNAVAILABLE.
        """
        held = await self._bucket.get(name)
        return held is not None and held.value != _RELEASED_VALUE

    async def _acquire(self, name: str, holder_id: bytes) -> Lease:
        held = await self._bucket.get(name)
        if held is not None and held.value != _RELEASED_VALUE:
            raise LeaseTakenError(name)
        revision = ABSENT if held is None else held.revision
        try:
            taken = await self._bucket.put(name, holder_id, revision=revision)
        except ConflictError:
            raise LeaseTakenError(name) from None
        return Lease(name, taken, taken)

    async def _renew(self, lease: Lease, holder_id: bytes, scope: asyncio.Timeout) -> None:
        loop = asyncio.get_running_loop()
        for count in range(1, 1 << 62):
            await asyncio.sleep(self._ttl_s / RENEWALS_PER_TTL)
            asked_at_s = loop.time()
            try:
                lease.revision = await self._bucket.put(
                    lease.name, b"%s-%d" % (holder_id, count), revision=lease.revision
                )
            except ConflictError:
                logger.warning("The lease %s was lost to somebody else", lease.name)
                scope.reschedule(loop.time())
                return
            except FailureError:
                continue  # its time to live runs on meanwhile
            raise_if_cancelled()
            if not scope.expired():
                scope.reschedule(asked_at_s + self._ttl_s * SAFE_TTL_FRACTION)

    async def _release(self, lease: Lease) -> None:
        # Where this fails, the lease has expired, or will by itself.
        with contextlib.suppress(ConflictError, FailureError, TimeoutError):
            async with asyncio.timeout(self._ttl_s):
                await self._bucket.put(lease.name, _RELEASED_VALUE, revision=lease.revision)
