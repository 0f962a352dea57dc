"""The writes and the operations on jobs, with the bodies of their requests and replies.

Values are not coerced: a weight of `true` or `"0.5"` is rejected.
"""

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from pylon_client.contract.deprecated_names import deprecated_names
from pylon_client.contract.jobs import JOBS_PER_PAGE, MAX_JOBS_PER_PAGE, Job, JobList
from pylon_client.contract.models import NeuronCertificateKeypair
from pylon_client.contract.operation import Operation, Params
from pylon_client.contract.ss58 import HotkeyField
from pylon_client.contract.topology import MAX_REQUEST_BYTES
from pylon_client.contract.types import Hotkey, JobId, MechanismField, MechanismId

MAX_WEIGHTS: Final = 4096
MAX_COMMITMENT_BYTES: Final = 128
"""Maximum size of a raw field in the chain's commitments pallet, in bytes."""
MAX_REVEALED_COMMITMENT_BYTES: Final = 768
"""Maximum size of the text in bytes; encrypted, it must fit the chain's limit of 1024 bytes."""
MAX_BLOCKS_UNTIL_REVEAL: Final = 1_000_000


def _limit_count(weights: object) -> object:
    # Checked before the items: validating tens of thousands of them would waste time.
    if isinstance(weights, dict) and (count := len(weights)) > MAX_WEIGHTS:  # pyright: ignore[reportUnknownArgumentType] -- of anything
        raise ValueError(f"At most {MAX_WEIGHTS} weights can be set, not {count}")
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
    if len(digits) > 2 * MAX_COMMITMENT_BYTES:
        raise ValueError(f"Data should have at most {MAX_COMMITMENT_BYTES} bytes")
    return "0x" + digits.lower()


def _as_integer(value: object) -> object:
    # JSON has one type of number, and some languages encode the integer 5 as 5.0.
    return int(value) if isinstance(value, float) and value.is_integer() else value


RequestedWeight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Weights = Annotated[
    dict[HotkeyField, RequestedWeight],
    Field(
        max_length=MAX_WEIGHTS,
        # The rule of the validator below, as a JSON schema.
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
            "pattern": f"^(0[xX])?([0-9a-fA-F]{{2}}){{1,{MAX_COMMITMENT_BYTES}}}$",
        }
    ),
]


def _limit_timelocked_size(text: str) -> str:
    if len(text.encode()) > MAX_REVEALED_COMMITMENT_BYTES:
        raise ValueError(f"should have at most {MAX_REVEALED_COMMITMENT_BYTES} bytes in UTF-8")
    return text


class PutWeights(Params):
    """Relative weights by hotkey."""

    weights: Weights


class PutMechanismWeights(PutWeights):
    """Relative weights by hotkey for one of the subnet's mechanisms."""

    mechanism_id: MechanismField = MechanismId(0)


class SetCommitment(Params):
    """Public bytes to put on the chain, as hexadecimal digits with or without 0x."""

    commitment: HexBytes


class SetRevealedCommitment(Params):
    """A text to put on the chain under a timelock; the chain reveals it later."""

    commitment: Annotated[str, AfterValidator(_limit_timelocked_size)] = Field(
        min_length=1, max_length=MAX_REVEALED_COMMITMENT_BYTES
    )
    blocks_until_reveal: Annotated[int, BeforeValidator(_as_integer)] = Field(
        ge=1, le=MAX_BLOCKS_UNTIL_REVEAL
    )


class GenerateCertificate(Params):
    """The algorithm of the key pair; only 1, Ed25519, is supported."""

    algorithm: Literal[1] = 1


_CURSOR_PATTERN: Final = r"^(open\.[0-9]{1,15}\.[a-z2-7]{26}|ended\.[0-9]{1,18})$"


class ListJobs(Params):
    """A page of an identity's jobs.

    Open jobs come first, newest first, then ended jobs, last ended first. Each page is sorted by
    creation time, newest first.

    Attributes:
        limit: maximum number of jobs; a page of very large jobs has fewer.
        before: `next` of the previous page; None for the first page.
        state: `open` or `ended`; None for both.
    """

    limit: int = Field(default=JOBS_PER_PAGE, ge=1, le=MAX_JOBS_PER_PAGE)
    # Both may be omitted; REST parameters cannot be null.
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
        """Return the parameters without defaults, which older workers would reject."""
        options.setdefault("exclude_defaults", True)
        return super().model_dump(**options)


class JobParams(Params):
    """The job of an operation."""

    job_id: JobId = Field(pattern=r"^[a-z2-7]{26}$")


if not TYPE_CHECKING:  # type checkers report the old name
    __getattr__ = deprecated_names(__name__, {"OfJob": JobParams})


class WriteReply(BaseModel):
    """The body of a successful reply to a write."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class WeightsScheduled(WriteReply):
    """The weights are stored durably in a job that sets them.

    Attributes:
        count: the number of accepted weights.
        job_id: the job that sets them.
        warning: the reason why they cannot be set at present, if any.
    """

    detail: str = "weights update scheduled"
    count: int
    job_id: JobId
    warning: str | None = None


class CommitmentSet(WriteReply):
    """The commitment is on the chain."""

    detail: str = "Commitment set successfully."
    job_id: JobId


class RevealedCommitmentSet(WriteReply):
    """The timelocked commitment is on the chain until the drand round of its reveal."""

    reveal_round: int
    job_id: JobId


PUT_WEIGHTS: Final = Operation(
    name="weights.put",
    summary="Set weights; replies when they are stored durably",
    params=PutWeights,
    reply=WeightsScheduled,
    method="PUT",
    path="/weights",
    identity_only=True,
    max_request_bytes=MAX_REQUEST_BYTES,
)
PUT_MECHANISM_WEIGHTS: Final = Operation(
    name="weights.put_mechanism",
    summary="Set the weights of one mechanism; replies when they are stored durably",
    params=PutMechanismWeights,
    reply=WeightsScheduled,
    method="PUT",
    path="/mechanism/{mechanism_id}/weights",
    identity_only=True,
    max_request_bytes=MAX_REQUEST_BYTES,
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
    summary="Put a timelocked commitment on the chain, and wait for it",
    params=SetRevealedCommitment,
    reply=RevealedCommitmentSet,
    method="POST",
    path="/commitments/revealed",
    success_status=201,
    identity_only=True,
)
GENERATE_CERTIFICATE: Final = Operation(
    name="certificate.generate",
    summary="Generate a key pair; replies before a job registers its public key on the chain",
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
    summary="Cancel a job of this identity that was not submitted yet",
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
