"""Signed cookies of sessions."""

import base64
import json

import pytest

from bridge.sessions import SESSION_LIFETIME_S, Sessions
from bridge.settings import BridgeSettings


async def test_a_session_ends_and_none_can_be_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    identities = BridgeSettings().identity_settings
    sn1, sn2 = identities.values()
    sessions = Sessions(identities, lambda: clock[0])
    cookie = sessions.create(sn1)
    assert sessions.verify(cookie) == sn1
    body, _, signature = cookie.partition(".")
    said = json.loads(base64.urlsafe_b64decode(body))
    forged = base64.urlsafe_b64encode(json.dumps({**said, "identity_name": "sn2"}).encode())
    longer = base64.urlsafe_b64encode(json.dumps({**said, "ends_at_s": 10**10}).encode())
    for wrong in (
        "",
        ".",
        "x.y",
        body,
        f"{body}.",
        f"{body}.{'0' * 64}",
        f"{forged.decode()}.{signature}",
        f"{longer.decode()}.{signature}",
        f"{cookie}0",
        "ÿ.ÿ",
        f"{base64.urlsafe_b64encode(b'[]').decode()}.{signature}",
    ):
        assert sessions.verify(wrong) is None
    moved = {sn1.name: sn1.model_copy(update={"netuid": 9})}
    assert Sessions(moved, lambda: clock[0]).verify(cookie) is None
    new_token = {sn1.name: sn1.model_copy(update={"token": sn2.token})}
    assert Sessions(new_token, lambda: clock[0]).verify(cookie) is None
    clock[0] += SESSION_LIFETIME_S - 1
    assert sessions.verify(cookie) == sn1
    clock[0] += 1
    assert sessions.verify(cookie) is None
