"""The docks that look inside networks, and those who work for them: whose signals reach whom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QWidget

from srviewer.analysis.taps import attention_blocks, missing
from srviewer.app.analysing import FoundFeatures, FoundSpectra
from srviewer.app.controller import Controller
from srviewer.app.docks.attribution import AttributionDock
from srviewer.app.docks.choices import sentences
from srviewer.app.docks.features import FeaturesDock, MapChoice
from srviewer.app.docks.spectrum import SpectrumDock
from srviewer.app.docks.tap_tree import TapList
from srviewer.app.inspection_exports import (
    spectra_text,
    write_attributions,
    write_block_spectra,
    write_features,
    write_maps,
    write_spectra,
    write_text,
)
from srviewer.app.message_bar import Message
from srviewer.session.analyses import FeaturesOrder, SpectraOrder
from srviewer.session.geometry import Point
from srviewer.session.regions import STAYS_IN_FILE

if TYPE_CHECKING:
    from srviewer.app.canvas import Canvas


class InspectionLinks(QObject):
    """Connects the Spectrum, Attribution and Features docks with the controller and the canvas.

    Parameters
    ----------
    spectrum, attribution, features : the docks.
    canvas : where points are picked, and maps lie over results.
    controller : who works.
    folder : where exports begin.
    window : whom dialogs belong to.

    Signals
    -------
    picking_changed(bool) : whether points are picked on the canvas now.
    """

    picking_changed = Signal(bool)

    def __init__(
        self,
        spectrum: SpectrumDock,
        attribution: AttributionDock,
        features: FeaturesDock,
        canvas: Canvas,
        controller: Controller,
        folder: Callable[[], Path],
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._spectrum, self._attribution, self._features = spectrum, attribution, features
        self._canvas, self._controller = canvas, controller
        self._folder, self._window = folder, window
        self._session = controller.session
        self._listed_for = ""
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self._show_models)
        self._link_spectrum()
        self._link_attribution()
        self._link_features()
        bridge = controller.bridge
        for signal in (bridge.ticked_changed, bridge.current_changed, bridge.images_changed):
            signal.connect(lambda _: self._soon.start())
        controller.specs.became_known.connect(lambda _: self._soon.start())
        self._show_models()

    def set_picking(self, picking: bool) -> None:
        """Pick points on the canvas, or stop that."""
        self._canvas.set_picking(picking)
        self._attribution.set_picking(picking)
        self.picking_changed.emit(picking)
        if picking:
            self._canvas.setFocus()

    # What all of them show

    def _show_models(self) -> None:
        document = self._session.document
        models = [(model, self._session.title_of(model)) for model in document.ticked]
        best = [model for model, _ in models if not model.startswith("bicubic")]
        preferred = best[-1] if best else ""
        self._spectrum.set_models(models, preferred)
        self._features.set_models(models, preferred)
        self._choose_block_model()
        self._choose_feature_model()
        self._show_attribution()

    # Spectrum

    def _link_spectrum(self) -> None:
        dock, controller = self._spectrum, self._controller
        dock.visibilityChanged.connect(self._watch_spectrum)
        dock.view_wished.connect(lambda _: self._watch_spectrum(dock.is_seen))
        dock.model_wished.connect(lambda _: self._choose_block_model())
        dock.cancel_wished.connect(controller.block_spectra.cancel)
        dock.figure_wished.connect(self._export_spectra)
        dock.curves_wished.connect(self._export_curves)
        controller.spectra.made.connect(dock.set_pictures)
        controller.spectra.missing.connect(dock.set_missing)
        controller.block_spectra.changed.connect(self._show_block_spectra)

    def _watch_spectrum(self, seen: bool) -> None:
        controller, view = self._controller, self._spectrum.view
        controller.spectra.set_subject(None if view == "attention" else view)
        controller.spectra.set_watched(seen)
        controller.block_spectra.set_watched(seen and view == "attention")
        self._choose_block_model()

    def _choose_block_model(self) -> None:
        """Ask for the spectra around the attention of the chosen network, if it has any."""
        model, inspection = self._spectrum.models.model_reference, self._controller.block_spectra
        spec = self._controller.specs.spec_of(model) if model and self._spectrum.view == "attention" else None
        if spec is None or not attention_blocks(spec):
            inspection.forget()
        else:
            inspection.ask(model, SpectraOrder)
        self._show_block_spectra()

    def _show_block_spectra(self) -> None:
        dock, inspection = self._spectrum, self._controller.block_spectra
        if dock.view != "attention":
            return
        model = dock.models.model_reference
        spec = self._controller.specs.spec_of(model) if model else None
        outcome = inspection.outcome
        found = outcome if isinstance(outcome, FoundSpectra) else None
        title = self._session.title_of(model)
        current = self._session.document.current
        if current is None:
            told = "Open an image to see what attention does to its frequencies."
        elif current.by_region:
            told = f"{current.name}: {STAYS_IN_FILE}."
        elif not model:
            told = "Tick a network first."
        elif spec is None:
            told = "Reading the network…"
        elif inspection.error:
            told = f"{inspection.error[:1].upper()}{inspection.error[1:]}."
        else:
            none = () if attention_blocks(spec) else (f"{spec.id} has no attention",)
            told = sentences(missing(spec) or none, spec, title)
        dock.set_attention(found, inspection.job, told)

    # Attribution

    def _link_attribution(self) -> None:
        dock, maps, canvas = self._attribution, self._controller.attributions, self._canvas
        dock.visibilityChanged.connect(maps.set_watched)
        dock.picking_wished.connect(self.set_picking)
        dock.choice_wished.connect(maps.choose)
        dock.model_wished.connect(maps.set_chosen)
        dock.look_wished.connect(lambda layer, opacity, shown: maps.look(layer, opacity, on_canvas=shown))
        dock.run_wished.connect(self.attribute)
        dock.cancel_wished.connect(maps.cancel)
        dock.figure_wished.connect(self._export_attributions)
        dock.map_wished.connect(self._export_maps)
        maps.changed.connect(self._show_attribution)
        maps.overlays_changed.connect(self._lay_over)
        canvas.point_picked.connect(self._pick)

    def attribute(self) -> None:
        """Make the maps of the chosen networks."""
        maps = self._controller.attributions
        current = self._session.document.current
        if current is not None and current.by_region:
            self._tell(f"{current.name}: {STAYS_IN_FILE}.")
        elif maps.centre is None:
            self._tell("Pick a point of the result, or select a region, to say what is to be explained.")
        elif maps.run() == 0:
            self._tell("Tick a network first: its maps are being made already, or none is chosen.")

    def _pick(self, point: Point) -> None:
        self._controller.attributions.pick(point)

    def _lay_over(self, overlays: object, area: object) -> None:
        self._canvas.set_overlays(overlays)  # type: ignore[arg-type]  # as the signal says
        self._canvas.set_window_area(area)  # type: ignore[arg-type]  # as the signal says

    def _show_attribution(self) -> None:
        maps, current = self._controller.attributions, self._session.document.current
        size = None if current is None else current.input_size
        self._attribution.show_state(maps.rows, maps.choice, maps.centre, size)

    # Features

    def _link_features(self) -> None:
        dock, inspection = self._features, self._controller.features
        dock.visibilityChanged.connect(self._watch_features)
        dock.model_wished.connect(lambda _: self._choose_feature_model())
        dock.tap_wished.connect(lambda _: self._ask_features())
        dock.cancel_wished.connect(inspection.cancel)
        dock.figure_wished.connect(self._export_features)
        dock.map_wished.connect(self._send_map)
        inspection.changed.connect(self._show_features)

    def _watch_features(self, seen: bool) -> None:
        self._controller.features.set_watched(seen)
        if seen:
            self._choose_feature_model()

    def _choose_feature_model(self) -> None:
        """Show the taps of the chosen network; the tap of the same name stays chosen."""
        dock = self._features
        if not dock.is_seen:
            return
        model = dock.models.model_reference
        spec = self._controller.specs.spec_of(model) if model else None
        known = model if spec is not None else ""
        if known != self._listed_for or not known:
            self._listed_for = known
            dock.set_taps(None if spec is None else TapList.of(spec, self._session.title_of(model)))
        self._ask_features()

    def _ask_features(self) -> None:
        model, tap = self._features.models.model_reference, self._features.tree.chosen()
        inspection = self._controller.features
        if not model or tap is None or self._listed_for != model:
            inspection.forget()
        else:
            inspection.ask(model, lambda region: FeaturesOrder(region, tap or None))
        self._show_features()

    def _show_features(self) -> None:
        inspection, current = self._controller.features, self._session.document.current
        outcome = inspection.outcome
        stays = current is not None and current.by_region
        self._features.set_found(
            outcome if isinstance(outcome, FoundFeatures) else None,
            inspection.job,
            STAYS_IN_FILE if stays else inspection.error,
            has_image=current is not None,
        )

    def _send_map(self, choice: MapChoice) -> None:
        current, plane = self._session.document.current, choice.plane
        if current is None or plane is None:
            return
        model = self._features.models.model_reference
        name = f"{self._session.title_of(model)}: {choice.words}"
        lines = (self._session.title_of(model), f"{plane.min():.3g} … {plane.max():.3g}")
        self._controller.maps.send(current.id, name, plane, choice.found.region, (choice.words, *lines))

    # Exports

    def _suggested(self, what: str) -> Path | None:
        current = self._session.document.current
        return None if current is None else self._folder() / f"{current.stem}_{what}.png"

    def _export_spectra(self) -> None:
        from srviewer.app.dialogs.export_figure import ExportFigureDialog

        dock = self._spectrum
        pictures, attention, cut_off = dock.pictures, dock.attention, dock.cut_off
        suggested = self._suggested("spectrum")
        if suggested is None or not (pictures or attention):
            return
        answer = ExportFigureDialog.ask(suggested, (), "", self._window)
        if answer is None:
            return
        if attention is not None:
            self._controller.exports.write(
                lambda: write_block_spectra(attention, cut_off, answer), answer.path
            )
        else:
            self._controller.exports.write(lambda: write_spectra(pictures, cut_off, answer), answer.path)

    def _export_curves(self) -> None:
        from srviewer.app.dialogs.files import FileDialogs

        curves, suggested = self._spectrum.curves(), self._suggested("spectrum")
        if suggested is None or not curves:
            return
        path = FileDialogs.curves(suggested, self._window)
        if path is not None:
            text = spectra_text(curves, self._spectrum.cut_off)
            self._controller.exports.write(lambda: write_text(text, path), path)

    def _export_attributions(self) -> None:
        from srviewer.app.dialogs.export_figure import ExportFigureDialog

        current, suggested = self._session.document.current, self._suggested("lam")
        found = [(row.title, one) for row, one in self._attribution.found]
        picture = None if current is None else self._session.document.pixels(current.id, "input")
        if suggested is None or picture is None or not found:
            return
        answer = ExportFigureDialog.ask(suggested, (), "", self._window)
        if answer is not None:
            self._controller.exports.write(lambda: write_attributions(picture, found, answer), answer.path)

    def _export_maps(self) -> None:
        from srviewer.app.dialogs.files import FileDialogs

        found = [(row.model, one) for row, one in self._attribution.found]
        suggested = self._suggested("lam")
        if suggested is None or not found:
            return
        path = FileDialogs.attribution_map(suggested, self._window)
        if path is not None:
            self._controller.exports.write(lambda: write_maps(found, path), path)

    def _export_features(self) -> None:
        from srviewer.app.dialogs.export_figure import ExportFigureDialog

        found, suggested = self._features.found, self._suggested("features")
        if found is None or suggested is None:
            return
        answer = ExportFigureDialog.ask(suggested, (), "", self._window)
        if answer is not None:
            self._controller.exports.write(lambda: write_features(found, answer), answer.path)

    def _tell(self, text: str) -> None:
        self._controller.message.emit(Message(text, "note"))
