"""Values that are reused while the runtime's answers are the same."""

from hashlib import sha256

from pylon.chain.runtime_answers import AnswerCache, RuntimeAnswer

CODEC = object()


def answer(data: bytes, codec: object = CODEC) -> RuntimeAnswer:
    return RuntimeAnswer(data, codec, decode=data.decode)


def test_an_answer_has_a_digest() -> None:
    assert answer(b"one").digest == sha256(b"one").digest()
    assert answer(b"one").decode() == "one"


def test_a_value_is_reused_for_equal_answers() -> None:
    cache = AnswerCache()
    assert cache.get("key", [answer(b"a"), answer(b"b")]) is None
    cache.put("key", [answer(b"a"), answer(b"b")], b"value")
    assert cache.get("key", [answer(b"a"), answer(b"b")]) == b"value"
    assert cache.hits == 1


def test_other_answers_need_another_value() -> None:
    cache = AnswerCache()
    cache.put("key", [answer(b"a"), answer(b"b")], b"value")
    for others in ([b"a", b"c"], [b"b", b"a"], [b"ab", b""], [b"a"], [b"a", b"b", b""]):
        assert cache.get("key", [answer(data) for data in others]) is None
    assert cache.get("other", [answer(b"a"), answer(b"b")]) is None
    assert cache.hits == 0


def test_another_runtime_may_give_equal_bytes_another_meaning() -> None:
    cache = AnswerCache()
    cache.put("key", [answer(b"a")], b"value")
    assert cache.get("key", [answer(b"a", object())]) is None


def test_each_key_has_its_last_value() -> None:
    cache = AnswerCache()
    cache.put("key", [answer(b"a")], b"old")
    cache.put("key", [answer(b"b")], b"new")
    assert cache.get("key", [answer(b"a")]) is None
    assert cache.get("key", [answer(b"b")]) == b"new"


def test_the_size_is_bounded() -> None:
    cache = AnswerCache(max_bytes=10)
    cache.put("large", [answer(b"a")], b"x" * 11)
    assert cache.get("large", [answer(b"a")]) is None
    for key in ("first", "second", "third"):
        cache.put(key, [answer(b"a")], b"x" * 5)
    assert cache.get("first", [answer(b"a")]) is None
    assert cache.get("third", [answer(b"a")]) == b"x" * 5
