"""The desktop application."""

from __future__ import annotations

from srviewer.app.arguments import GuiArguments

__all__ = ["GuiArguments", "run"]


def run(arguments: GuiArguments) -> int:
    """Open the window and stay until it is closed; return the exit status: 0, or 1 if something failed."""
    from srviewer.app.application import Application

    return Application(arguments).run()
