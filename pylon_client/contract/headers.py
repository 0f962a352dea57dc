"""The headers of the wire: NATS messages and, where they cross over, HTTP."""

import math
import re
import time
from typing import Final

CONTRACT: Final = "Pylon-Contract"
"""The major version of the contract that the sender speaks."""
TIMEOUT: Final = "Pylon-Timeout"
"""Time for which the sender waits for the reply, in milliseconds from when the request was sent.

It takes precedence over `DEADLINE`, since it is independent of the clocks of both sides."""
DEADLINE: Final = "Pylon-Deadline"
"""When the sender stops waiting, in milliseconds since the Unix epoch, by its own clock.

Workers of versions without `TIMEOUT` read it, and clients of such versions send nothing else."""
ERROR: Final = "Pylon-Error"
"""The stable code of a failure; a reply without it is a success."""
SERVICE_ERROR_CODE: Final = "Nats-Service-Error-Code"
SERVICE_ERROR: Final = "Nats-Service-Error"
MESSAGE_ID: Final = "Nats-Msg-Id"
"""JetStream keeps one message of each id within its duplicate window."""
IDEMPOTENCY_KEY: Final = "Idempotency-Key"
"""Of a write, over NATS and HTTP alike: what is sent again under the same key is done once."""
IDEMPOTENCY_KEY_PATTERN: Final = r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?"
"""Which keys there are: those that arrive as they were sent, which blanks at either end do not."""
IDEMPOTENCY_KEY_RULE: Final = "1 to 255 printable ASCII characters, with no space at either end"
"""The same in words."""
NETUID: Final = "Pylon-Netuid"
"""Of an identity's request: the subnet that the asker takes for the identity's."""
BLOCK_NUMBER: Final = "Pylon-Block-Number"
BLOCK_HASH: Final = "Pylon-Block-Hash"
GENESIS: Final = "Pylon-Genesis"
"""Of an event: the hash of the first block of the chain that it is of."""
LOST_BLOCKS: Final = "Pylon-Lost-Blocks"
"""Of an event that is asked for again: how many numbers right before it are kept no longer."""
ACCEPT_PARTS: Final = "Pylon-Accept-Parts"
"""Of a request whose sender can join the parts of a reply that is too large for one message."""
PART: Final = "Pylon-Part"
"""Of such a reply: which part of how many a message is, as `1/3`."""
KEPT_PARTS: Final = "Pylon-Kept-Parts"
"""Of an event without a body, since it is too large: the stream's sequences that hold it."""
CANCEL_ID: Final = "Pylon-Cancel-Id"
"""Of a request: what its sender publishes on `subjects.cancellation` when it stops waiting. Random,
so that nobody else can."""
REQUEST_ID: Final = "Pylon-Request-Id"
TRACE_PARENT: Final = "traceparent"

HTTP_BLOCK_NUMBER: Final = "X-Pylon-Block-Number"
"""Over HTTP: the number of the block that was read; its hash is the entity tag."""
HTTP_TIMEOUT: Final = "X-Pylon-Timeout"
"""Over HTTP: for how many seconds the caller waits; capped by the bridge's settings."""


def is_idempotency_key(text: str) -> bool:
    """Whether a write can have this key."""
    return re.fullmatch(IDEMPOTENCY_KEY_PATTERN, text) is not None


def encode_timeout(timeout_s: float) -> str:
    """Return the value of the timeout header for a sender that waits `timeout_s` seconds."""
    return str(max(math.ceil(timeout_s * 1000), 0))


def decode_timeout(timeout: str) -> float:
    """Return the seconds that a timeout header gives.

    Raises:
        ValueError: not a number of milliseconds.
    """
    if re.fullmatch(r"[0-9]{1,15}", timeout) is None:
        raise ValueError(timeout)
    return int(timeout) / 1000


def encode_deadline(timeout_s: float) -> str:
    """The value of the deadline header for a caller that waits `timeout_s` seconds from now."""
    return str(int((time.time() + timeout_s) * 1000))


def seconds_left(deadline: str) -> float:
    """How many seconds are left until a deadline header's moment; negative when it has passed.

    Raises:
        ValueError: not a number of milliseconds.
    """
    return int(deadline) / 1000 - time.time()
