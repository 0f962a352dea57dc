"""A simulated subtensor node, for development and tests."""

try:
    from pylon.devnet.node import Devnet
except ModuleNotFoundError as error:
    raise ImportError(
        f"the devnet needs {error.name}, of `pip install 'pylon-client[service]'`"
    ) from error
from pylon.devnet.options import DevnetOptions
from pylon.devnet.requests import RequestRecord

__all__ = ["Devnet", "DevnetOptions", "RequestRecord"]
