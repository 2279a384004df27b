"""The rows of the Images dock: what they say, and how they are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import (
    QAbstractListModel,
    QByteArray,
    QMimeData,
    QModelIndex,
    QObject,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QFont, QFontMetrics, QImage, QPainter, QPainterPath, QPixmap
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from srviewer.app.docks.row_painting import (
    MARGIN,
    Index,
    RowState,
    draw_background,
    draw_text,
    line_height,
    option_font,
    option_rect,
)
from srviewer.app.theme import current_palette, small_font
from srviewer.session.document import Document
from srviewer.session.entries import GivenReference, ImageEntry, ImageId, MadeReference

ROW_ROLE = Qt.ItemDataRole.UserRole + 1
"""Gives an index's `ImageRow`."""

THUMBNAIL = QSize(50, 36)
"""Logical pixels."""

_MIME = "application/x-srviewer-image-row"
_ERROR_LINES = 3


@dataclass(frozen=True, slots=True)
class ImageRow:
    """What one row says.

    Attributes
    ----------
    id : the image.
    name : its first line.
    detail : its second line; why it cannot be read where `failed`.
    failed : whether it cannot be read.
    tip : everything that is known, for the tool tip.
    """

    id: ImageId
    name: str
    detail: str
    failed: bool
    tip: str


def image_row(entry: ImageEntry, activity: str = "") -> ImageRow:
    """Return what an image's row says; `activity` is what is being done with it ("queued")."""
    if entry.state == "failed":
        reason = (entry.error or "cannot be read").removeprefix(f"{entry.path}: ")
        return ImageRow(
            entry.id, entry.name, reason, failed=True, tip=_lines(entry, [entry.error or "cannot be read"])
        )
    facts = [] if entry.size is None else [str(entry.size)]
    if entry.bits is not None and entry.bits > 8:
        facts.append(f"{entry.bits}-bit")
    match entry.reference:
        case MadeReference(scale):
            facts.append(f"HR ×{scale}")
        case GivenReference():
            facts.append("HR given")
    if entry.state == "loading":
        facts.append("reading…")
    elif activity:
        facts.append(activity)
    return ImageRow(
        entry.id, entry.name, " · ".join(facts), failed=False, tip=_lines(entry, _explained(entry))
    )


def _explained(entry: ImageEntry) -> list[str]:
    lines = []
    if entry.size is not None:
        bits = "" if entry.bits is None else f", {entry.bits} bits per sample"
        lines.append(f"{entry.size} px{bits}")
    match entry.reference:
        case MadeReference(scale):
            lines.append(f"This image is the ground truth: networks get its bicubic reduction (×1/{scale})")
        case GivenReference(path, scale):
            lines.append(f"Ground truth: {path} (×{scale})")
    return [*lines, *entry.notes]


def _lines(entry: ImageEntry, lines: Sequence[str]) -> str:
    return "\n".join([str(entry.path) if entry.path is not None else f"{entry.name} (not saved)", *lines])


