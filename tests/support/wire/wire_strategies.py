"""The parts of messages, valid and invalid ones, as hypothesis draws them from a seed."""

from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from pylon_client.contract import headers as wire_headers
from pylon_client.contract.operations import NATS_OPERATIONS
from pylon_client.contract.topology import MAX_REQUEST_BYTES
from pylon_devnet.population import hotkey
from tests.support.product.job_deployment import SUBNETS

T = TypeVar("T")


def drawn(strategy: st.SearchStrategy[T], count: int, number: int) -> list[T]:
    """Return the first values that hypothesis draws from a strategy, the same on each run."""
    values: list[T] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[
            HealthCheck.data_too_large,
            HealthCheck.filter_too_much,
            HealthCheck.large_base_example,
            HealthCheck.too_slow,
        ],
    )
    @given(strategy)
    def draw(value: T) -> None:
        values.append(value)

    draw()
    return values


def _without(raw: bytes, bad: bytes) -> bytes:
    return raw.translate(None, bad)


ODD_TEXT = st.one_of(
    st.text(max_size=30),
    st.text(st.characters(categories=["Cs", "Cc", "Co", "Zl", "Zs"]), max_size=10),
    st.sampled_from(["", " ", "null", "0", "-1", "1e999", "🙂" * 50, "%s%n", "{0}", "../..", "\0"]),
    st.text(min_size=1, max_size=3).map(lambda unit: unit * 500),
)
ODD_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**32, 2**63, 2**64, -(2**63), 10**30, 10**400, 1e308])
    | st.floats()
    | ODD_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ODD_TEXT, inner, max_size=4),
    max_leaves=8,
)
GOOD: dict[str, st.SearchStrategy[Any]] = {
    "after": st.none() | st.integers(0, 50),
    "algorithm": st.just(1),
    "before": st.none() | st.sampled_from(["ended.1", "ended.999999999999", f"open.1.{'a' * 26}"]),
    "block_number": st.integers(0, 30) | st.integers(0, 2**32 - 1),
    "blocks_until_reveal": st.integers(1, 1000),
    "commitment": st.sampled_from(["0x00", "ff"]),
    "extrinsic_index": st.integers(0, 3),
    "hotkey": st.builds(hotkey, st.sampled_from([1, 2, 12]), st.integers(0, 60)),
    "job_id": st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=26, max_size=26),
    "limit": st.integers(1, 1000),
    "mechanism_id": st.integers(0, 2),
    "since": st.integers(0, 30) | st.integers(0, 2**32 - 1),
    "state": st.none() | st.sampled_from(["open", "ended"]),
    "weights": st.dictionaries(
        st.builds(hotkey, st.just(1), st.integers(0, 3)),
        st.sampled_from([0.5, 1.0, 1]),
        min_size=1,
        max_size=3,
    ),
}
"""Valid values of every field of every request."""
RAW_BODIES = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda of, times: of * times, st.sampled_from([b"[", b'{"a":', b"[{"]), st.just(2000)
    ),
    st.integers(1, 6000).map(lambda times: b'{"block_number":%b}' % (b"9" * times)),
    st.integers(0, 1000).map(lambda times: b'{"commitment":"%b"}' % (b"f" * times)),
    st.sampled_from(
        [
            *(b"NaN", b"Infinity", b'{"weights":{"a":NaN}}', b'{"a":1,"a":2}', b"\xef\xbb\xbf{}"),
            *(b'{"hotkey":"\xff\xfe"}', b'"\xed\xa0\x80"', b'{"hotkey":"\\ud800"}', b"{}{}", b"\0"),
        ]
    ),
)
SIGNER = hotkey(1, 0)
ANNOUNCEMENTS: list[dict[str, Any]] = [
    {"hotkey": SIGNER},
    {"hotkey": SIGNER, "problem": "", "cause": "", "version": 2, "hotkeys": [SIGNER]},
    {"hotkey": None, "problem": "encrypted", "cause": "it is encrypted"},
    {"problem": "x" * 32, "cause": "y" * 400},
]
"""Valid announcements of signers, of this version and of a later one."""
HUGE_BODIES = [
    b" " * (MAX_REQUEST_BYTES + 1),
    b'{"weights":{%b}}' % b",".join(b'"%d":1' % number for number in range(40_000)),
    b'{"weights":%b}' % (b"[" * 200_000),
    b'{"commitment":"%b"}' % (b"f" * 400_000),
]
TOKENS = st.one_of(
    st.sampled_from([b"pylon", b"v1", b"v2", b"open", b"identity", b"event", b"job", b"chain"]),
    st.sampled_from([b"1", b"2", b"01", b"-1", b"65535", b"65536", b"9" * 40, b"\xd9\xa1"]),
    st.sampled_from([name.encode() for name in (*SUBNETS, "SN1", "open", "nobody")]),
    st.sampled_from([row.name.encode() for row in NATS_OPERATIONS]),
    st.sampled_from([b"*", b">", b"", b"latest", b"$JS", b"_INBOX", b"x" * 900, b"\x0b", b"\x0c"]),
    st.binary(min_size=1, max_size=12).map(lambda raw: _without(raw, b" \t\r\n") or b"x"),
)
"""Tokens of subjects and of reply subjects."""
HEADER_NAMES = [
    *sorted(
        value.encode()
        for name, value in vars(wire_headers).items()
        if name.isupper() and not name.startswith("HTTP_")
    ),
    *(b"Status", b"Description", b"", b"a b", b"\xff", b"X" * 500),
]
"""Every header of the contract, and some more."""
HEADER_VALUES = st.one_of(
    st.sampled_from([b"", b"v1", b"v2", b"v1.7", b"1", b"0", b"1/2", b"-1", b"\xd9\xa1", b"NaN"]),
    st.sampled_from([b"9" * 13, b"9" * 400, b"9" * 5000, b"1e9", b"x" * 9000, b"\x01" * 3000]),
    st.sampled_from([b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", b"00-zz", b"503", b"a: b"]),
    st.binary(max_size=40).map(lambda raw: _without(raw, b"\r\n")),
    st.text(max_size=20).map(lambda text: _without(text.encode(), b"\r\n")),
)
HEADER_BLOCKS = st.one_of(
    HEADER_VALUES.map(lambda line: b"NATS/1.0 %b\r\n\r\n" % line),
    st.binary(min_size=1, max_size=60),
)
"""Invalid header blocks."""
