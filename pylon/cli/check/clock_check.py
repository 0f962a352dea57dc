"""Compare the clocks of this machine, the NATS server and the chain, and name the wrong one."""

from typing import Final

from pylon.cli.check.findings import Finding, failure, ok, warning
from pylon.jetstream.stream_admin import JetStreamRequestError, server_clock_offset_s
from pylon.nats_server.worker_user import worker_connection_options
from pylon.worker.settings import WorkerSettings
from pylon_client.contract.failures import FailureError
from pylon_client.contract.topology import STREAMS
from pylon_client.nats.nats_connection import connect

CLOCK_TOLERANCE_S: Final = 5.0
"""Maximum difference of two clocks, in seconds; block timestamps have whole seconds."""
SUBJECT: Final = "clock"
_REMEDY: Final = "synchronise it (NTP)"


async def nats_clock_offset_s(settings: WorkerSettings) -> float | None:
    """Return the seconds by which the NATS server's clock is ahead of this machine's.

    Returns:
        None if JetStream cannot be queried.
    """
    if settings.uses_reader_user:  # this user may not look at streams
        return None
    try:
        connection = await connect(worker_connection_options(settings, "pylon check"))
    except FailureError:
        return None
    try:
        for plan in STREAMS:
            offset_s = await server_clock_offset_s(connection, plan.name)
            if offset_s is not None:
                return offset_s
    except JetStreamRequestError:
        return None
    finally:
        await connection.close()
    return None


def check_head(
    node: str, number: int, age_s: float, *, silence_s: float, nats_offset_s: float | None
) -> list[Finding]:
    """Judge the age of the newest block, and name the clock that makes it impossible.

    Args:
        node: name of the node, without secrets.
        number: number of its newest block.
        age_s: seconds since the block was made, by this machine's clock.
        silence_s: age, in seconds, above which a node lags behind.
        nats_offset_s: seconds by which the clock of the NATS server is ahead; None if unknown.
    """
    head = f"{node} is at block {number}"
    old = f"{head}, {max(age_s, 0.0):.0f} s old"
    is_plausible = -CLOCK_TOLERANCE_S <= age_s <= silence_s
    if nats_offset_s is not None and abs(nats_offset_s) > CLOCK_TOLERANCE_S:
        return _nats_clock_findings(
            head, old, age_s, silence_s, nats_offset_s, is_plausible=is_plausible
        )
    if is_plausible:
        return [ok("chain", old)]
    if age_s > silence_s:
        remedy = "the node lags behind: choose another"
        if nats_offset_s is None:
            remedy += ", unless the clock of this machine is ahead"
        return [failure("chain", old, remedy)]
    future = f"its newest block is dated {-age_s:.0f} s after this machine's time"
    if nats_offset_s is None:
        text = f"{future}: this machine's clock is behind, or the chain's is ahead"
    else:
        text = (
            f"{future}, with which the NATS server's agrees: the clocks of both are behind, or the "
            "chain's is ahead"
        )
    return [ok("chain", head), warning(SUBJECT, text, _REMEDY)]


def _nats_clock_findings(
    head: str, old: str, age_s: float, silence_s: float, nats_offset_s: float, *, is_plausible: bool
) -> list[Finding]:
    """Return the findings if this machine and the NATS server have different times."""
    if is_plausible:
        offset = _offset_text(nats_offset_s)
        text = f"the clock of the NATS server is {offset}, by this machine and the chain"
        return [ok("chain", old), warning(SUBJECT, text, _REMEDY)]
    text = f"the clock of this machine is {_offset_text(-nats_offset_s)}, by the NATS server"
    if -CLOCK_TOLERANCE_S <= age_s + nats_offset_s <= silence_s:
        text += " and the chain"
        return [ok("chain", head), warning(SUBJECT, text, _REMEDY)]
    text += f"; by the chain, whose newest block is dated otherwise, it is {_offset_text(age_s)}"
    return [ok("chain", head), warning(SUBJECT, text, "compare all three clocks (NTP)")]


def _offset_text(offset_s: float) -> str:
    return f"{abs(offset_s):.0f} s {'ahead' if offset_s > 0 else 'behind'}"