class ImageRows(QAbstractListModel):
    """The images of a document as Qt's views want them.

    Signals
    -------
    moved : an image was dropped on another row.
    """

    moved = Signal(object, int)

    def __init__(self, document: Document, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._document = document
        self._rows: list[ImageRow] = []
        self._places: dict[ImageId, int] = {}
        self._activities: dict[ImageId, str] = {}
        self._thumbnails: dict[ImageId, QPixmap] = {}
        self.reset()

    def reset(self) -> None:
        """Read all images from the document."""
        self.beginResetModel()
        self._rows = [image_row(one, self._activities.get(one.id, "")) for one in self._document.images]
        self._count_places()
        for gone in self._thumbnails.keys() - self._places.keys():
            del self._thumbnails[gone]
        for gone in self._activities.keys() - self._places.keys():
            del self._activities[gone]
        self.endResetModel()

    def added(self, images: Sequence[ImageId]) -> None:
        """Read new images, which stand below the others."""
        known = len(self._rows)
        entries = self._document.images
        if [one.id for one in entries[:known]] != [row.id for row in self._rows] or known + len(
            images
        ) != len(entries):
            self.reset()
            return
        self.beginInsertRows(QModelIndex(), known, len(entries) - 1)
        self._rows.extend(image_row(one) for one in entries[known:])
        self._count_places()
        self.endInsertRows()

    def removed(self, images: Sequence[ImageId]) -> None:
        """Forget images that were closed."""
        for image in images:
            place = self._places.get(image)
            if place is None:
                continue
            self.beginRemoveRows(QModelIndex(), place, place)
            del self._rows[place]
            self._thumbnails.pop(image, None)
            self._activities.pop(image, None)
            self._count_places()
            self.endRemoveRows()

    def changed(self, images: Sequence[ImageId]) -> None:
        """Read images again."""
        for image in images:
            place = self._places.get(image)
            if place is not None and image in self._document:
                row = image_row(self._document.entry(image), self._activities.get(image, ""))
                if row != self._rows[place]:
                    self._rows[place] = row
                    self._tell(place)

    def set_activity(self, image: ImageId, activity: str) -> None:
        """Say what is being done with an image; nothing by an empty text."""
        if activity != self._activities.get(image, "") and image in self._places:
            self._activities[image] = activity
            self.changed((image,))

    def set_thumbnail(self, image: ImageId, thumbnail: QImage) -> None:
        """Show a small version of an image in its row."""
        place = self._places.get(image)
        if place is not None:
            self._thumbnails[image] = QPixmap.fromImage(thumbnail)
            self._tell(place)

    def thumbnail(self, image: ImageId) -> QPixmap | None:
        """Return the small version of an image, if it has come."""
        return self._thumbnails.get(image)

    def row(self, index: Index) -> ImageRow | None:
        """Return what stands in a row."""
        return self._rows[index.row()] if index.isValid() and index.row() < len(self._rows) else None

    def index_of(self, image: ImageId | None) -> QModelIndex:
        """Return the index of an image; an invalid one if it has no row."""
        place = None if image is None else self._places.get(image)
        return QModelIndex() if place is None else self.index(place)

    def _count_places(self) -> None:
        self._places = {row.id: place for place, row in enumerate(self._rows)}

    def _tell(self, place: int) -> None:
        index = self.index(place)
        self.dataChanged.emit(index, index)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008, D102, N802 -- Qt's name and default
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:  # noqa: D102
        row = self.row(index)
        if row is None:
            return None
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return row.name
            case Qt.ItemDataRole.ToolTipRole:
                return row.tip
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{row.name}, {row.detail}"
            case _ if role == ROW_ROLE:
                return row
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:  # noqa: D102
        flags = super().flags(index)
        return flags | (Qt.ItemFlag.ItemIsDragEnabled if index.isValid() else Qt.ItemFlag.ItemIsDropEnabled)

    def supportedDropActions(self) -> Qt.DropAction:  # noqa: D102, N802 -- Qt's name
        return Qt.DropAction.MoveAction

    def mimeTypes(self) -> list[str]:  # noqa: D102, N802 -- Qt's name
        return [_MIME]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:  # noqa: D102, N802 -- Qt's name
        data = QMimeData()
        rows = [row for row in (self.row(index) for index in indexes) if row is not None]
        data.setData(_MIME, QByteArray(",".join(str(row.id) for row in rows).encode()))
        return data

    def canDropMimeData(  # noqa: D102, N802 -- Qt's name
        self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: Index
    ) -> bool:
        return data.hasFormat(_MIME)

    def dropMimeData(  # noqa: D102, N802 -- Qt's name
        self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: Index
    ) -> bool:
        if not data.hasFormat(_MIME):
            return False
        place = row if row >= 0 else parent.row() if parent.isValid() else len(self._rows)
        for text in bytes(data.data(_MIME).data()).decode().split(","):
            image = ImageId(int(text))
            before = self._places.get(image)
            if before is not None:
                # The document counts rows without the one that moves.
                self.moved.emit(image, place - 1 if before < place else place)
                place += before >= place
        # Qt would take the rows away from where they were; the document moves them instead, and tells.
        return False


class ImageDelegate(QStyledItemDelegate):
    """Draws the rows: a thumbnail, the name, and one line of facts (or why the image cannot be read)."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:  # noqa: D102
        row = index.data(ROW_ROLE)
        model = index.model()
        assert isinstance(row, ImageRow)
        assert isinstance(model, ImageRows)
        palette = current_palette()
        rect = option_rect(option)
        font = option_font(option)
        small = small_font(font)
        painter.save()
        draw_background(painter, rect, RowState.of(option), palette)
        place = QRect(rect.x() + MARGIN, rect.y() + 4, THUMBNAIL.width(), THUMBNAIL.height())
        thumbnail = model.thumbnail(row.id)
        if thumbnail is None:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(palette.raised)
            painter.drawRoundedRect(QRectF(place), 3, 3)
        else:
            _draw_covering(painter, place, thumbnail)
        left = place.right() + 1 + MARGIN
        width = rect.right() - 4 - left
        height = line_height(font)
        below = _detail_height(row, small, width)
        top = rect.y() + (rect.height() - height - below) // 2
        draw_text(
            painter,
            QRect(left, top, width, height),
            row.name,
            font,
            palette.text,
            elide=Qt.TextElideMode.ElideMiddle,
        )
        lower = QRect(left, top + height, width, below)
        if row.failed:
            painter.setFont(small)
            painter.setPen(palette.error)
            painter.drawText(lower, int(Qt.TextFlag.TextWordWrap), row.detail)
        else:
            draw_text(painter, lower, row.detail, small, palette.muted)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: D102, N802 -- Qt's name
        row = index.data(ROW_ROLE)
        assert isinstance(row, ImageRow)
        font = option_font(option)
        width = option_rect(option).width()
        lines = line_height(font) + _detail_height(
            row, small_font(font), width - THUMBNAIL.width() - 2 * MARGIN - 4
        )
        return QSize(0, max(THUMBNAIL.height(), lines) + 8)


def _detail_height(row: ImageRow, font: QFont, width: int) -> int:
    """Return the height of a row's second line; a reason may take more than one."""
    metrics = QFontMetrics(font)
    if not row.failed or width < 20:
        return metrics.height()
    wanted = metrics.boundingRect(QRect(0, 0, width, 1000), int(Qt.TextFlag.TextWordWrap), row.detail)
    return min(wanted.height(), _ERROR_LINES * metrics.lineSpacing())


def _draw_covering(painter: QPainter, place: QRect, picture: QPixmap) -> None:
    """Draw a picture over all of a rounded rectangle; what does not fit is cut off on both sides alike."""
    path = QPainterPath()
    path.addRoundedRect(QRectF(place), 3, 3)
    scale = max(place.width() / picture.width(), place.height() / picture.height())
    width, height = place.width() / scale, place.height() / scale
    source = QRectF((picture.width() - width) / 2, (picture.height() - height) / 2, width, height)
    painter.save()
    painter.setClipPath(path)
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
    painter.drawPixmap(QRectF(place), picture, source)
    painter.restore()
