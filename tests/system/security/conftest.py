"""Every test here may use NATS with one server and with three, and whole workers on a devnet."""

from tests.integration.jobs.conftest import deployment, devnet, identity
from tests.support.chain.sdk_home import sdk_home
from tests.support.nats.replicas import address, nats, nats_servers

__all__ = ["address", "deployment", "devnet", "identity", "nats", "nats_servers", "sdk_home"]
