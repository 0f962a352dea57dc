"""The settings of a chain worker, read from `PYLON_…` variables and the `.env` file."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from pylon.chain.archive_routing import DEFAULT_CUTOFF_BLOCKS
from pylon.chain.endpoint_label import is_node_url
from pylon.common.deployment_settings import DeploymentSettings
from pylon.common.environment_settings import json_list
from pylon.jobs.unknown_hotkeys import UnknownHotkeyPolicy
from pylon.worker.role import WorkerRole
from pylon_client.contract.jobs import ENDED_JOBS_KEPT_DAYS
from pylon_client.contract.types import NetUid, NetUidField


class WorkerSettings(DeploymentSettings):
    """What a chain worker needs to know.

    Attributes:
        bittensor_network: a network's name (`finney`, `test`, …) or a node's `ws://` URL.
        bittensor_archive_network: the same, for blocks whose state the first one discarded;
            empty when there is none.
        bittensor_archive_blocks_cutoff: blocks older than this are read from the archive.
        bittensor_wallet_path: the folder of wallets; only signers read keys in it. Empty for none.
        tracked_netuids: subnets to publish every block, beside those of the identities.
        recent_objects_hard_limit_blocks: recent neurons older than this are not given out.
        block_duration_seconds: the chain's pace, by which the age of recent neurons is told while
            the chain is not heard of.
        chain_timeout_seconds: how long one read of the chain may take when no caller says.
        head_silence_seconds: without a new head for this long, the subscription is given up.
        max_requests: requests in progress at once, without those that wait for the chain or for a
            job. Half of the places are divided equally among the identities and open access, the
            others are shared.
        drain_timeout_seconds: how long a worker finishes what it has in hand when told to stop.
        worker_memory_limit_mib: a worker that holds more stops in good order, to be started
            afresh; without it, none does.
        worker_role: whether it answers reads, accepts and carries out writes with the identities'
            hotkeys, or both.
        weights_retry_attempts: how often the chain may refuse a weights job.
        weights_retry_delay_seconds: the pause between two attempts.
        weights_unknown_hotkeys: what becomes of weights for hotkeys that are not registered.
        commitment_retry_attempts: how often the chain may refuse a commitment.
        commitment_retry_delay_seconds: the pause between two attempts.
        ended_jobs_kept_days: for how long jobs are kept that have ended.
        signer_grace_seconds: for how long writes are accepted after their identity's last signer
            was seen, or this worker was started, so that a restart of signers refuses none.
        nats_stream_replicas: how many NATS servers keep each stream that is made here.
        health_host: the address at which `/livez`, `/readyz` and `/metrics` are answered.
        health_port: their port; 0 lets the system choose, and without one nothing is.
    """

    bittensor_network: str = "finney"
    bittensor_archive_network: str = "archive"
    bittensor_archive_blocks_cutoff: int = Field(default=DEFAULT_CUTOFF_BLOCKS, ge=0)
    bittensor_wallet_path: Path | None = Path("~/.bittensor/wallets")
    tracked_netuids: Annotated[list[NetUidField], NoDecode, json_list("[1, 12]")] = Field(
        default_factory=list[NetUid]
    )
    recent_objects_hard_limit_blocks: int = Field(default=64, ge=0)
    block_duration_seconds: float = Field(default=12.0, gt=0)
    chain_timeout_seconds: float = Field(default=30.0, gt=0)
    head_silence_seconds: float = Field(default=36.0, gt=0)
    max_requests: int = Field(default=256, ge=1)
    drain_timeout_seconds: float = Field(default=20.0, gt=0)
    worker_memory_limit_mib: int | None = Field(default=None, ge=1)
    worker_role: WorkerRole = WorkerRole.ALL
    weights_retry_attempts: int = Field(default=200, ge=1)
    weights_retry_delay_seconds: float = Field(default=1.0, ge=0)
    weights_unknown_hotkeys: UnknownHotkeyPolicy = UnknownHotkeyPolicy.DROP
    commitment_retry_attempts: int = Field(default=10, ge=1)
    commitment_retry_delay_seconds: float = Field(default=1.0, ge=0)
    ended_jobs_kept_days: int = Field(default=ENDED_JOBS_KEPT_DAYS, ge=1)
    signer_grace_seconds: float = Field(default=120.0, ge=0)
    nats_stream_replicas: int = Field(default=1, ge=1, le=5)
    health_host: str = "127.0.0.1"
    health_port: int | None = Field(default=None, ge=0, le=65_535)

    @field_validator("bittensor_network", "bittensor_archive_network")
    @classmethod
    def _validate_network(cls, network: str) -> str:
        if "://" in network and not is_node_url(network):
            raise ValueError("must be the name of a network or a ws:// or wss:// URL")
        return network

    @property
    def uses_reader_user(self) -> bool:
        """Whether this worker connects as the NATS user `reader`, which has no JetStream."""
        return not self.worker_role.signs and bool(self.nats_reader_password.get_secret_value())

    @property
    def netuids(self) -> list[NetUid]:
        """Every tracked subnet, in ascending order, once each."""
        of_identities = {identity.netuid for identity in self.identity_settings.values()}
        return sorted(of_identities | set(self.tracked_netuids))
