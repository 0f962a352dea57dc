"""The table of faults, checked against the installed SDK."""

import asyncio
import importlib
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from bittensor._transport import errors as transport
from bittensor._transport.rpc import classify_rpc_error
from bittensor.result import (
    ChainError,
    ConnectionNotReady,
    RpcConnectionError,
    RpcPolicyError,
    chain_error_from_substrate_request,
)

from pylon.chain.faults import (
    FAULTS_BY_CLASS,
    REQUEST_ERROR_CLASS,
    Recovery,
    describe_error,
    fault_of,
    is_refused_submission,
)
from pylon.chain.subtensor_reader import SubtensorReader
from pylon_client.contract.failures import ErrorCode, FailureError


@pytest.mark.parametrize("name", [*FAULTS_BY_CLASS, REQUEST_ERROR_CLASS])
def test_every_class_of_the_table_is_in_the_installed_sdk(name: str) -> None:
    module, _, class_name = name.rpartition(".")
    found = getattr(importlib.import_module(module), class_name)
    assert issubclass(found, Exception)
    assert f"{found.__module__}.{found.__qualname__}" == name, "a re-export would never match"


def as_the_sdk_raises_it(error: transport.SubstrateRequestException) -> Exception:
    """Return the error that a read of the SDK raises for an error of its transport."""
    public = chain_error_from_substrate_request(error)
    public.__cause__ = error
    return public


PYPROJECT = Path(__file__).parents[4] / "pyproject.toml"
NODE_ERROR = {"code": -32603, "message": "internal"}


