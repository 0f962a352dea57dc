"""Names of inboxes."""

import re

from pylon_client.nats.inboxes import InboxIds


def test_names_are_independent_and_fit_into_a_subject() -> None:
    names = [InboxIds().next().decode() for _ in range(50)]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", name) for name in names)
    assert len({name[:4] for name in names}) == len({name[-4:] for name in names}) == 50
