"""Types of metadata from type strings."""

import pytest

from pylon_devnet.runtime.declaration import Declaration, Variant, parse_declaration
from pylon_devnet.runtime.type_registry import TypeRegistry

TABLE = """
struct a::Pair<T, N>(u8, T)
struct a::Named { left: Vec<u8>, right: Pair<u16, 5> }
struct a::Tree(Vec<Tree>)
enum a::Kind { First, Second(u8) = 7 }
"""
NO_NAME, NO_DOCS = b"\x00", b"\x00"
ANONYMOUS = b"\x00\x00"


@pytest.fixture
def registry() -> TypeRegistry:
    declaration = Declaration()
    parse_declaration(TABLE, declaration=declaration)
    return TypeRegistry(declaration)


def text(value: str) -> bytes:
    return bytes([len(value) << 2]) + value.encode()


def definition(registry: TypeRegistry, type_: str) -> bytes:
    return registry._encoded[registry.type_id(type_)]


def test_equal_strings_have_equal_ids(registry: TypeRegistry) -> None:
    assert [registry.type_id(one) for one in ("u8", "bool", "u8")] == [0, 1, 0]


def test_primitives_have_the_indexes_of_scale_info(registry: TypeRegistry) -> None:
    for name, index in {"bool": 0, "str": 2, "u8": 3, "u128": 7, "i8": 9, "i256": 14}.items():
        assert definition(registry, name) == ANONYMOUS + bytes([5, index]) + NO_DOCS


@pytest.mark.parametrize(
    ("type_", "encoded"),
    [
        ("Vec<u8>", b"\x02\x00"),
        ("[u8; 258]", b"\x03\x02\x01\x00\x00\x00"),
        ("(bool, u8)", b"\x04\x08\x04\x00"),
        ("(u8, u16)", b"\x04\x08\x00\x0c"),
        ("()", b"\x04\x00"),
        ("Compact<u8>", b"\x06\x00"),
    ],
)
def test_anonymous_types_name_the_types_that_they_contain(
    registry: TypeRegistry, type_: str, encoded: bytes
) -> None:
    assert [registry.type_id(known) for known in ("u8", "bool")] == [0, 1]
    # The type itself has id 2; a part that is new follows it.
    assert definition(registry, type_) == ANONYMOUS + encoded + NO_DOCS


def test_a_struct_has_its_path_parameters_and_fields(registry: TypeRegistry) -> None:
    path = b"\x08" + text("a") + text("Pair")
    # T is u16, whose id is 1; 5 is a limit, which is not a type.
    parameters = b"\x08" + text("T") + b"\x01\x04" + text("N") + b"\x00"
    first = NO_NAME + b"\x08" + b"\x01" + text("u8") + NO_DOCS
    second = NO_NAME + b"\x04" + b"\x01" + text("T") + NO_DOCS
    encoded = definition(registry, "Pair<u16, 5>")
    assert encoded == path + parameters + b"\x00\x08" + first + second + NO_DOCS
    assert registry.type_id("u16") == 1


def test_an_enum_has_its_variants_with_their_indexes(registry: TypeRegistry) -> None:
    path = b"\x08" + text("a") + text("Kind")
    field = NO_NAME + b"\x04" + b"\x01" + text("u8") + NO_DOCS
    first = text("First") + b"\x00" + b"\x00" + NO_DOCS
    second = text("Second") + b"\x04" + field + b"\x07" + NO_DOCS
    encoded = definition(registry, "Kind")
    assert encoded == path + b"\x00" + b"\x01\x08" + first + second + NO_DOCS


def test_a_recursive_type_contains_its_own_id(registry: TypeRegistry) -> None:
    assert registry.type_id("Tree") == 0
    assert definition(registry, "Vec<Tree>") == ANONYMOUS + b"\x02\x00" + NO_DOCS


def test_a_declared_enum_can_be_used(registry: TypeRegistry) -> None:
    registry.declare("ThingCall", ("thing", "Call"), [Variant(3, "do_it")])
    path = b"\x08" + text("thing") + text("Call")
    variant = text("do_it") + b"\x00" + b"\x03" + NO_DOCS
    encoded = definition(registry, "ThingCall")
    assert encoded == path + b"\x00" + b"\x01\x04" + variant + NO_DOCS


def test_the_registry_lists_every_type_with_its_id(registry: TypeRegistry) -> None:
    registry.type_id("Vec<u8>")
    vector, byte = ANONYMOUS + b"\x02\x04" + NO_DOCS, ANONYMOUS + b"\x05\x03" + NO_DOCS
    assert registry.encode() == b"\x08" + b"\x00" + vector + b"\x04" + byte


@pytest.mark.parametrize(
    ("type_", "error", "message"),
    [
        ("Nothing", KeyError, "Nothing"),
        ("Vec<Nothing>", KeyError, "Nothing"),
        ("Pair<u8>", ValueError, "needs 2 type arguments"),
        ("Named<u8>", ValueError, "needs 0 type arguments"),
    ],
)
def test_an_undeclared_type_is_an_error(
    registry: TypeRegistry, type_: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        registry.type_id(type_)
