"""Answers of runtime APIs, and values computed from them that are reused for equal answers."""

import contextlib
import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from cachetools import LRUCache

MAX_ANSWER_CACHE_BYTES: Final = 24 * 1024 * 1024
"""Default size of a cache, in bytes: about 160 subnets with 256 neurons each."""


@dataclass(frozen=True, eq=False)
class RuntimeAnswer:
    """An answer of a runtime API that is not decoded yet.

    Attributes:
        data: the SCALE bytes.
        codec: the codec of the block's runtime; another codec may give the same bytes another
            meaning.
        decode: returns the decoded value.
    """

    data: bytes
    codec: object
    decode: Callable[[], Any]

    @cached_property
    def digest(self) -> bytes:
        """Return the SHA-256 digest of the bytes."""
        return hashlib.sha256(self.data).digest()


@dataclass(frozen=True, slots=True)
class _Computed:
    codecs: list[object]
    digests: list[bytes]
    value: bytes


class AnswerCache:
    """The last value of each key, and the digests of the answers from which it was computed.

    Args:
        max_bytes: maximum size of the stored values, in bytes.

    Attributes:
        hits: number of values that were reused.
    """

    def __init__(self, max_bytes: int = MAX_ANSWER_CACHE_BYTES) -> None:
        self.hits = 0
        self._computed = LRUCache[Hashable, _Computed](
            max_bytes, getsizeof=lambda computed: len(computed.value)
        )

    def get(self, key: Hashable, answers: Sequence[RuntimeAnswer]) -> bytes | None:
        """Return the value of a key if it was computed from the same answers."""
        last = self._computed.get(key)
        if (
            last is None
            or last.digests != [answer.digest for answer in answers]
            or any(a.codec is not b for a, b in zip(answers, last.codecs, strict=True))
        ):
            return None
        self.hits += 1
        return last.value

    def put(self, key: Hashable, answers: Sequence[RuntimeAnswer], value: bytes) -> None:
        """Replace the value of a key."""
        codecs = [answer.codec for answer in answers]
        digests = [answer.digest for answer in answers]
        with contextlib.suppress(ValueError):  # larger than the whole cache
            self._computed[key] = _Computed(codecs, digests, value)
