"""Files from the web into a local folder: resumed when cut off, checked, whole or not there."""

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from geodet.errors import CheckpointError

__all__ = ["Progress", "download"]

# Called with the bytes that are there and, when the server told it, the bytes in all.
Progress: TypeAlias = Callable[[int, int | None], None]

_BLOCK = 1 << 18
_TIMEOUT_SECONDS = 30.0
_ATTEMPTS = 5
_PAUSE_SECONDS = 0.5


def download(
    url: str, folder: Path, *, md5_start: str | None = None, progress: Progress | None = None
) -> Path:
    """Fetch a file unless the folder has it already.

    It grows under the name `NAME.part`, which a later call continues, and gets its name when its
    length and checksum are right. A file that is there with another checksum is fetched anew.

    Args:
        url: http or https; the last part of its path is the name of the file.
        folder: made when it is not there.
        md5_start: the first hexadecimal digits of the file's MD5.
        progress: called after every block.
    Returns:
        The file's path.
    Raises:
        CheckpointError: the server cannot be reached, refuses or keeps cutting off, or the
            checksum differs; says what to do without a network.
    """
    if not url.startswith(("http://", "https://")):
        raise CheckpointError(f"{url}: expected an address of http or https")
    target = folder / url.rpartition("/")[2]
    if target.is_file() and _wrong_md5(target, md5_start) is None:
        return target
    part = target.with_name(f"{target.name}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _fill(url, target, part, progress)
        found = _wrong_md5(part, md5_start)
        if found is not None:
            part.unlink()
            raise CheckpointError(
                f"{url}: expected an MD5 that starts with {md5_start}, got {found}; try again, and "
                "when it stays so the file was changed or replaced on its way"
            )
        part.replace(target)
    except OSError as error:
        raise CheckpointError(f"{part}: cannot be written: {error}") from error
    return target


def _fill(url: str, target: Path, part: Path, progress: Progress | None) -> None:
    """Fetch until the part is whole; every attempt goes on where the one before was cut off."""
    reason = "it kept cutting off"
    for attempt in range(_ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE_SECONDS * attempt)
        try:
            if _fetch(url, part, progress):
                return
        except urllib.error.HTTPError as error:
            reason = f"the server says {error.code} {error.reason}"
            if error.code < 500:
                break
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
            reason = str(getattr(error, "reason", error))
        except ConnectionError as error:
            reason = str(error)
    raise CheckpointError(
        f"{url}: cannot be downloaded: {reason}; call again to go on, or fetch it on a machine "
        f"with a network and put it at {target}"
    )


def _fetch(url: str, part: Path, progress: Progress | None) -> bool:
    """One request; whether the part is whole afterwards."""
    start = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "geodet"} | ({"Range": f"bytes={start}-"} if start else {})
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http(s), see download
    try:
        answer = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)  # noqa: S310 - as above
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        # What is there is as long as the file, or of another file: then the next attempt is anew.
        if error.headers.get("Content-Range") == f"bytes */{start}":
            return True
        part.unlink()
        return False
    with answer:
        told = answer.headers.get("Content-Length")
        if not _continues(answer, start):
            start = 0
        total = None if told is None else start + int(told)
        with part.open("ab" if start else "wb") as file:
            while block := answer.read(_BLOCK):
                file.write(block)
                start += len(block)
                if progress is not None:
                    progress(start, total)
    return total is None or start == total


def _continues(answer: http.client.HTTPResponse, start: int) -> bool:
    """Whether the server sends what follows `start`; many ignore the wish and send everything."""
    sent = answer.headers.get("Content-Range", "")
    return answer.status == http.HTTPStatus.PARTIAL_CONTENT and sent.startswith(f"bytes {start}-")


def _wrong_md5(path: Path, md5_start: str | None) -> str | None:
    """The file's MD5 when it is not the one expected."""
    if md5_start is None:
        return None
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return None if found.startswith(md5_start) else found[: max(len(md5_start), 6)]
