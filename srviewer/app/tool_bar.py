"""The tool bar: what is done most, within reach of the mouse."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QSizePolicy, QToolBar, QToolButton, QWidget

from srviewer.app.actions import Actions
from srviewer.app.theme import action_icon, current_palette

_FIRST = ("open", "run", "pause", "cancel")
_MODES = ("mode_grid", "mode_wipe", "mode_flip", "mode_difference", "mode_crops")
_ZOOM = ("fit", "one_to_one")
_LAST = ("save_results", "export_figure")
_ICONS = {"run": "play", "pause": "pause", "cancel": "cancel", "open": "open", "export_figure": "export"}


class ToolBar(QToolBar):
    """Open, Run, Pause, Cancel | the modes | fit, 1:1, zoom | Evaluate | save, export.

    Attributes
    ----------
    zoom : the button that shows the zoom and offers others.
    evaluate : the button that says what results are measured against.
    """

    def __init__(self, actions: Actions, zoom_menu: QMenu, parent: QWidget | None = None) -> None:
        super().__init__("Tools", parent)
        self.setObjectName("tools")
        self.setMovable(False)
        self.setFloatable(False)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self.setIconSize(QSize(14, 14))
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._actions = actions
        for name in _ICONS:
            actions[name].setIconVisibleInMenu(False)
        for name in _FIRST:
            self._add(actions[name])
        self.addSeparator()
        for name in _MODES:
            self._add(actions[name])
        self.addSeparator()
        for name in _ZOOM:
            self._add(actions[name])
        self.zoom = self._menu_button("Zoom", zoom_menu)
        self.zoom.setText("–")
        self.zoom.setMinimumWidth(self.fontMetrics().horizontalAdvance("2500 %") + 24)
        self.addSeparator()
        menu = QMenu(self)
        for name in ("evaluate", "choose_truth", "clear_truth"):
            menu.addAction(actions[name])
        self.evaluate = self._menu_button("Ground truth", menu)
        self.evaluate.setToolTip("What results are measured against")
        self.set_truth("")
        spring = QWidget()
        spring.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        self.addWidget(spring)
        for name in _LAST:
            self._add(actions[name])
        self.refresh()

    def set_truth(self, text: str) -> None:
        """Say what results of the shown image are measured against; an empty text means nothing."""
        self.evaluate.setText(f"Evaluate: {text} ▾" if text else "Evaluate ▾")

    def set_zoom(self, text: str) -> None:
        """Show the zoom."""
        self.zoom.setText(text or "–")

    def refresh(self) -> None:
        """Draw what has colours of its own in those that are in force."""
        palette = current_palette()
        for name, icon in _ICONS.items():
            colour = palette.on_accent if name == "run" else palette.text
            self._actions[name].setIcon(action_icon(icon, palette, colour))
        more = self.findChild(QToolButton, "qt_toolbar_ext_button")
        if isinstance(more, QToolButton):  # where the window is too narrow for all: Qt's own drawing is black
            more.setIcon(action_icon("chevron-down", palette))
            more.setToolTip("More tools")
            more.setAccessibleName("More tools")
        run = self.widgetForAction(self._actions["run"])
        if run is not None:  # the one thing to do next stands out
            fill, ink, off = palette.good_fill.name(), palette.on_accent.name(), palette.faint.name()
            hover, edge = palette.good_fill.lighter(112).name(), palette.text.name()
            run.setStyleSheet(
                f"QToolButton {{ background: {fill}; color: {ink}; }}"
                f"QToolButton:hover {{ background: {hover}; }}"
                f"QToolButton:focus {{ border-color: {edge}; }}"
                f"QToolButton:disabled {{ background: {palette.raised.name()}; color: {off}; }}"
            )

    def _add(self, action: QAction) -> None:
        self.addAction(action)
        button = self.widgetForAction(action)
        if isinstance(button, QToolButton):
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            button.setAccessibleName(action.text().rstrip("…"))

    def _menu_button(self, name: str, menu: QMenu) -> QToolButton:
        button = QToolButton()
        button.setAccessibleName(name)
        button.setMenu(menu)
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.addWidget(button)
        return button
