"""A query on the state after a block, with the type of its result.

A query is plain data: an argument of the chain port, and part of the cache key. The modules of
`pylon/chain/queries` define the queries.
"""

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from pydantic import BaseModel

from pylon.chain.sdk_types import Sdk
from pylon_client.contract.models import Block

_WORD_START_PATTERN: Final = re.compile(r"(?<!^)(?=[A-Z])")

ResultT_co = TypeVar("ResultT_co", bound=BaseModel | bytes, covariant=True)
"""A model, or the JSON of one for a query that is executed at every block."""


@dataclass(frozen=True, slots=True)
class Query(ABC, Generic[ResultT_co]):
    """A query with one result at each block."""

    @property
    def name(self) -> str:
        """Return its name in metrics: the name of the class in snake case."""
        return _WORD_START_PATTERN.sub("_", type(self).__name__).lower()

    @abstractmethod
    async def execute(self, sdk: Sdk, block: Block) -> ResultT_co:
        """Return the result at a block, from the SDK."""


AnyQuery = Query[BaseModel | bytes]
