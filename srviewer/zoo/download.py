"""Downloading of weights: checked, resumed, and under their final name only when whole."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from srviewer.zoo.errors import DownloadError

__all__ = ["DownloadError", "DownloadProgress", "download", "file_sha256"]

_CHUNK = 1 << 16
_MAX_BYTES = 1 << 30
_ATTEMPTS = 4
"""Connections tried per address; each continues where the last one broke off."""


@dataclass(frozen=True)
class DownloadProgress:
    """How far a download is.

    Attributes
    ----------
    received : bytes here, those of an earlier, broken-off download included.
    total : bytes of the whole file, where the server tells.
    """

    received: int
    total: int | None


class _WrongContentError(DownloadError):
    """The file came whole, but is not the one that was promised."""


class _BrokenOffError(DownloadError):
    """The connection ended before the file did."""


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits; raises OSError as `open` does."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(
    urls: Sequence[str],
    target: Path,
    *,
    sha256: str,
    progress: Callable[[DownloadProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    timeout: float = 30.0,
) -> None:
    """Bring a file here; nothing lies under its final name before its hash was found right.

    What has arrived is kept as ``.NAME.part`` beside the target when the connection breaks or the user
    cancels, and the next call continues there (HTTP ranges). Addresses are tried in order.

    Parameters
    ----------
    urls : addresses of the same file, https or http.
    target : where it goes; its folder is made.
    sha256 : the file's hash, 64 hexadecimal digits.
    progress : told after each piece, on this thread.
    cancelled : asked before each piece.
    timeout : seconds that a server may stay silent.

    Raises
    ------
    DownloadError
        If it did not arrive whole and right: offline, refused, broken off, another file, disk full,
        cancelled.
    """
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadError(f"{target.parent}: cannot be made ({error.strerror or error})") from error
    failures: list[DownloadError] = []
    for url in urls:
        try:
            _fetch(url, part, sha256.lower(), progress, cancelled or _never, timeout)
        except _Stopped as error:
            raise DownloadError(str(error)) from error.__cause__
        except DownloadError as error:
            failures.append(error)
            continue
        try:
            part.replace(target)
        except OSError as error:
            raise DownloadError(f"{target}: cannot be written ({error.strerror or error})") from error
        return
    if not failures:
        raise DownloadError(f"{target.name}: there is no address to download it from")
    raise failures[0]


class _Stopped(Exception):  # noqa: N818 (no fault of the download: cancelled, or no room on the disk)
    """Another address would not help."""


def _never() -> bool:
    return False


def _fetch(
    url: str,
    part: Path,
    sha256: str,
    progress: Callable[[DownloadProgress], None] | None,
    cancelled: Callable[[], bool],
    timeout: float,
) -> None:
    """Bring the file at one address into `part`, over as many connections as it takes."""
    if urlsplit(url).scheme not in {"https", "http"}:
        raise DownloadError(f"{url}: only https and http addresses are downloaded")
    resumed = part.exists()
    broken: _BrokenOffError | None = None
    for _ in range(_ATTEMPTS):
        before = _size(part)
        try:
            _receive(url, part, progress, cancelled, timeout)
        except _BrokenOffError as error:
            broken = error
            if _size(part) == before:
                raise  # a connection that brought nothing will not do better at once
            continue
        found = file_sha256(part)
        if found == sha256:
            return
        part.unlink()
        if not resumed:
            raise _WrongContentError(
                f"{url}: the file there is another one (sha256 {found[:12]}… instead of {sha256[:12]}…)"
            )
        resumed = False  # the old beginning may have been of another file: once more from the start
    raise broken or DownloadError(f"{url}: the download did not end")


def _receive(
    url: str,
    part: Path,
    progress: Callable[[DownloadProgress], None] | None,
    cancelled: Callable[[], bool],
    timeout: float,
) -> None:
    """Append to `part` what one connection brings."""
    have = _size(part)
    request = urllib.request.Request(url, headers={"User-Agent": "srviewer", "Accept-Encoding": "identity"})  # noqa: S310 (scheme checked)
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310 (scheme checked)
            if have and response.status != http.client.PARTIAL_CONTENT:
                have = 0  # the server sends the whole file again
            length = response.headers.get("Content-Length")
            total = have + int(length) if length is not None and length.isdigit() else None
            _append(response, url, part, have, total, progress, cancelled)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
                return  # all of it is here already, or it is another file: the hash will tell
            raise DownloadError(f"{url}: the server answers {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        reason = error.reason
        text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason)
        raise _BrokenOffError(f"{url}: cannot be reached ({text})") from error
    except TimeoutError as error:
        raise _BrokenOffError(f"{url}: the server fell silent for {timeout:g} s") from error
    except (http.client.HTTPException, OSError, ValueError) as error:
        raise _BrokenOffError(f"{url}: the connection broke off ({error or type(error).__name__})") from error


def _append(
    response: http.client.HTTPResponse,
    url: str,
    part: Path,
    have: int,
    total: int | None,
    progress: Callable[[DownloadProgress], None] | None,
    cancelled: Callable[[], bool],
) -> None:
    """Write the body of a response behind the `have` bytes that are here."""
    try:
        file = part.open("r+b" if have else "wb")
    except OSError as error:
        raise _Stopped(f"{part.parent}: cannot be written to ({error.strerror or error})") from error
    with file:
        file.truncate(have)
        file.seek(have)
        while True:
            if cancelled():
                raise _Stopped(f"{url}: cancelled after {have:,} bytes; the same command continues there")
            if progress is not None:
                progress(DownloadProgress(have, total))
            chunk = response.read(_CHUNK)
            if not chunk:
                break
            have += len(chunk)
            if have > _MAX_BYTES:
                raise _Stopped(f"{url}: sends more than any file of weights holds")
            try:
                file.write(chunk)
            except OSError as error:
                raise _Stopped(f"{part}: cannot be written ({error.strerror or error})") from error
        try:
            file.flush()
            os.fsync(file.fileno())
        except OSError as error:
            raise _Stopped(f"{part}: cannot be written ({error.strerror or error})") from error
    if total is not None and have < total:
        raise _BrokenOffError(
            f"{url}: the connection broke off after {have:,} of {total:,} bytes; try again to continue"
        )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
