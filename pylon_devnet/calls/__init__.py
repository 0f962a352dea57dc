"""The calls that the devnet implements, by `Pallet.function`.

The metadata declares more calls; a call without a handler fails with System.CallFiltered, as with
the chain's call filter.
"""

from pylon_devnet.calls import (
    admin_calls,
    balance_calls,
    commitment_calls,
    registration_calls,
    serving_calls,
    weight_calls,
    wrapper_calls,
)
from pylon_devnet.calls.dispatch import CallHandler

HANDLERS: dict[str, CallHandler] = {
    **weight_calls.HANDLERS,
    **commitment_calls.HANDLERS,
    **serving_calls.HANDLERS,
    **registration_calls.HANDLERS,
    **balance_calls.HANDLERS,
    **admin_calls.HANDLERS,
    **wrapper_calls.HANDLERS,
}
