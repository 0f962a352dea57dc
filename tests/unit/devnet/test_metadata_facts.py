"""What the devnet declares is what the SDK was generated from, and what the real chain declares."""

import inspect
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import bittensor_core
import pytest
from bittensor._generated import calls, constants, errors, runtime_apis, storage

from pylon.devnet.runtime.metadata import SPEC_VERSION, TRANSACTION_VERSION, build
from tests.support import metadata_v15

SLOT_MS = 12_000
REAL_METADATA = Path(
    os.environ.get("PYLON_TEST_FINNEY_METADATA")
    or Path(__file__).parents[3] / ".." / "shared" / "data" / "finney-spec424-metadata-v15.scale"
)

# Where the devnet follows the runtime that SDK 11.3 was generated from, not the older real one.
NEWER_STORAGE = {
    "SubtensorModule.CollateralDrainRatio",
    "SubtensorModule.CollateralLockShare",
    "SubtensorModule.SubnetEpochConsensus",
}
RENUMBERED_ERRORS = {"SubtensorModule"}
RESIZED_ENUMS = {"AdminUtils", "Commitments"}


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    runtime: Any = bittensor_core.Runtime(
        build(SLOT_MS).encoded, SPEC_VERSION, TRANSACTION_VERSION, 42
    )
    ir = runtime.metadata_ir()
    return {
        "pallets": {pallet["name"]: pallet for pallet in ir["pallets"]},
        "apis": {api["name"]: api["methods"] for api in ir["runtime_apis"]},
    }


@pytest.fixture(scope="module")
def read() -> metadata_v15.Metadata:
    return metadata_v15.read(build(SLOT_MS).encoded)


@pytest.fixture(scope="module")
def real() -> metadata_v15.Metadata:
    if not REAL_METADATA.exists():
        pytest.skip("the real metadata is not here; PYLON_TEST_FINNEY_METADATA may name the file")
    return metadata_v15.read(REAL_METADATA.read_bytes())


def _generated(module: ModuleType) -> dict[str, Any]:
    items: dict[str, Any] = {}
    for group in vars(module).values():
        if inspect.isclass(group):
            for item in vars(group).values():
                if hasattr(item, "container") and isinstance(item, tuple):
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


def test_the_reader_and_the_codec_agree_on_our_metadata(
    read: metadata_v15.Metadata, ours: dict[str, Any]
) -> None:
    assert set(read.pallets) == set(ours["pallets"])
    assert read.types[read.pallets["System"].calls or 0].path[-1] == "Call"


def test_real_storage_has_our_hashers_keys_values_and_defaults(
    read: metadata_v15.Metadata, real: metadata_v15.Metadata
) -> None:
    missing: set[str] = set()
    for name, pallet in read.pallets.items():
        for item, declared in pallet.storage.items():
            if item not in real.pallets[name].storage:
                missing.add(f"{name}.{item}")
                continue
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
    assert missing == NEWER_STORAGE


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
                shapes = (read.shape(mine.type), real.shape(theirs.type))
                assert shapes[0] == shapes[1], (name, call.name, mine.name)


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


def test_real_errors_have_our_numbers_where_the_runtime_did_not_change(
    read: metadata_v15.Metadata, real: metadata_v15.Metadata
) -> None:
    for name, pallet in read.pallets.items():
        mine = {one.name: one.index for one in read.variants(pallet.errors)}
        known = {one.name: one.index for one in real.variants(real.pallets[name].errors)}
        if name in RESIZED_ENUMS:
            mine = {error: mine[error] for error in known}
        if name not in RENUMBERED_ERRORS:
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


def test_real_extensions_are_ours_in_order(
    read: metadata_v15.Metadata, real: metadata_v15.Metadata
) -> None:
    mine = [(name, read.shape(a), read.shape(b)) for name, a, b in read.extensions]
    assert mine == [(name, real.shape(a), real.shape(b)) for name, a, b in real.extensions]
