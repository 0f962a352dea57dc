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

_METHODS: Final = (
    JobStore.create,
    JobStore.set_latest,
    WorkQueue.publish,
    Leases.hold,
    SubtensorWriter.sign,
    JobStore.mark_in_flight,
    SubtensorWriter.submit,
    SubtensorWriter.find_extrinsic,
    SubtensorWriter.is_on_chain,
    Msg.ack,
)
"""Methods before and after which a worker can die, in the order of a job's processing."""
_NAMES: Final = {method.__qualname__: method for method in _METHODS}
_CHANGES: Final = {
    "change to SUBMITTING": frozenset({JobState.SUBMITTING}),
    "change to an end": ENDED,
}

_EXAMPLE_HOTKEY: Final = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"

STEPS: Final = tuple(
    f"{when} {action}"
    for action in (*_NAMES, *_CHANGES)
    for when in ("before", "after")
    if (when, action) != ("after", "Leases.hold")  # a context manager that lasts as long as the job
)
"""The steps at which such a worker can die."""


def die_at(step: str) -> None:
    """Wrap the method of a step so that this process kills itself there.

    Args:
        step: one of `STEPS`.
    """
    when, _, action = step.partition(" ")
    states = _CHANGES.get(action)
    method = JobStore.change if states else _NAMES[action]
    owner = getattr(sys.modules[method.__module__], method.__qualname__.partition(".")[0])
    original: Any = method

    def is_step(arguments: tuple[Any, ...]) -> bool:
        return states is None or (len(arguments) > 2 and arguments[2] in states)

    def hold(leases: Leases, name: str) -> Any:
        if len(name) == len(_EXAMPLE_HOTKEY):  # the lease of a hotkey, not that of the publisher
            _die()
        return original(leases, name)

    async def run(*arguments: Any, **options: Any) -> Any:
        if when == "before" and is_step(arguments):
            _die()
        result = await original(*arguments, **options)
        # A search is repeated until it finds the extrinsic: die after that one.
        is_unfinished_search = action == "SubtensorWriter.find_extrinsic" and result is None
        if is_step(arguments) and not is_unfinished_search:
            _die()
        return result

    setattr(owner, method.__name__, hold if action == "Leases.hold" else run)


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("it was killed")


if __name__ == "__main__":
    from pylon.cli.main import main

    die_at(sys.argv.pop())
    sys.argv.append("worker")
    main()
