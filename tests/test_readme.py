"""The written pages: their Python runs, and their links lead somewhere."""

import ast
import re
from pathlib import Path

import pytest

from geodet import Instances

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    path.relative_to(ROOT).as_posix()
    for path in (
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *sorted((ROOT / "docs").rglob("*.md")),
        *(ROOT / name / "README.md" for name in ("configs", "benchmarks")),
    )
]


def python_blocks(page):
    """Parse the fenced Python of a page; line numbers are those of the page."""
    text = (ROOT / page).read_text("utf-8")
    blocks = re.finditer(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    trees = []
    for block in blocks:
        lines_before = text.count("\n", 0, block.start(1))
        trees.append(ast.parse("\n" * lines_before + block[1], filename=page))
    return trees


def relative_links(page):
    """Return the targets of links and images that are no web address, without `#section`."""
    text = (ROOT / page).read_text("utf-8")
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose))
    relative = [each for each in targets if not re.match(r"[a-z]+:|#", each)]
    return [each.split("#")[0] for each in relative]


def test_the_structures_example_runs():
    """The first Python of the README works as it stands, and ends with the row it promises."""
    example = python_blocks("README.md")[0]
    names = {}
    exec(compile(example, "README.md", "exec"), names)  # noqa: S102 (our own page)
    assert isinstance(names["best"], Instances)
    assert len(names["best"]) == 1


@pytest.mark.parametrize("page", PAGES)
def test_imports_in_pages_are_there(page):
    """Every Python block parses, and each name that it imports exists."""
    for tree in python_blocks(page):
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        code = compile(ast.Module(imports, type_ignores=[]), page, "exec")
        exec(code, {})  # noqa: S102 (our own page)


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_lead_to_files(page):
    """A link inside the repository points to something that is there."""
    folder = (ROOT / page).parent
    missing = [target for target in relative_links(page) if not (folder / target).exists()]
    assert not missing


def test_links_are_found_at_all():
    """Reading the README finds links, so that the check above checks something."""
    assert len(relative_links("README.md")) >= 2
