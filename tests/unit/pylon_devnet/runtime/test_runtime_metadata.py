"""The devnet's metadata matches the SDK's generated code and the real chain."""

import inspect
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import bittensor_core
import pytest
from bittensor._generated import calls, constants, errors, runtime_apis, storage

from pylon_devnet.runtime.runtime_metadata import TRANSACTION_VERSION, build_metadata
from pylon_devnet.runtime.runtime_names import RUNTIMES
from tests.support.chain import metadata_v15

SLOT_MS = 12_000
REAL_METADATA = Path(
    os.environ.get("PYLON_TEST_FINNEY_METADATA")
    or Path(__file__).parents[4] / ".." / "shared" / "data" / "finney-spec424-metadata-v15.scale"
)

REAL_RUNTIME = "finney-424"
"""The runtime of the devnet that the real metadata is compared with."""


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    newest = build_metadata(SLOT_MS)
    spec_version = newest.declaration.spec_version
    core: Any = bittensor_core  # of Rust, without types
    runtime = core.Runtime(newest.encoded, spec_version, TRANSACTION_VERSION, 42)
    ir = runtime.metadata_ir()
    return {
        "pallets": {pallet["name"]: pallet for pallet in ir["pallets"]},
        "apis": {api["name"]: api["methods"] for api in ir["runtime_apis"]},
    }


@pytest.fixture(scope="module")
def read() -> metadata_v15.Metadata:
    return metadata_v15.read(build_metadata(SLOT_MS, REAL_RUNTIME).encoded)


@pytest.fixture(scope="module")
def real() -> metadata_v15.Metadata:
    if not REAL_METADATA.exists():
        pytest.skip("the real metadata is not here; PYLON_TEST_FINNEY_METADATA may name the file")
    return metadata_v15.read(REAL_METADATA.read_bytes())


def _generated(module: ModuleType) -> dict[str, Any]:
    items: dict[str, Any] = {}
    for group in vars(module).values():
        if inspect.isclass(group):
            members: dict[str, Any] = dict(vars(group))
            for item in members.values():
                if hasattr(item, "container") and issubclass(type(item), tuple):
                    items[f"{item.container}.{item[1]}"] = item
    return items


def test_every_storage_item_exists_with_the_same_value_type(ours: dict[str, Any]) -> None:
    known = _generated(storage)
    declared = {
        f"{name}.{item['name']}": item["value_type_ident"]
        for name, pallet in ours["pallets"].items()
        for item in pallet["storage"]
    }
    assert len(declared) > 200
    assert {item: known[item].value_type_ident for item in declared} == declared


def test_every_call_exists_with_the_same_arguments(ours: dict[str, Any]) -> None:
    count = 0
    for name, pallet in ours["pallets"].items():
        for call in pallet["calls"]:
            function = getattr(getattr(calls, name), call["name"])
            parameters = inspect.signature(function).parameters
            assert [one["name"] for one in call["args"]] == list(parameters), call["name"]
            for argument in call["args"]:
                annotation = parameters[argument["name"]].annotation
                # The SDK writes Any for everything that is not a plain named type.
                if annotation != "Any":
                    ident = argument["type_ident"].partition("<")[0]
                    assert ident == annotation, (name, call["name"], argument)
            count += 1
    assert count > 150


def test_every_error_has_the_same_number(ours: dict[str, Any]) -> None:
    declared = {
        (pallet["index"], error["index"]): (name, error["name"])
        for name, pallet in ours["pallets"].items()
        for error in pallet["errors"]
    }
    assert len(declared) > 200
    known = errors.ERRORS
    assert {at: (known[at].pallet, known[at].name) for at in declared} == declared


def test_every_constant_and_api_method_exists(ours: dict[str, Any]) -> None:
    constants_declared = {
        f"{name}.{constant['name'] if isinstance(constant, dict) else constant}"
        for name, pallet in ours["pallets"].items()
        for constant in pallet["constants"]
    }
    assert constants_declared <= set(_generated(constants))
    methods = {
        f"{api}.{method['name'] if isinstance(method, dict) else method}"
        for api, listed in ours["apis"].items()
        for method in listed
    }
    known = _generated(runtime_apis)
    assert len(methods) > 40
    # The SDK's list leaves out the APIs that only the node itself uses.
    assert {one for one in methods if one not in known} <= {
        "Core.version",
        "Metadata.metadata",
        "Metadata.metadata_at_version",
        "Metadata.metadata_versions",
    }


def test_the_reader_and_the_codec_agree_on_our_metadata(ours: dict[str, Any]) -> None:
    read = metadata_v15.read(build_metadata(SLOT_MS).encoded)
    assert set(read.pallets) == set(ours["pallets"])
    assert read.types[read.pallets["System"].calls or 0].path[-1] == "Call"


def test_real_storage_has_our_hashers_keys_values_and_defaults(
    read: metadata_v15.Metadata, real: metadata_v15.Metadata
) -> None:
    for name, pallet in read.pallets.items():
        for item, declared in pallet.storage.items():
            known = real.pallets[name].storage[item]
            where = f"{name}.{item}"
            assert declared.hashers == known.hashers, where
            assert declared.optional == known.optional, where
            assert declared.default == known.default, where
            assert (declared.key is None) == (known.key is None), where
            if declared.key is not None and known.key is not None:
                assert read.shape(declared.key) == real.shape(known.key), where
            if where != "System.Events":
                assert read.shape(declared.value) == real.shape(known.value), where
                types = (read.types[declared.value], real.types[known.value])
                assert types[0].path == types[1].path, where


