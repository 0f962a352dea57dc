"""Texts of chain identities."""

from pylon.chain.chain_identity import ChainIdentity, short_genesis


def test_a_chain_is_shown_with_its_network_and_a_short_genesis() -> None:
    assert str(ChainIdentity("finney", "0x" + "ab" * 32)) == "finney (genesis 0xabababab…)"


def test_a_short_genesis_is_not_cut() -> None:
    assert short_genesis("unknown") == "unknown"
