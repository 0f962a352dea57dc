"""What a call works with, and how it fails."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pylon_devnet.chain_state import Draft
from pylon_devnet.subnet_state import SUBTENSOR


class DispatchError(Exception):
    """A call that is undone; what it wrote is not kept.

    Args:
        name: the variant of the chain's `DispatchError`, or the error of the pallet.
        pallet: the pallet whose error it is; None for the chain's own variants.
        inner: the payload of a variant that has one (`Token`, `Arithmetic`).
    """

    def __init__(self, name: str, pallet: str | None = SUBTENSOR, inner: str | None = None) -> None:
        super().__init__(name if pallet is None else f"{pallet}.{name}")
        self.name = name
        self.pallet = pallet
        self.inner = inner


def bad_origin() -> DispatchError:
    """The signer may not make this call."""
    return DispatchError("BadOrigin", None)


def ensure(condition: object, error: str, pallet: str = SUBTENSOR) -> None:
    """Fails the call with an error of a pallet unless the condition holds."""
    if not condition:
        raise DispatchError(error, pallet)


@dataclass(frozen=True, slots=True)
class DecodedCall:
    """A decoded call.

    Attributes:
        pallet: it belongs to.
        function: its name.
        arguments: decoded, by name; byte strings are ambiguous here.
        raw: the SCALE bytes of each argument, by name.
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
    """One call being made.

    Attributes:
        draft: the state of the block being built.
        signer: whose call it is; None is root.
        dispatch_call: makes a call that is inside this one, from its bytes, as a signer or as root.
        split_calls: cuts an encoded vector of calls into calls.
        encode_error: a dispatch error as events show it.
        events: what happened so far, as (pallet, name, payload).
    """

    draft: Draft
    signer: str | None
    dispatch_call: Callable[["DispatchContext", bytes, str | None], None]
    split_calls: Callable[[bytes], list[bytes]]
    encode_error: Callable[[DispatchError], Any]
    events: list[tuple[str, str, Any]] = field(default_factory=list[tuple[str, str, Any]])

    def emit(self, pallet: str, name: str, payload: Any = None) -> None:
        """Tells what happened."""
        self.events.append((pallet, name, payload))

    def ensure_signed(self) -> str:
        """The signer.

        Raises:
            DispatchError: the call is root's.
        """
        if self.signer is None:
            raise bad_origin()
        return self.signer

    def ensure_root(self) -> None:
        """Lets only root pass.

        Raises:
            DispatchError: someone signed the call.
        """
        if self.signer is not None:
            raise bad_origin()


CallHandler = Callable[[DispatchContext, DecodedCall], None]
