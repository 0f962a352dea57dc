"""Events have the subject, the body and the message id that streams of older workers contain."""

from pylon.events.event_types import block_event, message_id, neurons_event
from pylon_client.contract import json_codec
from pylon_client.contract.models import BlockInfo
from pylon_client.contract.types import BlockNumber, NetUid, Timestamp
from tests.support.chain.fake_chain import block_of, hash_of

INFO = BlockInfo(number=BlockNumber(5), hash=hash_of(5), timestamp=Timestamp(1_700_000_060))


def test_the_body_of_a_block_event_is_its_encoded_info() -> None:
    event = block_event(INFO, hash_of(4))
    assert event.subject == "pylon.v1.event.block"
    assert event.block == block_of(5)
    assert event.body == json_codec.encode(INFO)
    assert event.parent_hash == hash_of(4)


def test_a_neurons_event_has_the_subject_of_its_subnet() -> None:
    event = neurons_event(NetUid(12), block_of(5), b"neurons")
    assert (event.subject, event.body) == ("pylon.v1.event.neurons.12", b"neurons")


def test_the_message_id_names_the_subnet_and_the_hash() -> None:
    assert message_id(block_event(INFO, hash_of(4))) == f"block-{hash_of(5)}"
    assert message_id(neurons_event(NetUid(12), block_of(5), b"")) == f"12-{hash_of(5)}"


def test_a_block_that_replaced_another_has_another_message_id() -> None:
    one, other = (neurons_event(NetUid(1), block_of(5, fork=fork), b"") for fork in (0, 1))
    assert message_id(one) != message_id(other)
