"""A simulated subtensor node, for development and tests."""

try:
    from pylon_devnet.node import Devnet
except ModuleNotFoundError as error:
    raise ImportError(
        f"the devnet needs {error.name}, of `pip install 'pylon-service[devnet]'`"
    ) from error
from pylon_devnet.devnet_options import DevnetOptions
from pylon_devnet.request_log import RequestRecord

__all__ = ["Devnet", "DevnetOptions", "RequestRecord"]
