"""``srviewer gui``: the desktop application."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from srviewer.cli import console, options

Theme = Literal["light", "dark", "system"]
Mode = Literal["grid", "wipe", "flip", "difference", "crops"]


def gui(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH]...", parser=Path, help="Images, folders, checkpoints or a session to open."
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="Network to tick (see `srviewer models`). Repeat for several.",
        ),
    ] = None,
    theme: Annotated[
        Theme | None, typer.Option("--theme", help="Colours of the window; by default as remembered.")
    ] = None,
    mode: Annotated[Mode | None, typer.Option("--mode", help="How the panes are compared.")] = None,
    evaluate: Annotated[
        bool,
        typer.Option("--evaluate", help="Use the images as ground truth: networks get their reduction."),
    ] = False,
    screenshot: Annotated[
        Path | None,
        typer.Option(
            "--screenshot",
            metavar="FILE",
            help="Save the window as PNG once everything is done, and exit; stored settings are ignored.",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="S", min=0.1, help="Seconds to wait for a screenshot.")
    ] = 600.0,
    size: Annotated[
        str | None, typer.Option("--size", metavar="WxH", help="Size of the window, as 1280x800.")
    ] = None,
    select: Annotated[
        str | None,
        typer.Option("--select", metavar="X,Y,W,H", help="Select this region of the networks' input."),
    ] = None,
    histogram: Annotated[
        bool, typer.Option("--histogram", help="Show the histogram instead of the metrics.")
    ] = False,
    device: options.Device = "auto",
    precision: options.PrecisionOption = "auto",
) -> None:
    """Open the window: drop images, tick networks, compare.

    Exit status: 0, or 1 if a screenshot's jobs did not all succeed, or there is no display.
    """
    if model:
        from srviewer.cli.loading import check_models

        check_models(model)
    _find_display(headless=screenshot is not None)
    from srviewer.app import GuiArguments, run

    status = run(
        GuiArguments(
            paths=tuple(paths or ()),
            models=tuple(dict.fromkeys(model or ())),
            theme=theme,
            screenshot=screenshot,
            timeout=timeout,
            size=None if size is None else options.parse_size(size),
            mode=mode,
            select=None if select is None else options.parse_region(select),
            evaluate=evaluate,
            histogram=histogram,
            device=device,
            precision=precision,
        )
    )
    raise typer.Exit(status)


def window_can_open() -> bool:
    """Return whether a window would be seen: off Linux always, there where a display answers."""
    if os.environ.get("QT_QPA_PLATFORM") in ("offscreen", "minimal"):
        return False
    return not sys.platform.startswith("linux") or display_answers()


def _find_display(*, headless: bool) -> None:
    """End with a clear line where no display can be reached; a screenshot is then taken without one."""
    if os.environ.get("QT_QPA_PLATFORM") or not sys.platform.startswith("linux") or display_answers():
        return
    if headless:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        return
    named = os.environ.get("DISPLAY")
    reason = f"the display {named} does not answer" if named else "there is no display"
    console.complain(f"{reason}; --screenshot FILE works without one")
    raise typer.Exit(1)


def display_answers() -> bool:
    """Return whether a Wayland or X display is named and accepts connections (Qt would abort otherwise)."""
    wayland = os.environ.get("WAYLAND_DISPLAY")
    if wayland and _answers(str(Path(os.environ.get("XDG_RUNTIME_DIR", "/run")) / wayland)):
        return True
    display = os.environ.get("DISPLAY", "")
    host, _, rest = display.rpartition(":")
    number = rest.partition(".")[0]
    if not number.isdigit():
        return False
    if host not in ("", "unix"):
        try:
            with socket.create_connection((host.strip("[]"), 6000 + int(number)), timeout=3):
                return True
        except OSError:
            return False
    # X servers listen there by convention, and on Linux at the same name in the abstract namespace.
    return any(_answers(f"{start}/tmp/.X11-unix/X{number}") for start in ("", "\0"))  # noqa: S108


def _answers(address: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(3)
        try:
            client.connect(address)
        except OSError:
            return False
    return True
