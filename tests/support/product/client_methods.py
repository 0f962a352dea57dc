"""Every method of both clients: its arguments, and a reply that its operation may return."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from pylon_client.contract import models, reads, writes
from pylon_client.contract.jobs import Job, JobList, JobState
from pylon_client.contract.operation import Operation, Params, Scope
from pylon_client.contract.types import (
    AlphaPriceRao,
    BlockNumber,
    CommitmentHex,
    EvmAddress,
    ExtrinsicIndex,
    Hotkey,
    IdentityName,
    JobId,
    JobKind,
    MechanismId,
    NetUid,
    NeuronUid,
    PrivateKey,
    PublicKey,
    RevealRound,
    Weight,
)
from pylon_client.testing import sample_block, sample_block_info, sample_neuron, sample_neurons

NETUID = NetUid(7)
BLOCK_NUMBER = BlockNumber(4_242)
HOTKEY = Hotkey("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY")
JOB_ID = JobId("a" * 26)
_BLOCK = sample_block(4_300)
_AT: Mapping[str, Any] = {"block_number": BLOCK_NUMBER}
_OF: Mapping[str, Any] = {"hotkey": HOTKEY}
_JOB: Mapping[str, Any] = {"job_id": JOB_ID}


@dataclass(frozen=True)
class Method:
    """One method, and the request that it makes when it is called with these arguments.

    Attributes:
        arguments: the arguments without the netuid.
        sends: the parameters of the request, if they differ from the arguments.
    """

    name: str
    operation: Operation[Params, BaseModel]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    sends: Mapping[str, Any] | None = None

    @property
    def params(self) -> Mapping[str, Any]:
        return self.arguments if self.sends is None else self.sends

    def call(self, client: Any, accessor: str, **instead: Any) -> Any:
        """Call the method on an accessor of the client; `instead` replaces arguments."""
        of_subnet = accessor == "open_access" and self.operation.per_subnet
        values = {**({"netuid": NETUID} if of_subnet else {}), **self.arguments}
        arguments = {name: instead.get(name, value) for name, value in values.items()}
        return getattr(getattr(client, accessor), self.name)(**arguments)

    def scope(self, accessor: str) -> Scope:
        """Return the scope of its request."""
        in_open = accessor == "open_access" or not self.operation.per_subnet
        return Scope.OPEN if in_open else Scope.IDENTITY


_WEIGHTS = {HOTKEY: Weight(0.5)}
_EXTRINSIC: Mapping[str, Any] = {**_AT, "extrinsic_index": ExtrinsicIndex(3)}
_TIMELOCKED: Mapping[str, Any] = {"commitment": "later", "blocks_until_reveal": 10}

ONLY_OPEN = (Method("get_identities", reads.IDENTITIES),)
SHARED = (
    Method("get_latest_block_info", reads.LATEST_BLOCK),
    Method("get_extrinsic", reads.EXTRINSIC, _EXTRINSIC),
    Method("get_drand_last_stored_round", reads.LAST_DRAND_ROUND),
    Method("get_latest_neurons", reads.LATEST_NEURONS),
    Method("get_neurons", reads.NEURONS_AT, _AT),
    Method("get_recent_neurons", reads.RECENT_NEURONS),
    Method("get_neuron_changes", reads.NEURON_CHANGES, {"since": BLOCK_NUMBER}),
    Method("get_latest_validators", reads.LATEST_VALIDATORS),
    Method("get_validators", reads.VALIDATORS_AT, _AT),
    Method("get_commitments", reads.COMMITMENTS),
    Method("get_commitment", reads.COMMITMENT, _OF),
    Method("get_typed_commitments", reads.TYPED_COMMITMENTS),
    Method("get_typed_commitment", reads.TYPED_COMMITMENT, _OF),
    Method("get_all_revealed_commitments", reads.REVEALED_COMMITMENTS),
    Method("get_revealed_commitments", reads.REVEALED_COMMITMENTS_OF, _OF),
    Method("get_certificates", reads.CERTIFICATES),
    Method("get_certificate", reads.CERTIFICATE, _OF),
    Method("get_latest_hyperparameters", reads.LATEST_HYPERPARAMETERS),
    Method("get_hyperparameters", reads.HYPERPARAMETERS_AT, _AT),
    Method("get_latest_price", reads.LATEST_PRICE),
    Method("get_price", reads.PRICE_AT, _AT),
    Method("get_latest_prices", reads.LATEST_PRICES),
    Method("get_prices", reads.PRICES_AT, _AT),
    Method("get_latest_evm_associations", reads.EVM_ASSOCIATIONS),
)
ONLY_IDENTITY = (
    Method("get_own_commitment", reads.OWN_COMMITMENT),
    Method("get_own_typed_commitment", reads.OWN_TYPED_COMMITMENT),
    Method("get_own_revealed_commitments", reads.OWN_REVEALED_COMMITMENTS),
    Method("get_own_certificate", reads.OWN_CERTIFICATE),
    Method("get_weights_status", reads.WEIGHTS_STATUS, _AT, {**_AT, "mechanism_id": 0}),
    Method("put_weights", writes.PUT_WEIGHTS, {"weights": _WEIGHTS}),
    Method(
        "put_weights",
        writes.PUT_MECHANISM_WEIGHTS,
        {"weights": _WEIGHTS, "mechanism_id": MechanismId(1)},
    ),
    Method(
        "set_commitment",
        writes.SET_COMMITMENT,
        {"commitment": b"\x01\xff"},
        {"commitment": "0x01ff"},
    ),
    Method("set_revealed_commitment", writes.SET_REVEALED_COMMITMENT, _TIMELOCKED),
    Method("generate_certificate", writes.GENERATE_CERTIFICATE, {}, {"algorithm": 1}),
    Method("get_jobs", writes.LIST_JOBS),
    Method("get_job", writes.GET_JOB, _JOB),
    Method("wait_for_job", writes.GET_JOB, _JOB),
    Method("cancel_job", writes.CANCEL_JOB, _JOB),
)
METHODS = tuple(
    (accessor, method)
    for accessor, methods in (
        ("open_access", ONLY_OPEN + SHARED),
        ("identity", SHARED + ONLY_IDENTITY),
    )
    for method in methods
)

_COMMITMENT = CommitmentHex("0x01ff")
_TYPED = models.TimelockEncryptedCommitment(
    commitment_block_number=BLOCK_NUMBER,
    hotkey=HOTKEY,
    commitment=_COMMITMENT,
    reveal_round=RevealRound(99),
)
_REVEALED = models.RevealedCommitment(
    reveal_block_number=BLOCK_NUMBER, hotkey=HOTKEY, commitment="opened"
)
_CERTIFICATE = models.NeuronCertificate(
    algorithm=models.CertificateAlgorithm.ED25519, public_key=PublicKey("0x" + "ab" * 32)
)
_COMMITMENTS = {HOTKEY: _COMMITMENT}
_PRICE = models.AlphaPrice(value=AlphaPriceRao(25_000_000))
_JOB_SAMPLE = Job(
    job_id=JOB_ID,
    identity=IdentityName("sn1"),
    netuid=NETUID,
    kind=JobKind.WEIGHTS,
    state=JobState.CONFIRMED,
    created_at_ms=1,
    updated_at_ms=2,
)
_NEURONS = sample_neurons(count=5, block_number=4_300)
_CHANGES = models.NeuronChanges(
    block=_BLOCK,
    from_block=sample_block(BLOCK_NUMBER),
    registered=[sample_neuron(4)],
    replaced=[models.ReplacedNeuron(uid=NeuronUid(3), old_hotkey=HOTKEY, neuron=sample_neuron(3))],
    deregistered=[HOTKEY],
    changed={HOTKEY: {"rank": 0.25, "stakes": {"alpha": 1.5, "tao": 0.0, "total": 1.5}}},
)
_VALIDATORS = models.SubnetValidators(block=_BLOCK, validators=[sample_neuron(3)])
_OWN_COMMITMENT = models.Commitment(
    block=_BLOCK, hotkey=HOTKEY, commitment=_COMMITMENT, commitment_block_number=BLOCK_NUMBER
)
_HYPERPARAMETERS = models.SubnetHyperparameters(
    block=_BLOCK, netuid=NETUID, hyperparameters={"tempo": 360, "commit_reveal": True}
)
_SUBNET_PRICE = models.SubnetPrice(block=_BLOCK, netuid=NETUID, price=_PRICE)
_PRICES = models.SubnetPrices(block=_BLOCK, prices={NETUID: _PRICE})
_EVM = models.EvmAssociation(
    hotkey=HOTKEY,
    evm_address=EvmAddress("0x" + "cd" * 20),
    last_block_where_ownership_was_proven=BLOCK_NUMBER,
)

REPLIES: Mapping[type[BaseModel], BaseModel] = {
    type(reply): reply
    for reply in (
        sample_block_info(4_300),
        models.Extrinsic(
            block_number=BLOCK_NUMBER,
            extrinsic_index=3,
            extrinsic_hash="0x" + "ef" * 32,
            extrinsic_length=120,
            address=HOTKEY,
            call=models.ExtrinsicCall(
                call_module="System",
                call_function="remark",
                call_args=[models.ExtrinsicCallArg(name="remark", type="Bytes", value="0x00")],
            ),
        ),
        models.DrandRound(last_stored_round=12_345),
        models.Identities(identities={IdentityName("sn1"): NetUid(1)}),
        _NEURONS,
        _CHANGES,
        _VALIDATORS,
        models.SubnetCommitments(block=_BLOCK, commitments=_COMMITMENTS),
        _OWN_COMMITMENT,
        models.SubnetTypedCommitments(block=_BLOCK, commitments={HOTKEY: _TYPED}),
        models.HotkeyTypedCommitment(block=_BLOCK, commitment=_TYPED),
        models.SubnetRevealedCommitments(block=_BLOCK, commitments={HOTKEY: [_REVEALED]}),
        models.HotkeyRevealedCommitments(block=_BLOCK, commitments=[_REVEALED]),
        models.SubnetCertificates({HOTKEY: _CERTIFICATE}),
        _CERTIFICATE,
        _HYPERPARAMETERS,
        _SUBNET_PRICE,
        _PRICES,
        models.SubnetEvmAssociations(block=_BLOCK, evm_associations={HOTKEY: _EVM}),
        models.WeightsStatus(weights_submitted=True, weights_on_chain=False),
        writes.WeightsScheduled(count=1, job_id=JOB_ID),
        writes.CommitmentSet(job_id=JOB_ID),
        writes.RevealedCommitmentSet(reveal_round=99, job_id=JOB_ID),
        models.NeuronCertificateKeypair(
            algorithm=models.CertificateAlgorithm.ED25519,
            public_key=_CERTIFICATE.public_key,
            private_key=PrivateKey("0x" + "00" * 32),
        ),
        _JOB_SAMPLE,
        JobList(jobs=[_JOB_SAMPLE]),
    )
}
"""A reply of each kind."""


def all_rows() -> set[str]:
    """Return the names of all operations of the contract, whether or not they are implemented."""
    rows = [*vars(reads).values(), *vars(writes).values()]
    return {row.name for row in rows if isinstance(row, Operation)}
