"""`pylon worker` that kills itself (SIGKILL) at one step of its work on jobs.

    python -m tests.support.product.dying_worker "after SubtensorWriter.submit"

It is the product except for one wrapped method.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn

from nats.aio.msg import Msg

from pylon.chain.subtensor_writer import SubtensorWriter
from pylon.jetstream.lease import Leases
from pylon.jetstream.work_queue import WorkQueue
from pylon.jobs.in_flight_markers import InFlightMarkers
from pylon.jobs.job_store import JobStore
from pylon.jobs.latest_jobs import LatestJobs
from pylon_client.contract.jobs import ENDED, JobState

_Method = tuple[type, Callable[..., Any]]

_METHODS: Final[dict[str, _Method]] = {
    "JobStore.create": (JobStore, JobStore.create),
    "LatestJobs.set": (LatestJobs, LatestJobs.set),
    "WorkQueue.publish": (WorkQueue, WorkQueue.publish),
    "Leases.hold": (Leases, Leases.hold),
    "SubtensorWriter.sign": (SubtensorWriter, SubtensorWriter.sign),
    "InFlightMarkers.set": (InFlightMarkers, InFlightMarkers.set),
    "SubtensorWriter.submit": (SubtensorWriter, SubtensorWriter.submit),
    "SubtensorWriter.find_extrinsic": (SubtensorWriter, SubtensorWriter.find_extrinsic),
    "SubtensorWriter.is_on_chain": (SubtensorWriter, SubtensorWriter.is_on_chain),
    "Msg.ack": (Msg, Msg.ack),
}
_CHANGE: Final[_Method] = (JobStore, JobStore.change)
_CHANGES: Final = {
    "change to SUBMITTING": frozenset({JobState.SUBMITTING}),
    "change to an end": ENDED,
}

_A_HOTKEY: Final = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"

STEPS: Final = tuple(
    f"{when} {what}"
    for what in (*_METHODS, *_CHANGES)
    for when in ("before", "after")
    if (when, what) != ("after", "Leases.hold")  # it is a context, held until the end of a job
)
"""The steps at which such a worker can die, in the order of a job's processing."""


def die_at(step: str) -> None:
    """Arm this process."""
    when, _, what = step.partition(" ")
    states = _CHANGES.get(what)
    owner, original = _CHANGE if states else _METHODS[what]

    def matters(arguments: tuple[Any, ...]) -> bool:
        return states is None or (len(arguments) > 2 and arguments[2] in states)

    def hold(leases: Leases, name: str) -> Any:
        if len(name) == len(_A_HOTKEY):  # and not whose turn it is to publish
            _die()
        return original(leases, name)

    async def run(*arguments: Any, **more: Any) -> Any:
        if when == "before" and matters(arguments):
            _die()
        result = await original(*arguments, **more)
        if matters(arguments) and (what != "SubtensorWriter.find_extrinsic" or result is not None):
            _die()
        return result

    setattr(owner, original.__name__, hold if what == "Leases.hold" else run)


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("it was killed")


if __name__ == "__main__":
    from pylon.cli.main import main

    die_at(sys.argv.pop())
    sys.argv.append("worker")
    main()
