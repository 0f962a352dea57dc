"""Names of queries in metrics; they must not change."""

import importlib
import pkgutil

from pylon.chain import queries
from pylon.chain.query import Query


def test_each_query_has_its_published_name() -> None:
    kinds: set[type[Query[object]]] = set()  # pyright: ignore[reportInvalidTypeArguments] -- of any result
    for module in pkgutil.iter_modules(queries.__path__, f"{queries.__name__}."):
        members = vars(importlib.import_module(module.name)).values()
        kinds |= {kind for kind in members if isinstance(kind, type) and issubclass(kind, Query)}
    names = {kind.name.fget(kind.__new__(kind)) for kind in kinds - {Query}}  # pyright: ignore[reportAttributeAccessIssue, reportOptionalCall] -- a property
    assert names == {
        "certificates_of",
        "commitments",
        "evm_associations",
        "extrinsics",
        "hyperparameters",
        "last_drand_round",
        "neurons",
        "prices",
        "revealed_commitments",
        "weights_of",
    }
