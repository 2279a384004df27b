"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# One seed, and no clock: a suite that passes here passes everywhere. Folders may be shared by the examples of
# a test. `--hypothesis-profile=search` looks for new examples.
CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=CHECKS)
settings.register_profile("search", deadline=None, max_examples=500, suppress_health_check=CHECKS)
settings.load_profile("steady")

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(scope="session")
def reference() -> Path:
    """The folder of authors' checkpoints, parity files and test sets; tests skip where it is not given."""
    named = os.environ.get("SRVIEWER_REFERENCE")
    if not named:
        pytest.skip("SRVIEWER_REFERENCE names no folder of reference data")
    folder = Path(named)
    if not folder.is_dir():
        pytest.fail(f"SRVIEWER_REFERENCE={named} is no folder")
    return folder


@pytest.fixture(autouse=True)
def own_user_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test out of the user's real data, cache and log folders."""
    for variable in ("SRVIEWER_DATA", "SRVIEWER_CACHE", "SRVIEWER_LOG"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
