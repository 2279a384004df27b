"""What can be wrong with an image file, said in one sentence to the user."""

from __future__ import annotations

import errno
import logging
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ImageFileError(Exception):
    """An image file cannot be read or written.

    Attributes
    ----------
    path : the file.
    reason : what is wrong with it, without the file's name and without a full stop.
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path = Path(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class UnreadableContentError(Exception):
    """A decoder's refusal whose text is already a reason for the user."""


DECODER_FAULTS: tuple[type[Exception], ...] = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,  # among them all of imagecodecs' errors, and NotImplementedError
    SyntaxError,  # Pillow's word for "not my format"
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What the decoders raise on damaged data (seen by feeding them damaged files); MemoryError is told apart."""

_OS_REASONS = {
    errno.ENOENT: "there is no such file or folder",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EISDIR: "it is a folder, not a file",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than the disk or its limits allow",
    errno.EROFS: "the disk is read-only",
    errno.ENAMETOOLONG: "its name is too long",
    errno.EIO: "the disk reports an input/output error",
}


def os_reason(error: OSError) -> str:
    """Say in a few words why the operating system refused."""
    if error.errno in _OS_REASONS:
        return _OS_REASONS[error.errno]
    return (error.strerror or str(error) or type(error).__name__).lower()


def detail(error: BaseException) -> str:
    """Return a decoder's own message as part of one sentence: its first line, without a full stop."""
    lines = str(error).strip().splitlines()
    return (lines[0].rstrip(". ") if lines else type(error).__name__)[:160]


class _Quiet:
    """Counts who is inside `quiet`: the first one in changes settings, the last one out restores them."""

    lock = threading.Lock()
    inside = 0
    caught = warnings.catch_warnings()
    pillow_limit: int | None = None
    loggers = ("tifffile", "imagecodecs")


@contextmanager
def decoding(path: Path) -> Iterator[None]:
    """Let libraries read a file quietly; whatever goes wrong becomes an ImageFileError about `path`."""
    with quiet():
        try:
            yield
        except UnreadableContentError as error:
            raise ImageFileError(path, str(error)) from error
        except MemoryError as error:
            raise ImageFileError(path, "there is not enough memory to decode it") from error
        except DECODER_FAULTS as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise ImageFileError(path, os_reason(error)) from error
            raise ImageFileError(path, f"the file is truncated or damaged ({detail(error)})") from error


@contextmanager
def encoding(path: Path, format_: str) -> Iterator[None]:
    """Let libraries write a file quietly; whatever goes wrong becomes an ImageFileError about `path`."""
    with quiet():
        try:
            yield
        except MemoryError as error:
            raise ImageFileError(path, "there is not enough memory to encode it") from error
        except OSError as error:
            reason = os_reason(error) if error.errno is not None else detail(error)
            raise ImageFileError(path, f"it cannot be written: {reason}") from error
        except DECODER_FAULTS as error:
            raise ImageFileError(path, f"it cannot be encoded as {format_} ({detail(error)})") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' remarks about odd files off stderr, and Pillow's own limit of pixels away.

    All of that is process-wide, and several threads decode at once: without the count, whoever leaves
    first would restore the settings under the others.
    """
    from PIL import Image

    with _Quiet.lock:
        if _Quiet.inside == 0:
            _Quiet.caught = warnings.catch_warnings()
            _Quiet.caught.__enter__()
            warnings.simplefilter("ignore")
            _Quiet.pillow_limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            for name in _Quiet.loggers:  # what matters to users becomes an error or a note
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        _Quiet.inside += 1
    try:
        yield
    finally:
        with _Quiet.lock:
            _Quiet.inside -= 1
            if _Quiet.inside == 0:
                _Quiet.caught.__exit__(None, None, None)
                Image.MAX_IMAGE_PIXELS = _Quiet.pillow_limit
                for name in _Quiet.loggers:
                    logging.getLogger(name).setLevel(logging.NOTSET)
