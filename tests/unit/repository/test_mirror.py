"""`tests/unit/<folder>/test_<module>.py` tests `<folder>/<module>.py`."""

from tests.unit.repository.packages import ROOT, is_generated_twin, modules

UNIT = ROOT / "tests" / "unit"
REPOSITORY = UNIT / "repository"


def test_unit_tests_mirror_modules() -> None:
    strays: list[str] = []
    for path in sorted(UNIT.rglob("test_*.py")):
        module = path.relative_to(UNIT).with_name(path.name.removeprefix("test_"))
        if not path.is_relative_to(REPOSITORY) and not (ROOT / module).is_file():
            strays.append(f"{path.relative_to(ROOT)}: there is no {module}")
    tested = {path.stem.removeprefix("test_") for path in (ROOT / "tests").rglob("test_*.py")}
    untested = [
        str(module)
        for module in modules()
        if module.stem not in {*tested, "__init__"} and not is_generated_twin(module)
    ]
    assert not strays, "\n".join(
        [
            f"{len(strays)} unit tests without a module:",
            *strays,
            f"{len(untested)} modules without a test of their name (for information):",
            *untested,
        ]
    )
