"""The calls that the devnet knows how to make, by `Pallet.function`.

The metadata declares more of them; a call without a handler fails as the chain's filter would
fail it (System.CallFiltered).
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
