"""The power spectra of the shown image's panes and of their differences, taken on the pool."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QObject, QTimer, Signal

from srviewer.app.background import Background, Task, Urgency
from srviewer.app.bridge import Bridge
from srviewer.app.looked_at import is_reading_fault, looked_at_words, middle_of, views_count
from srviewer.session.comparison import INPUT_PANE, TRUTH_PANE, Pane, PaneKind
from srviewer.session.entries import ImageId
from srviewer.session.geometry import PixelRect, Size
from srviewer.session.regions import Readable, part_of, size_of
from srviewer.session.selection import Selection
from srviewer.session.session import Session

if TYPE_CHECKING:
    from srviewer.analysis.spectrum import Spectrum

SpectrumSubject = Literal["pictures", "differences"]
"""What spectra are taken of."""

_SETTLE_MILLISECONDS = 120  # a selection that is being dragged is looked at when it rests
LARGEST_SIDE = 3072
"""Pixels of a picture along each side whose spectrum is taken; of a larger one it is the middle's. The
transform of that takes half a second and some hundreds of megabytes.
"""


@dataclass(frozen=True, eq=False)
class PaneSpectrum:
    """One curve.

    Attributes
    ----------
    title : the pane's, or those of the two whose difference it is.
    spectrum : its image is reduced to what a screen shows.
    is_truth : whether it is the ground truth's.
    middle : the size that was looked at, where the picture is larger than that; None otherwise.
    """

    title: str
    spectrum: Spectrum
    is_truth: bool = False
    middle: Size | None = None


@dataclass(frozen=True, slots=True)
class _Key:
    """What a spectrum is of; `less` is what is taken away from it."""

    image: ImageId
    pane: Pane
    less: Pane | None
    region: PixelRect | None


@dataclass(frozen=True, eq=False)
class _Wanted:
    key: _Key
    title: str
    picture: Readable
    less: Readable | None


class Spectra(QObject):
    """Takes spectra while somebody looks at them, one after the other, and drops what is not wanted any more.

    Signals
    -------
    made(object, str) : the tuple of `PaneSpectrum` so far in the order of the panes, and what they cover in
        words; told after each one.
    missing(str) : why there are no differences; empty where there are.
    """

    made = Signal(object, str)
    missing = Signal(str)

    def __init__(
        self, session: Session, bridge: Bridge, background: Background, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._background = background
        self._is_watched = False
        self._subject: SpectrumSubject | None = "pictures"
        self._known: dict[_Key, tuple[Readable, Readable | None, PaneSpectrum]] = {}
        self._task: tuple[_Wanted, Task[PaneSpectrum]] | None = None
        self._look = QTimer(self, singleShot=True, interval=0)
        self._look.timeout.connect(self._go_on)
        self._rest = QTimer(self, singleShot=True, interval=_SETTLE_MILLISECONDS)
        self._rest.timeout.connect(self._go_on)
        for signal in (
            bridge.current_changed,
            bridge.pixels_changed,
            bridge.reference_changed,
            bridge.results_changed,
            bridge.ticked_changed,
            bridge.comparison_changed,
        ):
            signal.connect(lambda _: self._start())
        bridge.selection_changed.connect(lambda _: self._rest.start())
        bridge.viewport_changed.connect(lambda _: self._follow_view())

    @property
    def is_idle(self) -> bool:
        """Whether everything that is wanted has been told."""
        return not (self._look.isActive() or self._rest.isActive() or self._task is not None)

    def set_watched(self, watched: bool) -> None:
        """Work only while somebody looks; what is under way is dropped when nobody does."""
        if watched != self._is_watched:
            self._is_watched = watched
            self._start()

    def set_subject(self, subject: SpectrumSubject | None) -> None:
        """Take spectra of pictures or of differences; None of neither."""
        if subject != self._subject:
            self._subject = subject
            self._start()

    def stop(self) -> None:
        """Begin nothing any more."""
        self._look.stop()
        self._rest.stop()

    def _start(self) -> None:
        self._look.start()

    def _follow_view(self) -> None:
        """Look at what is in view of an image that stays in its file."""
        if self._is_watched and views_count(self._session):
            self._rest.start()

    def _go_on(self) -> None:
        """Tell what is known, and begin the first spectrum that is missing."""
        self._look.stop()
        self._rest.stop()
        wanted = self._wanted() if self._is_watched and self._subject is not None else []
        keys = {one.key for one in wanted}
        for key in tuple(self._known):
            if key not in keys and self._is_watched:
                del self._known[key]
        missing = [one for one in wanted if not self._is_known(one)]
        if self._task is not None:
            current, task = self._task
            if any(one.key == current.key and one.picture is current.picture for one in missing):
                missing = []
            else:
                task.drop()
                self._task = None
        if self._is_watched and self._subject is not None:
            there = [self._known[one.key][2] for one in wanted if self._is_known(one)]
            self.made.emit(tuple(there), looked_at_words(self._session))
        if missing:
            self._begin(missing[0])

    def _is_known(self, wanted: _Wanted) -> bool:
        known = self._known.get(wanted.key)
        return known is not None and known[0] is wanted.picture and known[1] is wanted.less

    def _begin(self, wanted: _Wanted) -> None:
        current, region = self._session.document.current, self._session.looked_at
        lr = None if current is None else current.input_size
        looked_at = None if region is None or lr is None else Selection(lr, region)
        cut: Callable[[Size], PixelRect | None] = (
            (lambda size: None) if looked_at is None else lambda size: looked_at.in_size(size)
        )

        def work() -> PaneSpectrum:
            return _spectrum(wanted, cut)

        def deliver(found: PaneSpectrum) -> None:
            self._task = None
            self._known[wanted.key] = (wanted.picture, wanted.less, found)
            self._go_on()

        def give_up(error: Exception) -> None:
            self._task = None  # asked for again when something changes
            if not is_reading_fault(error):
                raise error

        self._task = wanted, self._background.submit(work, deliver, urgency=Urgency.CURVES, failed=give_up)

    # What is wanted

    def _wanted(self) -> list[_Wanted]:
        current = self._session.document.current
        if current is None:
            return []
        panes = list(dict.fromkeys((INPUT_PANE, *self._session.panes)))
        held = {
            pane: one for pane in panes if (one := self._session.readable_in(current.id, pane)) is not None
        }
        region = self._session.looked_at
        if self._subject == "pictures":
            return [
                _Wanted(_Key(current.id, pane, None, region), self._session.pane_title(pane), image, None)
                for pane, image in held.items()
            ]
        pairs, reason = self._pairs(held, has_truth=current.reference is not None)
        self.missing.emit("" if pairs else reason)
        return [
            _Wanted(
                _Key(current.id, pane, less, region),
                f"{self._session.pane_title(pane)} − {self._session.pane_title(less)}",
                held[pane],
                held[less],
            )
            for pane, less in pairs
        ]

    def _pairs(self, held: dict[Pane, Readable], *, has_truth: bool) -> tuple[list[tuple[Pane, Pane]], str]:
        """Return which panes are taken from which: the truth from each result, else B from A."""
        results = [pane for pane in held if pane.kind is PaneKind.RESULT]
        if has_truth:
            truth = held.get(TRUTH_PANE)
            if truth is None or not results:
                return [], "Run a network to see how its result differs from the ground truth."
            fitting = [pane for pane in results if _same_size(held[pane], truth)]
            return [(pane, TRUTH_PANE) for pane in fitting], "No result is as large as the ground truth."
        a, b = self._session.comparison.a, self._session.comparison.b
        if a is None or b is None or a not in held or b not in held:
            return [], "Two results, or one and a ground truth, are needed for a difference."
        if not _same_size(held[a], held[b]):
            return [], "Panes A and B are of different sizes: their difference has no spectrum."
        return [(a, b)], ""


def _same_size(a: Readable, b: Readable) -> bool:
    return size_of(a) == size_of(b)


def _spectrum(wanted: _Wanted, cut: Callable[[Size], PixelRect | None]) -> PaneSpectrum:
    """Take one spectrum of luma (Y of YCbCr, 16..235), on the pool."""
    from srviewer.analysis.spectrum import plane_of
    from srviewer.app.analysing import small_spectrum

    size = size_of(wanted.picture)
    box = cut(size) or PixelRect(0, 0, size.width, size.height)
    inner = middle_of(box, LARGEST_SIDE)
    plane = plane_of(part_of(wanted.picture, inner))
    if wanted.less is not None:
        plane = plane - plane_of(part_of(wanted.less, inner))
    return PaneSpectrum(
        wanted.title,
        small_spectrum(plane),
        wanted.key.pane.kind is PaneKind.TRUTH,
        None if inner == box else Size(inner.width, inner.height),
    )
