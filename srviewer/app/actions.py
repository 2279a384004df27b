"""The table of actions: what the menus, the tool bar and the keys can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QWidget

MenuName = Literal["File", "Edit", "View", "Run", "Analyse", "Help"]
"""The menus, from left to right."""

SubmenuName = Literal["", "Mode", "Pane A", "Pane B", "Zoom", "Theme", "Difference"]
"""A menu inside a menu; empty for the menu itself."""

MENUS: tuple[MenuName, ...] = ("File", "Edit", "View", "Run", "Analyse", "Help")

Context = Literal["window", "canvas"]
"""Where an action's keys count: anywhere in the window, or only while the canvas has the focus."""

Group = Literal["", "mode", "theme"]
"""Actions of one group exclude each other."""


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One action.

    Attributes
    ----------
    id : names it; also the name of its handler.
    text : in menus; with an ellipsis where a question follows.
    menu, submenu : where it stands.
    keys : its shortcuts, the first one is shown.
    context : where the keys count.
    tip : one sentence for tool tip and status bar.
    checkable : whether it is switched on and off.
    group : what it excludes.
    separated : whether a line stands above it.
    """

    id: str
    text: str
    menu: MenuName
    keys: tuple[str, ...] = ()
    tip: str = ""
    context: Context = "window"
    submenu: SubmenuName = ""
    checkable: bool = False
    group: Group = ""
    separated: bool = False


def _mode(name: str, text: str, key: str, tip: str) -> ActionSpec:
    return ActionSpec(f"mode_{name}", text, "View", (key,), tip, "canvas", "Mode", True, "mode")


def _pane(side: Literal["a", "b"], number: int) -> ActionSpec:
    key = str(number) if side == "a" else f"Shift+{number}"
    tip = f"Compare pane {number} as {side.upper()}"
    submenu: SubmenuName = "Pane A" if side == "a" else "Pane B"
    return ActionSpec(f"pane_{side}_{number}", f"Pane {number}", "View", (key,), tip, "canvas", submenu)


def _theme(name: str, text: str, separated: bool = False) -> ActionSpec:
    return ActionSpec(
        f"theme_{name}", text, "View", (), f"{text} colours", "window", "Theme", True, "theme", separated
    )


def _tab(name: str, text: str, number: int, separated: bool = False) -> ActionSpec:
    tip = f"Bring the {text} dock to the front"
    return ActionSpec(f"show_{name}", text, "Analyse", (f"Ctrl+{number}",), tip, separated=separated)


ACTIONS: tuple[ActionSpec, ...] = (
    ActionSpec("open", "Open…", "File", ("Ctrl+O",), "Open images, a checkpoint or a session"),
    ActionSpec("open_folder", "Open folder…", "File", ("Ctrl+Shift+O",), "Open all images below a folder"),
    ActionSpec("open_sample", "Open sample", "File", (), "Open a photograph that comes with the program"),
    ActionSpec(
        "save_results",
        "Save results…",
        "File",
        ("Ctrl+S",),
        "Save the results as image files",
        separated=True,
    ),
    ActionSpec(
        "export_figure",
        "Export figure…",
        "File",
        ("Ctrl+E",),
        "Save the selected region from every pane as a figure",
    ),
    ActionSpec(
        "export_metrics",
        "Export metrics…",
        "File",
        ("Ctrl+Shift+E",),
        "Save the table of metrics as CSV, JSON, LaTeX or Markdown",
    ),
    ActionSpec(
        "save_session",
        "Save session…",
        "File",
        ("Ctrl+Shift+S",),
        "Save what is open, ticked and shown, to open it again",
        separated=True,
    ),
    ActionSpec(
        "reveal", "Reveal in folder", "File", ("Ctrl+Shift+R",), "Show the image's file in its folder"
    ),
    ActionSpec(
        "close_image", "Close image", "File", ("Ctrl+W",), "Close the image that is shown", separated=True
    ),
    ActionSpec("close_all", "Close all images", "File", ("Ctrl+Shift+W",), "Close every image"),
    ActionSpec("quit", "Quit", "File", ("Ctrl+Q",), "Close the window", separated=True),
    ActionSpec("paste", "Paste image", "Edit", ("Ctrl+V",), "Open the image or the files in the clipboard"),
    ActionSpec(
        "copy_result", "Copy result", "Edit", ("Ctrl+C",), "Put pane A's picture into the clipboard", "canvas"
    ),
    ActionSpec(
        "select_view",
        "Select what is shown",
        "Edit",
        ("Ctrl+A",),
        "Select the part of the image in view",
        "canvas",
    ),
    ActionSpec(
        "open_region",
        "Open region as image",
        "Edit",
        ("Ctrl+Shift+N",),
        "Open the selected region of pane A's picture as an image of its own",
    ),
    ActionSpec(
        "escape",
        "Clear selection",
        "Edit",
        ("Esc",),
        "Clear the selected region; without one, cancel the running job",
        "canvas",
    ),
    ActionSpec(
        "preferences",
        "Preferences…",
        "Edit",
        ("Ctrl+,",),
        "Device, precision, tiles, colours and files",
        separated=True,
    ),
    _mode("grid", "Grid", "G", "Show all panes side by side"),
    _mode("wipe", "Wipe", "W", "Show A and B on either side of a divider"),
    _mode("flip", "Flip", "L", "Show A or B in one place"),
    _mode("difference", "Difference", "D", "Show how far A and B differ"),
    _mode("crops", "Crops", "C", "Show the region from every pane beside the whole, as papers do"),
    ActionSpec(
        "flip", "Flip A and B", "View", ("Space",), "Show the other one of A and B; hold to peek", "canvas"
    ),
    ActionSpec("swap", "Swap A and B", "View", ("X",), "Let A and B change places", "canvas"),
    ActionSpec(
        "turn",
        "Turn the divider",
        "View",
        ("T",),
        "Have the wipe's divider stand or lie",
        "canvas",
        "Difference",
    ),
    ActionSpec(
        "more_gain",
        "More gain",
        "View",
        ("]",),
        "Show smaller differences",
        "canvas",
        "Difference",
        separated=True,
    ),
    ActionSpec(
        "less_gain", "Less gain", "View", ("[",), "Show larger differences only", "canvas", "Difference"
    ),
    ActionSpec(
        "next_colours",
        "Next colour map",
        "View",
        ("M",),
        "Colour the difference otherwise",
        "canvas",
        "Difference",
    ),
    *(_pane("a", number) for number in range(1, 10)),
    *(_pane("b", number) for number in range(1, 10)),
    ActionSpec("fit", "Fit", "View", ("F",), "Show the whole image", "canvas", "Zoom"),
    ActionSpec("one_to_one", "1:1", "View", ("Ctrl+0",), "Show one pixel on one pixel", "window", "Zoom"),
    ActionSpec("zoom_in", "Zoom in", "View", ("+", "="), "Come closer", "canvas", "Zoom"),
    ActionSpec("zoom_out", "Zoom out", "View", ("-",), "Go further away", "canvas", "Zoom"),
    ActionSpec(
        "zoom_selection",
        "Zoom to selection",
        "View",
        ("Z",),
        "Fill the panes with the region",
        "canvas",
        "Zoom",
    ),
    ActionSpec(
        "next_image", "Next image", "View", ("Right", "Down"), "Show the next image", "canvas", separated=True
    ),
    ActionSpec("previous_image", "Previous image", "View", ("Left", "Up"), "Show the image before", "canvas"),
    ActionSpec(
        "hide_docks",
        "Hide docks",
        "View",
        ("H",),
        "Give the whole window to the panes",
        "canvas",
        checkable=True,
        separated=True,
    ),
    ActionSpec(
        "captions",
        "Captions",
        "View",
        ("I",),
        "Show names and numbers on the panes",
        "canvas",
        checkable=True,
    ),
    ActionSpec("full_screen", "Full screen", "View", ("F11",), "Fill the screen", checkable=True),
    _theme("system", "Follow the system"),
    _theme("light", "Light"),
    _theme("dark", "Dark"),
    ActionSpec("reset_layout", "Reset layout", "View", (), "Put the docks back where they were at first"),
    ActionSpec(
        "run",
        "Run",
        "Run",
        ("F5", "Ctrl+R"),
        "Run the ticked networks on every image that lacks their result",
    ),
    ActionSpec(
        "run_again",
        "Run again",
        "Run",
        ("Shift+F5",),
        "Run the ticked networks on this image, also where a result is there",
    ),
    ActionSpec(
        "pause", "Pause", "Run", ("Ctrl+P",), "Pause the running job, or let it go on", checkable=True
    ),
    ActionSpec("cancel", "Cancel", "Run", ("Ctrl+.",), "Cancel everything that runs or waits"),
    ActionSpec(
        "self_ensemble",
        "Self-ensemble",
        "Run",
        (),
        "Average over all eight flips and turns: a little better, eight times slower",
        checkable=True,
        separated=True,
    ),
    ActionSpec("target_size", "Target size…", "Run", (), "Save results in a size of your choice"),
    ActionSpec(
        "run_on_drop",
        "Run at once",
        "Run",
        (),
        "Run the ticked networks as soon as images are dropped",
        checkable=True,
    ),
    ActionSpec(
        "evaluate",
        "Use as ground truth",
        "Analyse",
        ("Ctrl+G",),
        "Reduce this image, run the ticked networks and bicubic on that, and measure how close they come",
    ),
    ActionSpec(
        "choose_truth",
        "Choose ground truth…",
        "Analyse",
        (),
        "Choose the file that holds this image's ground truth",
    ),
    ActionSpec(
        "clear_truth", "Clear ground truth", "Analyse", (), "Have no ground truth for this image any more"
    ),
    ActionSpec(
        "next_disagreement",
        "Next disagreement",
        "Analyse",
        ("N",),
        "Go to the next place where the networks disagree most",
        "canvas",
        separated=True,
    ),
    ActionSpec(
        "check_seams",
        "Check seams",
        "Analyse",
        (),
        "Compare tiled results with untiled ones, as far as those fit into memory",
    ),
    ActionSpec(
        "pick_point",
        "Pick point",
        "Analyse",
        ("P",),
        "Click on the canvas to choose the middle of the window whose causes are looked for",
        "canvas",
        checkable=True,
        separated=True,
    ),
    ActionSpec(
        "attribute",
        "Run attribution",
        "Analyse",
        ("Ctrl+L",),
        "Find out which pixels of the input made the window, for the networks chosen in Attribution",
    ),
    ActionSpec("hide_maps", "Remove maps from canvas", "Analyse", (), "Close the panes of features"),
    _tab("metrics", "Metrics", 1, separated=True),
    _tab("histogram", "Histogram", 2),
    _tab("spectrum", "Spectrum", 3),
    _tab("attribution", "Attribution", 4),
    _tab("features", "Features", 5),
    ActionSpec("shortcuts", "Keyboard shortcuts", "Help", ("?", "F1"), "Show all keys"),
    ActionSpec(
        "whats_this", "What's this?", "Help", ("Shift+F1",), "Point at something to have it explained"
    ),
    ActionSpec(
        "copy_diagnostics",
        "Copy diagnostics",
        "Help",
        (),
        "Put versions and the end of the log into the clipboard",
        separated=True,
    ),
    ActionSpec("show_log", "Show log file", "Help", (), "Show the log file in its folder"),
    ActionSpec("about", "About SR Viewer", "Help", (), "Version, libraries and licences", separated=True),
)
"""All actions, in the order of the menus."""


class Actions(QObject):
    """The actions as Qt has them.

    Keys of the context ``"canvas"`` count only while `canvas` has the focus: lists and fields keep theirs.

    Parameters
    ----------
    window : whom the actions belong to.
    canvas : the widget whose focus the canvas keys need.
    handlers : what each action does, by its id.

    Raises
    ------
    ValueError
        If an action has no handler, or a handler no action.
    """

    def __init__(
        self, window: QWidget, canvas: QWidget, handlers: Mapping[str, Callable[[], object]]
    ) -> None:
        super().__init__(window)
        known = {spec.id for spec in ACTIONS}
        if known != handlers.keys():
            raise ValueError(f"actions and handlers differ: {sorted(known ^ handlers.keys())}")
        self._by_id: dict[str, QAction] = {}
        self._groups: dict[str, QActionGroup] = {}
        for spec in ACTIONS:
            action = self._build(spec, handlers[spec.id])
            (canvas if spec.context == "canvas" else window).addAction(action)

    def __getitem__(self, name: str) -> QAction:
        return self._by_id[name]

    def fill(self, bar: QMenuBar) -> dict[str, QMenu]:
        """Put every action into its menu; return the menus, and submenus as ``"View/Mode"``."""
        menus: dict[str, QMenu] = {}
        for name in MENUS:
            menus[name] = bar.addMenu(f"&{name}")
            menus[name].setToolTipsVisible(True)
        for spec in ACTIONS:
            menu = menus[spec.menu]
            if spec.submenu:
                path = f"{spec.menu}/{spec.submenu}"
                if path not in menus:
                    title = "Compare" if spec.submenu == "Difference" else spec.submenu
                    menus[path] = menu.addMenu(title)
                    menus[path].setToolTipsVisible(True)
                menu = menus[path]
            if spec.separated:
                menu.addSeparator()
            menu.addAction(self._by_id[spec.id])
        return menus

    def _build(self, spec: ActionSpec, handler: Callable[[], object]) -> QAction:
        action = QAction(spec.text, self)
        action.setObjectName(spec.id)
        action.setShortcuts([QKeySequence(key) for key in spec.keys])
        canvas = spec.context == "canvas"
        action.setShortcutContext(
            Qt.ShortcutContext.WidgetShortcut if canvas else Qt.ShortcutContext.WindowShortcut
        )
        key = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        action.setToolTip(f"{spec.tip} ({key})" if key else spec.tip)
        action.setStatusTip("")
        action.setWhatsThis(spec.tip)
        action.setCheckable(spec.checkable)
        # A held key must not run through states or jobs; zooming and walking through images may go on.
        action.setAutoRepeat(spec.id in ("zoom_in", "zoom_out", "next_image", "previous_image"))
        action.setMenuRole(QAction.MenuRole.NoRole)
        if spec.group:
            group = self._groups.setdefault(spec.group, QActionGroup(self))
            group.addAction(action)
        action.triggered.connect(lambda _=False: handler())
        self._by_id[spec.id] = action
        return action
