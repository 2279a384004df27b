"""The Features dock: what a network makes of the region at its taps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon, QImage, QPainter, QPaintEvent, QPixmap
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QListView,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from srviewer.app.analysing import FoundFeatures, FoundTap
from srviewer.app.docks.busy_row import BusyRow
from srviewer.app.docks.choices import ModelBox, paragraph, scrolled, set_role
from srviewer.app.docks.dock import Dock
from srviewer.app.docks.map_view import MapView
from srviewer.app.docks.tap_tree import TapList, TapTree
from srviewer.app.heat import grey_image
from srviewer.app.theme import current_palette, numbers_font, small_font
from srviewer.session.queue import Job

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from srviewer.analysis.taps import AttentionBlock, Tap

_THUMBNAIL = 56  # logical pixels
_CHANNEL = Qt.ItemDataRole.UserRole
_AVERAGE = -1  # where others have a channel's number
_SHOWN_SIDE = 640


@dataclass(frozen=True, eq=False)
class MapChoice:
    """A map that can be sent to the canvas.

    Attributes
    ----------
    found : what it is part of.
    tap : where it comes from.
    channel : its number; None for the average.
    """

    found: FoundFeatures
    tap: Tap
    channel: int | None = None

    @property
    def plane(self) -> NDArray[np.float32] | None:
        """H x W of the region (an average around attention may be reduced); None if it was not kept."""
        features = self.found.at(self.tap).features
        return features.average if self.channel is None else features.channels.get(self.channel)

    @property
    def words(self) -> str:
        """The tap and the channel."""
        return self.tap.label if self.channel is None else f"{self.tap.label}, channel {self.channel}"


class _Bars(QWidget):
    """One bar for each channel: weights have no maps."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName("Weights by channel")
        self.setFixedHeight(96)
        self._values: tuple[float, ...] = ()

    def show_values(self, values: Sequence[float]) -> None:
        """Show these weights."""
        self._values = tuple(values)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 -- Qt's name
        del event
        if not self._values:
            return
        painter = QPainter(self)
        palette = current_palette()
        inner = self.rect().adjusted(8, 4, -8, -4)
        top = max(*self._values, 1.0)
        each = inner.width() / len(self._values)
        painter.setPen(palette.outline)
        painter.drawLine(inner.bottomLeft(), inner.bottomRight())
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(palette.curves[0])
        for place, value in enumerate(self._values):
            height = max(value, 0) / top * inner.height()
            painter.drawRect(
                round(inner.left() + place * each),
                round(inner.bottom() - height),
                max(round(each) - 1, 1),
                round(height),
            )
        painter.end()


