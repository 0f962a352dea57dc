"""Send many messages to a worker, and check the outcome of each one."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from pylon.common.deployment_settings import DeploymentSettings
from pylon.nats_server.permissions import nats_users
from pylon_client.contract import json_codec
from pylon_client.contract.failures import ErrorCode
from pylon_client.contract.subjects import WORKER_USER, inbox_prefix
from tests.support.nats.raw_nats import RawNats
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.wire.wire_corpus import USERS, WireMessage
from tests.support.wire.wire_outcomes import Outcome, ReplyChecker, Rules

IN_FLIGHT_MAX = 160
"""Maximum requests in flight: below a worker's own limit."""
SHOWN = 5


def rss_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


@dataclass
class Tally:
    """The outcomes of the messages that were sent.

    Attributes:
        sent: messages.
        outcomes: number of messages by expected outcome.
        codes: number of replies by error code; None counts successes.
        stored: number of messages that streams have stored (True) or refused (False).
        denials: permission violations that the server reported.
        wrong: replies that violate the contract, or should not have been sent.
    """

    sent: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter[Outcome])
    codes: Counter[ErrorCode | None] = field(default_factory=Counter[ErrorCode | None])
    stored: Counter[bool] = field(default_factory=Counter[bool])
    denials: int = 0
    wrong: list[str] = field(default_factory=list[str])


class Flood:
    """`async with Flood(url, settings) as flood:` opens a connection for each kind of user.

    Attributes:
        tally: of all messages.
    """

    def __init__(self, url: str, settings: DeploymentSettings) -> None:
        self.tally = Tally()
        self._url = url
        users = nats_users(settings)
        self._passwords = {user.name: user.password.get_secret_value() for user in users}
        self._rules = Rules(users)
        self._checker = ReplyChecker()
        self._raw: dict[str, RawNats] = {}
        self._waiting: dict[bytes, WireMessage] = {}
        self._received = asyncio.Event()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for user in (*USERS, WORKER_USER):
                raw = RawNats(self._url, user, self._passwords[user], self._on_message)
                self._raw[user] = await stack.enter_async_context(raw)
                # Of the workers' inbox only the acknowledgements of this connection.
                which = "ack.>" if user == WORKER_USER else ">"
                raw.subscribe(f"{inbox_prefix(user)}.{which}")
                await raw.flush()
            self._closing = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._closing.aclose()

    async def send(self, messages: Iterable[WireMessage]) -> None:
        """Send messages; the number in flight is limited so that a worker rejects none."""
        for sent in messages:
            self.tally.sent += 1
            outcome = self._rules.outcome(sent)
            self.tally.outcomes[outcome] += 1
            if outcome is Outcome.ANSWERED:
                while len(self._waiting) >= IN_FLIGHT_MAX:
                    await self._wait_for_reply()
                assert sent.reply not in self._waiting
                self._waiting[sent.reply] = sent
            self._raw[sent.user].publish(
                sent.subject, sent.body, reply=sent.reply, headers=sent.headers
            )
            if self.tally.sent % 50 == 0:
                await self._raw[sent.user].drain()

    async def settle(self) -> None:
        """Return when every message has its outcome."""
        while self._waiting:
            await self._wait_for_reply()
        for raw in self._raw.values():
            await raw.flush()
        self.tally.denials = sum(len(raw.errors) for raw in self._raw.values())

    async def _wait_for_reply(self) -> None:
        self._received.clear()
        try:
            async with asyncio.timeout(HANGS_AFTER_S):
                await self._received.wait()
        except TimeoutError:
            shown = list(self._waiting.values())[:SHOWN]
            raise AssertionError(f"{len(self._waiting)} were not answered: {shown}") from None

    def _on_message(self, subject: bytes, _reply: bytes, headers: bytes, body: bytes) -> None:
        sent = self._waiting.pop(subject, None)
        self._received.set()
        if sent is None:
            self.tally.wrong.append(f"an unexpected reply at {subject!r}: {body[:200]!r}")
            return
        if sent.subject.startswith(b"$SRV."):
            self.tally.codes[None] += 1
            return
        if sent.user == WORKER_USER:
            self.tally.stored["error" not in json_codec.decode(body)] += 1
            return
        try:
            code = self._checker.code_of(sent, headers, body)
        except (AssertionError, ValueError, LookupError) as error:
            self.tally.wrong.append(f"{error!r} of {body[:300]!r} to {sent}")
            return
        self.tally.codes[code] += 1
        if code is ErrorCode.INTERNAL:
            self.tally.wrong.append(f"{body!r} to {sent}")
