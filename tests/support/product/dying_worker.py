"""`pylon worker` that kills itself (SIGKILL) at one step of its work on jobs.

    python -m tests.support.product.dying_worker "after SubtensorWriter.submit"

It is the product except for one wrapped method.
"""

import os
import signal
import sys
from typing import Any, Final, NoReturn

from nats.aio.msg import Msg

from pylon.chain.subtensor_writer import SubtensorWriter
from pylon.jetstream.lease import Leases
from pylon.jetstream.work_queue import WorkQueue
from pylon.jobs.job_store import JobStore
from pylon_client.contract.jobs import ENDED, JobState

_METHODS: Final = {
    f"{owner.__name__}.{method.__name__}": (owner, method.__name__)
    for owner, method in (
        (JobStore, JobStore.create),
        (JobStore, JobStore.set_latest),
        (WorkQueue, WorkQueue.publish),
        (Leases, Leases.hold),
        (SubtensorWriter, SubtensorWriter.sign),
        (JobStore, JobStore.mark_in_flight),
        (SubtensorWriter, SubtensorWriter.submit),
        (SubtensorWriter, SubtensorWriter.find_extrinsic),
        (SubtensorWriter, SubtensorWriter.is_on_chain),
        (Msg, Msg.ack),
    )
}
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
    owner, name = (JobStore, JobStore.change.__name__) if states else _METHODS[what]
    original = getattr(owner, name)

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

    setattr(owner, name, hold if what == "Leases.hold" else run)


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("it was killed")


if __name__ == "__main__":
    from pylon.cli.main import main

    die_at(sys.argv.pop())
    sys.argv.append("worker")
    main()
