"""The names of the runtimes that a devnet can simulate."""

from typing import Final

NEWEST: Final = "newest"
"""The runtime that the installed SDK was generated from."""
RUNTIMES: Final = (NEWEST, "finney-424")
"""The names of the runtimes; each is a folder of facts."""
