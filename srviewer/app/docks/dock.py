"""What all docks have in common: their title row with its tools."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QSize, Qt
from PySide6.QtGui import QAction, QKeySequence, QResizeEvent
from PySide6.QtWidgets import (
    QDockWidget,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from srviewer.app.theme import action_icon, current_palette, heading_font

_ICON = QSize(14, 14)


class TitleRow(QWidget):
    """The row above a dock's content: its name in capitals, a count, tools, and the button that closes it.

    A dock that shares its place with others is named by its tab: its row then holds the tools alone.
    """

    def __init__(self, dock: QDockWidget) -> None:
        super().__init__(dock)
        self._dock = dock
        self.name = QLabel(dock.windowTitle().upper())
        self.name.setFont(heading_font(dock.font()))
        self.name.setProperty("role", "muted")
        self.count = _Count()
        self.count.setProperty("role", "muted")
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(8, 2, 4, 2)
        self._row.setSpacing(2)
        self._row.addWidget(self.name)
        self._row.addSpacing(4)
        self._row.addWidget(self.count)
        self._row.addStretch(1)
        self._tools: list[tuple[QToolButton | QAction, str]] = []
        self._optional: list[QWidget] = [self.count]
        self._close = self.add_button("remove", f"Hide {dock.windowTitle()}", dock.close)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def add_widget(self, widget: QWidget, after: QWidget | None = None) -> None:
        """Put a widget after another one, or before the closing button; it is hidden where room is short."""
        place = self._row.count() - 1 if after is None else self._row.indexOf(after) + 1
        self._row.insertWidget(place, widget)
        self._optional.append(widget)
        self.fit()

    def add_button(self, icon: str, tip: str, act: Callable[[], object] | None = None) -> QToolButton:
        """Put a button with a drawing before the closing button."""
        button = QToolButton()
        button.setIconSize(_ICON)
        button.setAutoRaise(True)
        button.setProperty("role", "tool")
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        button.setIcon(action_icon(icon, current_palette(), current_palette().muted))
        if act is not None:
            button.clicked.connect(lambda: act())
        self._tools.append((button, icon))
        self._row.insertWidget(
            max(self._row.count() - 1, 0) if self._tools[:-1] else self._row.count(), button
        )
        return button

    def add_action(self, action: QAction, icon: str) -> QToolButton:
        """Put a button for an action before the closing button; its tip names the action's key."""
        button = self.add_button(icon, action.text())
        key = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        action.setToolTip(f"{action.text()} ({key})" if key else action.text())
        action.setIcon(button.icon())
        button.setDefaultAction(action)
        self._tools.append((action, icon))
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
        button.setAccessibleName(action.text())
        return button

    def refresh(self) -> None:
        """Draw the tools anew in the colours that are in force."""
        palette = current_palette()
        for tool, icon in self._tools:
            tool.setIcon(action_icon(icon, palette, palette.muted))

    def settle(self) -> None:
        """Show the name unless the dock's tab shows it."""
        window = self._dock.parent()
        tabbed = isinstance(window, QMainWindow) and bool(window.tabifiedDockWidgets(self._dock))
        self.name.setVisible(not tabbed or self._dock.isFloating())
        self.fit()

    def fit(self) -> None:
        """Show as many of the widgets that can be done without as there is room for, the first ones first."""
        room = self.width() - 16
        for place in range(self._row.count()):
            item = self._row.itemAt(place)
            widget = None if item is None else item.widget()
            if widget is not None and widget not in self._optional and not widget.isHidden():
                room -= widget.sizeHint().width() + self._row.spacing()
        for optional in self._optional:
            room -= optional.sizeHint().width() + self._row.spacing()
            optional.setVisible(room >= 0)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: D102, N802 -- Qt's name
        super().resizeEvent(event)
        self.fit()

    def minimumSizeHint(self) -> QSize:  # noqa: D102, N802 -- Qt's name
        return QSize(60, super().minimumSizeHint().height())


class _Count(QLabel):
    """A label whose row is laid out anew when its text becomes another."""

    def setText(self, text: str) -> None:  # noqa: N802 -- Qt's name
        super().setText(text)
        row = self.parent()
        if isinstance(row, TitleRow):
            row.fit()


class Dock(QDockWidget):
    """A dock of the window.

    Parameters
    ----------
    name : by which the layout remembers it.
    title : what its tab, its row and the menu call it.
    parent : the window.

    Attributes
    ----------
    is_seen : whether it is shown and its tab, if it has one, is in front. Qt calls a dock visible also while
        another tab covers it.
    """

    def __init__(self, name: str, title: str, parent: QWidget | None = None) -> None:
        super().__init__(title, parent)
        self.is_seen = False
        self.setObjectName(f"{name}_dock")
        self.setAccessibleName(title)
        feature = QDockWidget.DockWidgetFeature
        self.setFeatures(feature.DockWidgetClosable | feature.DockWidgetMovable | feature.DockWidgetFloatable)
        self.title_row = TitleRow(self)
        self.setTitleBarWidget(self.title_row)
        self.visibilityChanged.connect(self._see)
        self.topLevelChanged.connect(lambda _: self.title_row.settle())
        self.dockLocationChanged.connect(lambda _: self.title_row.settle())

    def _see(self, seen: bool) -> None:
        self.is_seen = seen
        window = self.parent()
        if window is not None:  # one that comes or goes may give others a tab, or leave one without
            for dock in window.findChildren(Dock):
                dock.title_row.settle()

    def theme_changed(self) -> None:
        """Draw anew what holds colours of its own."""

    def changeEvent(self, event: QEvent) -> None:  # noqa: D102, N802 -- Qt's name
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange:
            self.title_row.refresh()
            self.theme_changed()
