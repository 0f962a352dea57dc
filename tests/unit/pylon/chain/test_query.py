"""Names of queries in metrics; they must not change."""

from pylon.chain import query


def test_each_query_has_its_published_name() -> None:
    kinds = {
        kind
        for kind in vars(query).values()
        if isinstance(kind, type) and issubclass(kind, query.Query) and kind is not query.Query
    }
    names = {kind.name.fget(kind.__new__(kind)) for kind in kinds}  # pyright: ignore[reportAttributeAccessIssue, reportOptionalCall] -- a property
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
