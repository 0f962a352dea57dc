"""Every query has a function that executes it."""

from pylon.chain import query
from pylon.chain.queries.executors import EXECUTORS


def test_every_query_has_an_executor() -> None:
    queries = {
        kind
        for kind in vars(query).values()
        if isinstance(kind, type) and issubclass(kind, query.Query)
    }
    assert queries - {query.Query} == set(EXECUTORS)
