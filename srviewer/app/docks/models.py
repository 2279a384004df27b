"""The Models dock: which networks there are, which are ticked, and where their weights come from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import (
    QItemSelectionModel,
    QPoint,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QDragEnterEvent,
    QDragMoveEvent,
    QDropEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QPen,
    QShortcut,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QMenu,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from srviewer.app.bridge import Bridge
from srviewer.app.docks.dock import Dock
from srviewer.app.docks.model_rows import ROW_ROLE, ModelRow, ModelRows
from srviewer.app.docks.row_painting import (
    MARGIN,
    Index,
    RowState,
    badge_rect,
    draw_background,
    draw_badge,
    draw_bar,
    draw_check_box,
    draw_text,
    line_height,
    option_font,
    option_rect,
)
from srviewer.app.model_facts import ModelFacts as ModelFacts  # what `add_checkpoint` takes
from srviewer.app.model_facts import is_checkpoint
from srviewer.app.theme import action_icon, current_palette, heading_font, small_font
from srviewer.session.document import Document
from srviewer.zoo.manifest import CHECKPOINT_SUFFIXES, weights_of

_BOX = 14  # logical pixels
_SCALES = (None, 2, 3, 4)


class ModelDelegate(QStyledItemDelegate):
    """Draws the rows: a box to tick, title and costs, and a badge; headings in small capitals."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:  # noqa: D102
        shown = index.data(ROW_ROLE)
        rect = option_rect(option)
        font = option_font(option)
        palette = current_palette()
        painter.save()
        if isinstance(shown, ModelRow):
            self._paint_row(painter, option, index, shown)
        else:
            place = rect.adjusted(MARGIN, 4, -MARGIN, 0)
            width = draw_text(painter, place, str(shown), heading_font(font), palette.muted)
            painter.setPen(QPen(palette.outline, 1))
            middle = place.center().y() + 1
            painter.drawLine(place.left() + width + MARGIN, middle, place.right(), middle)
        painter.restore()

    def _paint_row(
        self, painter: QPainter, option: QStyleOptionViewItem, index: Index, row: ModelRow
    ) -> None:
        rows = index.model()
        assert isinstance(rows, ModelRows)
        rect = option_rect(option)
        font = option_font(option)
        small = small_font(font)
        palette = current_palette()
        state = RowState.of(option)
        draw_background(painter, rect, state, palette)
        ready = row.state == "ready"
        box = QRect(rect.x() + MARGIN, rect.center().y() - _BOX // 2 + 1, _BOX, _BOX)
        draw_check_box(painter, box, palette, checked=rows.is_ticked(row.model), enabled=ready)
        left = box.right() + 1 + MARGIN
        right = rect.right() - MARGIN
        download = rows.download(row.model)
        if download is None and row.badge:
            badge = badge_rect(rect, row.badge, small)
            right = badge.left() - 4
            ink = {"ready": palette.muted, "gettable": palette.link, "by hand": palette.warning}[row.state]
            framed = row.state != "ready"
            if ready and row.badge != "shipped":
                ink = palette.link
            ground = palette.selection if framed and state.hovered else palette.raised
            draw_badge(painter, badge, row.badge, small, ink, framed=framed, ground=ground)
        height, below = line_height(font), line_height(small)
        top = rect.y() + (rect.height() - height - below) // 2
        title = palette.text if ready else palette.muted
        draw_text(painter, QRect(left, top, right - left, height), row.title, font, title)
        lower = QRect(left, top + height, right - left, below)
        if download is None:
            draw_text(painter, lower, row.detail, small, palette.muted)
        else:
            width = draw_text(painter, lower, download.text, small, palette.link)
            if download.share is not None:
                bar = QRect(left + width + MARGIN, lower.center().y() - 1, right - left - width - MARGIN, 4)
                draw_bar(painter, bar, download.share, palette.accent, palette)

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: D102, N802 -- Qt's name
        font = option_font(option)
        if isinstance(index.data(ROW_ROLE), ModelRow):
            return QSize(0, line_height(font) + line_height(small_font(font)) + 8)
        return QSize(0, line_height(heading_font(font)) + 8)


class ModelList(QListView):
    """The list itself: Space and a click tick, Enter does what the badge says.

    Signals
    -------
    toggled : a network's box was clicked, or Space pressed on it (its index).
    """

    toggled = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Models")
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.setMouseTracking(True)
        self._pressed = -1

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: D102, N802 -- Qt's name
        if event.key() in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if self.currentIndex().isValid():
                self.toggled.emit(self.currentIndex())
        else:
            super().keyPressEvent(event)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: D102, N802 -- Qt's name
        super().mousePressEvent(event)
        left = event.button() == Qt.MouseButton.LeftButton
        self._pressed = self.indexAt(event.position().toPoint()).row() if left else -1

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: D102, N802 -- Qt's name
        super().mouseReleaseEvent(event)
        index = self.indexAt(event.position().toPoint())
        if event.button() == Qt.MouseButton.LeftButton and index.isValid() and index.row() == self._pressed:
            self.toggled.emit(index)
        self._pressed = -1


class ModelsDock(Dock):
    """The list of networks.

    Signals
    -------
    tick_wished : tick (True) or untick a network's reference.
    get_wished : download the weights of this id.
    import_wished : choose a file of weights to import.
    checkpoint_dropped : files of weights were dropped here (list of paths).
    remove_wished : remove the user's weights of this id, or this checkpoint's row.
    """

    tick_wished = Signal(str, bool)
    get_wished = Signal(str)
    import_wished = Signal()
    checkpoint_dropped = Signal(object)
    remove_wished = Signal(str)

    def __init__(self, document: Document, bridge: Bridge, parent: QWidget | None = None) -> None:
        super().__init__("models", "Models", parent)
        self._document = document
        self.rows = ModelRows(document, self)
        self.view = ModelList(self)
        self.view.setModel(self.rows)
        self.view.setItemDelegate(ModelDelegate(self.view))
        self.search_field = QLineEdit()
        self.search_field.setPlaceholderText("Search…")
        self.search_field.setAccessibleName("Search models")
        self.search_field.setClearButtonEnabled(True)
        self._magnifier = self.search_field.addAction(
            action_icon("search", current_palette(), current_palette().muted),
            QLineEdit.ActionPosition.LeadingPosition,
        )
        self._scale: int | None = None
        self._fault = QLabel()
        self._fault.setWordWrap(True)
        self._fault.setProperty("role", "error")
        self._fault.setContentsMargins(8, 0, 8, 4)
        self._nothing = QLabel("No network is found by this search.")
        self._nothing.setProperty("role", "muted")
        self._nothing.setWordWrap(True)
        self._nothing.setContentsMargins(8, 4, 8, 8)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 4, 0, 0)
        column.setSpacing(4)
        upper = QHBoxLayout()
        upper.setContentsMargins(8, 0, 8, 0)
        upper.setSpacing(4)
        upper.addWidget(self.search_field, 1)
        self.scale_buttons = self._scale_row(upper)
        column.addLayout(upper)
        column.addWidget(self._fault)
        column.addWidget(self._nothing)
        column.addWidget(self.view, 1)
        self.setWidget(content)
        self.setAcceptDrops(True)
        self.title_row.add_button("import", "Import weights from a file", self.import_wished.emit)
        self.search_field.textChanged.connect(lambda _: self._search())
        down = QShortcut(QKeySequence(Qt.Key.Key_Down), self.search_field)
        down.setContext(Qt.ShortcutContext.WidgetShortcut)
        down.activated.connect(self._enter_list)
        self.view.toggled.connect(self._act)
        self.view.customContextMenuRequested.connect(self._show_menu)
        bridge.ticked_changed.connect(self._take_ticked)
        self.rows.modelReset.connect(self._settle)
        self._settle()

    def refresh(self) -> None:
        """Read the lists of weights again: something was fetched, imported or removed."""
        self._keeping_place(self.rows.refresh)

    def add_checkpoint(self, path: Path, facts: ModelFacts) -> None:
        """Have a row for a checkpoint file, whose reference is its path."""
        self._keeping_place(lambda: self.rows.add_checkpoint(path, facts))

    def forget_checkpoint(self, path: Path) -> None:
        """Have no row for a checkpoint file any more."""
        self._keeping_place(lambda: self.rows.forget_checkpoint(path))

    def set_download(self, model: str, share: float | None, text: str) -> None:
        """Show how far the download of a network's weights is.

        Parameters
        ----------
        model : its id.
        share : 0..1; None while the size is unknown.
        text : beside the bar ("1.2 of 2.9 MB"); an empty one ends the download.
        """
        self.rows.set_download(model, share, text)

    def menu_of(self, row: ModelRow) -> QMenu:
        """Return the menu of a network's row."""
        menu = QMenu(self)
        ticked = self.rows.is_ticked(row.model)
        tick = menu.addAction(
            "Untick" if ticked else "Tick", lambda: self._act(self.rows.index_of(row.model))
        )
        tick.setEnabled(row.state == "ready")
        installed = (
            [entry for entry in weights_of(row.model) if entry.installed] if "@" not in row.model else []
        )
        if len(installed) > 1:
            menu.addSeparator()
            for entry in installed:
                reference = f"{row.model}@{entry.source}"
                act = menu.addAction(f"Tick {entry.source} weights")
                act.setCheckable(True)
                act.setChecked(self.rows.is_ticked(reference))
                act.toggled.connect(lambda on, name=reference: self.tick_wished.emit(name, on))
        menu.addSeparator()
        if row.state == "gettable":
            menu.addAction("Get weights", lambda: self.get_wished.emit(row.model.partition("@")[0]))
        menu.addAction("Import weights…", self.import_wished.emit)
        if row.removable:
            text = "Remove from the list" if is_checkpoint(row.model) else "Remove your weights…"
            menu.addAction(text, lambda: self.remove_wished.emit(row.model))
        return menu

    def _scale_row(self, row: QHBoxLayout) -> QButtonGroup:
        """Put the buttons that choose a scale into a row."""
        group = QButtonGroup(self)
        buttons = QHBoxLayout()
        buttons.setSpacing(2)
        row.addLayout(buttons)
        for scale in _SCALES:
            button = QToolButton()
            button.setText("All" if scale is None else f"×{scale}")
            button.setCheckable(True)
            button.setProperty("role", "segment")
            button.setChecked(scale is None)
            button.setFixedWidth(button.fontMetrics().horizontalAdvance(button.text()) + 14)
            button.setAccessibleName("All scales" if scale is None else f"Only scale {scale}")
            button.setToolTip(
                "Show networks of all scales" if scale is None else f"Show ×{scale} networks only"
            )
            group.addButton(button, 0 if scale is None else scale)
            buttons.addWidget(button)
        group.idClicked.connect(self._choose_scale)
        return group

    def _choose_scale(self, chosen: int) -> None:
        self._scale = chosen or None
        self._search()

    def _search(self) -> None:
        self._keeping_place(lambda: self.rows.search(self.search_field.text(), self._scale))

    def _enter_list(self) -> None:
        """Go from the search into what it found."""
        self.view.setFocus(Qt.FocusReason.ShortcutFocusReason)
        if self.rows.row(self.view.currentIndex()) is None and self.rows.models:
            self.view.setCurrentIndex(self.rows.index_of(self.rows.models[0].model))

    def _keeping_place(self, change: Callable[[], None]) -> None:
        """Change the rows; the current one stays current, and the list where it was scrolled to."""
        current = self.rows.row(self.view.currentIndex())
        scrolled = self.view.verticalScrollBar().value()
        change()
        index = self.rows.index_of(current.model) if current is not None else self.view.rootIndex()
        if index.isValid():
            flag = QItemSelectionModel.SelectionFlag.ClearAndSelect
            self.view.selectionModel().setCurrentIndex(index, flag)
        self.view.verticalScrollBar().setValue(scrolled)

    def _act(self, index: Index) -> None:
        """Tick or untick a network; get or import its weights where it has none."""
        row = self.rows.row(index)
        if row is None:
            return
        ticked = self.rows.is_ticked(row.model)
        if row.state == "ready" or ticked:
            self.tick_wished.emit(row.model, not ticked)
        elif row.state == "by hand":
            self.import_wished.emit()
        elif self.rows.download(row.model) is None:
            self.get_wished.emit(row.model.partition("@")[0])

    def _show_menu(self, at: QPoint) -> None:
        row = self.rows.row(self.view.indexAt(at))
        if row is not None:
            menu = self.menu_of(row)
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(self.view.viewport().mapToGlobal(at))

    def _take_ticked(self) -> None:
        self._keeping_place(self.rows.ticked_changed)
        self._settle()

    def _settle(self) -> None:
        self._fault.setText(self.rows.fault)
        self._fault.setVisible(bool(self.rows.fault))
        self._nothing.setVisible(not self.rows.models)
        ticked = len(self._document.ticked)
        self.title_row.count.setText(f"{ticked} ticked" if ticked else "")

    def theme_changed(self) -> None:  # noqa: D102 -- told by Dock
        self._magnifier.setIcon(action_icon("search", current_palette(), current_palette().muted))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: D102, N802 -- Qt's name
        # Images among the files are the window's: only a drop of checkpoints alone is taken here.
        if _checkpoints(event):
            event.acceptProposedAction()
        else:
            event.ignore()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:  # noqa: D102, N802 -- Qt's name
        self.dragEnterEvent(event)  # type: ignore[arg-type]  # both are drop events

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: D102, N802 -- Qt's name
        paths = _checkpoints(event)
        if paths:
            event.acceptProposedAction()
            self.checkpoint_dropped.emit(paths)
        else:
            event.ignore()

    def sizeHint(self) -> QSize:  # noqa: D102, N802 -- Qt's name
        return QSize(240, 320)


def _checkpoints(event: QDropEvent) -> list[Path]:
    """Return the dropped files if all of them are checkpoints, else none."""
    urls = event.mimeData().urls()
    paths = [Path(url.toLocalFile()) for url in urls if url.isLocalFile()]
    fit = (
        bool(paths)
        and len(paths) == len(urls)
        and all(one.suffix.lower() in CHECKPOINT_SUFFIXES for one in paths)
    )
    return paths if fit else []
