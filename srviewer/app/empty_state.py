"""What the window shows before there is an image: what to drop, and what will happen."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFont, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from srviewer.app.theme import action_icon, current_palette

_STEPS = (
    ("Drop", "images, folders, or a pair of HR and LR"),
    ("Tick", "networks to compare; each gets a pane"),
    ("Judge", "by eye, by PSNR and SSIM, region by region"),
)
_WIDEST = 560
_MARGIN = 24


class EmptyState(QWidget):
    """Teaches what to do first. Drops are the window's: this widget takes none itself.

    Signals
    -------
    open_wished : choose files.
    sample_wished : open a sample image.
    paste_wished : take the image in the clipboard.
    """

    open_wished = Signal()
    sample_wished = Signal()
    paste_wished = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("empty_state")
        self.setAccessibleName("No image is open")
        self._dragging = False
        self._drawing = QLabel()
        self._drawing.setAlignment(Qt.AlignmentFlag.AlignCenter)
        title = QLabel("Drop images here")
        large = QFont(self.font())
        large.setPointSizeF(max(large.pointSizeF(), 9) * 1.7)
        large.setWeight(QFont.Weight.DemiBold)
        title.setFont(large)
        title.setAlignment(Qt.AlignmentFlag.AlignCenter)
        what = QLabel(
            "Files or whole folders: PNG, JPEG, TIFF, WebP, BMP, AVIF, 8 or 16 bits. "
            "A checkpoint file becomes a network."
        )
        what.setProperty("role", "muted")
        what.setWordWrap(True)
        what.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.open_button = QPushButton("Open…")
        self.open_button.setDefault(True)
        self.open_button.setToolTip("Choose image files (Ctrl+O)")
        self.sample_button = QPushButton("Open sample")
        self.sample_button.setToolTip("Try it with a photograph that comes with the program")
        self.paste_button = QPushButton("Paste")
        self.paste_button.setToolTip("Take the image in the clipboard (Ctrl+V)")
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        buttons.addStretch(1)
        for button, signal in (
            (self.open_button, self.open_wished),
            (self.sample_button, self.sample_wished),
            (self.paste_button, self.paste_wished),
        ):
            button.clicked.connect(lambda _=False, wish=signal: wish.emit())
            buttons.addWidget(button)
        buttons.addStretch(1)
        steps = QGridLayout()
        steps.setHorizontalSpacing(12)
        steps.setVerticalSpacing(4)
        for place, (verb, rest) in enumerate(_STEPS):
            first, second = QLabel(f"{place + 1}  {verb}"), QLabel(rest)
            first.setProperty("role", "title")
            second.setProperty("role", "muted")
            second.setWordWrap(True)
            steps.addWidget(first, place, 0)
            steps.addWidget(second, place, 1)
        steps.setColumnStretch(1, 1)
        self._inner = QWidget()
        self._inner.setMaximumWidth(_WIDEST - 2 * _MARGIN)
        column = QVBoxLayout(self._inner)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(8)
        column.addWidget(self._drawing)
        column.addWidget(title)
        column.addWidget(what)
        column.addSpacing(8)
        column.addLayout(buttons)
        column.addSpacing(16)
        column.addLayout(steps)
        around = QVBoxLayout(self)
        around.setContentsMargins(_MARGIN * 2, _MARGIN * 2, _MARGIN * 2, _MARGIN * 2)
        across = QHBoxLayout()
        across.addStretch(1)
        across.addWidget(self._inner, 100)
        across.addStretch(1)
        around.addStretch(1)
        around.addLayout(across)
        around.addStretch(1)
        self._refresh()

    def set_dragging(self, dragging: bool) -> None:
        """Show that what is being dragged over the window would be taken."""
        if dragging != self._dragging:
            self._dragging = dragging
            self.update()

    def _refresh(self) -> None:
        palette = current_palette()
        self._drawing.setPixmap(action_icon("picture", palette, palette.muted).pixmap(QSize(48, 48)))

    def changeEvent(self, event: QEvent) -> None:  # noqa: D102, N802 -- Qt's name
        super().changeEvent(event)
        if event.type() is QEvent.Type.PaletteChange:
            self._refresh()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102, N802 -- Qt's name
        palette = current_palette()
        painter = QPainter(self)
        painter.fillRect(self.rect(), palette.window)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = QRectF(self._inner.geometry()).adjusted(-_MARGIN, -_MARGIN, _MARGIN, _MARGIN)
        pen = QPen(palette.link if self._dragging else palette.outline, 2 if self._dragging else 1.5)
        pen.setDashPattern([4, 4])
        painter.setPen(pen)
        painter.setBrush(palette.selection if self._dragging else palette.surface)
        painter.drawRoundedRect(frame, 12, 12)
        painter.end()

    def sizeHint(self) -> QSize:  # noqa: D102, N802 -- Qt's name
        return QSize(_WIDEST + 2 * _MARGIN, 440)
