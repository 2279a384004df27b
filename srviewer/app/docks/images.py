"""The Images dock: the images of the session, with thumbnails."""

from __future__ import annotations

from PySide6.QtCore import (
    QItemSelectionModel,
    QModelIndex,
    QPoint,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import (
    QAction,
    QDragEnterEvent,
    QDragMoveEvent,
    QImage,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QShowEvent,
)
from PySide6.QtWidgets import QAbstractItemView, QListView, QMenu, QWidget

from srviewer.app.bridge import Bridge
from srviewer.app.docks.dock import Dock
from srviewer.app.docks.image_rows import ImageDelegate, ImageRows
from srviewer.app.theme import current_palette
from srviewer.session.document import Document
from srviewer.session.entries import ImageId
from srviewer.session.events import CurrentChanged, ImagesChanged

_EMPTY = "No images yet.\nDrop files or folders here, or open them."


class ImageList(QListView):
    """The list itself: keys close, move and show images; dragging a row moves it.

    Signals
    -------
    close_pressed : Delete was pressed.
    move_pressed : Alt+Up (-1) or Alt+Down (1) was pressed.
    seen : other rows than before may be visible.
    """

    close_pressed = Signal()
    move_pressed = Signal(int)
    seen = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Images")
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setDragDropMode(QAbstractItemView.DragDropMode.InternalMove)
        self.setResizeMode(QListView.ResizeMode.Adjust)
        self.setMouseTracking(True)
        self.verticalScrollBar().valueChanged.connect(lambda _: self.seen.emit())

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: D102, N802 -- Qt's name
        alt = event.modifiers() == Qt.KeyboardModifier.AltModifier
        if event.matches(QKeySequence.StandardKey.Delete) or event.key() == Qt.Key.Key_Backspace:
            self.close_pressed.emit()
        elif alt and event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            self.move_pressed.emit(-1 if event.key() == Qt.Key.Key_Up else 1)
        else:
            super().keyPressEvent(event)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: D102, N802 -- Qt's name
        # Files from elsewhere are the window's: a list that took them would hide them from it.
        if event.source() is self:
            super().dragEnterEvent(event)
        else:
            event.ignore()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:  # noqa: D102, N802 -- Qt's name
        if event.source() is self:
            super().dragMoveEvent(event)
        else:
            event.ignore()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: D102, N802 -- Qt's name
        super().resizeEvent(event)
        self.scheduleDelayedItemsLayout()
        self.seen.emit()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: D102, N802 -- Qt's name
        super().showEvent(event)
        self.seen.emit()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102, N802 -- Qt's name
        super().paintEvent(event)
        if self.model() is not None and self.model().rowCount() == 0:
            painter = QPainter(self.viewport())
            painter.setPen(current_palette().muted)
            inner = self.viewport().rect().adjusted(8, 12, -8, -8)
            painter.drawText(inner, int(Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignHCenter), _EMPTY)
            painter.end()


class ImagesDock(Dock):
    """The list of images.

    Signals
    -------
    chosen : show this image (`ImageId`).
    close_wished : close these images (tuple of `ImageId`).
    ground_truth_wished : this image is a ground truth.
    truth_file_wished : choose a ground truth's file for this image.
    clear_truth_wished : this image has no ground truth any more.
    reveal_wished : show this image's file in its folder.
    move_wished : move this image to a row.
    open_wished : choose files to open.
    thumbnail_wished : a row without a thumbnail is in view (`ImageId`); wished once until the image changes.
    """

    chosen = Signal(object)
    close_wished = Signal(object)
    ground_truth_wished = Signal(object)
    truth_file_wished = Signal(object)
    clear_truth_wished = Signal(object)
    reveal_wished = Signal(object)
    move_wished = Signal(object, int)
    open_wished = Signal()
    thumbnail_wished = Signal(object)

    def __init__(self, document: Document, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__("images", "Images", parent)
        self._document = document
        self.rows = ImageRows(document, self)
        self.view = ImageList(self)
        self.view.setModel(self.rows)
        self.view.setItemDelegate(ImageDelegate(self.view))
        self.setWidget(self.view)
        self.title_row.add_button("open", "Open images", self.open_wished.emit)
        self._wished: set[ImageId] = set()
        self._looking = QTimer(self)
        self._looking.setSingleShot(True)
        self._looking.setInterval(0)
        self._looking.timeout.connect(self._wish_thumbnails)
        self.view.selectionModel().currentChanged.connect(self._choose)
        self.view.seen.connect(self._looking.start)
        self.view.close_pressed.connect(self._close_selected)
        self.view.move_pressed.connect(self._move_current)
        self.view.customContextMenuRequested.connect(self._show_menu)
        self.rows.moved.connect(self.move_wished)
        bridge.images_changed.connect(self._take_images)
        bridge.current_changed.connect(self._take_current)
        self._show_current()

    def set_thumbnail(self, image: ImageId, thumbnail: QImage) -> None:
        """Show a small version of an image in its row; about 100 x 72 px is sharp on any screen."""
        self.rows.set_thumbnail(image, thumbnail)

    def set_activity(self, image: ImageId, activity: str) -> None:
        """Say what is being done with an image ("queued", "running"); an empty text says nothing."""
        self.rows.set_activity(image, activity)

    def selected(self) -> tuple[ImageId, ...]:
        """Return the selected images in the order of their rows."""
        rows = sorted(self.view.selectionModel().selectedIndexes(), key=lambda index: index.row())
        return tuple(row.id for row in (self.rows.row(index) for index in rows) if row is not None)

    def menu_of(self, image: ImageId) -> QMenu:
        """Return the menu of an image's row."""
        entry = self._document.entry(image)
        menu = QMenu(self)
        for text, act, possible in (
            ("Use as ground truth", lambda: self.ground_truth_wished.emit(image), entry.state != "failed"),
            ("Choose ground truth…", lambda: self.truth_file_wished.emit(image), entry.state != "failed"),
            ("Clear ground truth", lambda: self.clear_truth_wished.emit(image), entry.reference is not None),
            ("", None, True),
            ("Reveal in folder", lambda: self.reveal_wished.emit(image), entry.path is not None),
            ("", None, True),
        ):
            if act is None:
                menu.addSeparator()
                continue
            menu.addAction(text, act).setEnabled(possible)
        chosen = self.selected() if image in self.selected() else (image,)
        close = QAction("Close" if len(chosen) == 1 else f"Close {len(chosen)} images", menu)
        close.setShortcut(QKeySequence(Qt.Key.Key_Delete))
        close.triggered.connect(lambda: self.close_wished.emit(chosen))
        menu.addAction(close)
        return menu

    def _choose(self, index: QModelIndex) -> None:
        row = self.rows.row(index)
        current = self._document.current
        if row is not None and (current is None or current.id != row.id):
            self.chosen.emit(row.id)

    def _close_selected(self) -> None:
        if chosen := self.selected():
            self.close_wished.emit(chosen)

    def _move_current(self, step: int) -> None:
        index = self.view.currentIndex()
        row = self.rows.row(index)
        if row is not None and 0 <= index.row() + step < self.rows.rowCount():
            self.move_wished.emit(row.id, index.row() + step)

    def _show_menu(self, at: QPoint) -> None:
        row = self.rows.row(self.view.indexAt(at))
        if row is not None:
            menu = self.menu_of(row.id)
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(self.view.viewport().mapToGlobal(at))

    def _take_images(self, event: ImagesChanged) -> None:
        if event.order:
            self.rows.reset()
            self._show_current()
        elif event.change == "added":
            self.rows.added(event.images)
        elif event.change == "removed":
            self._wished.difference_update(event.images)
            self.rows.removed(event.images)
        else:
            self.rows.changed(event.images)
        count = self.rows.rowCount()
        self.title_row.count.setText(str(count) if count else "")
        self._looking.start()

    def _take_current(self, event: CurrentChanged) -> None:
        self._show_current()

    def _show_current(self) -> None:
        current = self._document.current
        index = self.rows.index_of(None if current is None else current.id)
        if index.isValid() and index != self.view.currentIndex():
            flag = QItemSelectionModel.SelectionFlag.ClearAndSelect
            self.view.selectionModel().setCurrentIndex(index, flag)
            self.view.scrollTo(index)

    def _wish_thumbnails(self) -> None:
        """Wish for the thumbnails of the rows in view."""
        if not self.view.isVisible() or self.rows.rowCount() == 0:
            return
        height = self.view.viewport().height()
        first = self.view.indexAt(QPoint(4, 4))
        place = first.row() if first.isValid() else 0
        while place < self.rows.rowCount():
            index = self.rows.index(place)
            row = self.rows.row(index)
            if row is None or self.view.visualRect(index).top() > height:
                break
            if not row.failed and row.id not in self._wished and self.rows.thumbnail(row.id) is None:
                self._wished.add(row.id)
                self.thumbnail_wished.emit(row.id)
            place += 1

    def sizeHint(self) -> QSize:  # noqa: D102, N802 -- Qt's name
        return QSize(240, 220)
