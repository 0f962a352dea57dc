import pytest
from pydantic import SecretStr

from pylon.nats_server.permissions import (
    NatsUser,
    PermissionsError,
    authorization_config,
    nats_users,
)
from pylon_client.contract.subjects import ALL_IDENTITIES, signer_event_subject
from pylon_client.contract.types import IdentityName
from tests.support.product.deployment import WORKER_PASSWORD, deployment_settings
from tests.support.wire.wire_outcomes import may


def users(**identities: int) -> dict[str, NatsUser]:
    return {user.name: user for user in nats_users(deployment_settings(identities=identities))}


@pytest.mark.parametrize("which", ["worker", "bridge"])
def test_without_a_password_for_the_service_itself_there_are_no_users(which: str) -> None:
    settings = deployment_settings()
    empty = settings.model_copy(update={f"nats_{which}_password": SecretStr("")})
    with pytest.raises(PermissionsError, match=f"PYLON_NATS_{which.upper()}_PASSWORD"):
        authorization_config(empty)


def test_a_token_that_looks_like_a_hash_is_rejected_without_being_logged() -> None:
    token = "$2a$11$" + "a" * 53
    settings = deployment_settings(identities={"alice": 1}, tokens={"alice": token})
    with pytest.raises(PermissionsError, match="alice") as caught:
        authorization_config(settings)
    assert token not in str(caught.value)


def test_a_token_that_is_not_text_is_rejected_without_being_logged() -> None:
    settings = deployment_settings(identities={"alice": 1}, tokens={"alice": "secret\udc80"})
    with pytest.raises(PermissionsError, match="alice") as caught:
        authorization_config(settings)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_without_an_open_access_token_the_open_user_needs_no_password() -> None:
    assert "no_auth_user" in authorization_config(deployment_settings())
    assert "no_auth_user" not in authorization_config(
        deployment_settings(open_access_token="secret")
    )


def test_only_the_worker_reaches_jetstream() -> None:
    for user in users(alice=1, bob=2).values():
        reaches = any(subject.startswith("$JS") for subject in user.publish)
        assert reaches == (user.name == "worker")


def test_no_user_may_publish_on_every_subject_of_every_identity_but_the_bridge() -> None:
    for user in users(alice=1, bob=2).values():
        assert (ALL_IDENTITIES in user.publish) == (user.name == "bridge")
        assert (ALL_IDENTITIES in user.publish_deny) == (user.name == "worker")


def test_the_representation_of_a_user_hides_its_password() -> None:
    assert WORKER_PASSWORD not in repr(users()["worker"])


@pytest.mark.parametrize("identity", ["alice", "bob", "stranger"])
def test_only_workers_announce_signers_and_receive_the_announcements(identity: str) -> None:
    subject = signer_event_subject(IdentityName(identity)).encode()
    for user in users(alice=1, bob=2).values():
        is_worker = user.name == "worker"
        assert may(subject, user.publish) is is_worker
        assert may(subject, user.subscribe) is (is_worker or user.name == "reader")
        assert not may(subject, user.publish_deny)
