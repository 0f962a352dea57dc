from pylon_devnet.seeded_random import seeded_random


def test_numbers_depend_only_on_seed_and_scope() -> None:
    assert seeded_random(1, "a", 2).random() == seeded_random(1, "a", 2).random()
    others = [seeded_random(*scope).random() for scope in ((1, "a", 2), (2, "a", 2), (1, "a", 3))]
    assert len(set(others)) == 3
