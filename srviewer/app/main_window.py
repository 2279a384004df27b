"""The main window: which widgets there are, and whose signals reach whom."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import psutil
from PySide6.QtCore import QByteArray, QEvent, QPoint, Qt, QTimer, Signal
from PySide6.QtGui import (
    QCloseEvent,
    QDragEnterEvent,
    QDragLeaveEvent,
    QDragMoveEvent,
    QDropEvent,
    QKeyEvent,
    QShowEvent,
)
from PySide6.QtWidgets import (
    QDockWidget,
    QMainWindow,
    QMenu,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from srviewer.app.actions import Actions
from srviewer.app.background import Urgency
from srviewer.app.canvas import Canvas, Hud
from srviewer.app.commands import Commands
from srviewer.app.controller import Controller
from srviewer.app.desktop import reveal
from srviewer.app.diagnostics import processor_name
from srviewer.app.docks.attribution import AttributionDock
from srviewer.app.docks.dock import Dock
from srviewer.app.docks.features import FeaturesDock
from srviewer.app.docks.histogram import HistogramDock
from srviewer.app.docks.images import ImagesDock
from srviewer.app.docks.metrics import MetricsDock
from srviewer.app.docks.models import ModelsDock
from srviewer.app.docks.queue import QueueDock
from srviewer.app.docks.spectrum import SpectrumDock
from srviewer.app.empty_state import EmptyState
from srviewer.app.inspection_links import InspectionLinks
from srviewer.app.leaving import Leaving
from srviewer.app.message_bar import Message, MessageBar
from srviewer.app.settings import Settings, SettingsStore
from srviewer.app.status_bar import StatusBar
from srviewer.app.theme import application_icon, current_palette
from srviewer.app.tool_bar import ToolBar
from srviewer.app.window_links import WindowLinks
from srviewer.session.entries import ImageId
from srviewer.session.events import JobId

_LAYOUT_VERSION = 2
_SAMPLE_MILLISECONDS = 500
_WARM_MILLISECONDS = 250  # after the first paint: whoever is quick has dropped nothing yet


class MainWindow(QMainWindow):
    """The window.

    Parameters
    ----------
    controller : everything that is not a widget; the window ends it when it closes.
    store : where the settings go at the end.
    kept : what of the settings goes there: the command line's wishes count for one start only.

    Signals
    -------
    painted : the window has been shown and painted for the first time.
    closed : the window has gone, and every thread with it.
    """

    painted = Signal()
    closed = Signal()

    def __init__(
        self,
        controller: Controller,
        store: SettingsStore,
        *,
        kept: Callable[[Settings], Settings] = lambda settings: settings,
    ) -> None:
        super().__init__()
        self.controller = controller
        self._store = store
        self._kept = kept
        self._ended = False
        self._was_painted = False
        self._plotting = False
        self._hidden: tuple[Dock, ...] = ()
        session, bridge = controller.session, controller.bridge
        self.setWindowTitle("SR Viewer")
        self.setWindowIcon(application_icon())
        self.setAcceptDrops(True)
        self.setDockOptions(
            QMainWindow.DockOption.AnimatedDocks
            | QMainWindow.DockOption.AllowTabbedDocks
            | QMainWindow.DockOption.AllowNestedDocks
        )
        self.setCorner(Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.BottomDockWidgetArea)
        self.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self.canvas = Canvas()
        self.empty = EmptyState()
        self.messages = MessageBar()
        self.centre = QStackedWidget()
        self.centre.addWidget(self.empty)
        self.centre.addWidget(self.canvas)
        middle = QWidget()
        column = QVBoxLayout(middle)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.messages)
        column.addWidget(self.centre, 1)
        self.setCentralWidget(middle)
        self.images = ImagesDock(session.document, bridge, self)
        self.models = ModelsDock(session.document, bridge, self)
        self.metrics = MetricsDock(session.document, bridge, self)
        self.histogram = HistogramDock(self)
        self.spectrum = SpectrumDock(self)
        self.attribution = AttributionDock(self)
        self.features = FeaturesDock(self)
        self.queue = QueueDock(session.queue, session.document, bridge, self)
        self.status = StatusBar(processor_name(), self)
        self.setStatusBar(self.status)
        self.commands = Commands(self, controller)
        self._in_front: Dock = self.metrics
        self._leaving = Leaving(controller, self.commands.files.save_results)
        self.table = Actions(self, self.canvas, self.commands.handlers())
        self.menus = self.table.fill(self.menuBar())
        self.tools = ToolBar(self.table, self.menus["View/Zoom"], self)
        self.addToolBar(self.tools)
        self._fill_menus()
        self._place_docks()
        self.links = WindowLinks(self, controller)
        self.inspections = InspectionLinks(
            self.spectrum,
            self.attribution,
            self.features,
            self.canvas,
            controller,
            self.commands.files.output_folder,
            self,
        )
        self.inspections.picking_changed.connect(self.table["pick_point"].setChecked)
        self.table["captions"].setChecked(True)
        self._sampling = QTimer(self, interval=_SAMPLE_MILLISECONDS)
        self._sampling.timeout.connect(self._sample_memory)
        self._process = psutil.Process()
        self._begun = time.monotonic()
        self._whole = int(psutil.virtual_memory().total)
        self._resize_at_first()
        self._restore_layout()
        self.refresh_actions()

    @property
    def docks(self) -> tuple[Dock, ...]:
        """All docks."""
        return (self.images, self.models, *self.tabs.values(), self.queue)

    @property
    def tabs(self) -> dict[str, Dock]:
        """The docks that share a place, by name."""
        return {
            "metrics": self.metrics,
            "histogram": self.histogram,
            "spectrum": self.spectrum,
            "attribution": self.attribution,
            "features": self.features,
        }

    @property
    def canvas_is_settled(self) -> bool:
        """Whether the canvas, if there is one to see, shows everything at its best."""
        return self.centre.currentWidget() is not self.canvas or self.canvas.is_settled

    # Composition

    def _fill_menus(self) -> None:
        """Add what the table of actions does not hold: recent files and the docks."""
        file = self.menus["File"]
        self.recent_menu = QMenu("Open recent", file)
        file.insertMenu(self.table["open_sample"], self.recent_menu)
        docks = QMenu("Docks", self.menus["View"])
        for dock in self.docks:
            docks.addAction(dock.toggleViewAction())
        docks.addSeparator()
        docks.addAction(self.table["reset_layout"])
        self.menus["View"].insertMenu(self.table["full_screen"], docks)

    def _place_docks(self) -> None:
        """Put the docks where they are at first."""
        side = Qt.DockWidgetArea
        for dock, area in (
            (self.images, side.LeftDockWidgetArea),
            (self.models, side.LeftDockWidgetArea),
            *((dock, side.RightDockWidgetArea) for dock in self.tabs.values()),
            (self.queue, side.BottomDockWidgetArea),
        ):
            dock.setFloating(False)
            self.addDockWidget(area, dock)
            dock.show()
        self.splitDockWidget(self.images, self.models, Qt.Orientation.Vertical)
        for dock in tuple(self.tabs.values())[1:]:
            self.tabifyDockWidget(self.metrics, dock)
        self.metrics.raise_()
        self.resize_docks()

    def resize_docks(self) -> None:
        """Give the docks their first shares of the window."""
        across, down = Qt.Orientation.Horizontal, Qt.Orientation.Vertical
        width, height = max(self.width(), 960), max(self.height(), 600)
        left, right = min(max(width // 6, 236), 300), min(max(width // 4, 376), 460)
        self.resizeDocks([self.images, self.metrics], [left, right], across)
        self.resizeDocks([self.images, self.models], [height * 3 // 10, height * 4 // 10], down)
        self.resizeDocks([self.queue], [min(max(height // 7, 112), 180)], down)

    def _resize_at_first(self) -> None:
        screen = self.screen().availableSize()
        self.resize(min(1400, screen.width() * 9 // 10), min(850, screen.height() * 9 // 10))

    def _restore_layout(self) -> None:
        settings = self.controller.settings
        if settings.geometry:
            self.restoreGeometry(QByteArray(settings.geometry))
        if not settings.layout or not self.restoreState(QByteArray(settings.layout), _LAYOUT_VERSION):
            self.resize_docks()

    def reset_layout(self) -> None:
        """Put the docks back where they were at first."""
        if self.table["hide_docks"].isChecked():
            self.table["hide_docks"].setChecked(False)
        self._hidden = ()
        self._place_docks()

    # What the window itself does

    def toggle_docks(self) -> None:
        """Hide all docks, or show those again that were hidden."""
        shown = tuple(dock for dock in self.docks if not dock.isHidden())
        if shown:
            self._hidden = shown
            self._in_front = next((dock for dock in self.tabs.values() if dock.is_seen), self.metrics)
            for dock in shown:
                dock.hide()
        else:
            for dock in self._hidden or self.docks:
                dock.show()
            self._in_front.raise_()
            self._hidden = ()
        self.table["hide_docks"].setChecked(bool(self._hidden))
        self.canvas.setFocus()

    def toggle_full_screen(self) -> None:
        """Fill the screen, or go back."""
        self.setWindowState(self.windowState() ^ Qt.WindowState.WindowFullScreen)
        self.table["full_screen"].setChecked(self.isFullScreen())

    def toggle_captions(self) -> None:
        """Show names and numbers on the panes, or the pictures alone."""
        self.canvas.set_hud(Hud(captions=self.table["captions"].isChecked()))

    def show_dock(self, dock: QDockWidget) -> None:
        """Bring a dock to the front, wherever it is."""
        if self.table["hide_docks"].isChecked():
            self.toggle_docks()
        dock.show()
        dock.raise_()

    def toggle_picking(self) -> None:
        """Pick points on the canvas for attribution, or stop that."""
        picking = self.table["pick_point"].isChecked()
        if picking:
            self.show_dock(self.attribution)
        self.inspections.set_picking(picking)

    def show_message(self, message: Message) -> None:
        """Show a message above the canvas."""
        self.messages.show_message(message)

    def dismiss_message(self) -> None:
        """Take the latest message away."""
        if self.messages.strips:
            self.messages.dismiss(self.messages.strips[0].message.identity)

    def refresh_actions(self) -> None:
        """Enable, check and name the actions as the session's state says."""
        self.links.refresh_actions()

    def show_in_queue(self, job: JobId) -> None:
        """Show the image of a job."""
        session = self.controller.session
        image = session.queue.job(job).image
        if image in session.document:
            session.document.select(image)
            self.canvas.setFocus()

    def reveal_image(self, image: ImageId) -> None:
        """Show an image's file in its folder."""
        path = self.controller.session.document.entry(image).path
        if path is not None:
            reveal(path)

    def show_canvas_menu(self, where: QPoint) -> None:
        """Offer what can be done with a pane."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for name in (
            "copy_result",
            "save_results",
            "export_figure",
            "",
            "fit",
            "one_to_one",
            "zoom_selection",
        ):
            if name:
                menu.addAction(self.table[name])
            else:
                menu.addSeparator()
        menu.addSeparator()
        for name in ("select_view", "escape", "next_disagreement", "evaluate", "pick_point", "hide_maps"):
            menu.addAction(self.table[name])
        menu.popup(where)

    def _sample_memory(self) -> None:
        used, whole = int(self._process.memory_info().rss), self._whole
        device, active = self.status.device, self.controller.session.queue.active
        if device is not None and device.memory_bytes is not None and active is not None and active.progress:
            used, whole = active.progress.memory_bytes, device.memory_bytes  # what counts now is the card's
        self.status.add_memory_sample(used, whole)
        if self._plotting:
            self.queue.add_memory_sample(time.monotonic() - self._begun, used)

    # Leaving

    def leave(self) -> None:
        """Stop what runs and close, without asking."""
        self._leaving.leave()

    def _end(self) -> None:
        """Remember everything, and end every thread."""
        if self._ended:
            return
        self._ended = True
        self._sampling.stop()
        settings = self._kept(self.controller.remembered())
        if not self.isFullScreen():
            if self._hidden:
                self.toggle_docks()
            settings = dataclasses.replace(
                settings,
                geometry=bytes(self.saveGeometry().data()),
                layout=bytes(self.saveState(_LAYOUT_VERSION).data()),
            )
        self._store.save(settings)
        self.canvas.stop()
        self.controller.close()
        self.closed.emit()

    # Qt

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: D102, N802 -- Qt's name
        if not self._ended and not self._leaving.may_close():
            event.ignore()
            return
        self._end()
        event.accept()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: D102, N802 -- Qt's name
        super().showEvent(event)
        if not self._sampling.isActive() and not self._ended:
            self._sampling.start()
            QTimer.singleShot(0, self, self._first_painted)

    def _first_painted(self) -> None:
        if not self._was_painted:
            self._was_painted = True
            self.status.add_memory_sample(int(self._process.memory_info().rss), self._whole)
            self.painted.emit()
            QTimer.singleShot(_WARM_MILLISECONDS, self, self._warm_up)

    def _warm_up(self) -> None:
        """Have the libraries for plots and pictures loaded by the time they are needed, off this thread."""
        if not self._ended:
            background = self.controller.background
            background.submit(_load_libraries, self._take_samples, urgency=Urgency.THUMBNAIL)

    def _take_samples(self, _: None) -> None:
        """Draw the memory in the queue as well from now on."""
        self._plotting = True

    def changeEvent(self, event: QEvent) -> None:  # noqa: D102, N802 -- Qt's name
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange and hasattr(self, "tools"):
            self.tools.refresh()
            self.canvas.set_theme(current_palette())

    def keyReleaseEvent(self, event: QKeyEvent) -> None:  # noqa: D102, N802 -- Qt's name
        self.commands.flipper.release(event.key(), is_repeat=event.isAutoRepeat())
        super().keyReleaseEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: D102, N802 -- Qt's name
        if event.mimeData().hasUrls() or event.mimeData().hasImage():
            event.acceptProposedAction()
            self.empty.set_dragging(True)

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:  # noqa: D102, N802 -- Qt's name
        event.acceptProposedAction()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:  # noqa: D102, N802 -- Qt's name
        self.empty.set_dragging(False)
        super().dragLeaveEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: D102, N802 -- Qt's name
        self.empty.set_dragging(False)
        if self.commands.files.take_data(event.mimeData()):
            event.acceptProposedAction()
            self.activateWindow()


def _load_libraries() -> None:
    import cv2  # noqa: F401 -- loading it is what is wanted
    import pyqtgraph  # noqa: F401
