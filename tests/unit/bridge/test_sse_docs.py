from bridge.sse_docs import CLOSING_DOCS, MISSED_DOCS, event_docs


def test_an_event_has_a_name_and_json_data() -> None:
    docs = event_docs("block", {"$ref": "#/x"})
    assert docs["required"] == ["event", "data"]
    assert docs["properties"]["event"] == {"const": "block"}
    assert docs["properties"]["data"]["contentSchema"] == {"$ref": "#/x"}


def test_ids_are_block_numbers() -> None:
    assert event_docs("block", {}, with_id=True)["properties"]["id"]["pattern"] == "^[0-9]+$"


def test_only_the_closing_event_has_a_reconnection_time() -> None:
    assert "retry" in CLOSING_DOCS["properties"]
    assert "retry" not in MISSED_DOCS["properties"]
