"""The calls that the devnet knows how to make, by `Pallet.function`.

The metadata declares more of them; a call without a handler fails as the chain's filter would
fail it (System.CallFiltered).
"""

from pylon.devnet.calls import (
    admin,
    balances,
    commitments,
    registration,
    serving,
    weights,
    wrappers,
)
from pylon.devnet.calls.dispatch import Handler

HANDLERS: dict[str, Handler] = {
    **weights.HANDLERS,
    **commitments.HANDLERS,
    **serving.HANDLERS,
    **registration.HANDLERS,
    **balances.HANDLERS,
    **admin.HANDLERS,
    **wrappers.HANDLERS,
}
