"""What is measured for the image that is shown: scores, histograms, places of disagreement, on the pool."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject, QTimer, Signal

from srviewer.app.background import Background, Task, Urgency
from srviewer.app.bridge import Bridge
from srviewer.app.docks.histogram import Channel, HistogramCurve
from srviewer.app.looked_at import counted_part, counted_words, is_reading_fault, views_count
from srviewer.app.region_scores import region_consistency
from srviewer.imaging.image import Pixels
from srviewer.session.comparison import INPUT_PANE, PaneKind
from srviewer.session.geometry import PixelRect
from srviewer.session.regions import STAYS_IN_FILE, Readable, part_of, size_of
from srviewer.session.scores import Consistency, NotMeasured, Score, ScoreOrder
from srviewer.session.selection import Selection
from srviewer.session.session import Session

if TYPE_CHECKING:
    from srviewer.session.disagreement import Place

_SETTLE_MILLISECONDS = 120  # a selection that is being dragged is measured when it rests
_BINS = 256
_BAND_ROWS = 512
_CHANNELS: tuple[Channel, ...] = ("luma", "red", "green", "blue")


class Measuring(QObject):
    """Has everything measured that the session wants to know about the shown image.

    Signals
    -------
    histograms_made(object, str) : the tuple of `HistogramCurve` of all panes, and what they cover in words.
    nothing_found(str) : why there is no (next) place of disagreement.
    """

    histograms_made = Signal(object, str)
    nothing_found = Signal(str)

    def __init__(
        self, session: Session, bridge: Bridge, background: Background, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._background = background
        self._waiting: list[ScoreOrder] = []
        self._measured: dict[ScoreOrder, Task[Score]] = {}
        self._curves: Task[tuple[HistogramCurve, ...]] | None = None
        self._curves_wanted = False
        self._places: tuple[tuple[object, ...], tuple[Place, ...]] | None = None
        self._place: Place | None = None
        self._look = QTimer(self, singleShot=True, interval=0)
        self._look.timeout.connect(self._measure)
        self._rest = QTimer(self, singleShot=True, interval=_SETTLE_MILLISECONDS)
        self._rest.timeout.connect(self._measure_rested)
        for signal in (
            bridge.current_changed,
            bridge.pixels_changed,
            bridge.reference_changed,
            bridge.results_changed,
            bridge.ticked_changed,
        ):
            signal.connect(lambda _: self._start())
        bridge.selection_changed.connect(lambda _: self._rest.start())
        bridge.viewport_changed.connect(lambda _: self._follow_view())

    @property
    def is_idle(self) -> bool:
        """Whether everything that can be measured has been."""
        return not (
            self._look.isActive() or self._rest.isActive() or self._measured or self._curves is not None
        )

    def set_histograms_wanted(self, wanted: bool) -> None:
        """Make histograms, or do without: only while somebody looks at them."""
        if wanted != self._curves_wanted:
            self._curves_wanted = wanted
            self._start()

    def _start(self) -> None:
        self._look.start()

    def _follow_view(self) -> None:
        """Count anew what is in view of an image that stays in its file."""
        if self._curves_wanted and views_count(self._session):
            self._rest.start()

    def _measure(self) -> None:
        if not self._rest.isActive():
            self._measure_rested()
        else:
            self._measure_orders([order for order in self._waiting if order.key.region is None])

    def _measure_rested(self) -> None:
        self._measure_orders([*self._waiting, *self._session.score_orders()])
        self._make_histograms()

    # Scores

    def _measure_orders(self, orders: Sequence[ScoreOrder]) -> None:
        """Begin what can be measured; the rest waits for its pixels."""
        for known, task in tuple(self._measured.items()):
            if not self._is_wanted(known):
                task.drop()
                del self._measured[known]
        self._waiting = [order for order in self._waiting if order not in orders]
        for order in dict.fromkeys(orders):
            if order in self._measured or not self._is_wanted(order):
                continue
            work = self._work(order)
            if work is None:
                self._waiting.append(order)
            else:
                self._begin(order, work)

    def _work(self, order: ScoreOrder) -> Callable[[], Score] | None:
        """Return what measures an order, on any thread; None while pictures are missing."""
        document, key = self._session.document, order.key
        file = document.region_file(key.image, "result", key.model)
        if file is not None:
            lr = self._session.readable_in(key.image, INPUT_PANE)
            return None if lr is None else lambda: region_consistency(order, file, lr)
        result = document.pixels(key.image, "result", key.model)
        other = document.pixels(key.image, order.against)
        if result is None or other is None:
            return None
        return lambda: _score(order, result.pixels, other.pixels)

    def _begin(self, order: ScoreOrder, work: Callable[[], Score]) -> None:
        def deliver(score: Score) -> None:
            self._measured.pop(order, None)
            self._session.document.scored(order, score)

        self._measured[order] = self._background.submit(work, deliver, urgency=Urgency.MEASURE)

    def _is_wanted(self, order: ScoreOrder) -> bool:
        """Return whether an order's image is open, and its region still the selected one."""
        document = self._session.document
        if order.key.image not in document:
            return False
        entry = document.result(order.key.image, order.key.model)
        if entry is None or entry.revision != order.result_revision:
            return False
        selection = self._session.selection
        current = document.current
        if order.key.region is None or current is None or current.id != order.key.image:
            return order.key.region is None
        return selection is not None and selection.pixels == order.key.region

    # Histograms

    def _make_histograms(self) -> None:
        if self._curves is not None:
            self._curves.drop()
            self._curves = None
        current = self._session.document.current
        if not self._curves_wanted:
            return
        if current is None:
            self.histograms_made.emit((), "")
            return
        lr, region = current.input_size, self._session.looked_at
        pictures: list[tuple[str, Readable, PixelRect, bool]] = []
        boxes: list[PixelRect] = []
        readable = [(pane, self._session.readable_in(current.id, pane)) for pane in self._session.panes]
        shown = [(pane, picture) for pane, picture in readable if picture is not None]
        if not shown:  # before anything has run there is the input to look at
            picture = self._session.readable_in(current.id, INPUT_PANE)
            shown = [] if picture is None else [(INPUT_PANE, picture)]
        for pane, picture in shown:
            size = size_of(picture)
            box = PixelRect(0, 0, size.width, size.height)
            if region is not None and lr is not None and size.width % lr.width == 0:
                box = Selection(lr, region).in_size(size)
            title, is_truth = self._session.pane_title(pane), pane.kind is PaneKind.TRUTH
            boxes.append(box)
            pictures.append((title, picture, counted_part(picture, box), is_truth))
        scope = counted_words(self._session, [part for *_, part, _ in pictures], boxes)

        def work() -> tuple[HistogramCurve, ...]:
            return tuple(
                curve
                for title, picture, box, is_truth in pictures
                for curve in histograms(title, part_of(picture, box), is_truth)
            )

        def deliver(curves: tuple[HistogramCurve, ...]) -> None:
            self._curves = None
            self.histograms_made.emit(curves, scope)

        def give_up(error: Exception) -> None:
            self._curves = None
            if not is_reading_fault(error):
                raise error
            self.histograms_made.emit((), "")

        self._curves = self._background.submit(work, deliver, urgency=Urgency.CURVES, failed=give_up)

    # Disagreement

    def next_disagreement(self) -> None:
        """Bring the next place into view where the ticked networks' results of the shown image disagree."""
        current = self._session.document.current
        if current is None:
            self.nothing_found.emit("Open an image first.")
            return
        document = self._session.document
        found = [(model, document.result(current.id, model)) for model in document.ticked]
        results = [(model, entry) for model, entry in found if entry is not None]
        networks = [pair for pair in results if not pair[0].startswith("bicubic")]
        compared = networks if len(networks) >= 2 else results  # the base line disagrees with all of them
        held = [document.pixels(current.id, "result", model) for model, _ in compared]
        if current.by_region and len(compared) >= 2:
            self.nothing_found.emit(f"{current.name}: {STAYS_IN_FILE}.")
            return
        pixels = [one.pixels for one in held if one is not None]
        if len(pixels) < 2:
            self.nothing_found.emit("Two networks' results are needed to find where they disagree.")
            return
        name: tuple[object, ...] = (current.id, *(entry.revision for _, entry in compared))
        if self._places is not None and self._places[0] == name:
            self._go_on(self._places[1])
            return

        def work() -> tuple[Place, ...]:
            from srviewer.session.disagreement import disagreements

            return disagreements(pixels)

        def deliver(places: tuple[Place, ...]) -> None:
            self._places, self._place = (name, places), None
            now = self._session.document.current
            if now is not None and now.id == current.id:
                self._go_on(places)

        self._background.submit(work, deliver, urgency=Urgency.WISH)

    def _go_on(self, places: tuple[Place, ...]) -> None:
        from srviewer.session.disagreement import following

        self._place = following(places, self._place)
        if self._place is None:
            self.nothing_found.emit("The results agree everywhere within half a step of 8 bits.")
        else:
            self._session.look_at(self._place)


