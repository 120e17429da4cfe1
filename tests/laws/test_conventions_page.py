"""docs/conventions.md names a test for every law, and the tests exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_law_of_the_page_names_a_test_that_exists():
    """Laws are numbered without gaps, each ends with a test, and each test is defined."""
    page = (ROOT / "docs" / "conventions.md").read_text()
    laws = re.findall(r"^(\d+)\. (.*)$", page, flags=re.MULTILINE)
    assert [int(number) for number, _ in laws] == list(range(1, len(laws) + 1))
    defined = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)\(", file.read_text(), flags=re.MULTILINE)
    }
    for number, law in laws:
        names = re.findall(r"`(test_\w+)`", law)
        assert names, f"law {number} names no test"
        assert set(names) <= defined, f"law {number}: {set(names) - defined} not defined"
