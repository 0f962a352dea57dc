"""What the runtime APIs answer: one function per method, from the state of a block.

A method that the metadata declares and no module here answers is refused by name.
"""

from collections.abc import Callable
from typing import Any

from pylon_devnet.apis import neuron_apis, pool_apis, stake_apis, subnet_apis, system_apis
from pylon_devnet.chain_state import StateReader

RuntimeApiMethod = Callable[..., Any]

API_METHODS: dict[str, Callable[..., Any]] = {
    **neuron_apis.API_METHODS,
    **subnet_apis.API_METHODS,
    **stake_apis.API_METHODS,
    **pool_apis.API_METHODS,
    **system_apis.API_METHODS,
}


def execute_api(state: StateReader, api: str, method: str, arguments: list[Any]) -> Any:
    """The answer of a runtime API method, as the value that its output type encodes.

    Raises:
        NotImplementedError: the devnet does not answer this method.
    """
    function = API_METHODS.get(f"{api}_{method}")
    if function is None:
        raise NotImplementedError(f"the devnet does not answer {api}_{method}")
    return function(state, *arguments)
