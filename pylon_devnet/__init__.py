"""A simulated subtensor node, for development and tests."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pylon_devnet.devnet_options import DevnetOptions
    from pylon_devnet.node import Devnet
    from pylon_devnet.request_log import RequestRecord
else:
    _MODULES = {"Devnet": "node", "DevnetOptions": "devnet_options", "RequestRecord": "request_log"}

    def __getattr__(name: str) -> object:
        # Imported when used: `pylon` and its supervisor need small modules of this package, and
        # the node would double the time in which the command starts.
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            module = import_module(f"{__name__}.{_MODULES[name]}")
        except ModuleNotFoundError as error:
            raise ImportError(
                f"the devnet needs {error.name}, of `pip install 'pylon-service[devnet]'`"
            ) from error
        return getattr(module, name)


__all__ = ["Devnet", "DevnetOptions", "RequestRecord"]
