"""Putting a file in place whole: nothing appears under its final name before every byte is on the disk."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from srviewer.imaging.faults import ImageFileError, os_reason

TEMPORARY_PREFIX = ".srviewer-"
_EXISTS = "it exists already and is not overwritten"


@contextmanager
def whole_file(path: Path, *, overwrite: bool) -> Iterator[BinaryIO]:
    """Open a temporary file in the final one's folder, and give it the final name if the block succeeds.

    Until then nothing changes under the final name, whatever happens: an error (the temporary file is
    removed), a full disk, or the end of the process (a hidden ``.srviewer-*.part`` may stay behind).

    Parameters
    ----------
    path : the final name; a symbolic link is followed, so its target is replaced.
    overwrite : whether an existing file is replaced. It keeps its permissions.

    Yields
    ------
    A stream open for reading and writing.

    Raises
    ------
    ImageFileError
        The folder is missing or may not be written to, the file exists, or the disk is full.
    """
    target = Path(os.path.realpath(path))
    _check_target(path, target, overwrite)
    temporary = target.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}.part")
    try:
        stream = temporary.open("x+b")
    except OSError as error:
        raise ImageFileError(path, f"it cannot be created: {os_reason(error)}") from error
    try:
        with stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        _publish(temporary, target, overwrite)
    except FileExistsError as error:
        raise ImageFileError(path, _EXISTS) from error
    except OSError as error:
        raise ImageFileError(path, f"it cannot be written: {os_reason(error)}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _check_target(path: Path, target: Path, overwrite: bool) -> None:
    """Say what is wrong before any work is done; the last word is had when the file is put in place."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        if not target.parent.is_dir():
            raise ImageFileError(path, f"its folder {path.parent} does not exist") from None
        return
    except (OSError, ValueError) as error:
        reason = os_reason(error) if isinstance(error, OSError) else "its name is not valid"
        raise ImageFileError(path, f"it cannot be created: {reason}") from error
    if stat.S_ISDIR(mode):
        raise ImageFileError(path, "it is a folder, not a file")
    if not overwrite:
        raise ImageFileError(path, _EXISTS)
    if not stat.S_ISREG(mode):
        raise ImageFileError(path, "it is not an ordinary file")


def _publish(temporary: Path, target: Path, overwrite: bool) -> None:
    if overwrite:
        with suppress(OSError):
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
    else:
        try:
            # A link fails where the name exists, in one step; a check before a rename would leave a gap.
            os.link(temporary, target)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links (exFAT, some network shares)
            if os.path.lexists(target):
                raise FileExistsError(target) from None
            temporary.rename(target)
    if os.name == "posix":
        _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Make the new name survive a power cut, where the file system lets folders be synced."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
