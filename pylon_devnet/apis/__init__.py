"""What the runtime APIs answer: one function per method, from the state of a block.

A method that the metadata declares and no module here answers is refused by name.
"""

from collections.abc import Callable
from typing import Any

from pylon_devnet.apis import neuron_apis, pool_apis, stake_apis, subnet_apis, system_apis
from pylon_devnet.chain_state import State

Answer = Callable[..., Any]

ANSWERS: dict[str, Callable[..., Any]] = {
    **neuron_apis.ANSWERS,
    **subnet_apis.ANSWERS,
    **stake_apis.ANSWERS,
    **pool_apis.ANSWERS,
    **system_apis.ANSWERS,
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
