"""docs/conventions.md names a test for every law, and the tests exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "conventions.md").read_text("utf-8")

# The acceptance laws that are not about geometry: their rows name tests, or say what is missing.
NOT_GEOMETRY = {12, 13, 14, 15}


def numbered_laws():
    """(number, text) of the laws on the page."""
    return [(int(n), law) for n, law in re.findall(r"^(\d+)\. (.*)$", PAGE, flags=re.MULTILINE)]


def defined_tests():
    """Names of all tests of this repository, with their files' texts."""
    return {
        name: text
        for file in sorted((ROOT / "tests").rglob("test_*.py"))
        for text in [file.read_text("utf-8")]
        for name in re.findall(r"^def (test_\w+)\(", text, flags=re.MULTILINE)
    }


def test_every_law_of_the_page_names_a_test_that_exists():
    """Laws are numbered without gaps, each ends with a test, and each test is defined."""
    laws = numbered_laws()
    assert [number for number, _ in laws] == list(range(1, len(laws) + 1))
    defined = defined_tests()
    for number, law in laws:
        names = re.findall(r"`(test_\w+)`", law)
        assert names, f"law {number} names no test"
        assert set(names) <= set(defined), f"law {number}: {set(names) - set(defined)} not defined"


def test_tests_named_anywhere_on_the_page_exist():
    """Also those outside of numbered laws."""
    assert set(re.findall(r"`(test_\w+)`", PAGE)) <= set(defined_tests())


def test_every_property_of_geometry_is_a_law_of_the_page():
    """The tests in this folder that draw regions, masks, points or transforms are on the page."""
    here = Path(__file__).parent
    for name in ("regions", "masks", "keypoints", "suppression", "transforms"):
        text = (here / f"test_{name}.py").read_text("utf-8")
        for test in re.findall(r"^def (test_\w+)\(", text, flags=re.MULTILINE):
            if test != "test_every_kind_converts_and_mirrors":  # several laws at once
                assert f"`{test}`" in PAGE, f"{test} is no law of the page"


def test_the_fifteen_acceptance_laws_are_all_there():
    """Each has a row; those about geometry point to laws of the page that exist."""
    rows = re.findall(r"^\| (\d+)\. [^|]* \| (.*) \|$", PAGE, flags=re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 16))
    last = len(numbered_laws())
    for number, held_by in rows:
        pointed = re.match(r"laws? ([\d, ]+)", held_by)
        if int(number) in NOT_GEOMETRY:
            assert "`test_" in held_by or "not yet" in held_by or "no export yet" in held_by
        else:
            assert pointed, f"acceptance law {number} points to no law"
            laws = [int(law) for law in re.findall(r"\d+", pointed[1])]
            assert len(set(laws)) == len(laws)
            assert all(1 <= law <= last for law in laws)
