"""The mutants of `nox -s mutants` apply to the code as it is, so that the list does not rot."""

import pytest

from tests.support.product.mutation import Mutant
from tests.system.security.mutants import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_applies(mutant: Mutant) -> None:
    assert mutant.problems() == []


def test_every_mutant_has_a_unique_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
