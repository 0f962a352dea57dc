"""What a read is about, whoever asks and however the hotkey was named."""

from collections.abc import Mapping
from dataclasses import dataclass

from pylon.rpc.calls import ServiceCall
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operations import Params, Scope
from pylon_client.contract.reads import HotkeyParams
from pylon_client.contract.types import Hotkey, IdentityName, NetUid


@dataclass(frozen=True, slots=True)
class ReadQuery:
    """A call without its caller: the same for all who ask the same.

    Attributes:
        operation: the operation's name.
        params: as they came.
        optional_netuid: the subnet it is about; None when it is about the chain.
        optional_hotkey: the hotkey that was named or, else, the asking identity's own; None in open
            access without one.
    """

    operation: str
    params: Params
    optional_netuid: NetUid | None
    optional_hotkey: Hotkey | None

    @property
    def netuid(self) -> NetUid:
        """The subnet."""
        if self.optional_netuid is None:
            raise TypeError(f"{self.operation} is about a subnet")
        return self.optional_netuid

    @property
    def hotkey(self) -> Hotkey:
        """The hotkey."""
        if self.optional_hotkey is None:
            raise TypeError(f"{self.operation} is about a hotkey")
        return self.optional_hotkey


def resolve(
    call: ServiceCall, addresses: Mapping[IdentityName, Hotkey], *, uses_own_hotkey: bool
) -> ReadQuery:
    """What a call asks.

    Args:
        call: as it was read from a message.
        addresses: the hotkeys of the identities, as far as they are known.
        uses_own_hotkey: whether the operation is about the identity's own hotkey.

    Raises:
        FailureError: MISCONFIGURED, where that hotkey is not known.
    """
    hotkey = call.params.hotkey if isinstance(call.params, HotkeyParams) else None
    if uses_own_hotkey and call.scope is Scope.IDENTITY and call.identity is not None:
        hotkey = addresses.get(call.identity)
        if hotkey is None:
            raise FailureError(
                ErrorCode.MISCONFIGURED,
                f"This worker does not know the hotkey's address of identity {call.identity!r}; "
                "its log says where it looked.",
            )
    return ReadQuery(call.operation, call.params, call.netuid, hotkey)
