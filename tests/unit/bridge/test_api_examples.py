"""Examples in the API's documentation."""

import json
from typing import Any

import pytest
from pydantic import SecretStr

from bridge.api_examples import BODY_EXAMPLES, add_examples, failure_body, failure_examples
from bridge.problems import Problem
from pylon.common.deployment_settings import IdentitySettings
from pylon_client.contract.failures import FAILURE_KINDS, ErrorCode
from pylon_client.contract.operation import Params
from pylon_client.contract.types import IdentityName, NetUid


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_has_a_valid_example(code: ErrorCode) -> None:
    body = failure_body(code)
    problem = Problem.model_validate_json(json.dumps(body))
    assert problem.code == code
    assert problem.status_code == FAILURE_KINDS[code].http_status
    assert problem.detail
    assert (problem.retry_at_block is not None) is (code is ErrorCode.RATE_LIMITED)
    assert bool(problem.extra) is (code is ErrorCode.INVALID)


def test_an_example_may_have_another_detail_and_status() -> None:
    body = failure_body(ErrorCode.INVALID, detail="No such page", status=422)
    assert (body["detail"], body["status_code"]) == ("No such page", 422)
    assert not body.get("extra"), "the items belong to the default detail"


@pytest.mark.parametrize("params", BODY_EXAMPLES, ids=lambda params: params.__name__)
def test_every_body_is_valid(params: type[Params]) -> None:
    path_params = {"mechanism_id": 0} if "mechanism_id" in params.model_fields else {}
    params.model_validate_json(json.dumps({**BODY_EXAMPLES[params], **path_params}))


def test_responses_refer_to_the_examples() -> None:
    examples = failure_examples([ErrorCode.CONFLICT])
    assert examples == {"CONFLICT": {"$ref": "#/components/examples/CONFLICT"}}


def test_path_parameters_show_the_first_identity() -> None:
    def document() -> dict[str, Any]:
        names = ("identity_name", "netuid", "hotkey")
        parameters = [{"name": name, "in": "path", "required": True} for name in names]
        parameters.append({"name": "timeout", "in": "query"})
        return {"paths": {"/x": {"get": {"parameters": parameters}, "put": {}}}, "components": {}}

    def examples_in(document: dict[str, Any]) -> list[Any]:
        return [one.get("example") for one in document["paths"]["/x"]["get"]["parameters"]]

    identities = {
        name: IdentitySettings(name=name, netuid=NetUid(netuid), token=SecretStr("t" * 20))
        for netuid, name in ((7, IdentityName("seven")), (8, IdentityName("eight")))
    }
    configured, empty = document(), document()
    add_examples(configured, identities)
    assert examples_in(configured)[:2] == ["seven", 7]
    add_examples(empty, {})
    assert examples_in(empty)[:2] == ["sn1", 1]
    assert examples_in(empty)[3] is None, "query parameters have defaults"
    assert set(empty["components"]["examples"]) == set(ErrorCode)
