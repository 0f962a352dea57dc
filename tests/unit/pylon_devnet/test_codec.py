"""The wrapper of the SDK's codec."""

import json

import pytest

from pylon_devnet.codec import (
    SR25519,
    Codec,
    ciphertext_size,
    decrypt_timelock,
    era_birth,
    inner_ciphertext,
    is_ciphertext,
    keyfile,
    public_key,
    public_keyfile,
    sr25519_address,
    ss58,
    verify,
)
from pylon_devnet.extrinsics import Era
from pylon_devnet.population import hotkey
from tests.support.chain.devnet_draft import SUBTENSOR, genesis_chain
from tests.support.chain.timelock import ROUND_1000, envelope, timelocked

SEED = b"s" * 32
SIGNATURE = bytes.fromhex(ROUND_1000.removeprefix("0x"))


@pytest.fixture
def codec() -> Codec:
    return genesis_chain().codec


def test_values_are_encoded_by_type(codec: Codec) -> None:
    assert codec.encode("u16", 258) == b"\x02\x01"
    assert codec.decode("u16", b"\x02\x01") == 258
    assert codec.encode("Option<u16>", None) == b"\x00"
    for data in (b"\x02", b"\x02\x01\x00"):
        with pytest.raises(ValueError, match=r"\w"):
            codec.decode("u16", data)
    for value in (-1, 1 << 16, "1"):
        with pytest.raises(ValueError, match=r"\w"):
            codec.encode("u16", value)


def test_storage_items_are_declared(codec: Codec) -> None:
    uids, tempo = (codec.storage_entry(SUBTENSOR, item) for item in ("Uids", "Tempo"))
    assert uids.optional
    assert not tempo.optional
    assert codec.decode(tempo.value_type, tempo.default) == 360
    assert codec.storage_entry(SUBTENSOR, "Tempo") is tempo
    assert (uids.key_count, tempo.key_count) == (2, 1)
    assert codec.storage_entry("Timestamp", "Now").key_count == 0
    with pytest.raises(KeyError):
        codec.storage_entry(SUBTENSOR, "Nothing")


def test_a_key_with_fewer_params_is_the_prefix_of_several(codec: Codec) -> None:
    key = codec.storage_key(SUBTENSOR, "Uids", [1, hotkey(1, 0)])
    assert key.startswith(codec.storage_key(SUBTENSOR, "Uids", [1]))
    assert codec.storage_params(SUBTENSOR, "Uids", key) == [1, hotkey(1, 0)]


def test_inputs_and_outputs_of_runtime_apis(codec: Codec) -> None:
    api = "NeuronInfoRuntimeApi"
    assert codec.has_api(api, "get_neuron")
    assert not codec.has_api(api, "get_nothing")
    assert not codec.has_api("NothingApi", "get_neuron")
    assert codec.api_inputs(api, "get_neurons", b"\x01\x00") == [1]
    assert codec.api_inputs(api, "get_neuron", b"\x01\x00\x02\x00") == [1, 2]
    assert codec.api_inputs("DelegateInfoRuntimeApi", "get_delegates", b"") == []
    assert codec.api_output(api, "get_neuron", None) == b"\x00"
    with pytest.raises(ValueError, match="SCALE"):
        codec.api_inputs(api, "get_neuron", b"\x01\x00")


def test_a_call_is_decoded_as_it_was_composed(codec: Codec) -> None:
    encoded = codec.compose_call("AdminUtils", "sudo_set_tempo", {"netuid": 1, "tempo": 9})
    decoded = codec.decode_call(encoded)
    assert (decoded["call_module"], decoded["call_function"]) == ("AdminUtils", "sudo_set_tempo")
    named = {one["name"]: one["value"] for one in decoded["call_args"]}
    assert named == {"netuid": 1, "tempo": 9}
    for wrong in (b"", b"\xff\xff", encoded[:-1]):
        with pytest.raises(ValueError, match=r"\w"):
            codec.decode_call(wrong)
    with pytest.raises(ValueError, match=r"\w"):
        codec.decode_extrinsic(b"\x04\x04")


def test_an_address_is_its_public_key() -> None:
    address = sr25519_address(SEED)
    assert ss58(public_key(address)) == address
    assert len(public_key(address)) == 32
    with pytest.raises(ValueError, match=r"\w"):
        public_key(address[:-1] + "1")


def test_a_wrong_signature_is_invalid() -> None:
    assert not verify(b"message", bytes(64), sr25519_address(SEED), SR25519)


@pytest.mark.parametrize(("period", "current"), [(64, 5), (64, 200), (4, 3), (2048, 4095)])
def test_an_era_is_born_where_the_devnet_says(period: int, current: int) -> None:
    assert era_birth(period, current) == Era(period, current % period).birth(current)


def test_only_a_bare_ciphertext_is_one() -> None:
    wrapped = envelope(b"text")
    assert is_ciphertext(timelocked(b"text"))
    assert not is_ciphertext(b"text")
    assert not is_ciphertext(b"")
    assert not is_ciphertext(wrapped)
    assert is_ciphertext(inner_ciphertext(wrapped) or b"")
    assert inner_ciphertext(b"text") is None


def test_a_ciphertext_opens_with_the_signature_of_its_round() -> None:
    bare = timelocked(b"text", 1000)
    assert decrypt_timelock(bare, 1000, SIGNATURE) == b"text"
    with pytest.raises(ValueError, match=r"\w"):
        decrypt_timelock(timelocked(b"text", 1001), 1001, SIGNATURE)
    with pytest.raises(ValueError, match=r"\w"):
        decrypt_timelock(b"text", 1000, SIGNATURE)


@pytest.mark.parametrize("size", [0, 1, 100])
def test_the_size_of_a_ciphertext_is_known_beforehand(size: int) -> None:
    assert ciphertext_size(b"x" * size) == len(timelocked(b"x" * size))


def test_keyfiles_hold_the_key_of_the_seed() -> None:
    secret, public = json.loads(keyfile(SEED)), json.loads(public_keyfile(SEED))
    assert secret["ss58Address"] == public["ss58Address"] == sr25519_address(SEED)
    assert SEED.hex() in secret["secretSeed"]
    assert not public.get("secretSeed")
