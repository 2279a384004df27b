"""Where the program finds its own data and keeps the user's: in a checkout, a wheel or a frozen app."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _data_folder(name: str) -> Path:
    """Return the folder `name` that comes with the program.

    A wheel carries it inside the package, a frozen app in its bundle, a checkout beside the package.
    """
    candidates = [_PACKAGE / "_data" / name]
    bundle = getattr(sys, "_MEIPASS", None)
    if bundle is not None:
        candidates.append(Path(bundle) / "srviewer" / "_data" / name)
    candidates.append(_PACKAGE.parent / name)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(
        f"the program's folder {name!r} is missing; looked in {', '.join(map(str, candidates))}"
    )


def resources_folder() -> Path:
    """Return the folder of icons, themes and sample images."""
    return _data_folder("resources")


def weights_folder() -> Path:
    """Return the folder of the weights that come with the program, and of their manifest."""
    return _data_folder("weights")


def user_data_folder() -> Path:
    """Return the user's folder for weights (``SRVIEWER_DATA`` overrides it); it may not exist."""
    return _user_folder("SRVIEWER_DATA", "user_data_path")


def user_cache_folder() -> Path:
    """Return the user's folder for caches (``SRVIEWER_CACHE`` overrides it); it may not exist."""
    return _user_folder("SRVIEWER_CACHE", "user_cache_path")


def user_log_folder() -> Path:
    """Return the user's folder for the log file (``SRVIEWER_LOG`` overrides it); it may not exist."""
    return _user_folder("SRVIEWER_LOG", "user_log_path")


def _user_folder(variable: str, kind: str) -> Path:
    """Return the folder that `variable` names, else the platform's folder of that `kind`."""
    named = os.environ.get(variable)
    if named:
        return Path(named).expanduser()
    import platformdirs  # kept out of the start of the command line

    folder: Path = getattr(platformdirs, kind)("srviewer", appauthor=False)
    return folder
