"""What the command line asks for this start only: put over the settings, and taken back at the end."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from srviewer.app.arguments import GuiArguments
from srviewer.app.settings import Settings


class Overrides:
    """The command line's wishes over the settings of the last time.

    Parameters
    ----------
    stored : the settings as they were kept.
    arguments : what the command line says.
    """

    def __init__(self, stored: Settings, arguments: GuiArguments) -> None:
        self._stored = stored
        self._arguments = arguments

    def applied(self) -> Settings:
        """Return the settings for this start."""
        settings, arguments = self._stored, self._arguments
        if arguments.theme is not None:
            settings = dataclasses.replace(settings, theme=arguments.theme)
        if arguments.models:
            settings = dataclasses.replace(settings, ticked=arguments.models)
        options = settings.options
        if arguments.device != "auto":
            options = dataclasses.replace(options, device=arguments.device)
        if arguments.precision != "auto":
            options = dataclasses.replace(options, precision=arguments.precision)
        return dataclasses.replace(settings, options=options)

    def taken_back(self, now: Settings) -> Settings:
        """Return the settings to keep: what the command line chose and nobody changed is as it was before."""
        first, stored = self.applied(), self._stored
        options = dataclasses.replace(
            now.options,
            device=_kept(first.options.device, now.options.device, stored.options.device),
            precision=_kept(first.options.precision, now.options.precision, stored.options.precision),
        )
        ticked = _kept(first.ticked, now.ticked, stored.ticked) if self._arguments.models else now.ticked
        return dataclasses.replace(
            now, theme=_kept(first.theme, now.theme, stored.theme), options=options, ticked=ticked
        )


_Value = TypeVar("_Value")


def _kept(first: _Value, now: _Value, stored: _Value) -> _Value:
    return stored if now == first else now
