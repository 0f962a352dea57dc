"""Check of each node's genesis against the chain that the deployment's state belongs to."""

import logging
from collections.abc import Callable

from pylon.chain.chain_identity import ChainIdentity
from pylon_client.contract.failures import ErrorCode, FailureError

logger = logging.getLogger(__name__)

WRONG_CHAIN_DETAIL = "The chain node is of another chain than the state of this deployment."
"""Error text for callers; it does not contain the address of the node."""


class ForeignChainError(Exception):
    """A node is of another chain than the state."""


class UnboundError(Exception):
    """The state is not bound to a chain yet."""


class ChainGuard:
    """Checks the genesis of each node against the chain that the state is bound to.

    Every connection is checked before its first use, including connections that the SDK reopens.
    Thread-safe: one thread may bind the guard while other threads check connections.

    Args:
        network: name of the configured network, without secrets.
        remedy: returns the remedy if the state is bound to the given other chain.
        needs_binding: whether nodes are refused until the state is bound.

    Attributes:
        bound: the chain that the state is bound to; None until that is known.
        problem: why the node is refused; empty if it is not refused.
    """

    def __init__(
        self, network: str, remedy: Callable[[ChainIdentity], str], *, needs_binding: bool
    ) -> None:
        self.bound: ChainIdentity | None = None
        self.problem = ""
        self._network = network
        self._remedy_for = remedy
        self._needs_binding = needs_binding
        self._listeners: list[Callable[[], None]] = []

    @property
    def problems(self) -> list[str]:
        """Return why the node is refused, or an empty list."""
        return [self.problem] if self.problem else []

    @property
    def genesis(self) -> str | None:
        """Return the genesis hash of the chain that the state is bound to, or None."""
        return None if self.bound is None else self.bound.genesis

    def on_bound(self, listener: Callable[[], None]) -> None:
        """Call `listener` when open connections must be checked again; in any thread."""
        self._listeners.append(listener)

    def bind(self, chain: ChainIdentity) -> None:
        """Bind the state to a chain."""
        is_other = self.bound is None or self.bound.genesis != chain.genesis
        self.bound = chain
        if is_other:
            for listener in self._listeners:
                listener()

    def set_problem(self, problem: str) -> None:
        """Set why the node is refused, and log it once."""
        if problem != self.problem:
            logger.error("%s", problem)
        self.problem = problem

    def mismatch(self, genesis: str) -> str:
        """Return why a node with this genesis is refused, for operators; empty if it is valid."""
        if self.bound is None or self.bound.genesis == genesis:
            return ""
        node = ChainIdentity(self._network, genesis)
        return f"{mismatch_text(self.bound, node)}: {self._remedy_for(self.bound)}"

    def check_genesis(self, genesis: str) -> None:
        """Check the genesis of the chain node.

        Raises:
            ForeignChainError: the node is of another chain.
            UnboundError: the state is not bound yet.
        """
        if self.bound is None and self._needs_binding:
            raise UnboundError
        if why := self.mismatch(genesis):
            self.set_problem(why)
            raise ForeignChainError
        if self.problem:
            logger.info("Accepting the chain node again: its chain is that of the state")
            self.problem = ""

    def check_archive_genesis(self, genesis: str) -> None:
        """Check the genesis of an archive node; a refusal does not affect readiness.

        Raises:
            ForeignChainError: the node is of another chain.
        """
        if self.mismatch(genesis):
            raise ForeignChainError


def may_succeed_later(error: FailureError) -> bool:
    """Return whether the same read may succeed later, including after a change of the node."""
    return error.failure.retryable or error.code is ErrorCode.WRONG_CHAIN


def mismatch_text(bound: ChainIdentity, node: ChainIdentity) -> str:
    """Return the reason for refusing a node, with the names of both chains."""
    return (
        f"the state of this deployment belongs to the chain {bound}, but the chain node is of "
        f"{node}"
    )