def test_real_calls_have_our_indexes_and_arguments(
    read: metadata_v15.Metadata, real: metadata_v15.Metadata
) -> None:
    for name, pallet in read.pallets.items():
        known = {one.name: one for one in real.variants(real.pallets[name].calls)}
        for call in read.variants(pallet.calls):
            assert call.index == known[call.name].index, (name, call.name)
            names = [one.name for one in known[call.name].fields]
            assert [one.name for one in call.fields] == names, (name, call.name)
            if name in {"Utility", "Sudo"}:
                continue  # their arguments are calls
            for mine, theirs in zip(call.fields, known[call.name].fields, strict=True):
                where = (name, call.name, mine.name)
                assert read.shape(mine.type) == real.shape(theirs.type), where
                assert read.types[mine.type].path == real.types[theirs.type].path, where


def test_real_events_have_our_indexes_and_fields(
    read: metadata_v15.Metadata, real: metadata_v15.Metadata
) -> None:
    for name, pallet in read.pallets.items():
        known = {one.name: one for one in real.variants(real.pallets[name].events)}
        for event in read.variants(pallet.events):
            assert event.index == known[event.name].index, (name, event.name)
            mine = [(one.name, read.shape(one.type)) for one in event.fields]
            theirs = [(one.name, real.shape(one.type)) for one in known[event.name].fields]
            assert mine == theirs, (name, event.name)


def test_real_pallets_have_our_paths(
    read: metadata_v15.Metadata, real: metadata_v15.Metadata
) -> None:
    for name, pallet in read.pallets.items():
        known = real.pallets[name]
        assert pallet.index == known.index
        for mine, theirs in (
            (pallet.calls, known.calls),
            (pallet.events, known.events),
            (pallet.errors, known.errors),
        ):
            if mine is not None and theirs is not None:
                assert read.types[mine].path == real.types[theirs].path, name


def test_real_errors_are_ours(read: metadata_v15.Metadata, real: metadata_v15.Metadata) -> None:
    for name, pallet in read.pallets.items():
        mine = {one.name: one.index for one in read.variants(pallet.errors)}
        known = {one.name: one.index for one in real.variants(real.pallets[name].errors)}
        assert mine == known, name


def test_real_apis_have_our_inputs_and_outputs(
    read: metadata_v15.Metadata, real: metadata_v15.Metadata
) -> None:
    for api, methods in read.apis.items():
        for method, (inputs, output) in methods.items():
            known_inputs, known_output = real.apis[api][method]
            where = f"{api}_{method}"
            assert [name for name, _ in inputs] == [name for name, _ in known_inputs], where
            assert read.shape(output) == real.shape(known_output), where
            if "uxt" not in dict(inputs):
                mine = [read.shape(one) for _, one in inputs]
                assert mine == [real.shape(one) for _, one in known_inputs], where


def test_real_constants_have_our_types_and_values(
    read: metadata_v15.Metadata, real: metadata_v15.Metadata
) -> None:
    for name, pallet in read.pallets.items():
        for constant, (type_, value) in pallet.constants.items():
            known_type, known_value = real.pallets[name].constants[constant]
            assert read.shape(type_) == real.shape(known_type), (name, constant)
            if (name, constant) != ("System", "Version"):
                assert value == known_value, (name, constant)


def test_the_runtimes_differ_where_newer_chains_do() -> None:
    newest = metadata_v15.read(build_metadata(SLOT_MS).encoded)
    older = metadata_v15.read(build_metadata(SLOT_MS, REAL_RUNTIME).encoded)

    def storage_items(read: metadata_v15.Metadata) -> set[str]:
        return {f"{name}.{item}" for name, one in read.pallets.items() for item in one.storage}

    def errors_of(read: metadata_v15.Metadata, pallet: str) -> dict[str, int]:
        return {one.name: one.index for one in read.variants(read.pallets[pallet].errors)}

    assert storage_items(older) < storage_items(newest)
    assert storage_items(newest) - storage_items(older) == {
        "SubtensorModule.CollateralDrainRatio",
        "SubtensorModule.CollateralLockShare",
        "SubtensorModule.SubnetEpochConsensus",
    }
    for error, (index, index_424) in {
        "NeuronNoValidatorPermit": (15, 15),
        "InvalidRevealRound": (112, 111),
        "CommitPayloadTooLarge": (173, None),
        "InsufficientBalance": (None, 97),
    }.items():
        assert errors_of(newest, "SubtensorModule").get(error) == index, error
        assert errors_of(older, "SubtensorModule").get(error) == index_424, error
    versions = [build_metadata(SLOT_MS, name).declaration.spec_version for name in RUNTIMES]
    assert versions == [475, 424]


def test_real_extensions_are_ours_in_order(
    read: metadata_v15.Metadata, real: metadata_v15.Metadata
) -> None:
    mine = [(name, read.shape(a), read.shape(b)) for name, a, b in read.extensions]
    assert mine == [(name, real.shape(a), real.shape(b)) for name, a, b in real.extensions]
