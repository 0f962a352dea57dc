"""Check of the writes that the chain's runtime supports."""

import asyncio
from typing import Any, Final

from bittensor import calls

from pylon.chain.call_composition import WritingSdk
from pylon.chain.runtime_items import require_item
from pylon.chain.weights_state import (
    read_commit_reveal,
    read_epoch,
    read_newest_block,
    read_weights_state,
)
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.types import Hotkey, MechanismId, NetUid

_ZERO_ACCOUNT: Final = Hotkey("5C4hrfjw9DjXZTzV3MwzrrAr9P1MJhSrvWGWqi1eSuyUpnhM")
"""The account of 32 zero bytes, for reads that require an account."""


async def unsupported_writes(sdk: WritingSdk, netuid: NetUid) -> dict[str, str]:
    """Return the unsupported kinds of writes, each with the error that names the missing item.

    Args:
        sdk: connected to a node.
        netuid: the subnet whose storage items are read.
    """
    checks = {
        "weights": _check_weights(sdk, netuid),
        "timelocked weights": _check_timelocked_weights(sdk, netuid),
        "commitments": _check_commitments(sdk, netuid, {"Raw1": "0x00"}),
        "timelocked commitments": _check_commitments(sdk, netuid, _TIMELOCKED_FIELD),
        "certificates": _check_certificates(sdk, netuid),
    }
    missing: dict[str, str] = {}
    results = await asyncio.gather(*checks.values(), return_exceptions=True)
    for kind, result in zip(checks, results, strict=True):
        try:
            if result is not None:
                raise result
        except FailureError as error:
            if error.code is not ErrorCode.RUNTIME_UNSUPPORTED:
                raise
            missing[kind] = error.failure.detail
    return missing


_TIMELOCKED_FIELD: Final = {"TimelockEncrypted": {"encrypted": "0x00", "reveal_round": 1}}


async def _check_weights(sdk: WritingSdk, netuid: NetUid) -> None:
    await read_weights_state(sdk, netuid, MechanismId(0), _ZERO_ACCOUNT, [])
    await _require_call(
        sdk,
        calls.SubtensorModule.set_weights(netuid=netuid, dests=[0], weights=[1], version_key=0),
    )


async def _check_timelocked_weights(sdk: WritingSdk, netuid: NetUid) -> None:
    number, block_hash = await read_newest_block(sdk)
    epoch = await read_epoch(sdk, netuid, number, block_hash)
    await read_commit_reveal(sdk, netuid, epoch, block_hash)
    await _require_call(
        sdk,
        calls.SubtensorModule.commit_timelocked_weights(
            netuid=netuid, commit=b"", reveal_round=1, commit_reveal_version=4
        ),
    )


async def _check_commitments(sdk: WritingSdk, netuid: NetUid, field: dict[str, Any]) -> None:
    info: Any = {"fields": [field]}
    await _require_call(sdk, calls.Commitments.set_commitment(netuid=netuid, info=info))


async def _check_certificates(sdk: WritingSdk, netuid: NetUid) -> None:
    await _require_call(
        sdk,
        calls.SubtensorModule.serve_axon_tls(
            netuid=netuid,
            version=0,
            ip=0,
            port=1,
            ip_type=4,
            protocol=0,
            placeholder1=0,
            placeholder2=0,
            certificate=b"",
        ),
    )


async def _require_call(sdk: WritingSdk, call: Any) -> None:
    module, function, _ = call
    await require_item(f"{module}.{function}", sdk.compose(call))
