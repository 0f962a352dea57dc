import httpx

from tests.support.nats.scripted_nats import ScriptedNats


async def test_health_says_that_the_process_lives_whatever_nats_does(
    client: httpx.AsyncClient, nats: ScriptedNats
) -> None:
    for connected in (True, False):
        nats.is_connected = connected
        response = await client.get("/health")
        assert response.status_code == 200
        assert response.json() == {"status": "ok", "nats_connected": connected}


async def test_readiness_requires_nats(client: httpx.AsyncClient, nats: ScriptedNats) -> None:
    assert (await client.get("/health/ready")).status_code == 200
    nats.is_connected = False
    response = await client.get("/health/ready")
    assert response.status_code == 503
    assert response.json()["code"] == "NATS_UNAVAILABLE"
    assert response.headers["Retry-After"] == "1"


async def test_the_identities_are_public_and_their_tokens_are_not(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/api/v1/identities")
    assert response.status_code == 200
    assert response.json() == {"identities": {"sn1": 1, "sn2": 2}}
