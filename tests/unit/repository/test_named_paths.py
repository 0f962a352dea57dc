"""Paths and links in the documentation lead to files of the repository."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FOLDERS = (
    "bench bridge deploy docs packaging pylon pylon_client pylon_devnet requirements scripts tests"
)
NAMED = re.compile(rf"(?<![\w./$~-])(?:{FOLDERS.replace(' ', '|')})/[\w./-]*\w")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CREATED_BY_THE_READER = {
    "deploy/k8s/overlays/mine",
    "deploy/observe/metrics-token",
}


def named_paths(page: Path) -> set[str]:
    return set(NAMED.findall(page.read_text())) - CREATED_BY_THE_READER


def links(page: Path) -> Iterator[str]:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for link in LINK.findall(text):
        if "://" not in link:
            yield link


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")).replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_paths_that_a_page_names_exist(page: Path) -> None:
    assert {path for path in named_paths(page) if not (ROOT / path).exists()} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_of_a_page_lead_to_a_page_and_its_heading(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_the_architecture_names_many_modules() -> None:
    modules = {path for path in named_paths(ROOT / "docs/architecture.md") if path.endswith(".py")}
    assert len(modules) > 40


def test_a_missing_path_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("See `pylon/nowhere.py`, `tests/unit` and https://example.com/docs/page.md.")
    assert named_paths(page) == {"pylon/nowhere.py", "tests/unit"}
