"""A client that receives garbled replies raises its own errors before its timeout."""

import asyncio
from collections import Counter
from pathlib import Path

from pylon.nats_server.permissions import authorization_config
from pylon_client.contract import headers as wire_headers
from pylon_client.contract.subjects import ALL_OPEN
from pylon_client.v1 import (
    ASYNC_DEFAULT_RETRIES,
    AsyncConfig,
    AsyncPylonClient,
    BasePylonException,
    NetUid,
    PylonTimeout,
)
from tests.support.nats.nats_server import NatsServer
from tests.support.nats.raw_nats import RawNats, header_block
from tests.support.product.deployment import WORKER_PASSWORD, deployment_settings
from tests.support.product.eventually import HANGS_AFTER_S
from tests.support.wire.wire_corpus import Corpus

ANSWERS = 2000
AT_ONCE = 50
READ_S = 2.0


async def test_a_client_raises_its_own_errors_for_any_reply(tmp_path: Path) -> None:
    corpus = Corpus(2, 200)
    outcomes: Counter[str] = Counter()

    def answer(_subject: bytes, reply: bytes, _headers: bytes, _body: bytes) -> None:
        headers = corpus.headers()
        if corpus.random.random() < 0.3:
            headers = header_block((wire_headers.ERROR.encode(), b"INVALID"))
        bodies = [corpus.mutated({"code": "INVALID", "detail": "x", "retryable": False})]
        bodies += [
            corpus.mutated({"block": None, "neurons": {}}),
            corpus.random.choice(corpus.raw_bodies),
        ]
        raw.publish(reply, corpus.random.choice(bodies), headers=headers)

    async with NatsServer(tmp_path, authorization_config(deployment_settings())) as server:
        config = AsyncConfig(
            address=server.url,
            timeout=PylonTimeout(read=READ_S),
            retry=ASYNC_DEFAULT_RETRIES.copy(stop=lambda _: True),
        )
        async with (
            RawNats(server.url, "worker", WORKER_PASSWORD, answer) as raw,
            AsyncPylonClient(config) as client,
        ):
            raw.subscribe(ALL_OPEN)
            await raw.flush()

            async def send_requests() -> None:
                for _ in range(ANSWERS // AT_ONCE):
                    try:
                        await client.open_access.get_latest_neurons(NetUid(1))
                    except BasePylonException as error:
                        outcomes[type(error).__name__] += 1

            async with asyncio.timeout(HANGS_AFTER_S):
                await asyncio.gather(*(send_requests() for _ in range(AT_ONCE)))
    assert outcomes.total() == ANSWERS
    assert len(outcomes) > 1, outcomes
