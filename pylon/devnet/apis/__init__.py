"""What the runtime APIs answer: one function per method, from the state of a block.

A method that the metadata declares and no module here answers is refused by name.
"""

from collections.abc import Callable
from typing import Any

from pylon.devnet.apis import neurons, pools, stakes, subnets, system
from pylon.devnet.state import State

Answer = Callable[..., Any]

ANSWERS: dict[str, Callable[..., Any]] = {
    **neurons.ANSWERS,
    **subnets.ANSWERS,
    **stakes.ANSWERS,
    **pools.ANSWERS,
    **system.ANSWERS,
}


def answer(state: State, api: str, method: str, arguments: list[Any]) -> Any:
    """The answer of a runtime API method, as the value that its output type encodes.

    Raises:
        NotImplementedError: the devnet does not answer this method.
    """
    function = ANSWERS.get(f"{api}_{method}")
    if function is None:
        raise NotImplementedError(f"the devnet does not answer {api}_{method}")
    return function(state, *arguments)
