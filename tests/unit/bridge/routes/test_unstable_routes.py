"""Paths of the unstable API, which some published clients use."""

import httpx
import pytest

from bridge.routes.unstable_routes import unstable_paths
from pylon_client.contract.operations import OPERATIONS
from tests.support.nats.scripted_nats import OPEN_TOKEN, SN1_TOKEN, ScriptedNats

HOTKEY = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"
UNSTABLE = "/api/_unstable"


@pytest.mark.parametrize(
    ("path", "subject"),
    [
        ("/openaccess/subnet/1/block/latest/neurons", "open.1.neurons.latest"),
        ("/subnet/1/block/recent/neurons", "open.1.neurons.recent"),
        ("/openaccess/subnet/1/block/5/validators", "open.1.validators.at"),
        ("/openaccess/subnet/1/block/latest/commitments", "open.1.commitments.typed.latest"),
        (
            f"/openaccess/subnet/1/block/latest/commitments/{HOTKEY}",
            "open.1.commitments.typed.of",
        ),
        (
            "/openaccess/subnet/1/block/latest/commitments/revealed",
            "open.1.commitments.revealed.latest",
        ),
        ("/openaccess/block/latest", "open.chain.block.latest"),
        ("/openaccess/block/latest/prices", "open.chain.prices.latest"),
        ("/openaccess/block/7/extrinsic/2", "open.chain.extrinsic.at"),
        (
            "/identity/sn1/subnet/1/block/latest/commitments/self",
            "identity.sn1.commitments.typed.self",
        ),
        (
            "/identity/sn1/subnet/1/mechanism/0/block/9/weights/status",
            "identity.sn1.weights.status",
        ),
    ],
)
async def test_an_unstable_path_is_another_way_to_the_same_operation(
    client: httpx.AsyncClient, nats: ScriptedNats, path: str, subject: str
) -> None:
    token = SN1_TOKEN if "/identity/" in path else OPEN_TOKEN
    assert (await client.get(f"{UNSTABLE}{path}")).status_code == 401
    headers = {b"Authorization": f"Bearer {token}".encode()}
    assert (await client.get(f"{UNSTABLE}{path}", headers=headers)).status_code == 200
    assert [asked.subject for asked in nats.asked] == [f"pylon.v1.{subject}"]


async def test_requests_that_published_clients_send_without_a_token_are_public(
    client: httpx.AsyncClient,
) -> None:
    drand = f"{UNSTABLE}/openaccess/block/latest/drand/last_stored_round"
    assert (await client.get(drand)).status_code == 200
    assert (await client.get(f"{UNSTABLE}/identities")).json() == {
        "identities": {"sn1": 1, "sn2": 2}
    }


def test_every_operation_has_its_unstable_paths_or_gives_them_to_the_typed_form() -> None:
    without = {
        operation.name
        for operation in OPERATIONS
        for scope in operation.scopes
        if not unstable_paths(operation, scope)
    }
    assert without == {"commitments.latest", "commitments.of", "commitments.self"}
    paths = [
        (operation.method, path)
        for operation in OPERATIONS
        for scope in operation.scopes
        for path in unstable_paths(operation, scope)
    ]
    assert len(paths) == len(set(paths))
