"""Blocks of a devnet under construction, and single calls in them, without extrinsics."""

from functools import cache
from typing import Any

from pylon_devnet.calls import HANDLERS
from pylon_devnet.calls.dispatch import DecodedCall, DispatchContext
from pylon_devnet.chain_state import Draft
from pylon_devnet.devnet_options import DevnetOptions
from pylon_devnet.runtime.scale_slicing import Slicer
from pylon_devnet.simulated_chain import DevnetChain

SUBTENSOR = "SubtensorModule"
Event = tuple[str, str, Any]


@cache
def genesis_chain() -> DevnetChain:
    """Return a chain of genesis with 16 neurons per subnet, which tests share and do not change."""
    return DevnetChain(DevnetOptions(active=False, neurons=16, genesis_time_ms=1_750_000_000_000))


def new_draft(number: int = 1) -> Draft:
    """Return a draft of a block on that genesis; its changes are in the draft alone."""
    return genesis_chain()._storage.draft(number)


def decoded_call(pallet: str, function: str, **arguments: Any) -> DecodedCall:
    """Return a call as the devnet decodes it from an extrinsic."""
    chain = genesis_chain()
    encoded = chain.codec.compose_call(pallet, function, arguments)
    given = chain.codec.decode_call(encoded)["call_args"]
    raw = Slicer(chain.declaration).arguments(pallet, function, encoded)
    return DecodedCall(pallet, function, {one["name"]: one["value"] for one in given}, raw)


def dispatch_context(draft: Draft, signer: str | None) -> DispatchContext:
    """Return the context of a call that dispatches no other calls."""

    def no_inner_call(*_: Any) -> Any:
        raise AssertionError("the call dispatches another one")

    return DispatchContext(draft, signer, no_inner_call, no_inner_call, no_inner_call)


def execute_call(draft: Draft, signer: str | None, call: DecodedCall) -> list[Event]:
    """Execute the handler of a call, without its guard; return the events.

    Raises:
        DispatchError: the call fails.
    """
    context = dispatch_context(draft, signer)
    HANDLERS[call.name](context, call)
    return context.events
