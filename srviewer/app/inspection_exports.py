"""What the docks that look inside networks write: figures, curves and maps."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from srviewer.app.analysing import FoundAttribution, FoundFeatures, FoundSpectra
from srviewer.app.spectra import PaneSpectrum
from srviewer.imaging.image import Image

if TYPE_CHECKING:
    from srviewer.analysis.spectrum import Spectrum
    from srviewer.app.dialogs.export_figure import FigureAnswer


def write_spectra(curves: Sequence[PaneSpectrum], cut_off: float, answer: FigureAnswer) -> None:
    """Draw spectra of pictures and write the figure.

    Raises
    ------
    srviewer.report.drawing.FigureError
        There is nothing to draw, or the file has another suffix.
    srviewer.imaging.faults.ImageFileError
        The file cannot be written.
    """
    from srviewer.report.drawing import save_figure
    from srviewer.report.spectrum_figures import SpectrumCurve, spectrum_figure

    figure = spectrum_figure(
        [SpectrumCurve(one.title, one.spectrum) for one in curves], cut_off=cut_off, width=answer.width
    )
    save_figure(figure, answer.path, overwrite=answer.overwrite)


def write_block_spectra(found: FoundSpectra, cut_off: float, answer: FigureAnswer) -> None:
    """Draw spectra around attention blocks and write the figure; raises as `write_spectra`."""
    from srviewer.report.drawing import save_figure
    from srviewer.report.spectrum_figures import AttentionSpectra, attention_spectrum_figure

    blocks = [
        AttentionSpectra(one.label, one.before, one.after, one.spectrum_before, one.spectrum_after)
        for one in found.blocks
    ]
    figure = attention_spectrum_figure(blocks, cut_off=cut_off, width=answer.width)
    save_figure(figure, answer.path, overwrite=answer.overwrite)


def spectra_text(curves: Sequence[tuple[str, Spectrum]], cut_off: float) -> str:
    """Return curves as CSV: one row per curve and frequency."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(
        ["curve", "cut_off_cycles_per_pixel", "share_above_percent", "cycles_per_pixel", "density_percent"]
    )
    for title, found in curves:
        share = f"{found.high_frequency_share(cut_off):.6g}"
        for frequency, density in zip(found.frequency.tolist(), found.density.tolist(), strict=True):
            table.writerow([title, f"{cut_off:g}", share, f"{frequency:.8g}", f"{density:.8g}"])
    return text.getvalue()


def write_text(text: str, path: Path) -> None:
    """Write a text file, whole or not at all; one that is there is replaced.

    Raises
    ------
    srviewer.imaging.faults.ImageFileError
        The file cannot be written.
    """
    from srviewer.imaging.atomic import whole_file

    with whole_file(path, overwrite=True) as stream:
        stream.write(text.encode())


def write_attributions(
    picture: Image, found: Sequence[tuple[str, FoundAttribution]], answer: FigureAnswer
) -> None:
    """Draw attribution maps of one input and write the figure; raises as `write_spectra`."""
    from srviewer.imaging.colour import to_srgb
    from srviewer.report.drawing import save_figure
    from srviewer.report.lam_figures import lam_figure

    maps = [(title, one.attribution) for title, one in found]
    figure = lam_figure(to_srgb(picture).pixels, maps, width=answer.width)
    save_figure(figure, answer.path, overwrite=answer.overwrite)


def write_maps(found: Sequence[tuple[str, FoundAttribution]], path: Path) -> None:
    """Write maps (float32, 0..1, of the input's size) as .npy: of one network ``FILE.npy``, of several
    ``FILE_MODEL.npy`` each. `path` itself is replaced where it is there, none of the others.

    Parameters
    ----------
    found : networks' references and their maps.
    path : the file.

    Raises
    ------
    srviewer.imaging.faults.ImageFileError
        A file cannot be written, or is there already.
    """
    import numpy as np

    from srviewer.imaging.atomic import whole_file

    for target, (_, one) in zip(map_files([model for model, _ in found], path), found, strict=True):
        with whole_file(target, overwrite=target == path) as stream:
            np.save(stream, one.attribution.map)


def map_files(models: Sequence[str], path: Path) -> list[Path]:
    """Return the files that `write_maps` writes."""
    from srviewer.session.naming import safe_model, unique_names

    if len(models) == 1:
        return [path]
    names = unique_names(f"{path.stem}_{safe_model(model)}.npy" for model in models)
    return [path.with_name(name) for name in names]


def write_features(found: FoundFeatures, answer: FigureAnswer) -> None:
    """Draw one tap with its channels, or features around attention blocks, and write the figure.

    Raises as `write_spectra`.
    """
    from srviewer.report.drawing import save_figure
    from srviewer.report.feature_figures import attention_figure, tap_figure

    if found.order.tap is None:
        figure = attention_figure(found.record, found.blocks, width=answer.width)
    else:
        figure = tap_figure(found.taps[0].features, name=found.name, width=answer.width)
    save_figure(figure, answer.path, overwrite=answer.overwrite)
