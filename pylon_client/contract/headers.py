"""Headers of NATS messages, and the HTTP headers that correspond to them."""

import math
import re
import time
from typing import Final

CONTRACT: Final = "Pylon-Contract"
"""The major version of the sender's contract."""
TIMEOUT: Final = "Pylon-Timeout"
"""Timeout of the sender for the reply, in milliseconds after sending.

It takes precedence over `DEADLINE`, because it does not depend on the clocks of both sides."""
DEADLINE: Final = "Pylon-Deadline"
"""Deadline of the sender for the reply, in milliseconds since the Unix epoch, by its own clock.

Workers of versions without `TIMEOUT` read it, and clients of such versions send only this one."""
ERROR: Final = "Pylon-Error"
"""The stable code of a failure; a reply without it is a success."""
SERVICE_ERROR_CODE: Final = "Nats-Service-Error-Code"
SERVICE_ERROR: Final = "Nats-Service-Error"
MESSAGE_ID: Final = "Nats-Msg-Id"
"""JetStream stores one message of each id within its duplicate window."""
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
"""Of a write, over NATS and HTTP: writes with the same key are one job."""
IDEMPOTENCY_KEY_PATTERN: Final = r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?"
"""Valid keys. Blanks at either end would not survive the transport."""
IDEMPOTENCY_KEY_RULE: Final = "1 to 255 printable ASCII characters, with no space at either end"
"""The pattern of valid keys in words."""
NETUID: Final = "Pylon-Netuid"
"""Of an identity's request: the subnet that the caller expects the identity to have."""
BLOCK_NUMBER: Final = "Pylon-Block-Number"
BLOCK_HASH: Final = "Pylon-Block-Hash"
GENESIS: Final = "Pylon-Genesis"
"""Of an event: the hash of the chain's first block."""
PARENT_HASH: Final = "Pylon-Parent-Hash"
"""Of a block's event: the hash of the block's parent."""
HEAD: Final = "Pylon-Head"
"""Of a block's event: the number of the newest head that the publisher knows, and the milliseconds
for which it counts as the newest one, as `7123 36000`."""
PUBLISHERS: Final = "Pylon-Publishers"
"""Of a block event: the ids of the workers that publish the subnets of this block, with spaces.

Without it, the publisher of the block publishes all subnets, as versions without the header do."""
LOST_BLOCKS: Final = "Pylon-Lost-Blocks"
"""Of a stored event: the number of blocks right before it that are no longer stored."""
ACCEPT_PARTS: Final = "Pylon-Accept-Parts"
"""Of a request: the sender can join the parts of a reply too large for one message."""
PART: Final = "Pylon-Part"
"""Of a part of a reply: its number and the number of parts, as `1/3`."""
STORED_PARTS: Final = "Pylon-Kept-Parts"
"""Of an event whose body is too large: the sequences in the stream that contain the body."""
CANCEL_ID: Final = "Pylon-Cancel-Id"
"""Of a request: the id that its sender publishes on `subjects.cancellation_subject` to cancel it.

The id is random, so that no other client can cancel the request."""
REQUEST_ID: Final = "Pylon-Request-Id"
TRACE_PARENT: Final = "traceparent"

HTTP_BLOCK_NUMBER: Final = "X-Pylon-Block-Number"
"""Over HTTP: the number of the block that was read; the entity tag is its hash."""
HTTP_SOURCE: Final = "X-Pylon-Source"
"""Over HTTP: whether a read was served from the bridge's memory or by a worker."""
SOURCE_MEMORY: Final = "memory"
SOURCE_WORKER: Final = "worker"
HTTP_TIMEOUT: Final = "X-Pylon-Timeout"
"""Over HTTP: the timeout of the caller in seconds, limited by the bridge's settings."""


def is_idempotency_key(text: str) -> bool:
    """Return whether an idempotency key is valid."""
    return re.fullmatch(IDEMPOTENCY_KEY_PATTERN, text) is not None


def encode_timeout(timeout_s: float) -> str:
    """Return the value of the timeout header for a timeout in seconds."""
    return str(max(math.ceil(timeout_s * 1000), 0))


def decode_timeout(timeout: str) -> float:
    """Return the seconds in a timeout header.

    Raises:
        ValueError: the header is not a number of milliseconds.
    """
    if re.fullmatch(r"[0-9]{1,15}", timeout) is None:
        raise ValueError(timeout)
    return int(timeout) / 1000


def encode_deadline(timeout_s: float) -> str:
    """Return the value of the deadline header for a timeout in seconds from now."""
    return str(int((time.time() + timeout_s) * 1000))


def seconds_left(deadline: str) -> float:
    """Return the seconds until the time in a deadline header; negative after it.

    Raises:
        ValueError: the header is not a number of milliseconds.
    """
    return int(deadline) / 1000 - time.time()
