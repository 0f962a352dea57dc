"""What can be asked to be written, and what the answer says: bodies of requests and replies.

Nothing is coerced: a weight of `true` or `"0.5"` is refused, not read as a number.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from pylon_client.contract.jobs import JOBS_PER_PAGE, JOBS_PER_PAGE_MAX, Job, JobList
from pylon_client.contract.models import NeuronCertificateKeypair
from pylon_client.contract.operation import Operation, Params
from pylon_client.contract.ss58 import HotkeyField
from pylon_client.contract.topology import REQUEST_MAX_BYTES
from pylon_client.contract.types import Hotkey, JobId, MechanismField, MechanismId

WEIGHTS_MAX: Final = 4096
COMMITMENT_MAX_BYTES: Final = 128
"""The chain's commitments pallet takes fields of at most this many raw bytes."""
REVEALED_COMMITMENT_MAX_BYTES: Final = 768
"""Sealed, it must fit the 1024 bytes that the chain takes."""
BLOCKS_UNTIL_REVEAL_MAX: Final = 1_000_000


def _limit_count(weights: object) -> object:
    # Counted before each is looked at: what is wrong with ten thousands of them is not worth it.
    if isinstance(weights, dict) and (count := len(weights)) > WEIGHTS_MAX:  # pyright: ignore[reportUnknownArgumentType] -- of anything
        raise ValueError(f"At most {WEIGHTS_MAX} weights can be set, not {count}")
    return weights  # pyright: ignore[reportUnknownVariableType] -- the same


def _require_positive(weights: dict[Hotkey, float]) -> dict[Hotkey, float]:
    if not weights:
        raise ValueError("No weights provided")
    if not any(weight > 0 for weight in weights.values()):
        raise ValueError("All weights are zero; nothing to set")
    return weights


def _to_hex_text(value: object) -> object:
    if not isinstance(value, str | bytes):
        raise ValueError("commitment must be bytes or hex string")  # noqa: TRY004 -- pydantic reports ValueErrors
    return value if isinstance(value, str) else "0x" + value.hex()


def _normalize_hex(text: str) -> str:
    digits = text.removeprefix("0x").removeprefix("0X")
    if len(digits) % 2 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
        raise ValueError("passed commitment data is not a valid hex string.")
    if not digits:
        raise ValueError("Data should have at least 1 byte")
    if len(digits) > 2 * COMMITMENT_MAX_BYTES:
        raise ValueError(f"Data should have at most {COMMITMENT_MAX_BYTES} bytes")
    return "0x" + digits.lower()


def _as_integer(value: object) -> object:
    # JSON has one kind of numbers: some languages write the integer 5 as 5.0.
    return int(value) if isinstance(value, float) and value.is_integer() else value


RequestedWeight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Weights = Annotated[
    dict[HotkeyField, RequestedWeight],
    Field(
        max_length=WEIGHTS_MAX,
        # What the validator below refuses, in the words of a schema.
        json_schema_extra={"minProperties": 1, "not": {"additionalProperties": {"const": 0}}},
    ),
    BeforeValidator(_limit_count),
    AfterValidator(_require_positive),
]
HexBytes = Annotated[
    str,
    BeforeValidator(_to_hex_text),
    AfterValidator(_normalize_hex),
    Field(
        json_schema_extra={
            "pattern": f"^(0[xX])?([0-9a-fA-F]{{2}}){{1,{COMMITMENT_MAX_BYTES}}}$",
        }
    ),
]


def _limit_sealed_size(text: str) -> str:
    if len(text.encode()) > REVEALED_COMMITMENT_MAX_BYTES:
        raise ValueError(f"should have at most {REVEALED_COMMITMENT_MAX_BYTES} bytes in UTF-8")
    return text


class PutWeights(Params):
    """Weights by hotkey; relative, not absolute."""

    weights: Weights


class PutMechanismWeights(PutWeights):
    """Weights by hotkey for one of the subnet's mechanisms."""

    mechanism_id: MechanismField = MechanismId(0)


class SetCommitment(Params):
    """Public bytes to put on the chain, as hexadecimal digits with or without 0x."""

    commitment: HexBytes


class SetRevealedCommitment(Params):
    """A text to put on the chain sealed, which the chain opens by itself."""

    commitment: Annotated[str, AfterValidator(_limit_sealed_size)] = Field(
        min_length=1, max_length=REVEALED_COMMITMENT_MAX_BYTES
    )
    blocks_until_reveal: Annotated[int, BeforeValidator(_as_integer)] = Field(
        ge=1, le=BLOCKS_UNTIL_REVEAL_MAX
    )


class GenerateCertificate(Params):
    """Which kind of key pair to make; only 1, Ed25519, is known."""

    algorithm: Literal[1] = 1


