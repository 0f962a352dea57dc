"""Calls that dispatch other calls: batches and sudo."""

from pylon_devnet.calls.dispatch import (
    CallHandler,
    DecodedCall,
    DispatchContext,
    DispatchError,
    ensure,
)


def _batch(dispatch: DispatchContext, call: DecodedCall) -> None:
    for index, inner in enumerate(dispatch.split_calls(call.raw["calls"])):
        try:
            dispatch.dispatch_call(dispatch, inner, dispatch.signer)
        except DispatchError as error:
            event = {"index": index, "error": dispatch.encode_error(error)}
            dispatch.emit("Utility", "BatchInterrupted", event)
            return
        dispatch.emit("Utility", "ItemCompleted")
    dispatch.emit("Utility", "BatchCompleted")


def _batch_all(dispatch: DispatchContext, call: DecodedCall) -> None:
    for inner in dispatch.split_calls(call.raw["calls"]):
        dispatch.dispatch_call(dispatch, inner, dispatch.signer)
        dispatch.emit("Utility", "ItemCompleted")
    dispatch.emit("Utility", "BatchCompleted")


def _force_batch(dispatch: DispatchContext, call: DecodedCall) -> None:
    failed = False
    for inner in dispatch.split_calls(call.raw["calls"]):
        try:
            dispatch.dispatch_call(dispatch, inner, dispatch.signer)
        except DispatchError as error:
            failed = True
            dispatch.emit("Utility", "ItemFailed", {"error": dispatch.encode_error(error)})
        else:
            dispatch.emit("Utility", "ItemCompleted")
    dispatch.emit("Utility", "BatchCompletedWithErrors" if failed else "BatchCompleted")


def _sudo(dispatch: DispatchContext, call: DecodedCall) -> None:
    key = dispatch.draft.get("Sudo", "Key")
    ensure(dispatch.signer == key, "RequireSudo", "Sudo")
    result: dict[str, object] = {"Ok": ()}
    try:
        dispatch.dispatch_call(dispatch, call.raw["call"], None)
    except DispatchError as error:
        result = {"Err": dispatch.encode_error(error)}
    dispatch.emit("Sudo", "Sudid", {"sudo_result": result})


HANDLERS: dict[str, CallHandler] = {
    "Utility.batch": _batch,
    "Utility.batch_all": _batch_all,
    "Utility.force_batch": _force_batch,
    "Sudo.sudo": _sudo,
}
