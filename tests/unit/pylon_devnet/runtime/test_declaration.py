"""The language of the tables of facts."""

import pytest

from pylon_devnet.runtime.declaration import (
    ApiMethod,
    Constant,
    Declaration,
    Extension,
    Field,
    StorageItem,
    Variant,
    parse_declaration,
    split_outside_brackets,
)

TABLE = """
# a comment
struct some::path::Pair<T>(u8, T)
struct some::path::Pair as Other {
    left: Vec<(u8, u16)>, right: Option<u8> }
enum some::Kind { First, Second(u8), Raw{N in 0..=2}([u8; N]), Last { at: u64 } = 9 }

pallet Thing = 7 of some_crate
  storage
    Plain: u16? # an option
    Map[Identity u16, Blake2_128Concat AccountId32]: Vec<(u16, u16)> = 0x00
  calls
    3 do_it(who: AccountId32, amount:
        Compact<u64>)
  events
    0 Done(u16, u16)
    1 Voted { who: u8 }
  errors
    0 Wrong
  constants
    Most: u32 = 5

api ThingApi
    get(netuid: u16) ->
        Option<u8>
extensions
    Check: Check + u32

pallet Thing
  errors
    4 Later(Amount)
alias Amount = u64
spec_version 7
"""


def test_everything_that_can_be_said() -> None:
    said = Declaration()
    parse_declaration(TABLE, declaration=said)
    assert said.types["Pair"].parameters == ("T",)
    assert said.types["Pair"].fields == (Field(None, "u8"), Field(None, "T"))
    assert said.types["Other"].path == ("some", "path", "Pair")
    assert said.types["Other"].fields == (
        Field("left", "Vec<(u8, u16)>"),
        Field("right", "Option<u8>"),
    )
    assert said.types["Kind"].variants == (
        Variant(0, "First"),
        Variant(1, "Second", (Field(None, "u8"),)),
        Variant(2, "Raw0", (Field(None, "[u8; 0]"),)),
        Variant(3, "Raw1", (Field(None, "[u8; 1]"),)),
        Variant(4, "Raw2", (Field(None, "[u8; 2]"),)),
        Variant(9, "Last", (Field("at", "u64"),)),
    )
    thing = said.pallet("Thing")
    assert (thing.index, thing.crate) == (7, "some_crate")
    assert thing.storage == [
        StorageItem("Plain", (), (), "u16", optional=True, default=None),
        StorageItem(
            "Map",
            ("Identity", "Blake2_128Concat"),
            ("u16", "AccountId32"),
            "Vec<(u16, u16)>",
            optional=False,
            default="0x00",
        ),
    ]
    assert thing.calls == [
        Variant(3, "do_it", (Field("who", "AccountId32"), Field("amount", "Compact<u64>")))
    ]
    assert thing.events[1] == Variant(1, "Voted", (Field("who", "u8"),))
    assert thing.errors == [
        Variant(0, "Wrong"),
        Variant(4, "Later", (Field(None, "u64"),)),
    ]
    assert said.spec_version == 7
    assert thing.constants == [Constant("Most", "u32", "5")]
    assert said.apis == {"ThingApi": [ApiMethod("get", (Field("netuid", "u16"),), "Option<u8>")]}
    assert said.extensions == [Extension("Check", "Check", "u32")]


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("pallet A = 1 of a\n  calls\n    nothing()", "does not begin with an index"),
        ("stray", "is outside of a section"),
        ("struct A(u8", "ends inside"),
    ],
)
def test_invalid_statements_are_quoted(table: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_declaration(table, declaration=Declaration())


def test_a_pallet_that_nobody_declares() -> None:
    with pytest.raises(KeyError, match="Nowhere"):
        Declaration().pallet("Nowhere")


def test_parts_are_split_outside_brackets_only() -> None:
    assert split_outside_brackets("a: Vec<(u8, u16)>, b: [u8; 3], ") == [
        "a: Vec<(u8, u16)>",
        "b: [u8; 3]",
    ]
