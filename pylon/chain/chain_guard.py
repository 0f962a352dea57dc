"""Refuses every connection to a node of another chain than the deployment's state belongs to."""

import logging
from collections.abc import Callable

from pylon.chain.chain_identity import ChainIdentity
from pylon_client.contract.failures import ErrorCode, FailureError

logger = logging.getLogger(__name__)

WRONG_CHAIN_DETAIL = "The chain node is of another chain than the state of this deployment."
"""The same for callers, who do not learn the address of a node."""


class ForeignChainError(Exception):
    """A node is of another chain."""


class UnboundError(Exception):
    """It is not known yet which chain the state belongs to."""


class ChainGuard:
    """Knows which chain the state belongs to, and checks the genesis of each node against it.

    Every connection to a node is checked before it is used, also where the SDK has opened it again.
    One thread may bind it while connections of others are checked.

    Args:
        network: the name of the network that is connected to, without anything secret.
        remedy: returns what to do where the state belongs to this other chain.
        needs_binding: whether nodes are refused until it is known which chain it is.

    Attributes:
        bound: the chain that the state belongs to, once that is known.
        problem: why the node is refused; empty where it is not.
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
        """Return why the node is refused, if it is."""
        return [self.problem] if self.problem else []

    @property
    def genesis(self) -> str | None:
        """Return the genesis of the chain that the state belongs to, once that is known."""
        return None if self.bound is None else self.bound.genesis

    def on_bound(self, listener: Callable[[], None]) -> None:
        """Call `listener`, on any thread, when open connections have to be checked again."""
        self._listeners.append(listener)

    def bind(self, chain: ChainIdentity) -> None:
        """Note which chain the state belongs to."""
        is_other = self.bound is None or self.bound.genesis != chain.genesis
        self.bound = chain
        if is_other:
            for listener in self._listeners:
                listener()

    def set_problem(self, problem: str) -> None:
        """Note why the node is refused, and log it once."""
        if problem != self.problem:
            logger.error("%s", problem)
        self.problem = problem

    def mismatch(self, genesis: str) -> str:
        """Return why a node with this genesis is refused, for operators; empty where it is not."""
        if self.bound is None or self.bound.genesis == genesis:
            return ""
        node = ChainIdentity(self._network, genesis)
        return f"{mismatch_text(self.bound, node)}: {self._remedy_for(self.bound)}"

    def check_genesis(self, genesis: str) -> None:
        """Check the genesis of the chain node.

        Raises:
            ForeignChainError: the node is of another chain.
            UnboundError: that is not known yet.
        """
        if self.bound is None and self._needs_binding:
            raise UnboundError
        if why := self.mismatch(genesis):
            self.set_problem(why)
            raise ForeignChainError
        if self.problem:
            logger.info("The chain node is of the chain of this deployment's state again")
            self.problem = ""

    def check_archive_genesis(self, genesis: str) -> None:
        """Check the genesis of an archive node, whose refusal is no problem of the worker's.

        Raises:
            ForeignChainError: the node is of another chain.
        """
        if self.mismatch(genesis):
            raise ForeignChainError


def may_succeed_later(error: FailureError) -> bool:
    """Return whether the same read may succeed later: also when the right node is back."""
    return error.failure.retryable or error.code is ErrorCode.WRONG_CHAIN


def mismatch_text(bound: ChainIdentity, node: ChainIdentity) -> str:
    """Return why a node is refused, with the names of both chains."""
    return (
        f"the state of this deployment belongs to the chain {bound}, but the chain node is of "
        f"{node}"
    )
