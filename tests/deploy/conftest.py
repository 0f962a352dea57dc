"""The manifests of each overlay."""

from pathlib import Path

import pytest

from tests.support.k8s.kustomize import Manifest
from tests.support.k8s.manifests import OVERLAYS, WITH_ALL, rendered


@pytest.fixture(params=[*OVERLAYS, WITH_ALL])
def manifests(request: pytest.FixtureRequest, tmp_path: Path) -> list[Manifest]:
    return rendered(request.param, tmp_path)
