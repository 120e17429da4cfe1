"""The "images" and "categories" lists of a COCO file, checked entry by entry."""

import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import attrs

from geodet.data.label_map import LabelMap
from geodet.data.problems import Problem
from geodet.errors import DataError

__all__ = ["ImageTable", "MalformedError", "as_integer_id", "read_categories", "read_images"]


class MalformedError(ValueError):
    """One entry is wrong; the text says what was expected and what was found."""


@attrs.frozen
class ImageTable:
    """What the "images" list holds, in file order, without the broken entries.

    Args:
        ids: integers or texts, distinct.
        file_names: paths below the folder of images.
        sizes_hw: (height, width) as stated.
        index_of: position of each id.
        broken_ids: ids of entries that were left out as broken.
        problems: why they were.
    """

    ids: list[int | str]
    file_names: list[str]
    sizes_hw: list[tuple[int, int]]
    index_of: dict[int | str, int]
    broken_ids: set[int | str]
    problems: list[Problem]


def as_integer_id(name: str, record: dict[str, Any]) -> int:
    """Return an integer field; a float that is a whole number (1.0) counts as one.

    Raises:
        MalformedError: the field is missing or something else.
    """
    if name not in record:
        raise MalformedError(f"{name}: missing, expected an integer")
    value = record[name]
    if type(value) is int:
        return value
    if type(value) is float and value.is_integer() and abs(value) <= 2**53:
        return int(value)
    raise MalformedError(f"{name}: expected an integer, got {value!r}")


def read_categories(records: list[Any], path: Path) -> LabelMap:
    """Map the categories to labels by ascending id.

    Raises:
        DataError: an entry is broken, or an id or name appears twice. There is no leaving out of
            a category: labels would shift.
    """
    names: dict[int, str] = {}
    rows: dict[str, int] = {}
    for row, record in enumerate(records):
        where = f"{path}: categories[{row}]"
        if not isinstance(record, dict):
            raise DataError(f"{where}: expected an object, got {type(record).__name__}")
        try:
            category_id = as_integer_id("id", record)
        except MalformedError as error:
            raise DataError(f"{where}: {error}") from None
        name = record.get("name")
        if not isinstance(name, str) or not name:
            raise DataError(
                f"{where} (id {category_id}): name: expected a text, "
                f"{f'got {name!r}' if 'name' in record else 'it is missing'}"
            )
        if category_id in names:
            raise DataError(
                f"{where} ({name!r}): id {category_id} already belongs to "
                f"{names[category_id]!r}; give each category an id of its own"
            )
        if name in rows:
            raise DataError(
                f"{where} (id {category_id}): name {name!r} already belongs to "
                f"categories[{rows[name]}]; rename or merge them"
            )
        names[category_id] = name
        rows[name] = row
    ids = sorted(names)
    return LabelMap(tuple(names[category_id] for category_id in ids), tuple(ids))


def read_images(records: list[Any], images_dir: Path, *, check_files: bool) -> ImageTable:
    """Read ids, names and sizes, and see that each file is there.

    Args:
        records: the "images" list.
        images_dir: folder that the file names start from.
        check_files: look each file up (one directory listing per folder).
    """
    table = ImageTable([], [], [], {}, set(), [])
    absent = _absent_files(records, images_dir) if check_files else set()
    seen: dict[int | str, int] = {}
    for row, record in enumerate(records):
        image_id: int | str | None = None
        try:
            if not isinstance(record, dict):
                raise MalformedError(f"expected an object, got {type(record).__name__}")  # noqa: TRY301
            image_id = _image_id(record)
            if image_id in seen:
                same = "the same entry again" if record == records[seen[image_id]] else "another"
                raise MalformedError(  # noqa: TRY301
                    f"id {image_id!r} already belongs to images[{seen[image_id]}] ({same}); "
                    f"ids must be distinct"
                )
            seen[image_id] = row
            name = _file_name(record)
            size = (_side("height", record), _side("width", record))
            if name in absent:
                raise MalformedError(f"no such file in {images_dir}")  # noqa: TRY301
        except MalformedError as error:
            table.problems.append(Problem(_where(row, record, image_id), str(error), image_id))
            if image_id is not None and image_id not in table.index_of:
                table.broken_ids.add(image_id)
            continue
        table.index_of[image_id] = len(table.ids)
        table.ids.append(image_id)
        table.file_names.append(name)
        table.sizes_hw.append(size)
    return table


def _where(row: int, record: Any, image_id: int | str | None) -> str:
    name = record.get("file_name") if isinstance(record, dict) else None
    parts = [] if image_id is None else [f"id {image_id!r}"]
    if isinstance(name, str):
        parts.append(repr(name))
    return f"images[{row}]" + (f" ({', '.join(parts)})" if parts else "")


def _image_id(record: dict[str, Any]) -> int | str:
    value = record.get("id")
    if isinstance(value, str) and value:
        return value
    return as_integer_id("id", record)


def _file_name(record: dict[str, Any]) -> str:
    name = record.get("file_name")
    if isinstance(name, str) and name:
        return name
    found = f"got {name!r}" if "file_name" in record else "it is missing"
    url = record.get("coco_url")
    hint = f"; its coco_url ends in {url.rsplit('/', 1)[-1]!r}" if isinstance(url, str) else ""
    raise MalformedError(f"file_name: expected a text, {found}{hint}")


def _side(name: str, record: dict[str, Any]) -> int:
    side = as_integer_id(name, record)
    if not 0 < side < 2**31:
        raise MalformedError(f"{name}: expected a positive number of pixels, got {side}")
    return side


def _absent_files(records: list[Any], images_dir: Path) -> set[str]:
    """File names in `records` that do not exist: one listing per folder, not a call per file."""
    if not images_dir.is_dir():
        raise DataError(f"{images_dir}: no such folder of images; check the path")
    folders: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for record in records:
        name = record.get("file_name") if isinstance(record, dict) else None
        if isinstance(name, str) and name:
            folder, base = os.path.split(name)
            folders[folder].append((base, name))
    absent: set[str] = set()
    for folder, files in folders.items():
        try:
            present = set(os.listdir(images_dir / folder))  # noqa: PTH208 (half the time)
        except OSError:
            present = set()
        absent.update(name for base, name in files if base not in present)
    return absent
