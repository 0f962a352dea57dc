"""Runtime APIs: one function per method, which reads the state of a block.

Methods that the metadata declares but no module implements are rejected with their name.
"""

from collections.abc import Callable
from typing import Any

from pylon_devnet.apis import neuron_apis, pool_apis, stake_apis, subnet_apis, system_apis
from pylon_devnet.chain_state import StateReader

API_METHODS: dict[str, Callable[..., Any]] = {
    **neuron_apis.API_METHODS,
    **subnet_apis.API_METHODS,
    **stake_apis.API_METHODS,
    **pool_apis.API_METHODS,
    **system_apis.API_METHODS,
}


def execute_api(state: StateReader, api: str, method: str, arguments: list[Any]) -> Any:
    """Execute a runtime API method and return its result as a Python value.

    Raises:
        NotImplementedError: the devnet does not implement this method.
    """
    function = API_METHODS.get(f"{api}_{method}")
    if function is None:
        raise NotImplementedError(f"the devnet does not implement {api}_{method}")
    return function(state, *arguments)