@pytest.mark.parametrize(
    ("error", "code", "remedy"),
    [
        (transport.StateDiscardedError("0xab"), ErrorCode.ARCHIVE_REQUIRED, Recovery.KEEP),
        (transport.BlockNotFound("no block"), ErrorCode.NOT_FOUND, Recovery.KEEP),
        (transport.StorageFunctionNotFound("x"), ErrorCode.CHAIN_REJECTED, Recovery.KEEP),
        (transport.MaxRetriesExceeded("x"), ErrorCode.CHAIN_UNAVAILABLE, Recovery.RECONNECT),
        (transport.RpcPolicyRejection("x"), ErrorCode.CHAIN_UNAVAILABLE, Recovery.BACK_OFF),
        (RpcPolicyError("x"), ErrorCode.CHAIN_UNAVAILABLE, Recovery.BACK_OFF),
        (RpcConnectionError("x"), ErrorCode.CHAIN_UNAVAILABLE, Recovery.RECONNECT),
        (ConnectionNotReady("x"), ErrorCode.CHAIN_UNAVAILABLE, Recovery.RECONNECT),
        (ConnectionRefusedError("x"), ErrorCode.CHAIN_UNAVAILABLE, Recovery.RECONNECT),
        (TimeoutError(), ErrorCode.CHAIN_UNAVAILABLE, Recovery.RECONNECT),
        (ValueError("no such API"), ErrorCode.CHAIN_REJECTED, Recovery.KEEP),
        (KeyError("a bug"), ErrorCode.INTERNAL, Recovery.RECONNECT),
        # No payload: the session was closed, or the subscription's connection was lost.
        (
            transport.SubstrateRequestException("RPC session closed"),
            ErrorCode.CHAIN_UNAVAILABLE,
            Recovery.RECONNECT,
        ),
        (classify_rpc_error(NODE_ERROR), ErrorCode.CHAIN_REJECTED, Recovery.KEEP),
        (
            classify_rpc_error({"code": -32999, "message": "slow down"}),
            ErrorCode.CHAIN_UNAVAILABLE,
            Recovery.BACK_OFF,
        ),
        (
            classify_rpc_error({"code": -32009, "message": "busy"}),
            ErrorCode.CHAIN_UNAVAILABLE,
            Recovery.KEEP,
        ),
        (
            classify_rpc_error({"code": -32005, "message": "no", "data": {"policy": "p"}}),
            ErrorCode.CHAIN_UNAVAILABLE,
            Recovery.BACK_OFF,
        ),
        (
            classify_rpc_error({"code": 4003, "message": "State already discarded for 0xab"}),
            ErrorCode.ARCHIVE_REQUIRED,
            Recovery.KEEP,
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_each_error_of_the_sdk_has_its_code(
    error: Exception, code: ErrorCode, remedy: Recovery
) -> None:
    fault = fault_of(error)
    assert (fault.code, fault.recovery) == (code, remedy)
    if isinstance(error, transport.SubstrateRequestException):
        wrapped = fault_of(as_the_sdk_raises_it(error))
        assert (wrapped.code, wrapped.recovery) == (code, remedy), (
            "the SDK's wrapping hides nothing"
        )


@pytest.mark.parametrize(
    ("rpc_code", "is_refused"),
    [
        *[(code, True) for code in (1002, 1010, 1012, 1014, 1016, -32602)],
        # A gateway says so too of what it has passed on.
        *[(code, False) for code in (-32000, -32603, -32999, -32009, 4003)],
    ],
)
def test_only_an_error_of_the_pool_proves_that_it_refused_an_extrinsic(
    rpc_code: int, *, is_refused: bool
) -> None:
    answer = classify_rpc_error({"code": rpc_code, "message": "upstream timed out"})
    assert is_refused_submission(answer) is is_refused


@pytest.mark.parametrize("error", [TimeoutError(), transport.SubstrateRequestException("closed")])
def test_a_missing_response_is_not_a_refusal(error: Exception) -> None:
    assert not is_refused_submission(error)


@pytest.mark.parametrize(
    ("stated", "expected_s"),
    [("7", 7.0), ("100000", 300.0), ("-1", 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None)],
)
def test_retry_after_of_a_node_is_bounded(stated: str, expected_s: float | None) -> None:
    assert fault_of(RpcPolicyError("x", retry_after=stated)).retry_after_s == expected_s


def test_neither_the_detail_nor_the_log_shows_a_text_of_the_sdk() -> None:
    secret = "wss://user:hunter2@node.example/token"  # a URL as operators write it
    error = RpcConnectionError(secret)
    error.__cause__ = OSError(111, f"refused by {secret}")
    assert "hunter2" not in fault_of(error).detail
    assert describe_error(error) == (
        "Connection refused (RpcConnectionError from ConnectionRefusedError)"
    )
    bare = RpcConnectionError(f"{secret} is wrong")
    assert describe_error(bare) == "RpcConnectionError"


async def answer_404(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    writer.close()


@pytest.mark.parametrize(
    ("scheme", "place", "why"),
    [
        ("ws", "127.0.0.1:1", "Connection refused"),
        ("ws", "nowhere.invalid", "its name is not known"),
        ("ws", "127.0.0.1:{port}", "it answered with HTTP 404"),
        ("wss", "127.0.0.1:{port}", "TLS failed"),
    ],
)
async def test_the_log_says_why_a_node_is_unreachable_without_secrets(
    caplog: pytest.LogCaptureFixture, scheme: str, place: str, why: str
) -> None:
    async with await asyncio.start_server(answer_404, "127.0.0.1", 0) as server:
        at = place.format(port=server.sockets[0].getsockname()[1])
        chain = SubtensorReader(f"{scheme}://user:hunter2@{at}/hunter2")
        with pytest.raises(FailureError):
            await chain.latest_block(timeout_s=30)
        await chain.close()
    assert f"Cannot connect to {scheme}://{at}: {why} (" in caplog.text
    assert "hunter2" not in caplog.text


def test_an_error_that_only_resembles_the_sdks_is_unforeseen() -> None:
    class RpcConnectionError(Exception):
        pass

    assert fault_of(RpcConnectionError()).code is ErrorCode.INTERNAL
    assert fault_of(ChainError("no cause, no payload")).code is ErrorCode.INTERNAL


def test_the_sdk_requirement_has_a_minimum_and_the_same_major_version() -> None:
    requirements = tomllib.loads(PYPROJECT.read_text())["project"]
    (stated,) = [
        requirement
        for requirement in requirements["dependencies"]
        if requirement.startswith("bittensor>")
    ]
    assert stated == "bittensor>=11.3,<12"
    major, minor = (int(part) for part in version("bittensor").split(".")[:2])
    assert (11, 3) <= (major, minor) < (12, 0)
