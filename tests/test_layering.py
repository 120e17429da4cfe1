"""The shape of the package: imports point down, rooms stay small, nothing heavy at the door."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "geodet"

# Lower numbers may not import higher ones; rooms of equal number may not import each other.
# `inference` stands on `data` (it reads images and writes dataset ids), so it gets its own floor.
LEVELS = {
    "errors": -1,
    "_check": 0,
    "_core": 0,
    "_core_cuda": 0,
    "ops": 1,
    "weights": 1,
    "structures": 2,
    "transforms": 3,
    "models": 3,
    "evaluation": 3,
    "visualize": 3,
    "testing": 3,
    "data": 4,
    "inference": 4.5,
    "engine": 5,
    "recipes": 6,
    "export": 6,
    "interop": 6,
    "train": 7,
    "evaluate": 7,
    "predict": 7,
    "doctor": 7,
    "cli": 8,
    "__main__": 9,
}

FILES = sorted(PACKAGE.rglob("*.py"))
CORE = sorted(path for path in (PACKAGE.parent / "cpp").rglob("*.*") if path.is_file())


def _room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "geodet" and len(parts) > 1 else None


def _imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module == "geodet":
            modules = [f"geodet.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules = [node.module]
        else:
            continue
        rooms |= {room for module in modules if (room := _room(module)) is not None}
    return {room for room in rooms if room in LEVELS or (PACKAGE / room).exists()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    """A file imports from its own room or from a lower level, never from a sibling or above."""
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        assert _imported_rooms(path) <= {"structures", "errors"}
        return
    upward = {room for room in _imported_rooms(path) if room != own and LEVELS[room] >= LEVELS[own]}

    assert set() == upward


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_relative_imports_and_small_rooms(path):
    """Imports are absolute, files stay under 600 lines, and no room is called utils."""
    text = path.read_text(encoding="utf-8")
    relative = [
        node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and node.level > 0
    ]

    assert [] == relative
    assert text.count("\n") <= 600
    assert path.stem not in {"utils", "util", "common", "helpers", "misc"}


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(PACKAGE.parent)))
def test_core_files_are_small_and_narrow(path):
    """Files of the compiled core stay under 600 lines of at most 100 characters."""
    lines = path.read_text(encoding="utf-8").splitlines()

    assert len(lines) <= 600
    assert [] == [number for number, line in enumerate(lines, start=1) if len(line) > 100]


def test_importing_geodet_loads_torch_numpy_and_attrs_only():
    """People import the structures into other projects: nothing optional comes along."""
    program = (
        "import sys, torch, numpy, attrs; before = set(sys.modules); import geodet; "
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(*sorted(new - set(sys.stdlib_module_names) - {'geodet', 'torch', 'numpy', 'attr'}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "" == done.stdout.strip()