class FeaturesDock(Dock):
    """A tree of taps, and the maps at the one that is chosen.

    Signals
    -------
    model_wished(str) : the network that is looked into.
    tap_wished(str) : the tap, by its name; empty for all attention.
    cancel_wished : stop the job that records.
    map_wished(object) : the `MapChoice` to be sent to the canvas.
    figure_wished : write what is shown as a figure.
    """

    model_wished = Signal(str)
    tap_wished = Signal(str)
    cancel_wished = Signal()
    map_wished = Signal(object)
    figure_wished = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("features", "Features", parent)
        self._found: FoundFeatures | None = None
        self._listed: TapList | None = None
        self._chosen: MapChoice | None = None
        self._views: list[tuple[MapView, MapChoice]] = []
        self.models = ModelBox("Network that is looked into")
        self.models.currentIndexChanged.connect(lambda _: self.model_wished.emit(self.models.model_reference))
        self.tree = TapTree()
        self.tree.tap_chosen.connect(self._choose_tap)
        self.busy = BusyRow()
        self.busy.cancel_wished.connect(self.cancel_wished)
        self.hint = paragraph()
        self.name = QLabel()
        self.name.setProperty("role", "title")
        self.name.setWordWrap(True)
        self.statistics = paragraph()
        self.statistics.setFont(numbers_font(small_font(self.font())))
        self.statistics.setContentsMargins(0, 0, 0, 0)
        self.large = MapView("The chosen map", tallest=240)
        self.large.doubled.connect(self._send)
        self.bars = _Bars()
        self.thumbnails = _thumbnail_list()
        self.thumbnails.currentItemChanged.connect(lambda item, _: self._choose_channel(item))
        self.thumbnails.itemActivated.connect(lambda _: self._send())
        self.send = QPushButton("Send to canvas")
        self.send.setToolTip("Show this map in a pane of its own, beside the results")
        self.send.clicked.connect(lambda _=False: self._send())
        self._build()
        self._refresh()

    @property
    def found(self) -> FoundFeatures | None:
        """What is shown."""
        return self._found

    @property
    def chosen(self) -> MapChoice | None:
        """The map that would be sent to the canvas."""
        return self._chosen

    def set_models(self, models: Sequence[tuple[str, str]], preferred: str = "") -> None:
        """Offer the ticked networks (references and titles)."""
        self.models.show_models(list(models), preferred)

    def set_taps(self, listed: TapList | None) -> None:
        """Show the taps of the chosen network; None while they are not known."""
        self._listed = listed
        self.tree.show_taps(listed or TapList((), False, ""))
        self._settle_hint("", has_image=True)

    def set_found(self, found: FoundFeatures | None, job: Job | None, error: str, *, has_image: bool) -> None:
        """Show what was recorded.

        Parameters
        ----------
        found : None while there is nothing.
        job : the one that records; None if there is none.
        error : why it failed; empty otherwise.
        has_image : whether there is an image to look at.
        """
        self.busy.show_job(job)
        if found is not self._found:
            self._found = found
            self._refresh()
        self._settle_hint(error, has_image=has_image)

    # Inside

    def _build(self) -> None:
        top = QHBoxLayout()
        top.setContentsMargins(8, 4, 8, 4)
        top.addWidget(self.models, 1)
        upper = QWidget()
        column = QVBoxLayout(upper)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(top)
        column.addWidget(self.tree, 1)
        self._single = QWidget()
        single = QVBoxLayout(self._single)
        single.setContentsMargins(8, 0, 8, 0)
        single.setSpacing(6)
        single.setAlignment(Qt.AlignmentFlag.AlignTop)
        single.addWidget(self.large)
        single.addWidget(self.bars)
        single.addWidget(self.thumbnails, 1)
        self._pairs = QWidget()
        self._grid = QGridLayout(self._pairs)
        self._grid.setContentsMargins(8, 0, 8, 0)
        self._grid.setHorizontalSpacing(6)
        self._grid.setVerticalSpacing(2)
        self._stack = QStackedWidget()
        self._stack.addWidget(QWidget())
        self._stack.addWidget(self._single)
        self._stack.addWidget(scrolled(self._pairs))
        # The window's least height must not be this dock's: what does not fit then is cut off below.
        self._stack.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        self._stack.setMinimumHeight(80)
        head = QHBoxLayout()
        head.setContentsMargins(8, 0, 8, 0)
        head.setSpacing(8)
        words = QVBoxLayout()
        words.setSpacing(0)
        words.addWidget(self.name)
        words.addWidget(self.statistics)
        head.addLayout(words, 1)
        head.addWidget(self.send, 0, Qt.AlignmentFlag.AlignTop)
        lower = QWidget()
        below = QVBoxLayout(lower)
        below.setContentsMargins(0, 6, 0, 4)
        below.setSpacing(6)
        below.addWidget(self.busy)
        below.addWidget(self.hint)
        below.addLayout(head)
        below.addWidget(self._stack, 1)
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(upper)
        splitter.addWidget(lower)
        splitter.setStretchFactor(0, 0)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([150, 360])
        self.setWidget(splitter)
        self.export = self.title_row.add_button("export", "Export as a figure…", self.figure_wished.emit)

    def _choose_tap(self, name: str) -> None:
        self._settle_hint("", has_image=True)
        self.tap_wished.emit(name)

    def _refresh(self) -> None:
        """Show what was recorded, anew."""
        found = self._found
        self._chosen = None
        self._clear_pairs()
        there = found is not None and bool(found.taps)
        self.export.setEnabled(there)
        for widget in (self.name, self.statistics, self.send):
            widget.setVisible(there)
        if found is None or not there:
            self._stack.setCurrentIndex(0)
        elif found.order.tap is None:
            self._show_pairs(found)
        else:
            self._show_tap(found, found.taps[0])
        self.title_row.count.setText("" if found is None else f"{found.region}")
        self._settle_send()

    def _settle_hint(self, error: str, *, has_image: bool) -> None:
        text, role = "", "muted"
        absent = "" if self._listed is None else self._listed.absent
        if not has_image:
            text = "Open an image to see what a network makes of it."
        elif not self.models.count():
            text = "Tick a network first."
        elif error:
            text, role = f"{error[:1].upper()}{error[1:]}.", "error"
        elif self._listed is None:
            text = "Reading the network…"
        elif absent:
            text = absent
        elif self._found is None and self.tree.chosen() is None:
            text = "Choose a tap: the network then runs on the selected region, or on the whole image."
        set_role(self.hint, role)
        self.hint.setText(text)
        self.hint.setVisible(bool(text))

    # One tap

    def _show_tap(self, found: FoundFeatures, tap: FoundTap) -> None:
        self._stack.setCurrentIndex(1)
        features = tap.features
        is_weights = features.tap.kind == "channel_weights"
        self.bars.setVisible(is_weights)
        self.large.setVisible(not is_weights)
        self.thumbnails.setVisible(not is_weights)
        self.name.setText(features.tap.label)
        count, height, width = features.shape
        lines = [
            f"{count} channels of {width} × {height}"
            if not is_weights
            else f"{count} weights, one per channel",
            f"{features.mean:.3g} ± {features.std:.3g}  ({features.minimum:.3g} … {features.maximum:.3g})",
        ]
        if not features.complete and not is_weights:
            lines.append(f"{len(features.channels)} channels fit in memory: select a smaller region.")
        self.statistics.setText("\n".join(lines))
        if is_weights:
            self.bars.show_values(features.channel_mean.tolist())
            return
        blocked = self.thumbnails.blockSignals(True)
        tall = min(max(round(_THUMBNAIL * height / width), 12), 2 * _THUMBNAIL)
        line = self.thumbnails.fontMetrics().height()
        self.thumbnails.setIconSize(QSize(_THUMBNAIL, tall))
        self.thumbnails.setGridSize(QSize(_THUMBNAIL + 12, tall + line + 10))
        self.thumbnails.clear()
        for number, image in ((_AVERAGE, tap.average), *tap.thumbnails):
            words = "Average" if number == _AVERAGE else str(number)
            item = QListWidgetItem(self._icon(image), words)
            item.setData(_CHANNEL, number)
            if number != _AVERAGE:
                mean, spread = features.channel_mean[number], features.channel_std[number]
                item.setToolTip(f"Channel {number}: {mean:.3g} ± {spread:.3g}")
            self.thumbnails.addItem(item)
        self.thumbnails.blockSignals(blocked)
        self.thumbnails.setCurrentRow(0)
        self._choose_channel(self.thumbnails.item(0))

    def _icon(self, image: QImage) -> QIcon:
        """Return a picture as an icon that is sharp on this screen."""
        ratio = self.devicePixelRatioF()
        room = self.thumbnails.iconSize() * ratio
        mode = Qt.TransformationMode
        enlarged = image.width() < room.width()
        scaled = image.scaled(
            room,
            Qt.AspectRatioMode.KeepAspectRatio,
            mode.FastTransformation if enlarged else mode.SmoothTransformation,
        )
        pixmap = QPixmap.fromImage(scaled)
        pixmap.setDevicePixelRatio(ratio)
        icon = QIcon(pixmap)
        icon.addPixmap(pixmap, QIcon.Mode.Selected)  # as it is: a tinted map would be another one
        return icon

    def _choose_channel(self, item: QListWidgetItem | None) -> None:
        if item is None or self._found is None or self._found.order.tap is None:
            return
        number = int(item.data(_CHANNEL))
        tap = self._found.taps[0]
        self._chosen = MapChoice(self._found, tap.features.tap, None if number == _AVERAGE else number)
        plane = self._chosen.plane
        if self._chosen.channel is None or plane is None:
            image = tap.average
        else:
            from srviewer.analysis.features import screen_normalised

            image = grey_image(screen_normalised(plane), _SHOWN_SIDE)
        self.large.show_picture(image)
        self.large.setToolTip(f"{self._chosen.words}: black is its lowest value, white its highest")
        self._settle_send()

    # Before and after attention

    def _clear_pairs(self) -> None:
        self._views = []
        while (item := self._grid.takeAt(0)) is not None:
            widget = item.widget()
            if widget is not None:
                widget.hide()
                widget.deleteLater()

    def _show_pairs(self, found: FoundFeatures) -> None:
        """Show average features before each block, what they are multiplied by, and those after it.

        Features are stretched to black and white each by itself (FMEN, figure 8).
        """
        self._stack.setCurrentIndex(2)
        self.name.setText("Before and after attention")
        self.statistics.setText("Averages over channels, each stretched from black to white")
        most = max((len(block.attention) for block in found.blocks), default=1)
        heads = ["before", *(["attention"] if most == 1 else ["attention", "local"])[:most], "after"]
        for column, words in enumerate(heads):
            self._grid.addWidget(self._small(words), 0, column)
            self._grid.setColumnStretch(column, 1)
        for place, block in enumerate(found.blocks):
            self._add_block(found, block, 1 + 3 * place, len(heads))
        self._grid.setRowStretch(1 + 3 * len(found.blocks), 1)
        if self._views:
            self._choose_view(self._views[0][1])

    def _add_block(self, found: FoundFeatures, block: AttentionBlock, row: int, columns: int) -> None:
        title = QLabel(block.label)
        title.setContentsMargins(0, 4, 0, 0)
        self._grid.addWidget(title, row, 0, 1, columns)
        places = [(block.before, 0), *((tap, 1 + at) for at, tap in enumerate(block.attention))]
        for tap, column in (*places, (block.after, columns - 1)):
            one = found.at(tap)
            if tap.kind == "channel_weights":
                bars = _Bars()
                bars.setFixedHeight(64)
                bars.setToolTip(tap.label)
                bars.show_values(one.features.channel_mean.tolist())
                self._grid.addWidget(bars, row + 1, column)
            else:
                choice = MapChoice(found, tap)
                view = MapView(tap.label, tallest=160)
                view.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
                view.setToolTip(tap.label)
                view.show_picture(one.average)
                view.clicked.connect(lambda choice=choice: self._choose_view(choice))
                view.doubled.connect(self._send)
                self._views.append((view, choice))
                self._grid.addWidget(view, row + 1, column, Qt.AlignmentFlag.AlignTop)
            if tap in block.attention:
                values = one.features
                low, high = (
                    (values.minimum, values.maximum)
                    if tap.kind == "channel_weights"
                    else (float(values.average.min()), float(values.average.max()))
                )
                self._grid.addWidget(self._small(f"{low:.2g} – {high:.2g}"), row + 2, column)

    def _small(self, words: str) -> QLabel:
        label = QLabel(words)
        label.setProperty("role", "muted")
        label.setFont(numbers_font(small_font(self.font())))
        label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        return label

    def _choose_view(self, choice: MapChoice) -> None:
        self._chosen = choice
        for view, one in self._views:
            view.set_chosen(one is choice)
        self._settle_send()

    # Sending

    def _settle_send(self) -> None:
        self.send.setEnabled(self._chosen is not None and self._chosen.plane is not None)
        self.send.setVisible(self._chosen is not None)

    def _send(self) -> None:
        if self._chosen is not None and self._chosen.plane is not None:
            self.map_wished.emit(self._chosen)

    def theme_changed(self) -> None:  # noqa: D102 -- told by Dock
        self.update()

    def sizeHint(self) -> QSize:  # noqa: D102, N802 -- Qt's name
        return QSize(340, 480)


def _thumbnail_list() -> QListWidget:
    thumbnails = QListWidget()
    thumbnails.setAccessibleName("Average and channels")
    thumbnails.setViewMode(QListView.ViewMode.IconMode)
    thumbnails.setResizeMode(QListView.ResizeMode.Adjust)
    thumbnails.setMovement(QListView.Movement.Static)
    thumbnails.setUniformItemSizes(True)
    thumbnails.setFont(small_font(thumbnails.font()))
    thumbnails.setMinimumHeight(90)
    thumbnails.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
    return thumbnails
