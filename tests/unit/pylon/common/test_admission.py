"""Permits for concurrent requests: a share for each caller, none for parked requests."""

import pytest

from pylon.common.admission import OPEN_CALLER, Admission
from pylon_client.contract.failures import ErrorCode, FailureError

ALICE, BOB = "alice", "bob"
CALLERS = (OPEN_CALLER, ALICE, BOB)


def places_of(admission: Admission, caller: str) -> int:
    """How many more requests of a caller are admitted; all of them are released again."""
    places = []
    try:
        while True:
            places.append(admission.admit(caller))
    except FailureError as error:
        if error.code is not ErrorCode.OVERLOADED:
            raise
    for place in places:
        place.release()
    return len(places)


def test_a_caller_has_its_share_and_the_shared_half() -> None:
    admission = Admission(12, CALLERS)
    assert {caller: places_of(admission, caller) for caller in CALLERS} == dict.fromkeys(CALLERS, 8)
    assert admission.in_use == 0


def test_one_caller_cannot_take_the_share_of_another() -> None:
    admission = Admission(12, CALLERS)
    for _ in range(8):
        admission.admit(ALICE)
    assert [places_of(admission, caller) for caller in (ALICE, BOB, OPEN_CALLER)] == [0, 2, 2]


def test_a_shared_place_is_given_back_before_a_callers_own() -> None:
    admission = Admission(12, CALLERS)
    alices = [admission.admit(ALICE) for _ in range(8)]
    alices.pop().release()
    assert [places_of(admission, caller) for caller in (ALICE, BOB)] == [1, 3]
    while alices:
        alices.pop().release()
    assert places_of(admission, BOB) == 8


def test_releasing_twice_gives_one_place_back() -> None:
    admission = Admission(12, CALLERS)
    with admission.admit(ALICE) as place:
        assert admission.in_use == 1
        place.release()
    assert admission.in_use == 0


def test_a_single_caller_has_every_place() -> None:
    assert places_of(Admission(7, (OPEN_CALLER,)), OPEN_CALLER) == 7


@pytest.mark.parametrize("places", [1, 2])
def test_each_known_caller_has_a_place_even_of_very_few(places: int) -> None:
    admission = Admission(places, CALLERS)
    assert all(places_of(admission, caller) == 1 for caller in CALLERS)


def test_an_unknown_caller_has_the_shared_half() -> None:
    admission = Admission(12, CALLERS)
    assert places_of(admission, "stranger") == 6


def test_a_parked_request_costs_no_place() -> None:
    admission = Admission(12, CALLERS)
    with admission.admit(ALICE) as place, place.released_while_waiting():
        assert (admission.in_use, admission.waiting) == (0, 1)
        assert places_of(admission, ALICE) == 8
    assert (admission.in_use, admission.waiting) == (0, 0)


def test_after_parking_a_place_is_taken_again() -> None:
    admission = Admission(12, CALLERS)
    with admission.admit(ALICE) as place:
        with place.released_while_waiting(), place.released_while_waiting():
            assert admission.waiting == 1
        assert (admission.in_use, admission.waiting) == (1, 0)
    assert admission.in_use == 0


def test_a_request_continues_without_a_permit_if_none_is_free() -> None:
    admission = Admission(12, CALLERS)
    with admission.admit(ALICE) as place:
        with place.released_while_waiting():
            others = [admission.admit(ALICE) for _ in range(8)]
        assert admission.in_use == 8
    assert admission.in_use == 8
    for other in others:
        other.release()
    assert admission.in_use == 0


def test_a_request_that_fails_while_parked_leaves_nothing_behind() -> None:
    admission = Admission(12, CALLERS)
    with (
        pytest.raises(ZeroDivisionError),
        admission.admit(ALICE) as place,
        place.released_while_waiting(),
    ):
        raise ZeroDivisionError
    assert (admission.in_use, admission.waiting) == (0, 0)


def test_a_caller_may_park_some_requests_and_no_more() -> None:
    admission = Admission(12, CALLERS, max_waiting=2)
    first, second, third = (admission.admit(ALICE) for _ in range(3))
    with first.released_while_waiting(), second.released_while_waiting():
        with pytest.raises(FailureError) as refused, third.released_while_waiting():
            pass
        assert refused.value.code is ErrorCode.OVERLOADED
        with third.released_while_waiting(required=False):
            assert (admission.in_use, admission.waiting) == (1, 2)
        with admission.admit(BOB).released_while_waiting():
            assert admission.waiting == 3
