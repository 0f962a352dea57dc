"""A reply in memory has the form of a worker's reply."""

from bridge.memory.memory_reply import MemoryReply
from pylon_client.contract import headers
from tests.support.chain.fake_chain import block_of, hash_of


def test_its_block_is_in_the_headers() -> None:
    reply = MemoryReply(block_of(5), b"body").as_reply()
    assert reply.body == b"body"
    assert reply.headers == {headers.BLOCK_NUMBER: "5", headers.BLOCK_HASH: hash_of(5)}
