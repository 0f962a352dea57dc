"""Invalid messages that a faulty worker, or one of another version, may put into streams."""

from collections.abc import Iterator
from typing import Any

from pylon_client.contract import headers as wire_headers
from pylon_client.contract import json_codec
from pylon_client.contract.subjects import BLOCK_EVENTS, ROOT, WORKER_USER, inbox_prefix
from pylon_client.contract.topology import JOBS_BUCKET, LEADERSHIP_BUCKET, LEASES_BUCKET
from pylon_client.contract.types import JobKind
from pylon_devnet.population import hotkey
from tests.support.nats.raw_nats import header_block
from tests.support.product.job_deployment import SUBNETS
from tests.support.wire.wire_corpus import Corpus, WireMessage

JOB_IDS = ["a" * 26, "b" * 26, "c" * 26]
RECORD: dict[str, Any] = {
    "job": {
        "job_id": JOB_IDS[0],
        "identity": "sn1",
        "netuid": 1,
        "kind": "weights",
        "mechanism": 0,
        "state": "ACCEPTED",
        "created_at_ms": 1,
        "updated_at_ms": 1,
    },
    "number": 1,
    "digest": "x",
    "request": {"weights": {}},
}


class StreamCorpus:
    """Garbage for every stream and bucket, and for the inbox of workers.

    Args:
        corpus: of the parts.
    """

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._random = corpus.random
        self._job_subjects = [
            f"{ROOT}.job.{name}.{kind}{'.0' if kind is JobKind.WEIGHTS else ''}"
            for name in SUBNETS
            for kind in JobKind
        ]
        self._keys = [
            *(f"job.{name}.{job_id}" for name in SUBNETS for job_id in JOB_IDS),
            *(f"lane.{subject.removeprefix(f'{ROOT}.job.')}" for subject in self._job_subjects),
            *(f"sent.{hotkey(netuid, 0)}" for netuid in SUBNETS.values()),
            *("job", "job.sn1", "job.sn1.a.b", "job.sn1.*", "x"),
        ]

    def messages(self, count: int) -> Iterator[WireMessage]:
        """Return a number of messages, each with an inbox for the server's acknowledgement."""
        return (self._message(number) for number in range(count))

    def _message(self, number: int) -> WireMessage:
        random = self._random
        subject, body = self._put()
        headers = self._corpus.headers() if random.random() < 0.5 else b""
        reply = f"{inbox_prefix(WORKER_USER)}.ack.{number}".encode()
        if subject.startswith(b"pylon.v1.event.") and random.random() < 0.3:
            # Valid headers of an event, of an old block.
            headers = header_block(
                (wire_headers.BLOCK_NUMBER.encode(), b"%d" % random.randint(0, 1)),
                (wire_headers.BLOCK_HASH.encode(), b"0x" + b"0" * 64),
                (
                    wire_headers.STORED_PARTS.encode(),
                    random.choice([b"", b"1 2 3", b"1", b"99999"]),
                ),
            )
        return WireMessage(WORKER_USER, subject, reply, headers, body)

    def _put(self) -> tuple[bytes, bytes]:
        random = self._random
        body, name = self._body(), random.choice(list(SUBNETS))
        match random.random():
            case share if share < 0.4:
                netuid = random.choice([1, 2, 12, 7, "abc", 65536])
                events = [BLOCK_EVENTS, f"{ROOT}.event.neurons.{netuid}"]
                events.append(f"{ROOT}.event.neurons.{netuid}.part.{random.choice([1, 2, 'x'])}")
                subject = random.choice(events)
            case share if share < 0.45:
                subject = f"{ROOT}.event.signer.{random.choice([*SUBNETS, 'stranger', '%', 'é'])}"
                body = self._corpus.announcement()
            case share if share < 0.5:
                subject = f"{ROOT}.event.job.{name}.{random.choice([*JOB_IDS, 'x'])}"
            case share if share < 0.6:
                named = random.choice([*JOB_IDS, "*", ">", "", "z" * 26]).encode()
                subject, body = random.choice(self._job_subjects), random.choice([named, body])
            case share if share < 0.8:
                subject = f"$KV.{JOBS_BUCKET}.{random.choice(self._keys)}"
            case share if share < 0.82:
                subject = f"$KV.{LEASES_BUCKET}.{hotkey(SUBNETS[name], 0)}"
            case share if share < 0.83:
                subject = f"$KV.{LEADERSHIP_BUCKET}.publisher"
            case _:
                tokens = ".".join(random.choice(["x", "0", "y" * 22]) for _ in range(3))
                subject = f"{inbox_prefix(WORKER_USER)}.{tokens}"
        return subject.encode(), body

    def _body(self) -> bytes:
        random = self._random
        match random.randint(0, 3):
            case 0:
                return random.choice(self._corpus.raw_bodies)
            case 1:
                changed = RECORD | {"job": RECORD["job"] | {"job_id": random.choice(JOB_IDS)}}
                name = random.choice([*RECORD, "job"])
                if name == "job":
                    field = random.choice(list(RECORD["job"]))
                    changed["job"] |= {field: random.choice([None, -1, "x", "SUBMITTING", 10**9])}
                else:
                    changed[name] = random.choice([None, {}, -1, "x", {"weights": None}])
                return json_codec.encode(changed)
            case 2:
                return self._corpus.mutated(RECORD)
            case _:
                return self._corpus.mutated({"number": 1, "job_id": None})
