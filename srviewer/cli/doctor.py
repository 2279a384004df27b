"""``srviewer doctor``: versions, devices, memory, Qt and weights of this machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Annotated

import typer

from srviewer import __version__, paths
from srviewer.cli import console, options
from srviewer.session.wording import bytes_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_PACKAGES = (
    "torch",
    "PySide6-Essentials",
    "pyqtgraph",
    "numpy",
    "pillow",
    "opencv-python-headless",
    "tifffile",
    "imagecodecs",
    "matplotlib",
    "safetensors",
    "openvino",
    "lightning",
)


def doctor(
    json_output: options.Json = False,
    probe_qt: Annotated[
        bool,
        typer.Option("--probe-qt", hidden=True, help="Start Qt, print its platform and do nothing else."),
    ] = False,
) -> None:
    """Tell versions, devices, memory, the Qt platform and the state of the weights; exit 1 on a fault."""
    if probe_qt:
        _print_qt_platform()
        return
    from srviewer.engine.device import devices, free_memory, native_bf16
    from srviewer.zoo.library import verify_weights

    here = devices()
    qt_platform, qt_fault = _qt()
    faults = [f"{verdict.path}: {verdict.fault}" for verdict in verify_weights() if verdict.fault]
    if qt_fault is not None:
        faults.append(f"the window cannot open: {qt_fault}")
    found: Mapping[str, object] = {
        "srviewer": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "devices": [
            {"id": device.id, "name": device.name, "free_memory_bytes": free_memory(device)}
            for device in here
        ],
        "bf16_native": native_bf16(),
        "qt_platform": qt_platform,
        "folders": {
            "weights": str(paths.weights_folder()),
            "resources": str(paths.resources_folder()),
            "data": str(paths.user_data_folder()),
            "cache": str(paths.user_cache_folder()),
        },
        "faults": faults,
    }
    if json_output:
        console.print_json(found)
    else:
        _print(found)
    raise typer.Exit(1 if faults else 0)


def _print(found: Mapping[str, object]) -> None:
    for name, value in found.items():
        if isinstance(value, dict):
            typer.echo(f"{name}:")
            for key, text in value.items():
                typer.echo(f"  {key}: {text if text is not None else 'not installed'}")
        elif name == "devices" and isinstance(value, list):
            typer.echo("devices:")
            for device in value:
                free = bytes_text(device["free_memory_bytes"])
                typer.echo(f"  {device['id']}: {device['name']}, {free} free")
        elif isinstance(value, list):
            typer.echo(f"{name}: {'none' if not value else ''}")
            for text in value:
                typer.echo(f"  {text}")
        else:
            typer.echo(f"{name}: {value}")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _print_qt_platform() -> None:
    from srviewer.app.application import qt_application

    typer.echo(qt_application().platformName())


def _qt() -> tuple[str | None, str | None]:
    """Return Qt's platform on this machine, or why it has none.

    Another process is asked: a Qt without its libraries ends the process that loads it. A frozen program has
    no interpreter to ask, but can be started itself.
    """
    program = [sys.executable] if getattr(sys, "frozen", False) else [sys.executable, "-m", "srviewer"]
    surroundings = os.environ | {"SRVIEWER_DEBUG": "1"}  # an exception's own words are then the last line
    if sys.platform == "linux" and not any(surroundings.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")):
        surroundings.setdefault("QT_QPA_PLATFORM", "offscreen")
    try:
        done = subprocess.run(
            [*program, "doctor", "--probe-qt"],
            env=surroundings,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, str(error)
    if done.returncode == 0:
        return done.stdout.split()[0], None
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return None, lines[-1] if lines else f"Qt ended with status {done.returncode}"
