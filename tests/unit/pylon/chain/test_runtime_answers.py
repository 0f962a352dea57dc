"""Answers that are not decoded, and the records of lists in them."""

import json
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon.chain.runtime_answers import RuntimeAnswer, encode_records, split_list
from pylon_devnet.runtime.scale_encoding import encode_vector
from tests.support.chain.runtime_codec import RUNTIME_CODEC

TEXTS = st.lists(st.text(max_size=90), max_size=80)


class TextCodec:
    """A record is a text, which starts with its length."""

    def encode(self, record: str) -> bytes:
        return RUNTIME_CODEC.encode("Vec<u8>", record.encode())

    def decode(self, data: bytes) -> Any:
        return RUNTIME_CODEC.decode("Vec<u8>", data)


CODEC: Any = TextCodec()


def encoded(texts: list[str]) -> list[bytes]:
    return [CODEC.encode(text) for text in texts]


def test_an_answer_has_a_digest() -> None:
    answer = RuntimeAnswer(b"[1]", object(), lambda: json.loads(b"[1]"))
    assert answer.digest == sha256(b"[1]").digest()
    assert answer.decode() == [1]


@given(TEXTS)
def test_the_records_of_a_list_are_its_bytes(texts: list[str]) -> None:
    data = encode_vector(encoded(texts))
    assert encode_records(data, texts, CODEC) == encoded(texts)
    assert encode_records(data, [*texts, ""], CODEC) is None
    assert encode_records(data + b"0", texts, CODEC) is None


@given(TEXTS)
def test_records_that_have_not_changed_are_the_same_objects(texts: list[str]) -> None:
    known = encoded(texts)
    found = split_list(encode_vector(encoded(texts)), known)
    assert found is not None
    assert all(a is b for a, b in zip(found, known, strict=True))


@given(TEXTS, st.data())
def test_a_list_is_split_into_its_records_or_not_at_all(
    texts: list[str], data: st.DataObject
) -> None:
    newer = list(texts)
    for _ in range(data.draw(st.integers(0, 3)) if texts else 0):
        newer[data.draw(st.integers(0, len(texts) - 1))] = data.draw(st.text(max_size=90))
    known = encoded(texts)
    found = split_list(encode_vector(encoded(newer)), known)
    if found is None:
        return
    for part, record in zip(found, known, strict=True):
        if part is not record:
            try:
                CODEC.decode(part)
            except ValueError:
                return  # the caller decodes the whole list
    assert found == encoded(newer)


def test_one_changed_record_among_others_is_found() -> None:
    texts = [f"hotkey {number:064} {'x' * number}" for number in range(20)]
    newer = [*texts[:7], "another length", *texts[8:]]
    assert split_list(encode_vector(encoded(newer)), encoded(texts)) == encoded(newer)


@pytest.mark.parametrize(
    ("data", "known", "expected"),
    [
        (b"", [], None),
        (b"", [b"\x00"], None),
        (b"\x00", [], []),
        (b"\x00\x00", [], None),
        (b"\x03\x00\x00\x00\x40", [b"\x00"], None),
        (b"\x08\x00", [b"\x00"], None),
        (b"\x04", [b"\x00"], [b""]),
        (b"\x04\x00\x00", [b"\x00"], None),
    ],
)
def test_other_bytes_are_no_list_of_as_many_records(
    data: bytes, known: list[bytes], expected: list[bytes] | None
) -> None:
    assert split_list(data, known) == expected
