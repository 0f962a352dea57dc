"""A simulated subtensor node, for development and tests."""

from pylon.devnet.node import Devnet
from pylon.devnet.options import DevnetOptions
from pylon.devnet.requests import RequestRecord

__all__ = ["Devnet", "DevnetOptions", "RequestRecord"]
