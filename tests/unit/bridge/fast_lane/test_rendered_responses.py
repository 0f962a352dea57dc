"""Responses are rendered once per snapshot and form."""

from bridge.fast_lane.rendered_responses import MAX_REMEMBERED_REQUESTS, HotRead
from bridge.memory.memory_reads import MemoryReads, MemoryReply
from bridge.response_builder import ResponseBuilder
from pylon_client.contract.models import Block
from pylon_client.contract.reads import LATEST_BLOCK
from pylon_client.contract.types import BlockHash, BlockNumber, NetUid


class Memory(MemoryReads):
    """Holds one reply."""

    def __init__(self) -> None:
        super().__init__(block_duration_s=12, recent_limit_blocks=64, is_connected=lambda: True)
        self.reply: MemoryReply | None = None

    def latest(self, operation: str, netuid: NetUid | None) -> MemoryReply | None:
        assert (operation, netuid) == (LATEST_BLOCK.name, None)
        return self.reply


def reply(number: int) -> MemoryReply:
    block = Block(number=BlockNumber(number), hash=BlockHash(f"0x{number:064x}"))
    return MemoryReply(block, b"%d" % number * 2000)


def hot_read(memory: Memory, counts: list[None] | None = None) -> HotRead:
    counted = counts if counts is not None else []
    return HotRead(
        memory,
        ResponseBuilder(),
        operation=LATEST_BLOCK.name,
        netuid=None,
        is_private=False,
        count_read=lambda: counted.append(None),
    )


def test_a_response_is_the_same_object_until_the_reply_changes() -> None:
    memory, counts = Memory(), list[None]()
    read = hot_read(memory, counts)
    assert read.rendered(None, None) is None
    assert not counts, "only responses count"
    memory.reply = reply(1)
    first = read.rendered(b"gzip", None)
    assert read.rendered(b"gzip", None) is first
    assert read.rendered(b"br, gzip", b'"other"') is first
    assert read.rendered(None, None) is not first
    memory.reply = reply(2)
    assert read.rendered(b"gzip", None) is not first
    assert len(counts) == 5


def test_requests_without_number_are_remembered_up_to_a_limit() -> None:
    memory = Memory()
    memory.reply = reply(1)
    read = hot_read(memory)
    for number in range(MAX_REMEMBERED_REQUESTS + 10):
        rendered = read.rendered(None, b'"%d"' % number)
        assert rendered is not None
        assert rendered.status == 200
    known = read.rendered(None, b'"0x%064x"' % 1)
    assert known is not None
    assert (known.status, known.body) == (304, b"")
    assert len(read._by_request) == MAX_REMEMBERED_REQUESTS
