"""Hyperparameters, from one of three APIs, depending on the runtime of the block."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, cast

from pylon.chain.queries.storage_maps import require_subnet
from pylon.chain.query import Query
from pylon.chain.sdk_types import Sdk
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.models import Block, Skipped, SubnetHyperparameters
from pylon_client.contract.types import NetUid

HyperparameterValue = bool | int | float

_API: Final = "SubnetInfoRuntimeApi"
_METHODS: Final = (
    "get_subnet_hyperparams_v3",
    "get_subnet_hyperparams_v2",
    "get_subnet_hyperparams",
)
"""Methods from the newest to the oldest; the older two return a struct with a field per value."""
_FRACTION_BITS: Final = {"I32F32": 32, "U64F64": 64}
_FRACTION_BITS_BY_NAME: Final = {"alpha_sigmoid_steepness": 32}
"""Fraction bits for structs, whose decoded fixed-point numbers do not include their type."""


@dataclass(frozen=True, slots=True)
class Hyperparameters(Query[SubnetHyperparameters]):
    """All hyperparameters of a subnet."""

    netuid: NetUid

    async def execute(self, sdk: Sdk, block: Block) -> SubnetHyperparameters:
        """Return the hyperparameters that are numbers or flags, by the chain's names."""
        await require_subnet(sdk, self.netuid, block)
        values: dict[str, HyperparameterValue] = {}
        skipped: list[Skipped] = []
        for name, value in await _read_values(sdk, self, block):
            if isinstance(value, bool | int | float):
                values[name] = value
            else:
                skipped.append(Skipped(item=name, reason="it is neither a number nor a flag"))
        return SubnetHyperparameters(
            block=block, netuid=self.netuid, hyperparameters=values, skipped=skipped
        )


async def _read_values(
    sdk: Sdk, query: Hyperparameters, block: Block
) -> Iterable[tuple[str, HyperparameterValue | None]]:
    for method in _METHODS:
        try:
            found = await sdk.runtime_call(_API, method, [query.netuid], block.hash)
        except ValueError:  # raised by the SDK if the runtime lacks the method
            continue
        if found is None:
            break
        if isinstance(found, list):
            entries = cast("list[dict[str, Any]]", found)
            return [(entry["name"], _decode_tagged(entry["value"])) for entry in entries]
        fields = cast("dict[str, Any]", found)
        return [(name, _decode_plain(name, value)) for name, value in fields.items()]
    else:
        raise FailureError(
            ErrorCode.CHAIN_REJECTED, "The chain's runtime does not offer hyperparameters."
        )
    raise FailureError(ErrorCode.NOT_FOUND, f"Subnet {query.netuid} not found.")


def _decode_tagged(value: dict[str, Any]) -> HyperparameterValue | None:
    """Return a value that includes its type: one of the variants of `HyperparamValue`."""
    ((kind, inner),) = value.items()
    bits = _FRACTION_BITS.get(kind)
    if bits is not None and isinstance(inner, dict):
        return cast("dict[str, int]", inner)["bits"] / 2**bits
    return inner if isinstance(inner, bool | int | float) else None


def _decode_plain(name: str, value: Any) -> HyperparameterValue | None:
    bits = _FRACTION_BITS_BY_NAME.get(name)
    if bits is not None and isinstance(value, dict):
        return cast("dict[str, int]", value)["bits"] / 2**bits
    return value if isinstance(value, bool | int | float) else None