_CURSOR_PATTERN: Final = r"^(open\.[0-9]{1,15}\.[a-z2-7]{26}|ended\.[0-9]{1,18})$"


class ListJobs(Params):
    """Which jobs of an identity, page by page.

    Jobs that have not ended come first, those created last first; then those that have ended, the
    last ended first. Each page is sorted by the time of creation, newest first.

    Attributes:
        limit: how many jobs at most; a page of very large jobs has fewer.
        before: `next` of the page before; None for the first page.
        state: `open` for those that have not ended, `ended` for the others; None for both.
    """

    limit: int = Field(default=JOBS_PER_PAGE, ge=1, le=JOBS_PER_PAGE_MAX)
    # Either may be left out; over REST there is no null that it could be.
    before: Annotated[
        str | None,
        Field(pattern=_CURSOR_PATTERN),
        WithJsonSchema({"type": "string", "pattern": _CURSOR_PATTERN}),
    ] = None
    state: Annotated[
        Literal["open", "ended"] | None,
        WithJsonSchema({"type": "string", "enum": ["open", "ended"]}),
    ] = None

    def model_dump(self, **options: Any) -> dict[str, Any]:
        """Leave out what is not given: workers of older versions would refuse it."""
        options.setdefault("exclude_defaults", True)
        return super().model_dump(**options)


class JobParams(Params):
    """Which job."""

    job_id: JobId = Field(pattern=r"^[a-z2-7]{26}$")


class WriteReply(BaseModel):
    """The body of an answer to a write."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class WeightsScheduled(WriteReply):
    """The weights are durable, and will be set or the job will say why not.

    Attributes:
        count: how many weights were accepted.
        job_id: of the job that sets them.
        warning: what keeps them from being set just now; None where nothing does.
    """

    detail: str = "weights update scheduled"
    count: int
    job_id: JobId
    warning: str | None = None


class CommitmentSet(WriteReply):
    """The commitment stands on the chain."""

    detail: str = "Commitment set successfully."
    job_id: JobId


class RevealedCommitmentSet(WriteReply):
    """The sealed commitment stands on the chain until the drand round that opens it."""

    reveal_round: int
    job_id: JobId


PUT_WEIGHTS: Final = Operation(
    name="weights.put",
    summary="Set weights; answered once they are durable",
    params=PutWeights,
    reply=WeightsScheduled,
    method="PUT",
    path="/weights",
    identity_only=True,
    request_max_bytes=REQUEST_MAX_BYTES,
)
PUT_MECHANISM_WEIGHTS: Final = Operation(
    name="weights.put_mechanism",
    summary="Set the weights of one mechanism; answered once they are durable",
    params=PutMechanismWeights,
    reply=WeightsScheduled,
    method="PUT",
    path="/mechanism/{mechanism_id}/weights",
    identity_only=True,
    request_max_bytes=REQUEST_MAX_BYTES,
)
SET_COMMITMENT: Final = Operation(
    name="commitment.set",
    summary="Put a commitment on the chain, and wait for it",
    params=SetCommitment,
    reply=CommitmentSet,
    method="POST",
    path="/commitments",
    success_status=201,
    identity_only=True,
)
SET_REVEALED_COMMITMENT: Final = Operation(
    name="commitment.set_revealed",
    summary="Put a commitment on the chain that the chain itself opens later, and wait for it",
    params=SetRevealedCommitment,
    reply=RevealedCommitmentSet,
    method="POST",
    path="/commitments/revealed",
    success_status=201,
    identity_only=True,
)
GENERATE_CERTIFICATE: Final = Operation(
    name="certificate.generate",
    summary="Make a key pair; answered before a job puts its public part on the chain",
    params=GenerateCertificate,
    reply=NeuronCertificateKeypair,
    method="POST",
    path="/certificates/self",
    success_status=201,
    identity_only=True,
)
LIST_JOBS: Final = Operation(
    name="jobs.list",
    summary="The jobs of this identity, newest first, page by page",
    params=ListJobs,
    reply=JobList,
    method="GET",
    path="/jobs",
    identity_only=True,
)
GET_JOB: Final = Operation(
    name="jobs.get",
    summary="One job of this identity",
    params=JobParams,
    reply=Job,
    method="GET",
    path="/jobs/{job_id}",
    identity_only=True,
)
CANCEL_JOB: Final = Operation(
    name="jobs.cancel",
    summary="Give up a job of this identity that was not submitted yet",
    params=JobParams,
    reply=Job,
    method="DELETE",
    path="/jobs/{job_id}",
    identity_only=True,
)

WRITE_OPERATIONS: Final = (
    PUT_WEIGHTS,
    PUT_MECHANISM_WEIGHTS,
    SET_COMMITMENT,
    SET_REVEALED_COMMITMENT,
    GENERATE_CERTIFICATE,
    LIST_JOBS,
    GET_JOB,
    CANCEL_JOB,
)
