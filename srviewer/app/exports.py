"""What leaves the window as files or through the clipboard: results, figures, tables and dragged panes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QMimeData, QObject, QSize, Qt, QUrl, Signal
from PySide6.QtGui import QDrag, QGuiApplication, QImage, QPixmap
from PySide6.QtWidgets import QWidget

from srviewer.app.background import Background, Urgency
from srviewer.app.dialogs.export_figure import FigureAnswer, FigurePane
from srviewer.app.dialogs.output import OutputItem
from srviewer.app.dialogs.save_results import SaveAnswer
from srviewer.app.feature_maps import FeatureMaps
from srviewer.app.looked_at import is_reading_fault
from srviewer.app.qimages import to_qimage
from srviewer.app.region_picture import region_thumbnail
from srviewer.app.target_size import TargetSize, TargetSizeError, resampled
from srviewer.imaging.image import Image
from srviewer.session.comparison import Pane, PaneKind
from srviewer.session.entries import ImageId, ResultEntry
from srviewer.session.geometry import PixelRect, Size
from srviewer.session.naming import ResultNaming, safe_model
from srviewer.session.regions import RegionFile
from srviewer.session.session import Session

_LOSSLESS = frozenset({".png", ".tif", ".tiff"})
_DRAG_SIDE = 128  # logical pixels of the picture under the pointer
_MOST_COPIED = 100_000_000  # pixels of a region: other programs take a picture from the clipboard whole


@dataclass(frozen=True, eq=False)
class SavableResult:
    """A finished result that could be saved.

    Attributes
    ----------
    entry : which one.
    item : what its file's name and format are made of.
    """

    entry: ResultEntry
    item: OutputItem


@dataclass(frozen=True, eq=False)
class _Written:
    """What became of one file: notes about what its format changed, or why it is not there."""

    result: SavableResult
    path: Path
    notes: tuple[str, ...] = ()
    error: str = ""


class Exports(QObject):
    """Writes files on the pool and tells what became of them.

    Signals
    -------
    saved(object, object) : the paths that were written, and the notes about them.
    failed(str) : one sentence why something was not written.
    """

    saved = Signal(object, object)
    failed = Signal(str)

    def __init__(
        self, session: Session, background: Background, maps: FeatureMaps, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._maps = maps
        self._background = background
        self._dragged: tempfile.TemporaryDirectory[str] | None = None
        self.start_drag: Callable[[QDrag], object] = lambda drag: drag.exec(Qt.DropAction.CopyAction)
        self.button_is_down: Callable[[], bool] = lambda: bool(
            QGuiApplication.mouseButtons() & Qt.MouseButton.LeftButton
        )

    def close(self) -> None:
        """Remove the files that were made to be dragged."""
        if self._dragged is not None:
            self._dragged.cleanup()
            self._dragged = None

    # Results

    def savable(self) -> tuple[SavableResult, ...]:
        """Return the finished results of the ticked networks, all images in order; bicubic only if alone."""
        document = self._session.document
        ticked = document.ticked
        networks = [model for model in ticked if not model.startswith("bicubic_")] or list(ticked)
        found: list[SavableResult] = []
        for image in document.images:
            for model in networks:
                entry = document.result(image.id, model)
                if entry is None or entry.streamed:  # that one is a file already
                    continue
                held = document.pixels(image.id, "result", model)
                naming = ResultNaming(
                    image.stem, model, entry.facts.scale, self._family(model), len(found) + 1
                )
                suffix = ".png" if image.path is None else image.path.suffix
                alpha = held is not None and held.alpha is not None
                found.append(SavableResult(entry, OutputItem(naming, suffix, entry.facts.bits, alpha)))
        return tuple(found)

    def save(self, results: Sequence[SavableResult], answer: SaveAnswer, target: TargetSize) -> None:
        """Write results where the answer says, in the target size."""
        work = [
            (result, path, self._pixels(result.entry))
            for result, path in zip(results, answer.paths, strict=True)
        ]
        options, replace = answer.choice.write_options(), answer.choice.replace

        def write() -> list[_Written]:
            from srviewer.imaging.faults import ImageFileError
            from srviewer.imaging.writing import write_image

            written = []
            for result, path, get in work:
                try:
                    image = get()
                    scale = result.entry.facts.scale
                    size = target.size_for(Size(image.width // scale, image.height // scale), scale)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    notes = write_image(resampled(image, size), path, overwrite=replace, options=options)
                    written.append(_Written(result, path, notes))
                except (ImageFileError, TargetSizeError) as error:
                    written.append(_Written(result, path, error=str(error)))
                except OSError as error:
                    reason = error.strerror or str(error)
                    written.append(_Written(result, path, error=f"{path}: it cannot be written: {reason}"))
                except MemoryError:
                    written.append(_Written(result, path, error=f"{path}: there is not enough memory"))
            return written

        def tell(written: list[_Written]) -> None:
            done = [one for one in written if not one.error]
            for one in done:
                exact = not one.notes and target.kind == "network" and one.path.suffix.lower() in _LOSSLESS
                entry = one.result.entry
                if entry.image in self._session.document:
                    self._session.document.mark_saved(entry.image, entry.model, one.path, lossless=exact)
            if done:
                notes = dict.fromkeys(note for one in done for note in one.notes)
                self.saved.emit(tuple(one.path for one in done), tuple(notes))
            for one in written:
                if one.error:
                    self.failed.emit(one.error)

        self._background.submit(write, tell, urgency=Urgency.WISH)

    def _pixels(self, entry: ResultEntry) -> Callable[[], Image]:
        """Return what gives a result's pixels on any thread: from memory, or from its file."""
        held = self._session.document.pixels(entry.image, "result", entry.model)
        if held is not None:
            return lambda: held
        order = self._session.document.load_order(entry.image, "result", entry.model)

        def load() -> Image:
            from srviewer.session.loading import LoadError
            from srviewer.session.loading import load as made

            if order is None:
                raise OSError(f"the result of {entry.model} is neither in memory nor in a file")
            try:
                picture = made(order)
            except LoadError as error:
                raise OSError(str(error)) from error
            assert isinstance(picture, Image), "results that stay in their files are not offered"
            return picture

        return load

    def _family(self, model: str) -> str:
        row = next((row for row in self._session.models if row.reference == model), None)
        return row.family if row is not None and row.family is not None else safe_model(model)

    # Figures

    def figure_panes(self) -> tuple[FigurePane, ...]:
        """Return what a figure can show: ground truth first, then the results of the largest scale."""
        current = self._session.document.current
        if current is None:
            return ()
        truth = [pane for pane in self._session.panes if pane.kind is PaneKind.TRUTH]
        results = [pane for pane in self._session.panes if pane.kind is PaneKind.RESULT]
        return tuple(
            FigurePane(_pane_key(pane), self._figure_title(pane))
            for pane in (*truth, *results)
            if self._held(current.id, pane) is not None
        )

    def export_figure(self, answer: FigureAnswer, region: PixelRect) -> None:
        """Write the crops figure of the shown image.

        Parameters
        ----------
        answer : which panes, and where to.
        region : the crop in the input's pixels.
        """
        document = self._session.document
        current = document.current
        if current is None or current.input_size is None:
            return
        panes = {_pane_key(pane): pane for pane in self._session.panes}
        chosen = [(panes[key], self._held(current.id, panes[key])) for key in answer.panes if key in panes]
        shown = [(pane, held) for pane, held in chosen if held is not None]
        truth = document.pixels(current.id, "truth")
        lr = current.input_size
        titles = {pane: self._figure_title(pane) for pane, _ in shown}

        def work() -> None:
            from srviewer.analysis.metrics import MetricsError, measure
            from srviewer.imaging.colour import to_srgb
            from srviewer.report.drawing import FigureError, save_figure
            from srviewer.report.figures import CropCell, crop_figure

            widest = max((held.width for _, held in shown), default=0)
            same = [(pane, held) for pane, held in shown if held.width == widest]
            if not same:
                raise FigureError("there is no picture to draw yet")
            scale = widest // lr.width
            crop = region.times(scale).as_tuple()
            cells = []
            for pane, held in same:
                psnr = ssim = None
                if truth is not None and pane.kind is PaneKind.RESULT:
                    try:
                        measured = measure(held.pixels, truth.pixels, scale=scale, region=crop)
                        psnr, ssim = measured.psnr_y, measured.ssim_y
                    except MetricsError:
                        psnr = ssim = None  # of another size than the ground truth
                is_truth = pane.kind is PaneKind.TRUTH
                cells.append(CropCell(titles[pane], to_srgb(held).pixels, psnr, ssim, is_truth))
            figure = crop_figure(cells, crop, name=answer.name, width=answer.width)
            save_figure(figure, answer.path, overwrite=answer.overwrite)

        self.write(work, answer.path)

    def _figure_title(self, pane: Pane) -> str:
        return "HR" if pane.kind is PaneKind.TRUTH else self._session.title_of(pane.model)

    # Anything else that is a file

    def write(self, work: Callable[[], None], path: Path) -> None:
        """Have a file written on the pool, and tell that it is there or why not."""

        def give_up(error: Exception) -> None:
            from srviewer.imaging.faults import ImageFileError
            from srviewer.report.drawing import FigureError
            from srviewer.session.sessionfile import SessionFileError

            if not isinstance(error, ImageFileError | FigureError | SessionFileError | OSError):
                raise error
            self.failed.emit(str(error))

        self._background.submit(
            work, lambda _: self.saved.emit((path,), ()), urgency=Urgency.WISH, failed=give_up
        )

    def save_session(self, path: Path) -> None:
        """Write a session file of what is open now."""
        record = self._session.record()

        def work() -> None:
            from srviewer.session.sessionfile import save_session

            save_session(record, path)

        self.write(work, path)

    # Clipboard and dragging

    def copy(self, pane: Pane, done: Callable[[], object]) -> bool:
        """Put a pane's picture into the clipboard, then call `done`; return whether it has one.

        Of a picture that stays in its file it is the selected region.
        """
        current = self._session.document.current
        held = None if current is None else self._held(current.id, pane)
        if held is None:
            return current is not None and self._copy_region(current.id, pane, done)

        def deliver(image: QImage) -> None:
            QGuiApplication.clipboard().setImage(image)
            done()

        self._background.submit(lambda: _shown(held), deliver, urgency=Urgency.WISH)
        return True

    def _copy_region(self, image: ImageId, pane: Pane, done: Callable[[], object]) -> bool:
        picture, selection = self._session.readable_in(image, pane), self._session.selection
        if not isinstance(picture, RegionFile):
            return False
        if selection is None:
            self.failed.emit("This picture is too large for the clipboard: select a region of it first.")
            return True
        box = selection.in_size(picture.size)
        if box.width * box.height > _MOST_COPIED:
            self.failed.emit(f"A region of {box} is too large for the clipboard: select a smaller one.")
            return True

        def deliver(image: QImage) -> None:
            QGuiApplication.clipboard().setImage(image)
            done()

        def give_up(error: Exception) -> None:
            if not is_reading_fault(error):
                raise error
            self.failed.emit(str(error))

        self._background.submit(
            lambda: _shown(picture.part(box)), deliver, urgency=Urgency.WISH, failed=give_up
        )
        return True

    def drag_out(self, pane: Pane, source: QWidget) -> bool:
        """Let a pane be dropped elsewhere as a file; return whether it has a picture.

        The file is written first; the drag begins when it is there, if the button is still down.
        """
        document = self._session.document
        current = document.current
        held = None if current is None else self._held(current.id, pane)
        if current is None or (held is None and self._session.readable_in(current.id, pane) is None):
            return False
        existing = current.path if pane.kind is PaneKind.INPUT and current.reference is None else None
        if pane.kind is PaneKind.RESULT:
            entry = document.result(current.id, pane.model)
            existing = None if entry is None else entry.saved
        if existing is not None and existing.is_file():
            known: Path | None = existing
        else:
            known = None
            if self._dragged is None:
                self._dragged = tempfile.TemporaryDirectory(prefix="srviewer-drag-")
        marks = {
            PaneKind.INPUT: "input",
            PaneKind.TRUTH: "truth",
            PaneKind.RESULT: safe_model(pane.model),
            PaneKind.MAP: safe_model(pane.model.replace("/", "-")),
        }
        target = known or Path(self._dragged.name if self._dragged else "") / (
            f"{current.stem}_{marks[pane.kind]}.png"
        )

        def work() -> QImage:
            from srviewer.imaging.writing import write_image

            if held is None:  # it is in its file, which is what is carried
                return to_qimage(region_thumbnail(target, _DRAG_SIDE))
            if known is None:
                write_image(held, target, overwrite=True)
            return _shown(held).scaled(
                QSize(_DRAG_SIDE, _DRAG_SIDE),
                Qt.AspectRatioMode.KeepAspectRatio,
                Qt.TransformationMode.SmoothTransformation,
            )

        def deliver(image: QImage) -> None:
            if not self.button_is_down():
                return
            data = QMimeData()
            data.setUrls([QUrl.fromLocalFile(str(target))])
            drag = QDrag(source)
            drag.setMimeData(data)
            drag.setPixmap(QPixmap.fromImage(image))
            self.start_drag(drag)

        def give_up(error: Exception) -> None:
            from srviewer.imaging.faults import ImageFileError
            from srviewer.session.loading import LoadError

            if not isinstance(error, ImageFileError | LoadError | OSError):
                raise error
            self.failed.emit(str(error))

        self._background.submit(work, deliver, urgency=Urgency.WISH, failed=give_up)
        return True

    def _held(self, image: ImageId, pane: Pane) -> Image | None:
        if pane.kind is PaneKind.MAP:
            return self._maps.image(image, pane.model)
        return self._session.picture_in(image, pane)


def _pane_key(pane: Pane) -> str:
    return f"{pane.kind.value} {pane.model}".strip()


def _shown(image: Image) -> QImage:
    """Return a picture as a screen shows it."""
    from srviewer.imaging.colour import to_srgb

    shown = to_srgb(image)
    return to_qimage(shown.pixels, shown.alpha)
