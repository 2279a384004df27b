"""The status bar: device, memory, what a run will cost, the pixel under the pointer, and the zoom."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QSize, Qt, Signal
from PySide6.QtGui import QActionGroup, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QLabel, QMenu, QSizePolicy, QStatusBar, QToolButton, QWidget

from srviewer.app.theme import current_palette, numbers_font
from srviewer.app.torch_loading import DeviceFacts
from srviewer.engine.request import PrecisionChoice
from srviewer.session.wording import bytes_text

_SAMPLES = 120  # two a second show a minute
_LEAST_SPAN = 64 << 20  # bytes from bottom to top at least: noise of some megabytes is a flat line
_LONGEST_DEVICE = 34  # characters
_PRECISIONS: tuple[tuple[PrecisionChoice, str], ...] = (
    ("auto", "Automatic precision"),
    ("fp32", "fp32 (exact)"),
    ("bf16", "bf16"),
    ("fp16", "fp16"),
)


class Sparkline(QWidget):
    """A small line of the memory in use over the last minute."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._samples: deque[int] = deque(maxlen=_SAMPLES)
        self.setAccessibleName("Memory over the last minute")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def add(self, sample: int) -> None:
        """Draw one more sample, in bytes."""
        self._samples.append(sample)
        self.update()

    def sizeHint(self) -> QSize:  # noqa: D102, N802 -- Qt's name
        return QSize(72, 16)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102, N802 -- Qt's name
        del event
        if len(self._samples) < 2:
            return
        low, high = min(self._samples), max(self._samples)
        middle, span = (low + high) / 2, max(high - low, _LEAST_SPAN)
        width, height = self.width() - 2, self.height() - 4
        points = [
            QPointF(1 + place * width / (_SAMPLES - 1), 2 + height * (0.5 - (sample - middle) / span))
            for place, sample in enumerate(self._samples)
        ]
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(current_palette().link, 1.4))
        painter.drawPolyline(QPolygonF(points))
        painter.end()


class ElidedLabel(QLabel):
    """A label that never asks for more room than there is."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: D102, N802 -- Qt's name
        del event
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.setFont(self.font())
        shown = self.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        painter.drawText(self.rect(), int(self.alignment()), shown)
        painter.end()


class StatusBar(QStatusBar):
    """All of the bar.

    Signals
    -------
    device_wished(str) : run on this device (``"auto"`` or a device's id).
    precision_wished(str) : run in this precision.
    devices_wished : the list of devices is about to be looked at.
    """

    device_wished = Signal(str)
    precision_wished = Signal(str)
    devices_wished = Signal()

    def __init__(self, processor: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizeGripEnabled(False)
        self.setContentsMargins(0, 0, 8, 0)
        self._processor = processor
        self._devices: tuple[DeviceFacts, ...] = ()
        self._choice: tuple[str, PrecisionChoice] = ("auto", "auto")
        self.device_button = QToolButton()
        self.device_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.device_button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self.device_button.setAccessibleName("Device and precision")
        self.device_menu = QMenu(self.device_button)
        self.device_menu.aboutToShow.connect(self._ask_for_devices)
        self.device_button.setMenu(self.device_menu)
        self.memory = QLabel()
        self.memory.setFont(numbers_font(self.font()))
        self.memory.setToolTip("Memory that the program uses now, of what the machine has")
        self.sparkline = Sparkline()
        self.estimate = QLabel()
        self.estimate.setToolTip("What the next run gives and costs: roughly, from earlier runs")
        self.values = ElidedLabel()
        self.values.setFont(numbers_font(self.font()))
        self.values.setAccessibleName("Pixel under the pointer")
        self.zoom = QLabel()
        self.zoom.setFont(numbers_font(self.font()))
        self.zoom.setToolTip("Screen pixels per pixel of the largest picture")
        self.zoom.setMinimumWidth(self.fontMetrics().horizontalAdvance("25600 %"))
        self.zoom.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.addWidget(self.device_button)
        self.addWidget(self.memory)
        self.addWidget(self.sparkline)
        self.addWidget(self.estimate)
        self.addPermanentWidget(self.values, 1)
        self.addPermanentWidget(self.zoom)
        self._settle()

    @property
    def devices(self) -> tuple[DeviceFacts, ...]:
        """The devices as far as they are known."""
        return self._devices

    @property
    def device(self) -> DeviceFacts | None:
        """The device that networks run on, as far as it is known."""
        chosen = self._choice[0]
        if chosen == "auto":
            return self._devices[0] if self._devices else None
        return next((one for one in self._devices if one.id == chosen), None)

    def set_devices(self, devices: Sequence[DeviceFacts]) -> None:
        """Offer these devices, the one that ``"auto"`` means first."""
        self._devices = tuple(devices)
        self._settle()

    def set_choice(self, device: str, precision: PrecisionChoice) -> None:
        """Show what is chosen."""
        self._choice = (device, precision)
        self._settle()

    def add_memory_sample(self, used: int, whole: int) -> None:
        """Show the memory in use and all there is, in bytes."""
        self.memory.setText(f"{bytes_text(used)} of {bytes_text(whole)}")
        self.sparkline.add(used)

    def set_estimate(self, text: str) -> None:
        """Show what the next run will cost; an empty text shows nothing."""
        self.estimate.setText(text)
        self.estimate.setVisible(bool(text))

    def set_values(self, text: str) -> None:
        """Show the pixel under the pointer in every pane."""
        self.values.setText(text)

    def set_zoom(self, text: str) -> None:
        """Show the zoom."""
        self.zoom.setText(text)

    def _ask_for_devices(self) -> None:
        if not self._devices:
            self.devices_wished.emit()

    def _settle(self) -> None:
        """Write the button and fill its menu."""
        chosen, precision = self._choice
        names = {one.id: one.name for one in self._devices}
        shown = names.get(chosen) or (self._devices[0].name if self._devices else self._processor)
        if chosen not in ("auto", *names):
            shown = chosen if chosen != "cpu" else self._processor
        kind = "CPU" if shown == self._processor or self._kind(chosen) == "cpu" else "GPU"
        short = shown if len(shown) <= _LONGEST_DEVICE else shown[: _LONGEST_DEVICE - 1].rstrip(" ,") + "…"
        ends = "" if precision == "auto" else f" · {precision}"
        self.device_button.setText(f"{kind} · {short}{ends} ▾")
        self.device_button.setToolTip(f"Networks run on {shown}. Choose device and precision")
        self.device_menu.clear()
        group = QActionGroup(self.device_menu)
        automatic = "Automatic" + (f" ({self._devices[0].name})" if self._devices else "")
        offered = [("auto", automatic), *names.items()]
        if not names:
            offered.append(("cpu", self._processor))
        for device, name in offered:
            action = self.device_menu.addAction(name)
            action.setCheckable(True)
            action.setChecked(device == chosen)
            group.addAction(action)
            action.triggered.connect(lambda _=False, one=device: self.device_wished.emit(one))
        self.device_menu.addSeparator()
        precisions = QActionGroup(self.device_menu)
        for one, text in _PRECISIONS:
            action = self.device_menu.addAction(text)
            action.setCheckable(True)
            action.setChecked(one == precision)
            precisions.addAction(action)
            action.triggered.connect(lambda _=False, wished=one: self.precision_wished.emit(wished))

    def _kind(self, chosen: str) -> str:
        for one in self._devices:
            if one.id == chosen or chosen == "auto":
                return one.kind
        return "cpu" if chosen in ("auto", "cpu") else "cuda"
