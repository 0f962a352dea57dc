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
from pylon_client.contract.jobs import ENDED_JOBS_RETENTION_DAYS
from pylon_client.contract.types import NetUid, NetUidField


class WorkerSettings(DeploymentSettings):
    """Settings of a chain worker.

    Attributes:
        bittensor_network: name of a network (`finney`, `test`, …) or `ws://` URL of a node.
        bittensor_archive_network: archive node for blocks whose state the main node has
            discarded, in the same form; empty for none.
        bittensor_archive_blocks_cutoff: blocks older than this are read from the archive node.
        bittensor_wallet_path: folder of the wallets; only signers read keys in it. Empty for none.
        tracked_netuids: subnets to publish every block, in addition to those of the identities.
        chain_timeout_seconds: timeout of a chain read if the request specifies none.
        head_silence_seconds: time without a new head after which the worker subscribes again.
        max_requests: maximum number of requests in progress, not counting requests that wait for
            the chain or for a job. Half of it is divided equally among the identities and open
            access; the rest is shared.
        drain_timeout_seconds: time that requests in progress have to finish when the worker stops.
        worker_memory_limit_mib: memory above which the worker stops gracefully, to be restarted;
            empty for no limit.
        worker_role: `reader` answers reads, `signer` accepts and submits writes, `all` does both.
        weights_retry_attempts: maximum number of refusals of a weights job by the chain.
        weights_retry_delay_seconds: delay between two attempts.
        weights_unknown_hotkeys: handling of weights for hotkeys that are not registered.
        commitment_retry_attempts: maximum number of refusals of a commitment by the chain.
        commitment_retry_delay_seconds: delay between two attempts.
        ended_jobs_kept_days: retention of ended jobs.
        signer_grace_seconds: time after the last announcement of an identity's signer, or after
            the start of this worker, during which writes are still accepted. It covers a restart.
        nats_stream_replicas: number of replicas of each stream that the worker creates.
        health_host: address of `/livez`, `/readyz` and `/metrics`.
        health_port: port of these endpoints; 0 lets the system choose. Empty to disable them.
    """

    bittensor_network: str = "finney"
    bittensor_archive_network: str = "archive"
    bittensor_archive_blocks_cutoff: int = Field(default=DEFAULT_CUTOFF_BLOCKS, ge=0)
    bittensor_wallet_path: Path | None = Path("~/.bittensor/wallets")
    tracked_netuids: Annotated[list[NetUidField], NoDecode, json_list("[1, 12]")] = Field(
        default_factory=list[NetUid]
    )
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
    ended_jobs_kept_days: int = Field(default=ENDED_JOBS_RETENTION_DAYS, ge=1)
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
        """Return whether this worker connects as the NATS user `reader`, without JetStream."""
        return not self.worker_role.signs and bool(self.nats_reader_password.get_secret_value())

    @property
    def netuids(self) -> list[NetUid]:
        """Return the tracked subnets and the identities' subnets, in ascending order."""
        of_identities = {identity.netuid for identity in self.identity_settings.values()}
        return sorted(of_identities | set(self.tracked_netuids))
