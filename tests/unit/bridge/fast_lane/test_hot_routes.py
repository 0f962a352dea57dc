"""Exact paths of hot reads."""

import pytest

from bridge.auth import Authenticator
from bridge.fast_lane.hot_routes import HotRoutes
from bridge.http_metrics import BridgeMetrics
from bridge.memory.memory_reads import MemoryReads, MemoryReply
from bridge.response_builder import ResponseBuilder
from bridge.settings import BridgeSettings
from pylon_client.contract.models import Block
from pylon_client.contract.types import BlockHash, BlockNumber, NetUid

REPLY = MemoryReply(Block(number=BlockNumber(1), hash=BlockHash("0x1")), b"{}")


class Memory(MemoryReads):
    """Holds the replies of subnet 3."""

    def __init__(self) -> None:
        super().__init__(block_duration_s=12, recent_limit_blocks=64, is_connected=lambda: True)

    def latest(self, operation: str, netuid: NetUid | None) -> MemoryReply | None:
        return REPLY if netuid == 3 else None


@pytest.fixture
def routes() -> HotRoutes:
    settings = BridgeSettings(bridge_root_path="/prefix")
    return HotRoutes(
        settings,
        Authenticator(settings),
        Memory(),
        ResponseBuilder(),
        BridgeMetrics(),
        lambda: True,
    )


@pytest.mark.parametrize(
    "path",
    [
        *(b"/health", b"/prefix/health", b"/api/v1/block/latest", b"/api/_unstable/block/latest"),
        b"/api/v1/subnet/3/block/latest/neurons",
        b"/prefix/api/v1/subnet/3/block/recent/neurons",
        b"/api/_unstable/openaccess/subnet/3/block/latest/validators",
        b"/api/v1/identity/sn1/subnet/1/block/latest/neurons",
        b"/prefix/api/_unstable/identity/sn2/subnet/2/block/latest/validators",
    ],
)
def test_a_hot_read_has_one_route(routes: HotRoutes, path: bytes) -> None:
    route = routes.find(path)
    assert route is not None
    assert routes.find(path) is route


@pytest.mark.parametrize(
    "path",
    [
        *(b"", b"/", b"/health/", b"/health/ready", b"//health", b"/prefix", b"/api/v1/block/1"),
        b"/api/v1/subnet/4/block/latest/neurons",
        b"/api/v1/subnet/03/block/latest/neurons",
        b"/api/v1/subnet/3/block/latest/neurons?",
        b"/api/v1/subnet/3/block/latest/neurons\n",
        b"/api/v1/subnet/3/block/latest/commitments",
        b"/api/v1/subnet/\xc2\xb3/block/latest/neurons",
        b"/api/v1/identity/sn1/subnet/2/block/latest/neurons",
        b"/api/v1/identity/nobody/subnet/1/block/latest/neurons",
    ],
)
def test_other_paths_have_none(routes: HotRoutes, path: bytes) -> None:
    assert routes.find(path) is None


def test_only_subnets_with_replies_add_routes(routes: HotRoutes) -> None:
    before = len(routes._routes)
    for netuid in range(100):
        routes.find(b"/api/v1/subnet/%d/block/latest/neurons" % netuid)
    assert len(routes._routes) == before + 2, "with and without the prefix"