def _score(order: ScoreOrder, result: Pixels, other: Pixels) -> Score:
    """Measure what an order asks for."""
    from srviewer.analysis.metrics import MetricsError, lr_consistency, measure

    try:
        if order.against == "input":
            return Consistency(lr_consistency(other, result, order.scale))
        return measure(result, other, scale=order.scale, region=order.region)
    except MetricsError as error:
        return NotMeasured(str(error))


def histograms(title: str, pixels: Pixels, is_truth: bool) -> tuple[HistogramCurve, ...]:
    """Count a pane's values.

    Parameters
    ----------
    title : of the pane.
    pixels : H x W x 3, R, G, B, uint8 or uint16.
    is_truth : whether it is the ground truth.

    Returns
    -------
    Luma (Y of YCbCr, 16..235, rounded), red, green and blue, in 256 bins each.
    """
    from srviewer.imaging.colour import luma

    counts = np.zeros((4, _BINS), np.int64)
    shift = 8 if pixels.dtype == np.uint16 else 0
    for row in range(0, pixels.shape[0], _BAND_ROWS):
        band = pixels[row : row + _BAND_ROWS]
        values = np.rint(luma(band)).astype(np.uint8)
        counts[0] += np.bincount(values.ravel(), minlength=_BINS)
        for channel in range(3):
            plane = (band[..., channel] >> shift).ravel()
            counts[channel + 1] += np.bincount(plane, minlength=_BINS)
    return tuple(
        HistogramCurve(title, channel, tuple(counts[index].tolist()), is_truth)
        for index, channel in enumerate(_CHANNELS)
    )
