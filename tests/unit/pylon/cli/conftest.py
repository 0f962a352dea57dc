import logging
from collections.abc import Iterator

import pytest


@pytest.fixture
def log_level() -> Iterator[None]:
    """Restore the level of the log, which commands raise because their output has the errors."""
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)
