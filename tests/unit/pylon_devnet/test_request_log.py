from pylon_devnet.request_log import MAX_COUNTED_METHODS, RequestLog


def test_the_request_log_is_bounded() -> None:
    log = RequestLog()
    log.add("state_queryStorageAt", [["0x" + "ab" * 500] * 1000, "0x" + "cd" * 5000, None, 7])
    ((keys, text, *rest),) = (record.params for record in log.records())
    assert (len(keys), {len(key) for key in keys}, len(text), rest) == (8, {256}, 256, [None, 7])
    for number in range(2 * MAX_COUNTED_METHODS):
        log.add(f"invented_{number}")
    log.add("state_queryStorageAt")
    assert len(log.counts()) == MAX_COUNTED_METHODS
    assert log.counts()["state_queryStorageAt"] == 2
