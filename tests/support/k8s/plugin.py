"""Fixtures of a container engine, and of the image that it builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.k8s.engine import Engine

IMAGE = "pylon:local"


@pytest.fixture(scope="session")
def docker() -> Iterator[Engine]:
    """Return the container engine of this machine; skip the test if there is no engine."""
    from tests.support.k8s.engine import NoEngineError, engine

    try:
        with engine() as found:
            yield found
    except NoEngineError as error:
        pytest.skip(f"no container engine: {error}")


@pytest.fixture(scope="session")
def image(docker: Engine) -> str:
    """Build the project's image from the working tree, and return its tag."""
    docker.run("build", "-t", IMAGE, "--build-arg", "REVISION=of-a-test", ".")
    return IMAGE
