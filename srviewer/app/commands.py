"""What each action does: the handlers of the action table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QObject
from PySide6.QtGui import QGuiApplication, QKeySequence
from PySide6.QtWidgets import QApplication, QWhatsThis

from srviewer.app.actions import ACTIONS
from srviewer.app.controller import Controller
from srviewer.app.desktop import reveal
from srviewer.app.diagnostics import diagnostics_text, log_file
from srviewer.app.file_commands import FileCommands
from srviewer.app.flipper import Flipper
from srviewer.app.message_bar import Message
from srviewer.app.run_commands import RunCommands
from srviewer.app.theme import ThemeChoice, apply_theme
from srviewer.session.comparison import INPUT_PANE, ColourMap, Mode, Pane, PaneKind
from srviewer.session.geometry import Size, covering
from srviewer.session.naming import safe_model
from srviewer.session.regions import is_huge, size_of
from srviewer.session.selection import Selection

if TYPE_CHECKING:
    from srviewer.app.main_window import MainWindow

_COLOUR_MAPS: tuple[ColourMap, ...] = ("inferno", "viridis", "turbo", "grey")
_GAIN_STEP = 2.0


class Commands(QObject):
    """Answers the actions: asks where a question is needed, and hands the wish to the controller.

    Dialogs are imported when they are needed: the window's first paint does without them.

    Attributes
    ----------
    files : the actions on files.
    runs : the actions that run networks.
    flipper : what the key for flipping does.
    """

    def __init__(self, window: MainWindow, controller: Controller) -> None:
        super().__init__(window)
        self._window = window
        self._controller = controller
        self._session = controller.session
        self.files = FileCommands(window, controller)
        self.runs = RunCommands(window, controller)
        self.flipper = Flipper(controller.session, self)

    def handlers(self) -> Mapping[str, Callable[[], object]]:
        """Return what each action does, by its id."""
        queue, document, files = self._session.queue, self._session.document, self.files
        table: dict[str, Callable[[], object]] = {
            "open": files.open_files,
            "open_folder": files.open_folder,
            "open_sample": files.open_sample,
            "save_results": files.save_results,
            "export_figure": files.export_figure,
            "export_metrics": lambda: files.export_metrics("csv"),
            "save_session": files.save_session,
            "reveal": files.reveal,
            "close_image": files.close_image,
            "close_all": files.close_all,
            "quit": self._window.close,
            "paste": files.paste,
            "copy_result": self.copy_result,
            "select_view": self.select_view,
            "open_region": self.open_region,
            "escape": self.escape,
            "preferences": self.preferences,
            "flip": self.flipper.press,
            "swap": lambda: self._session.compare(self._session.comparison.swapped()),
            "turn": lambda: self._session.compare(self._session.comparison.turned()),
            "more_gain": lambda: self._gain(_GAIN_STEP),
            "less_gain": lambda: self._gain(1 / _GAIN_STEP),
            "next_colours": self._next_colours,
            "fit": lambda: self._look("fit"),
            "one_to_one": lambda: self._look("1:1"),
            "zoom_in": lambda: self._look("in"),
            "zoom_out": lambda: self._look("out"),
            "zoom_selection": self._look_at_selection,
            "next_image": lambda: document.select_beside(1),
            "previous_image": lambda: document.select_beside(-1),
            "hide_docks": self._window.toggle_docks,
            "captions": self._window.toggle_captions,
            "full_screen": self._window.toggle_full_screen,
            "reset_layout": self._window.reset_layout,
            "run": self.runs.run,
            "run_again": self.runs.run_again,
            "pause": self._controller.runs.pause_or_resume,
            "cancel": queue.cancel_all,
            "self_ensemble": self.runs.toggle_ensemble,
            "target_size": self.runs.target_size,
            "run_on_drop": self.runs.toggle_run_on_drop,
            "evaluate": self.evaluate,
            "choose_truth": self.choose_truth,
            "clear_truth": self.clear_truth,
            "next_disagreement": self._controller.measuring.next_disagreement,
            "check_seams": self.runs.check_seams,
            "pick_point": self._window.toggle_picking,
            "attribute": self._attribute,
            "hide_maps": self._hide_maps,
            "shortcuts": self.shortcuts,
            "whats_this": QWhatsThis.enterWhatsThisMode,
            "copy_diagnostics": self.copy_diagnostics,
            "show_log": self.show_log,
            "about": self.about,
        }
        for mode in Mode:
            table[f"mode_{mode.value}"] = partial(self._set_mode, mode)
        for number in range(1, 10):
            table[f"pane_a_{number}"] = partial(self._choose_pane, "a", number)
            table[f"pane_b_{number}"] = partial(self._choose_pane, "b", number)
        for name, dock in self._window.tabs.items():
            table[f"show_{name}"] = partial(self._window.show_dock, dock)
        themes: tuple[ThemeChoice, ...] = ("system", "light", "dark")
        for theme in themes:
            table[f"theme_{theme}"] = partial(self.set_theme, theme)
        return table

    # Looking

    def copy_result(self) -> None:
        """Put pane A's picture into the clipboard."""
        pane = self._session.comparison.a
        if pane is None or not self._controller.exports.copy(pane, lambda: self._tell("Copied.")):
            self._tell("There is no picture to copy yet.")

    def open_region(self) -> None:
        """Open the selected region, in pane A's picture, as an image of its own."""
        session, current = self._session, self._session.document.current
        selection = session.selection
        if current is None or selection is None:
            self._tell("Select a region first: drag with the right button.")
            return
        pane = session.comparison.a
        picture = None if pane is None else session.readable_in(current.id, pane)
        if picture is None:
            pane, picture = INPUT_PANE, session.readable_in(current.id, INPUT_PANE)
        if picture is None or pane is None:
            self._tell("There is no picture yet.")
            return
        box = selection.in_size(size_of(picture))
        size = Size(box.width, box.height)
        if is_huge(size, picture.bits):
            self._tell(f"A region of {size} is too large for memory as well: select a smaller one.")
            return
        model = f"_{safe_model(pane.model)}" if pane.kind is PaneKind.RESULT else ""
        self._controller.loads.crop(f"{current.stem}{model}", picture, box)

    def select_view(self) -> None:
        """Select the part of the image in view."""
        current, viewport = self._session.document.current, self._session.viewport
        if current is None or viewport is None or current.input_size is None:
            return
        pixels = covering(viewport.visible(), current.input_size)
        if pixels is not None:
            self._session.select_region(Selection(current.input_size, pixels))

    def escape(self) -> None:
        """Do the first there is to do: stop picking, deselect, cancel the job, dismiss a message."""
        if self._window.canvas.is_picking:
            self._window.inspections.set_picking(False)
        elif self._session.selection is not None:
            self._session.select_region(None)
        elif not self._controller.runs.cancel_active():
            self._window.dismiss_message()

    def _set_mode(self, mode: Mode) -> None:
        self._session.compare(self._session.comparison.with_mode(mode))

    def _choose_pane(self, side: Literal["a", "b"], number: int) -> None:
        panes = self._session.panes
        if number <= len(panes):
            pane: Pane = panes[number - 1]
            comparison = self._session.comparison
            self._session.compare(comparison.with_a(pane) if side == "a" else comparison.with_b(pane))

    def _gain(self, factor: float) -> None:
        comparison = self._session.comparison
        self._session.compare(comparison.with_gain(comparison.gain * factor))

    def _next_colours(self) -> None:
        comparison = self._session.comparison
        following = _COLOUR_MAPS[(_COLOUR_MAPS.index(comparison.colour_map) + 1) % len(_COLOUR_MAPS)]
        self._session.compare(comparison.with_colour_map(following))

    def _look(self, how: Literal["fit", "1:1", "in", "out"]) -> None:
        viewport = self._session.viewport
        if viewport is None:
            return
        match how:
            case "fit":
                self._session.look(viewport.fit())
            case "1:1":
                self._session.look(viewport.one_to_one())
            case "in":
                self._session.look(viewport.stepped(1))
            case "out":
                self._session.look(viewport.stepped(-1))

    def _look_at_selection(self) -> None:
        viewport, selection = self._session.viewport, self._session.selection
        if viewport is not None and selection is not None:
            self._session.look(viewport.framed(selection.area, 0.9))

    def set_theme(self, theme: ThemeChoice) -> None:
        """Show the window in a theme from now on."""
        self._controller.settings = dataclasses.replace(self._controller.settings, theme=theme)
        app = QApplication.instance()
        if isinstance(app, QApplication):
            apply_theme(app, theme)
        self._window.refresh_actions()

    # Ground truth

    def evaluate(self) -> None:
        """Use the shown image as ground truth."""
        current = self._session.document.current
        if current is not None:
            self._controller.evaluate(current.id)

    def choose_truth(self) -> None:
        """Ask for the file of the shown image's ground truth."""
        from srviewer.app.dialogs.files import FileDialogs

        current = self._session.document.current
        if current is None:
            return
        folder = None if current.path is None else current.path.parent
        path = FileDialogs.truth(folder, self._window)
        if path is not None:
            self._controller.set_truth(current.id, path)

    def clear_truth(self) -> None:
        """Have no ground truth for the shown image any more."""
        current = self._session.document.current
        if current is not None:
            self._controller.clear_truth(current.id)

    # Looking inside

    def _attribute(self) -> None:
        """Make attribution maps, and show the dock that shows them."""
        self._window.show_dock(self._window.attribution)
        self._window.inspections.attribute()

    def _hide_maps(self) -> None:
        current = self._session.document.current
        if current is not None:
            self._session.hide_maps(current.id)

    # The program

    def preferences(self) -> None:
        """Ask for the preferences."""
        from srviewer.app.dialogs.preferences import DeviceChoice, Preferences, PreferencesDialog

        settings = self._controller.settings
        devices = [DeviceChoice(one.id, one.name) for one in self._window.status.devices]
        answer = PreferencesDialog.ask(
            Preferences(settings.options, settings.theme, settings.output, settings.run_on_drop),
            devices or [DeviceChoice("cpu", "CPU")],
            self._window,
        )
        if answer is not None:
            self._controller.settings = dataclasses.replace(
                settings, output=answer.output, run_on_drop=answer.run_on_drop
            )
            self._controller.set_options(answer.options)
            self.set_theme(answer.theme)

    def shortcuts(self) -> None:
        """Show all keys."""
        from srviewer.app.dialogs.shortcuts import ShortcutRow, ShortcutsDialog

        native = QKeySequence.SequenceFormat.NativeText
        rows = [
            ShortcutRow(
                "Canvas" if spec.context == "canvas" else spec.menu,
                f"{spec.submenu}: {spec.text}" if spec.submenu.startswith("Pane") else spec.text.rstrip("…"),
                ", ".join(QKeySequence(key).toString(native) for key in spec.keys),
            )
            for spec in ACTIONS
            if spec.keys
        ]
        rows.append(ShortcutRow("Canvas", "Close image", QKeySequence("Del").toString(native)))
        mouse = (
            ("Wheel", "Zoom at the pointer"),
            ("Shift+Wheel, Ctrl+Wheel", "Zoom finer, coarser"),
            ("Drag", "Move the image"),
            ("Right drag", "Select a region"),
            ("Double click", "Fit or 1:1"),
            ("Drag a caption", "Carry a pane out as a file"),
        )
        rows.extend(ShortcutRow("Mouse on the canvas", text, keys) for keys, text in mouse)
        ShortcutsDialog.show_rows(rows, self._window)

    def about(self) -> None:
        """Tell of the program, its libraries and licences."""
        from srviewer.app.dialogs.about import AboutDialog

        AboutDialog.show_it(self._window)

    def copy_diagnostics(self) -> None:
        """Put versions and the end of the log into the clipboard."""
        QGuiApplication.clipboard().setText(diagnostics_text())
        self._tell("Diagnostics are in the clipboard; they name files that you opened.")

    def show_log(self) -> None:
        """Show the log file in its folder."""
        if not reveal(log_file()):
            self._tell(f"The log file is {log_file()}.")

    def _tell(self, text: str) -> None:
        self._controller.message.emit(Message(text, "note"))
