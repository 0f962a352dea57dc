"""What tests on a container engine share: the engine, and the image that it builds.

The files here are not collected by themselves: `nox -s image` and `nox -s compose` name them.
"""

from collections.abc import Iterator

import pytest

from tests.support.k8s.engine import Engine, NoEngineError, engine

IMAGE = "pylon:local"


@pytest.fixture(scope="session")
def docker() -> Iterator[Engine]:
    try:
        with engine() as found:
            yield found
    except NoEngineError as error:
        pytest.skip(f"no container engine: {error}")


@pytest.fixture(scope="session")
def image(docker: Engine) -> str:
    """The project's image, built of the working tree."""
    docker.run("build", "-t", IMAGE, "--build-arg", "REVISION=of-a-test", ".")
    return IMAGE
