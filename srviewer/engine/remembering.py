"""Small files that remember measurements from one start of the program to the next."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path


def remember(file: Path, content: object) -> None:
    """Write what JSON can hold, whole or not at all; where it cannot be written it is measured again."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.stem}-", suffix=".json")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(content, stream)
            Path(name).replace(file)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
