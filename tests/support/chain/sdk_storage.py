"""The storage items of the chain SDK, without its types.

`bittensor.Client.query` declares another type of item than the SDK generates.
"""

from typing import Any

from bittensor._generated import storage

st: Any = storage
