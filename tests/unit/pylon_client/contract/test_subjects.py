import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon_client.contract import subjects
from pylon_client.contract.subjects import (
    BlockEventSubject,
    ChangesEventSubject,
    EventPartSubject,
    IdentitySubject,
    InvalidSubjectError,
    JobEventSubject,
    JobSubject,
    NeuronsEventSubject,
    OpenSubject,
    Subject,
)
from pylon_client.contract.types import IdentityName, JobId, JobKind, MechanismId, NetUid

# The alphabet of `st.text()`, which takes seconds to find it on the first run.
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ASCII = st.characters(codec="ascii")

netuids = st.integers(0, 65_535).map(NetUid)
operations = st.from_regex(r"[a-z0-9_]+(\.[a-z0-9_]+){0,3}", fullmatch=True, alphabet=ASCII)
names = (
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", fullmatch=True, alphabet=ASCII)
    .filter(lambda name: name.lower() not in subjects.RESERVED_USERS)
    .map(IdentityName)
)
mechanisms = st.integers(0, 15).map(MechanismId)
job_ids = st.from_regex(r"[a-z2-7]{26}", fullmatch=True, alphabet=ASCII).map(JobId)
other_kinds = st.sampled_from([kind for kind in JobKind if kind is not JobKind.WEIGHTS])
any_subject = st.one_of(
    st.builds(OpenSubject, st.none() | netuids, operations),
    st.builds(IdentitySubject, names, operations),
    st.builds(BlockEventSubject),
    st.builds(NeuronsEventSubject, netuids),
    st.builds(ChangesEventSubject, netuids),
    st.builds(
        EventPartSubject,
        st.builds(NeuronsEventSubject, netuids) | st.builds(ChangesEventSubject, netuids),
        st.integers(1, 999_999),
    ),
    st.builds(JobSubject, names, st.just(JobKind.WEIGHTS), mechanisms),
    st.builds(JobSubject, names, other_kinds),
    st.builds(JobEventSubject, names, job_ids),
)


@given(any_subject)
def test_a_built_subject_parses_to_its_parts(subject: Subject) -> None:
    assert subjects.parse_subject(str(subject)) == subject


@given(TEXT | st.text(alphabet="pylon.v1open2identity*>chain").map("pylon.v1.".__add__))
def test_a_parsed_subject_has_one_spelling(text: str) -> None:
    try:
        parsed = subjects.parse_subject(text)
    except InvalidSubjectError:
        return
    assert str(parsed) == text


@given(any_subject)
def test_a_subject_has_no_wildcard_nor_empty_token(subject: Subject) -> None:
    tokens = str(subject).split(".")
    assert all(tokens)
    assert not {"*", ">"} & set(tokens)
    assert not any(character.isspace() for character in str(subject))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pylon",
        "pylon.v2.open.1.neurons.latest",
        "pylon.v1.open.65536.neurons.latest",
        "pylon.v1.open.01.neurons.latest",
        "pylon.v1.open.+1.neurons.latest",
        "pylon.v1.open.1",
        "pylon.v1.open.1.",
        "pylon.v1.open.1.*",
        "pylon.v1.event.changes.65536",
        "pylon.v1.event.changes.1.part.0",
        "pylon.v1.event.neurons.1.part.0",
        "pylon.v1.event.neurons.1.part.01",
        "pylon.v1.event.neurons.1.part",
        "pylon.v1.event.neurons.1.2.3",
        "pylon.v1.open.1.neurons..latest",
        "pylon.v1.identity.open.neurons.latest",
        "pylon.v1.identity.Worker.neurons.latest",
        "pylon.v1.identity.>.neurons.latest",
        "pylon.v1.event.neurons.1.2",
        "pylon.v1.event.block.1",
        "pylon.v1.event.job.sn1",
        "pylon.v1.event.job.sn1.42",
        "pylon.v1.event.job.sn1.*",
        "pylon.v1.job.sn1.weights",
        "pylon.v1.job.sn1.weights.16",
        "pylon.v1.job.sn1.weights.01",
        "pylon.v1.job.sn1.commitment.0",
        "pylon.v1.job.sn1.stake",
    ],
)
def test_other_subjects_are_rejected(text: str) -> None:
    with pytest.raises(InvalidSubjectError):
        subjects.parse_subject(text)


@pytest.mark.parametrize("name", ["", "a.b", "a b", "*", ">", "open", "WORKER", "-a", "a" * 64])
def test_names_that_are_not_valid_in_a_subject_are_rejected(name: str) -> None:
    with pytest.raises(InvalidSubjectError):
        str(IdentitySubject(IdentityName(name), "neurons.latest"))


def test_an_invalid_netuid_is_rejected() -> None:
    with pytest.raises(InvalidSubjectError):
        str(OpenSubject(NetUid(65_536), "neurons.latest"))
    with pytest.raises(InvalidSubjectError):
        str(NeuronsEventSubject(NetUid(-1)))
