"""Generate valid and invalid NATS messages from a seed.

Hypothesis draws the parts once, and a random source with the same seed combines them: drawing a
whole message takes longer than sending it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from pylon_client.contract import headers as wire_headers
from pylon_client.contract.operation import Operation, Scope
from pylon_client.contract.operations import NATS_OPERATIONS
from pylon_client.contract.subjects import (
    WORKER_USER,
    IdentitySubject,
    OpenSubject,
    inbox_prefix,
)
from pylon_client.contract.types import IdentityName, NetUid
from pylon_client.contract.writes import (
    GENERATE_CERTIFICATE,
    SET_COMMITMENT,
    SET_REVEALED_COMMITMENT,
    WRITE_OPERATIONS,
)
from tests.support.nats.raw_nats import header_block
from tests.support.product.job_deployment import SUBNETS
from tests.support.wire import wire_strategies as strategies

AnyOperation = Operation[Any, Any]

WAITING = (SET_COMMITMENT, SET_REVEALED_COMMITMENT, GENERATE_CERTIFICATE)
"""Operations whose reply waits for the chain; their requests get a short deadline."""
WAIT_S = 0.5
CONTROL_LINE_MAX_BYTES = 3900
USERS = ("open", "bridge", *SUBNETS)
ROOTS = [
    *([b"pylon", b"v1", b"open"], [b"pylon", b"v1", b"open", b"1"]),
    *([b"pylon", b"v1", b"open", b"chain"], [b"pylon", b"v1", b"identity"], [b"$SRV"]),
    *([b"pylon", b"v1", b"identity", name.encode()] for name in SUBNETS),
    *([], [b"pylon"], [b"pylon", b"v1"], [b"pylon", b"v1", b"event"], [b"pylon", b"v1", b"job"]),
    *([b"$SRV", b"PING"], [b"$SRV", b"INFO"], [b"$SRV", b"STATS"], [b"$JS", b"API"], [b"$KV"]),
]
REPLIES = [
    *(b"", b"$JS.API.STREAM.PURGE.PYLON_EVENTS", b"$KV.pylon_jobs.x", b"pylon.v1.event.block"),
    *(b"_INBOX", b"_INBOX.", b"_INBOX.open.", b"_INBOX..open", b"_inbox.open.x"),
    *(b"pylon.v1.open.chain.block.latest", b"pylon.v1.identity.sn2.weights.put"),
]
"""Reply subjects that never receive a reply."""


@dataclass(frozen=True, slots=True)
class WireMessage:
    """One message.

    Attributes:
        user: the sender.
        headers: encoded header block; empty without headers.
        operation: the requested operation, if its subject names one.
    """

    user: str
    subject: bytes
    reply: bytes
    headers: bytes
    body: bytes
    operation: AnyOperation | None = None


class Corpus:
    """The parts, and messages made of them.

    Args:
        number: seed.
        parts: number of parts of each kind.
    """

    def __init__(self, number: int, parts: int = 500) -> None:
        self.number = number
        self.random = Random(number)  # noqa: S311 -- guards nothing
        self.json = strategies.drawn(strategies.ODD_JSON, parts, number)
        self.raw_bodies = strategies.drawn(strategies.RAW_BODIES, parts, number)
        self._good = {
            name: strategies.drawn(of, 40, number) for name, of in strategies.GOOD.items()
        }
        self._tokens = strategies.drawn(strategies.TOKENS, parts, number)
        self._header_values = strategies.drawn(strategies.HEADER_VALUES, parts, number)
        self._header_blocks = strategies.drawn(strategies.HEADER_BLOCKS, parts // 2, number)

    def requests(self, count: int) -> Iterator[WireMessage]:
        """Return a number of messages."""
        return (self._request(number) for number in range(count))

    def tokens(self, most: int) -> list[bytes]:
        """Return some tokens of a subject, or none."""
        return [self.random.choice(self._tokens) for _ in range(self.random.randint(0, most))]

    def headers(self) -> bytes:
        """Return a block of headers, valid or not."""
        if self.random.random() < 0.2:
            return self.random.choice(self._header_blocks)
        return header_block(
            *(
                (
                    self.random.choice(strategies.HEADER_NAMES),
                    self.random.choice(self._header_values),
                )
                for _ in range(self.random.randint(0, 5))
            )
        )

    def mutated(self, value: dict[str, Any]) -> bytes:
        """Return the JSON of an invalid variant of a value, or bytes that are not JSON."""
        random, changed = self.random, dict(value)
        for _ in range(random.randint(1, 2)):
            name = random.choice([*value, "more"])
            match random.randint(0, 3):
                case 0:
                    changed.pop(name, None)
                case 1:
                    changed[name] = {name: changed.get(name)}
                case _:
                    changed[name] = random.choice(self.json)
        text = json.dumps(changed, ensure_ascii=random.random() < 0.5)
        encoding = "utf-16" if random.random() < 0.1 else "utf-8"
        body = text.encode(encoding, errors="surrogatepass")
        if random.random() < 0.2:
            place = random.randrange(len(body))
            body = body[:place] + random.randbytes(3) + body[place + random.randint(0, 3) :]
        return body

    def announcement(self) -> bytes:
        """Return an announcement of a signer, in which any part may be invalid."""
        random = self.random
        valid = random.choice(strategies.ANNOUNCEMENTS)
        match random.randint(0, 5):
            case 0:
                return random.choice(self.raw_bodies)
            case 1:
                return random.choice(strategies.HUGE_BODIES)
            case 2:
                body = json.dumps(valid).encode()
                return body[: random.randrange(len(body))]
            case 3:
                return json.dumps(random.choice([*self.json, {}, [valid], {"hotkey": ""}])).encode()
            case _:
                return self.mutated(valid)

    def _valid_params(self, operation: AnyOperation) -> dict[str, Any]:
        return {
            name: self.random.choice(self._good[name]) for name in operation.params.model_fields
        }

    def _request(self, number: int) -> WireMessage:
        random = self.random
        operation = random.choice(NATS_OPERATIONS)
        user, subject = self._addressed(operation)
        requested: AnyOperation | None = operation
        headers = self.headers() if random.random() < 0.4 else b""
        kind = random.random()
        if kind < 0.02:
            headers, body = b"", json.dumps(self._valid_params(operation)).encode()
        elif kind < 0.1 and operation not in WRITE_OPERATIONS:
            body = json.dumps(self._valid_params(operation)).encode()
        elif kind < 0.101:
            body = random.choice(strategies.HUGE_BODIES)
        elif kind < 0.2:
            body = random.choice(self.raw_bodies)
        else:
            body = self.mutated(self._valid_params(operation))
        if random.random() < 0.3:
            subject, requested = b".".join([*random.choice(ROOTS), *self.tokens(4)]) or b"x", None
            user = random.choice(USERS)
        if random.random() < 0.1:
            user = random.choice(USERS)
        reply = self._reply(user, number)
        if len(subject) + len(reply) > CONTROL_LINE_MAX_BYTES:
            subject, requested = subject[:20], None
        return WireMessage(
            user, subject, reply, _with_short_deadline(requested, headers), body, requested
        )

    def _addressed(self, operation: AnyOperation) -> tuple[str, bytes]:
        random = self.random
        if random.choice(operation.scopes) is Scope.IDENTITY:
            name = random.choice(list(SUBNETS))
            user = random.choice([name, name, "bridge"])
            return user, str(IdentitySubject(IdentityName(name), operation.name)).encode()
        netuid = NetUid(random.choice([1, 2, 12, 7])) if operation.per_subnet else None
        return random.choice(USERS), str(OpenSubject(netuid, operation.name)).encode()

    def _reply(self, user: str, number: int) -> bytes:
        match self.random.random():
            case share if share < 0.03:
                return self.random.choice(REPLIES)
            case share if share < 0.06:
                return b".".join([*self.tokens(4), b"%d" % number])
            case share if share < 0.09:
                return b".".join([b"_INBOX", *self.tokens(3), b"%d" % number])
            case share:
                owner = user if share < 0.95 else self.random.choice((*USERS, WORKER_USER))
                return b"%b.%d" % (inbox_prefix(owner).encode(), number)


def _with_short_deadline(operation: AnyOperation | None, headers: bytes) -> bytes:
    """Return headers with a short deadline for a request that may wait for the chain."""
    if operation not in WAITING:
        return headers
    is_complete = headers.startswith(b"NATS/1.0\r\n") and headers.endswith(b"\r\n\r\n")
    begin = headers[:-2] if is_complete else b"NATS/1.0\r\n"
    deadline = wire_headers.encode_deadline(WAIT_S).encode()
    return begin + b"%b: %b\r\n\r\n" % (wire_headers.DEADLINE.encode(), deadline)
