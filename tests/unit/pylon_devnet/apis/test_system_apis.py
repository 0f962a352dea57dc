"""Runtime APIs of accounts and of the block's author."""

from pylon_devnet.apis.system_apis import API_METHODS
from pylon_devnet.population import coldkey
from tests.support.chain.devnet_draft import new_draft


def test_the_nonce_is_the_accounts() -> None:
    draft, who = new_draft(), coldkey(1, 0)
    nonce = API_METHODS["AccountNonceApi_account_nonce"]
    assert nonce(draft, who) == 0
    draft.change("System", "Account", who, by=lambda account: {**account, "nonce": 7})
    assert nonce(draft, who) == 7


def test_a_single_node_has_no_authorities() -> None:
    assert API_METHODS["AuraApi_authorities"](new_draft()) == []
