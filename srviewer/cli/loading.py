"""What several commands check before they begin: that models and devices exist."""

from __future__ import annotations

import typer


def check_models(references: list[str]) -> None:
    """End with a usage error where a reference names no model and no file; weights are read later."""
    from srviewer.zoo.errors import UnknownModelError, ZooError
    from srviewer.zoo.manifest import resolve

    for reference in references:
        try:
            resolve(reference)
        except UnknownModelError as error:
            raise typer.BadParameter(f"{error}; `srviewer models` lists them", param_hint="--model") from None
        except ZooError:
            continue


def check_device(name: str) -> None:
    """End with a usage error where this machine has no such device."""
    from srviewer.engine.device import choose_device
    from srviewer.engine.request import UpscaleError

    try:
        choose_device(name)
    except UpscaleError as error:
        raise typer.BadParameter(str(error), param_hint="--device") from None
