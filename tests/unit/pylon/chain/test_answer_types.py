"""The parts of answers, by the types of the devnet's runtime."""

import pytest

from pylon.chain.answer_types import AnswerTypes, FieldsCodec, RecordCodec
from tests.support.chain.runtime_codec import RUNTIME_CODEC
from tests.support.product.fake_signers import address

TYPES = AnswerTypes(RUNTIME_CODEC)
COUNT_OF_FIRST = 3


def fields_codec() -> FieldsCodec:
    codec = TYPES.of("SubnetInfoRuntimeApi", "get_subnet_state")
    assert isinstance(codec, FieldsCodec)
    return codec


def test_a_list_has_records() -> None:
    codec = TYPES.of("NeuronInfoRuntimeApi", "get_neurons_lite")
    assert isinstance(codec, RecordCodec)
    assert RUNTIME_CODEC.type_name_of(int(codec.type.removeprefix("scale_info::"))) is not None
    assert codec is TYPES.of("NeuronInfoRuntimeApi", "get_neurons_lite")


def test_a_struct_has_fields_in_their_order() -> None:
    codec = fields_codec()
    assert list(codec.types)[:COUNT_OF_FIRST] == ["netuid", "hotkeys", "coldkeys"]
    columns = list(codec.types)[COUNT_OF_FIRST:]
    state = {
        "netuid": 300,
        "hotkeys": [address(1), address(2)],
        "coldkeys": [address(3), address(3)],
        **{name: [True, False] for name in columns[:2]},
        **{name: [1, 2**14] for name in columns[2:-1]},
        "emission_history": [[1], []],
    }
    output = RUNTIME_CODEC.runtime_api_map["SubnetInfoRuntimeApi"]["get_subnet_state"]["output"]
    data = RUNTIME_CODEC.encode(output, state)
    first = codec.encode_first(COUNT_OF_FIRST, state)
    assert data.startswith(first)
    rest = codec.decode_rest(COUNT_OF_FIRST, data[len(first) :])
    assert rest == {name: state[name] for name in columns}
    for wrong in (data[len(first) :] + b"0", data[len(first) : -1]):
        with pytest.raises(ValueError, match=r"undecoded|unexpected end"):
            codec.decode_rest(COUNT_OF_FIRST, wrong)


@pytest.mark.parametrize(
    ("api", "method"),
    [
        ("NeuronInfoRuntimeApi", "get_dreams"),
        ("Dreams", "get_neurons_lite"),
        ("Core", "version"),
        ("Metadata", "metadata"),
    ],
)
def test_other_answers_have_no_parts(api: str, method: str) -> None:
    assert TYPES.of(api, method) is None
