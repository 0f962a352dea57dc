"""Calls that make other calls: batches and sudo."""

from pylon_devnet.calls.dispatch import Call, Dispatch, DispatchError, Handler, ensure


def _batch(dispatch: Dispatch, call: Call) -> None:
    for index, inner in enumerate(dispatch.split(call.raw["calls"])):
        try:
            dispatch.perform(dispatch, inner, dispatch.signer)
        except DispatchError as error:
            told = {"index": index, "error": dispatch.error_value(error)}
            dispatch.emit("Utility", "BatchInterrupted", told)
            return
        dispatch.emit("Utility", "ItemCompleted")
    dispatch.emit("Utility", "BatchCompleted")


def _batch_all(dispatch: Dispatch, call: Call) -> None:
    for inner in dispatch.split(call.raw["calls"]):
        dispatch.perform(dispatch, inner, dispatch.signer)
        dispatch.emit("Utility", "ItemCompleted")
    dispatch.emit("Utility", "BatchCompleted")


def _force_batch(dispatch: Dispatch, call: Call) -> None:
    failed = False
    for inner in dispatch.split(call.raw["calls"]):
        try:
            dispatch.perform(dispatch, inner, dispatch.signer)
        except DispatchError as error:
            failed = True
            dispatch.emit("Utility", "ItemFailed", {"error": dispatch.error_value(error)})
        else:
            dispatch.emit("Utility", "ItemCompleted")
    dispatch.emit("Utility", "BatchCompletedWithErrors" if failed else "BatchCompleted")


def _sudo(dispatch: Dispatch, call: Call) -> None:
    key = dispatch.draft.get("Sudo", "Key")
    ensure(dispatch.signer == key, "RequireSudo", "Sudo")
    result: dict[str, object] = {"Ok": ()}
    try:
        dispatch.perform(dispatch, call.raw["call"], None)
    except DispatchError as error:
        result = {"Err": dispatch.error_value(error)}
    dispatch.emit("Sudo", "Sudid", {"sudo_result": result})


HANDLERS: dict[str, Handler] = {
    "Utility.batch": _batch,
    "Utility.batch_all": _batch_all,
    "Utility.force_batch": _force_batch,
    "Sudo.sudo": _sudo,
}
