"""Every read, over HTTP and over NATS, from a worker that reads a devnet through the SDK."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from pydantic import BaseModel

from pylon_client.contract import reads
from pylon_client.contract.operations import OPERATIONS, Operation, Params
from pylon_client.contract.writes import WRITE_OPERATIONS
from pylon_devnet.population import hotkey
from tests.support.product import reads_deployment as known
from tests.support.product.reads_deployment import (
    QueryResult,
    ReadsDeployment,
    Via,
    reads_deployment,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

both_ways = pytest.mark.parametrize("via", list(Via))

AnyOperation = Operation[Params, BaseModel]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pylon(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[ReadsDeployment]:
    async with reads_deployment(tmp_path_factory.mktemp("reads")) as deployment:
        yield deployment


def of(**about: Any) -> dict[str, Any]:
    """Return the keywords of a read with open access."""
    return about


def as_identity(name: str, **params: Any) -> dict[str, Any]:
    return {"identity": name, **params}


@dataclass(frozen=True)
class Case:
    """A read, and the check of its body."""

    operation: AnyOperation
    about: dict[str, Any]
    holds: Callable[[Any], object] = lambda _: True
    status: int = 200
    label: str = field(default="")

    def __str__(self) -> str:
        return f"{self.operation.name}-{self.label or self.status}"


def _neurons(count: int) -> Callable[[Any], object]:
    return lambda body: (
        [neuron["uid"] for neuron in body["neurons"].values()] == list(range(count))
        and body["skipped"] == []
    )


def _changes_since(number: int) -> Callable[[Any], bool]:
    return lambda body: (
        body["from_block"]["number"] == number
        and body["block"]["number"] > number
        and body["registered"] == body["replaced"] == body["deregistered"] == []
    )


def _validators(count: int) -> Callable[[Any], object]:
    def holds(body: Any) -> object:
        totals = [neuron["stakes"]["total"] for neuron in body["validators"]]
        permits = {neuron["validator_permit"] for neuron in body["validators"]}
        return len(totals) == count and totals == sorted(totals, reverse=True) and permits == {True}

    return holds


def _data_of(data: bytes) -> Callable[[Any], object]:
    return lambda body: body["commitment"] == f"0x{data.hex()}"


def _subnet_commitments(body: Any) -> object:
    found = body["commitments"]
    assert known.TIMELOCKED not in found
    assert found[known.BIG] == f"0x{known.TEXT.hex()}"
    assert found[known.OWN] == f"0x{b'own'.hex()}"
    assert [one["item"] for one in body["skipped"]] == [known.GARBLED]
    assert "unknown kind 254" in body["skipped"][0]["reason"]
    return len(found) > 4


def _typed_commitments(body: Any) -> object:
    timelocked = body["commitments"][known.TIMELOCKED]
    assert timelocked["kind"] == "timelock_encrypted"
    assert timelocked["commitment"] == f"0x{known.CIPHERTEXT.hex()}"
    assert timelocked["reveal_round"] == 99
    assert body["commitments"][known.BINARY]["kind"] == "hex_data"
    return [one["item"] for one in body["skipped"]] == [known.GARBLED]


REVEALED = ["first", "0xff00", "second"]
CERTIFICATE = {"algorithm": 1, "public_key": f"0x{b'0xff'.hex()}"}
EVM = {
    "hotkey": hotkey(1, 5),
    "evm_address": f"0x{known.EVM_ADDRESS.hex()}",
    "last_block_where_ownership_was_proven": 2,
}

FOUND = [
    Case(reads.LATEST_BLOCK, of(), lambda body: body["timestamp"] > 1_600_000_000),
    Case(reads.LATEST_NEURONS, of(netuid=1), _neurons(256), label="tracked"),
    Case(reads.LATEST_NEURONS, of(netuid=0), _neurons(8), label="on demand"),
    Case(reads.LATEST_NEURONS, as_identity("sn12"), _neurons(64), label="identity"),
    Case(reads.NEURONS_AT, of(netuid=2, block_number=1), _neurons(16)),
    Case(reads.NEURONS_AT, as_identity("sn2", block_number=1), _neurons(16), label="identity"),
    Case(reads.RECENT_NEURONS, of(netuid=1), _neurons(256)),
    Case(reads.RECENT_NEURONS, as_identity("sn1"), _neurons(256), label="identity"),
    Case(reads.NEURON_CHANGES, of(netuid=1, since=1), _changes_since(1), label="tracked"),
    Case(reads.NEURON_CHANGES, of(netuid=0, since=1), _changes_since(1), label="on demand"),
    Case(reads.NEURON_CHANGES, as_identity("sn2", since=2), _changes_since(2), label="identity"),
    Case(reads.LATEST_VALIDATORS, of(netuid=1), _validators(64), label="tracked"),
    Case(reads.LATEST_VALIDATORS, of(netuid=0), _validators(8), label="on demand"),
    Case(reads.VALIDATORS_AT, as_identity("sn2", block_number=1), _validators(5)),
    Case(reads.COMMITMENTS, of(netuid=1), _subnet_commitments),
    Case(reads.COMMITMENTS, of(netuid=0), lambda body: body["commitments"] == {}, label="empty"),
    Case(reads.COMMITMENT, of(netuid=1, hotkey=known.BINARY), _data_of(known.BYTES)),
    Case(reads.COMMITMENT, of(netuid=1, hotkey=known.BIG), _data_of(known.TEXT), label="text"),
    Case(
        reads.COMMITMENT,
        of(netuid=1, hotkey=known.TWO_FIELDS),
        _data_of(b"ab" + b"\x01" * 32),
        label="several fields",
    ),
    Case(
        reads.COMMITMENT,
        of(netuid=1, hotkey=known.MINER),
        lambda body: body["commitment_block_number"] == 0 and body["hotkey"] == known.MINER,
        label="of genesis",
    ),
    Case(
        reads.OWN_COMMITMENT,
        as_identity("sn1"),
        lambda body: (
            _data_of(b"own")(body)
            and body["hotkey"] == known.OWN
            and body["commitment_block_number"] == 4
        ),
    ),
    Case(reads.TYPED_COMMITMENTS, of(netuid=1), _typed_commitments),
    Case(
        reads.TYPED_COMMITMENT,
        of(netuid=1, hotkey=known.TIMELOCKED),
        lambda body: body["commitment"]["reveal_round"] == 99,
    ),
    Case(
        reads.OWN_TYPED_COMMITMENT,
        as_identity("sn1"),
        lambda body: _data_of(b"own")(body["commitment"]),
    ),
    Case(
        reads.REVEALED_COMMITMENTS,
        of(netuid=1),
        lambda body: [one["commitment"] for one in body["commitments"][known.OWN]] == REVEALED,
    ),
    Case(
        reads.REVEALED_COMMITMENTS,
        of(netuid=2),
        lambda body: body["commitments"] == {},
        label="empty",
    ),
    Case(
        reads.REVEALED_COMMITMENTS_OF,
        of(netuid=1, hotkey=known.OWN),
        lambda body: [one["reveal_block_number"] for one in body["commitments"]] == [20, 25, 30],
    ),
    Case(
        reads.OWN_REVEALED_COMMITMENTS,
        as_identity("sn1"),
        lambda body: [one["commitment"] for one in body["commitments"]] == REVEALED,
    ),
    Case(reads.CERTIFICATES, of(netuid=1), lambda body: body[known.OWN] == CERTIFICATE),
    Case(reads.CERTIFICATES, of(netuid=0), lambda body: body == {}, label="empty"),
    Case(reads.CERTIFICATE, of(netuid=1, hotkey=known.OWN), lambda body: body == CERTIFICATE),
    Case(
        reads.CERTIFICATE,
        of(netuid=1, hotkey=known.MINER),
        lambda body: len(body["public_key"]) == 130,
        label="binary",
    ),
    Case(reads.OWN_CERTIFICATE, as_identity("sn1"), lambda body: body == CERTIFICATE),
    Case(
        reads.OWN_CERTIFICATE,
        as_identity("sn12"),
        lambda body: body == CERTIFICATE,
        label="address from the settings",
    ),
    Case(
        reads.LATEST_HYPERPARAMETERS,
        of(netuid=1),
        lambda body: (
            body["hyperparameters"]["tempo"] == 50
            and body["hyperparameters"]["liquid_alpha_enabled"] is False
            and body["hyperparameters"]["alpha_sigmoid_steepness"] == 1000.0
            and body["hyperparameters"]["burn_increase_mult"] == pytest.approx(1.26)
            and body["skipped"] == []
        ),
    ),
    Case(
        reads.HYPERPARAMETERS_AT,
        as_identity("sn2", block_number=1),
        lambda body: body["netuid"] == 2 and body["hyperparameters"]["max_validators"] == 8,
    ),
    Case(reads.LATEST_PRICE, of(netuid=1), lambda body: body["price"]["value"] > 10_000_000),
    Case(
        reads.PRICE_AT,
        as_identity("sn2", block_number=1),
        lambda body: body["netuid"] == 2 and body["price"]["value"] > 10_000_000,
    ),
    Case(
        reads.LATEST_PRICES,
        of(),
        lambda body: (
            list(body["prices"]) == ["0", "1", "2", "12"]
            and body["prices"]["0"] == {"value": 10**9}
        ),
    ),
    Case(reads.PRICES_AT, of(block_number=1), lambda body: body["block"]["number"] == 1),
    Case(
        reads.EVM_ASSOCIATIONS,
        of(netuid=1),
        lambda body: (
            body["evm_associations"] == {hotkey(1, 5): EVM}
            and [one["item"] for one in body["skipped"]] == ["uid 999"]
        ),
    ),
    Case(
        reads.EVM_ASSOCIATIONS,
        of(netuid=2),
        lambda body: body["evm_associations"] == {},
        label="empty",
    ),
    Case(
        reads.EXTRINSIC,
        of(block_number=4, extrinsic_index=0),
        lambda body: body["call"]["call_module"] == "Timestamp" and body["address"] is None,
        label="inherent",
    ),
    Case(
        reads.EXTRINSIC,
        of(block_number=4, extrinsic_index=1),
        lambda body: (
            body["call"]["call_function"] == "set_commitment"
            and body["address"] == known.OWN
            and len(body["extrinsic_hash"]) == 66
        ),
        label="signed",
    ),
    Case(reads.LAST_DRAND_ROUND, of(), lambda body: body["last_stored_round"] > 10**7),
    Case(reads.IDENTITIES, of(), lambda body: body == {"identities": known.NETUIDS}),
    Case(
        reads.WEIGHTS_STATUS,
        as_identity("sn1", mechanism_id=0, block_number=4),
        lambda body: body == {"weights_submitted": False, "weights_on_chain": False},
    ),
]

NO_SUCH_HOTKEY = hotkey(99, 99)
REFUSED = [
    *(
        Case(operation, of(netuid=777), status=404, label="no such subnet")
        for operation in (
            reads.LATEST_NEURONS,
            reads.LATEST_VALIDATORS,
            reads.COMMITMENTS,
            reads.TYPED_COMMITMENTS,
            reads.REVEALED_COMMITMENTS,
            reads.CERTIFICATES,
            reads.LATEST_HYPERPARAMETERS,
            reads.LATEST_PRICE,
            reads.EVM_ASSOCIATIONS,
            reads.RECENT_NEURONS,
        )
    ),
    *(
        Case(operation, of(netuid=1, hotkey=NO_SUCH_HOTKEY), status=404, label="no such hotkey")
        for operation in (
            reads.COMMITMENT,
            reads.TYPED_COMMITMENT,
            reads.REVEALED_COMMITMENTS_OF,
            reads.CERTIFICATE,
        )
    ),
    *(
        Case(operation, of(netuid=1, hotkey="x" * 48), status=400, label="no hotkey")
        for operation in (
            reads.COMMITMENT,
            reads.TYPED_COMMITMENT,
            reads.REVEALED_COMMITMENTS_OF,
            reads.CERTIFICATE,
        )
    ),
    *(
        Case(operation, about | {"block_number": number}, status=status, label=f"block {number}")
        for number, status in ((99_999, 404), (-1, 400), (2**32, 400))
        for operation, about in (
            (reads.NEURONS_AT, of(netuid=1)),
            (reads.VALIDATORS_AT, of(netuid=1)),
            (reads.HYPERPARAMETERS_AT, of(netuid=1)),
            (reads.PRICE_AT, of(netuid=1)),
            (reads.PRICES_AT, of()),
            (reads.EXTRINSIC, of(extrinsic_index=0)),
            (reads.WEIGHTS_STATUS, as_identity("sn1", mechanism_id=0)),
        )
    ),
    *(
        Case(operation, as_identity("sn2"), status=503, label="no wallet")
        for operation in (
            reads.OWN_COMMITMENT,
            reads.OWN_TYPED_COMMITMENT,
            reads.OWN_REVEALED_COMMITMENTS,
            reads.OWN_CERTIFICATE,
        )
    ),
    *(
        Case(operation, as_identity("sn12"), status=404, label="no item of the identity")
        for operation in (
            reads.OWN_COMMITMENT,
            reads.OWN_TYPED_COMMITMENT,
            reads.OWN_REVEALED_COMMITMENTS,
        )
    ),
    Case(reads.COMMITMENT, of(netuid=1, hotkey=known.TIMELOCKED), status=404, label="timelocked"),
    Case(reads.COMMITMENT, of(netuid=1, hotkey=known.GARBLED), status=502, label="garbled"),
    Case(reads.RECENT_NEURONS, of(netuid=0), status=404, label="untracked"),
    Case(reads.NEURON_CHANGES, of(netuid=777, since=1), status=404, label="no such subnet"),
    *(
        Case(reads.NEURON_CHANGES, of(netuid=1, since=since), status=status, label=f"since {since}")
        for since, status in ((99_999, 404), (-1, 400), (2**32, 400))
    ),
    Case(reads.EXTRINSIC, of(block_number=4, extrinsic_index=2), status=404, label="past the end"),
    Case(reads.EXTRINSIC, of(block_number=4, extrinsic_index=65_536), status=400, label="no index"),
    Case(
        reads.WEIGHTS_STATUS,
        as_identity("sn1", mechanism_id=1, block_number=4),
        status=404,
        label="no such mechanism",
    ),
    Case(
        reads.WEIGHTS_STATUS,
        as_identity("sn1", mechanism_id=16, block_number=4),
        status=400,
        label="no mechanism",
    ),
    Case(
        reads.WEIGHTS_STATUS,
        as_identity("sn2", mechanism_id=0, block_number=4),
        status=503,
        label="no wallet",
    ),
]


async def test_every_operation_has_a_case() -> None:
    every_read = set(OPERATIONS) - set(WRITE_OPERATIONS)
    assert {case.operation for case in FOUND} == every_read


@both_ways
@pytest.mark.parametrize("case", FOUND, ids=str)
async def test_a_read_is_answered(pylon: ReadsDeployment, via: Via, case: Case) -> None:
    got = await pylon.query(via, case.operation, **case.about)
    assert got.status == 200, got.body
    case.operation.reply.model_validate(got.body)
    assert case.holds(got.body), got.body
    if case.operation not in (reads.IDENTITIES, reads.WEIGHTS_STATUS):
        assert_block(pylon, case, got)


def assert_block(pylon: ReadsDeployment, case: Case, got: QueryResult) -> None:
    """The reply names its block, which is the requested one."""
    number = case.about.get("block_number", pylon.devnet.best_number)
    assert got.block_number == number
    stored = pylon.devnet.chain.hash(number)
    assert stored is not None
    assert got.block_hash is not None
    assert f"0x{stored.hex()}" in got.block_hash
    if isinstance(got.body, dict) and "block" in got.body:
        assert got.body["block"]["number"] == number


@both_ways
@pytest.mark.parametrize("case", REFUSED, ids=str)
async def test_unreadable_values_are_rejected_with_their_reason(
    pylon: ReadsDeployment, via: Via, case: Case
) -> None:
    got = await pylon.query(via, case.operation, **case.about)
    assert got.status == case.status, got.body
    assert got.body["detail"]


@both_ways
async def test_the_error_for_an_untracked_subnet_names_the_setting(
    pylon: ReadsDeployment, via: Via
) -> None:
    got = await pylon.query(via, reads.RECENT_NEURONS, netuid=0)
    assert "PYLON_TRACKED_NETUIDS" in got.body["detail"]


async def test_one_chain_read_serves_all_projections_of_a_query(pylon: ReadsDeployment) -> None:
    await pylon.devnet.advance()
    pylon.devnet.clear_requests()
    for via in Via:
        for operation in (reads.COMMITMENTS, reads.TYPED_COMMITMENTS):
            assert (await pylon.query(via, operation, netuid=2)).status == 200
        for uid in range(16):
            await pylon.query(via, reads.COMMITMENT, netuid=2, hotkey=hotkey(2, uid))
    counts = pylon.devnet.request_counts()
    # Besides, the newest block may be asked for while its event is on its way.
    assert counts["state_getKeysPaged"] in {1, 2}
