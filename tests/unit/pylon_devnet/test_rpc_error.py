from pylon_devnet.rpc_error import RpcError


def test_an_error_without_data_has_no_member_for_it() -> None:
    assert RpcError(1, "wrong").as_json() == {"code": 1, "message": "wrong"}
    assert RpcError(1, "wrong", 0).as_json() == {"code": 1, "message": "wrong", "data": 0}
    assert str(RpcError(1, "wrong", "more")) == "wrong"
