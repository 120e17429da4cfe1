"""JSON annotation files, read strictly: what another reader would lose in silence is an error."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from geodet.errors import DataError

__all__ = ["read_json_object", "take_list"]


class _RepeatedKeyError(ValueError):
    pass


def read_json_object(
    path: Path, *, compact: Callable[[dict[str, Any]], dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Read a JSON file whose top level is an object.

    UTF-8 with or without a byte order mark, UTF-16 and UTF-32 are read. The tokens NaN and
    Infinity become floats; whoever uses a number checks that it is finite.

    Args:
        path: the file.
        compact: called with each object (inner ones first) as it is read; what it returns takes
            the object's place, so that a large file never lies in memory as Python numbers.
    Raises:
        DataError: the file cannot be read, is empty or cut short, is not legal JSON, repeats a
            key within one object, or holds something else than an object.
    """

    def as_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        record = dict(pairs)
        if len(record) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for index, key in enumerate(keys) if key in keys[:index])
            where = f" (in the object with id {record['id']!r})" if "id" in record else ""
            raise _RepeatedKeyError(f"key {twice!r} appears more than once in one object{where}")
        return record if compact is None else compact(record)

    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file; check the path of the annotations") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if not content.strip():
        raise DataError(f"{path}: the file is empty; fetch or write it again")
    try:
        data = json.loads(content, object_pairs_hook=as_dict)
    except _RepeatedKeyError as error:
        raise DataError(f"{path}: {error}; one value would be lost, remove the other") from None
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path}: not legal JSON at line {error.lineno}, column {error.colno} "
            f"({error.msg}); the file may be cut short or edited by hand"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not text in UTF-8 ({error}); save it as UTF-8") from error
    except RecursionError as error:
        raise DataError(f"{path}: nested too deeply for an annotation file") from error
    if not isinstance(data, dict):
        raise DataError(
            f"{path}: expected an object at the top level, found a {type(data).__name__} "
            f"({len(data) if isinstance(data, list) else 1} entries)"
        )
    return data


def take_list(data: dict[str, Any], key: str, path: Path, advice: str) -> list[Any]:
    """Remove the list under `key` from `data` and return it, so that it is freed after use.

    Raises:
        DataError: the key is missing (a similar one is named) or holds something else.
    """
    if key not in data:
        near = [name for name in data if name.rstrip("s").lower() == key.rstrip("s").lower()]
        found = f"found {near[0]!r} instead" if near else f"found {', '.join(data) or 'nothing'}"
        raise DataError(f"{path}: expected a key {key!r}, {found}; {advice}")
    value = data.pop(key)
    if not isinstance(value, list):
        raise DataError(f"{path}: {key!r}: expected a list, got {type(value).__name__}; {advice}")
    return value
