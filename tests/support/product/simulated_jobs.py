"""Acceptance and execution of jobs in one process, over a simulated chain and bucket."""

from typing import Any, NoReturn

from pylon.chain.chain_identity import ChainIdentity
from pylon.chain.write_port import Epoch
from pylon.jetstream.bucket import Entry
from pylon.jetstream.consumer import Ack
from pylon.jobs.acceptor import JobAcceptor
from pylon.jobs.chain_record import ChainRecord
from pylon.jobs.commitment_planner import CommitmentPlanner
from pylon.jobs.executor import JobExecutor
from pylon.jobs.job_store import JobStore
from pylon.jobs.retry_policy import RetryPolicy
from pylon.jobs.stored_job import StoredJob
from pylon.jobs.unknown_hotkeys import UnknownHotkeyPolicy
from pylon.jobs.weights_planner import WeightsPlanner
from pylon.jobs.write_request import WriteRequest
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.jobs import Job
from pylon_client.contract.types import IdentityName, JobKind, MechanismId, NetUid, Revision
from tests.support.product.adversary import Process, World
from tests.support.product.fake_signers import FakeSigner, address, signers_of

ALICE = IdentityName("alice")
SIGNER = FakeSigner(1)
KNOWN, STRANGER = address(7), address(8)


class Lagging(Process):
    """A chain whose node is some blocks behind."""

    def __init__(self, world: World, lag: int) -> None:
        super().__init__(world)
        self._lag = lag

    def _epoch(self) -> Epoch:
        return self.world.epoch(self.world.best - self._lag)


class Unreachable(Process):
    """A chain that does not answer."""

    async def genesis(self) -> NoReturn:
        raise FailureError(ErrorCode.CHAIN_UNAVAILABLE, "away")

    async def epoch(self, netuid: NetUid) -> NoReturn:
        raise FailureError(ErrorCode.CHAIN_UNAVAILABLE, "away")


class SimulatedJobs:
    """Accepts and executes the jobs of one identity.

    Args:
        world: the simulated chain, bucket and queue.
        unknown: policy for weights of unregistered hotkeys.
        attempts: maximum number of attempts of a job.
        process: the process that executes jobs; by default one without faults.
        lag: blocks that the acceptor's node is behind.
        chain: the chain of the acceptor; replaces the lagging one.

    Attributes:
        changes: every reported change of a job.
    """

    def __init__(
        self,
        world: World,
        unknown: UnknownHotkeyPolicy = UnknownHotkeyPolicy.DROP,
        attempts: int = 3,
        process: Process | None = None,
        lag: int = 0,
        chain: Process | None = None,
    ) -> None:
        self.world = world
        process = process or world.process()
        retry_policy = RetryPolicy(attempts, 0.0)
        self.changes: list[Job] = []
        self.store = JobStore(process, self._on_change, ended_retention_days=7)
        self.acceptor = JobAcceptor(
            self.store, process, chain or Lagging(world, lag), signers_of(ALICE)
        )
        planners = dict.fromkeys(JobKind, CommitmentPlanner(process, retry_policy)) | {
            JobKind.WEIGHTS: WeightsPlanner(process, retry_policy, unknown)
        }
        self.executor = JobExecutor(
            self.store, process, process, {ALICE: SIGNER}, planners, sleep=process.sleep
        )

    async def _on_change(self, job: Job) -> None:
        self.changes.append(job)

    async def accept(self, weights: dict[str, float] | None = None) -> Job:
        """Accept weights, by default of one registered hotkey."""
        params = {"weights": weights or {KNOWN: 1.0}}
        return await self.acceptor.accept(
            WriteRequest(ALICE, NetUid(1), JobKind.WEIGHTS, params, MechanismId(0))
        )

    async def stored(self, job: Job) -> StoredJob:
        """Return a job as it is stored now."""
        stored = await self.store.get(ALICE, job.job_id)
        assert stored is not None
        return stored

    async def execute_once(self, job: Job) -> Job:
        """Execute one delivery of a job, and return the stored job."""
        await self.executor.execute(ALICE, job.job_id)
        return (await self.stored(job)).job

    async def run_until_ended(self, job: Job) -> Job:
        """Deliver a job, with a block between two deliveries, until it has ended."""
        for _ in range(100):
            if isinstance(await self.executor.execute(ALICE, job.job_id), Ack):
                break
            self.world.tick()
        ended = (await self.stored(job)).job
        assert ended.has_ended
        return ended

    def overwrite(self, key: str, value: bytes = b"\xff{") -> None:
        """Replace the value of an entry, by default with garbage."""
        self.world.store[key] = Entry(key, value, Revision(next(self.world.revisions)))

    async def overwrite_job(self, job: Job, *, request: Any = None, **updates: Any) -> None:
        """Replace fields of a stored job without any check."""
        stored = await self.stored(job)
        record = stored.record.model_copy(
            update={
                "job": stored.job.model_copy(update=updates),
                "request": stored.record.request if request is None else request,
            }
        )
        self.overwrite(f"job.alice.{job.job_id}", record.model_dump_json().encode())


def advance_to(world: World, block: int) -> None:
    """Add blocks to the chain up to a block."""
    while world.best < block:
        world.tick()


async def accept_without_chain(world: World) -> tuple[SimulatedJobs, Job]:
    """Accept weights while the chain cannot be reached, in a deployment that knows its genesis."""
    jobs = SimulatedJobs(world)
    await ChainRecord(world.process()).bind(ChainIdentity("devnet", world.genesis))
    return jobs, await SimulatedJobs(world, chain=Unreachable(world)).accept()
