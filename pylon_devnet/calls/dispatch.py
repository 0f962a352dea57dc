"""Context and errors of dispatched calls."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pylon_devnet.chain_state import Draft
from pylon_devnet.subnet_state import SUBTENSOR


class DispatchError(Exception):
    """A call failed; its writes are rolled back.

    Args:
        name: variant of the chain's `DispatchError`, or error of the pallet.
        pallet: pallet of the error; None for variants of `DispatchError`.
        inner: payload of a variant that has one (`Token`, `Arithmetic`).
    """

    def __init__(self, name: str, pallet: str | None = SUBTENSOR, inner: str | None = None) -> None:
        super().__init__(name if pallet is None else f"{pallet}.{name}")
        self.name = name
        self.pallet = pallet
        self.inner = inner


def bad_origin() -> DispatchError:
    """Return the error for a signer that is not allowed to make a call."""
    return DispatchError("BadOrigin", None)


def ensure(condition: object, error: str, pallet: str = SUBTENSOR) -> None:
    """Raise an error of a pallet unless the condition is true."""
    if not condition:
        raise DispatchError(error, pallet)


@dataclass(frozen=True, slots=True)
class DecodedCall:
    """A decoded call.

    Attributes:
        pallet: name of the pallet.
        function: name of the function.
        arguments: decoded arguments by name; byte strings are ambiguous.
        raw: SCALE bytes of each argument by name.
    """

    pallet: str
    function: str
    arguments: dict[str, Any]
    raw: dict[str, bytes]

    @property
    def name(self) -> str:
        """`Pallet.function`."""
        return f"{self.pallet}.{self.function}"


@dataclass(slots=True)
class DispatchContext:
    """The context of a dispatched call.

    Attributes:
        draft: state of the block being built.
        signer: ss58 address of the signer; None for root.
        dispatch_call: dispatches an encoded inner call with a signer, or None for root.
        split_calls: splits an encoded vector of calls.
        encode_error: converts a dispatch error to its value in events.
        events: emitted events as (pallet, name, payload).
    """

    draft: Draft
    signer: str | None
    dispatch_call: Callable[["DispatchContext", bytes, str | None], None]
    split_calls: Callable[[bytes], list[bytes]]
    encode_error: Callable[[DispatchError], Any]
    events: list[tuple[str, str, Any]] = field(default_factory=list[tuple[str, str, Any]])

    def emit(self, pallet: str, name: str, payload: Any = None) -> None:
        """Emit an event."""
        self.events.append((pallet, name, payload))

    def ensure_signed(self) -> str:
        """Return the signer.

        Raises:
            DispatchError: the origin is root.
        """
        if self.signer is None:
            raise bad_origin()
        return self.signer

    def ensure_root(self) -> None:
        """Raise unless the origin is root.

        Raises:
            DispatchError: the origin is a signer.
        """
        if self.signer is not None:
            raise bad_origin()


CallHandler = Callable[[DispatchContext, DecodedCall], None]
