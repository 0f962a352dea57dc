"""The query of a read, independent of its caller and of how the hotkey was named."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic

from pylon.rpc.calls import ParamsT, ParamsT_co, ServiceCall
from pylon_client.contract.failures import ErrorCode, FailureError
from pylon_client.contract.operations import Scope
from pylon_client.contract.reads import HotkeyParams
from pylon_client.contract.types import Hotkey, IdentityName, NetUid


@dataclass(frozen=True, slots=True)
class ReadQuery(Generic[ParamsT_co]):
    """A call without its caller; equal for equal queries of different callers.

    Attributes:
        operation: name of the operation.
        params: its parameters.
        optional_netuid: the subnet; None if the operation concerns the chain.
        optional_hotkey: the hotkey of the parameters, or the calling identity's own hotkey; None if
            the read does not use one.
    """

    operation: str
    params: ParamsT_co
    optional_netuid: NetUid | None
    optional_hotkey: Hotkey | None

    @property
    def netuid(self) -> NetUid:
        """Return the subnet of a read of a subnet.

        Raises:
            TypeError: the read concerns the chain.
        """
        if self.optional_netuid is None:
            raise TypeError(f"{self.operation} has no subnet")
        return self.optional_netuid

    @property
    def hotkey(self) -> Hotkey:
        """Return the hotkey of a read that uses one.

        Raises:
            TypeError: the read does not use a hotkey.
        """
        if self.optional_hotkey is None:
            raise TypeError(f"{self.operation} has no hotkey")
        return self.optional_hotkey


def resolve(
    call: ServiceCall[ParamsT], addresses: Mapping[IdentityName, Hotkey], *, uses_own_hotkey: bool
) -> ReadQuery[ParamsT]:
    """Return the query of a call.

    Args:
        call: of a read operation.
        addresses: the known hotkeys of identities.
        uses_own_hotkey: whether the operation reads the calling identity's own hotkey.

    Raises:
        FailureError: MISCONFIGURED, if that hotkey is unknown.
    """
    hotkey = call.params.hotkey if isinstance(call.params, HotkeyParams) else None
    if uses_own_hotkey and call.scope is Scope.IDENTITY and call.identity is not None:
        hotkey = addresses.get(call.identity)
        if hotkey is None:
            raise FailureError(
                ErrorCode.MISCONFIGURED,
                f"This worker does not know the hotkey's address of identity {call.identity!r}; "
                "its log lists the places where it looked.",
            )
    return ReadQuery(call.operation, call.params, call.netuid, hotkey)
