from pylon_devnet.injected_faults import Faults, InjectedError, InjectedRejection


async def test_connections_are_rejected_for_a_time() -> None:
    faults = Faults()
    assert not faults.rejects_connections()
    faults.reject_connections(60)
    assert faults.rejects_connections()
    faults.reject_connections(0)
    assert not faults.rejects_connections()


def test_counted_faults_end_by_themselves() -> None:
    faults = Faults(
        handshakes_to_reject=1, extrinsics_to_reject=1, extrinsics_to_swallow=1, watches_to_mute=1
    )
    assert [faults.next_handshake_rejection() for _ in range(2)] == [429, None]
    assert [faults.next_rejection() for _ in range(2)] == [InjectedRejection(), None]
    assert [faults.swallows_next_extrinsic() for _ in range(2)] == [True, False]
    assert [faults.mutes_next_watch() for _ in range(2)] == [True, False]


def test_an_error_of_a_method_is_returned_the_given_number_of_times() -> None:
    faults = Faults(errors={"chain_getHeader": InjectedError(-1, "broken", 2)})
    found = [faults.next_error("chain_getHeader") for _ in range(3)]
    assert [error is not None for error in found] == [True, True, False]
    assert faults.next_error("chain_getBlock") is None


def test_only_headers_are_falsified() -> None:
    faults = Faults(headers_to_falsify=1, header_number="0x7")
    assert faults.falsify("chain_getBlock", {"number": "0x1"}) == {"number": "0x1"}
    assert faults.falsify("chain_getHeader", None) is None
    assert faults.falsify("chain_getHeader", {"number": "0x1"}) == {"number": "0x7"}
    assert faults.falsify("chain_getHeader", {"number": "0x1"}) == {"number": "0x1"}
