"""The figures: what they show, and that their files are whole, small and the same every time."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image as PillowImage

from srviewer.analysis.metrics import Region
from srviewer.imaging.faults import ImageFileError
from srviewer.imaging.image import Pixels
from srviewer.report.drawing import FigureError, fitted, font, save_figure, text_width
from srviewer.report.figures import PAGE_WIDTH, CropCell, crop_figure
from srviewer.report.scatter import ScatterPoint, scatter_figure


def noise(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def cells(count: int, height: int = 60, width: int = 80) -> list[CropCell]:
    return [
        CropCell("HR", noise(height, width), truth=True),
        *(
            CropCell(f"Net {index}", noise(height, width, index), 20 + index / 3, 0.8 + index / 100)
            for index in range(1, count)
        ),
    ]


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


def bold_words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts if text.get_fontweight() == "bold"]


def test_every_network_has_its_crop_title_and_scores() -> None:
    figure = crop_figure(cells(4), (10, 20, 16, 12), name="img_$1$.png")
    assert len(figure.axes) == 5
    assert words(figure).count("/") == 4
    for expected in (
        "img_$1$.png",
        "HR",
        "PSNR",
        "SSIM",
        "Net 1",
        "20.33",
        "0.8100",
        "Net 3",
        "21.00",
        "0.8300",
    ):
        assert expected in words(figure)
    assert bold_words(figure) == ["21.00", "0.8300"]


def test_the_box_and_the_crops_show_the_same_place() -> None:
    crop = (10, 20, 16, 12)
    shown = cells(3)
    figure = crop_figure(shown, crop)
    overview, *parts = figure.axes
    boxes = [patch for patch in overview.patches if isinstance(patch, Rectangle)]
    assert {(box.get_x(), box.get_y(), box.get_width(), box.get_height()) for box in boxes} == {crop}
    assert to_rgb(boxes[-1].get_edgecolor())[0] > 0.8
    for cell, axes in zip(shown, parts, strict=True):
        drawn = np.asarray(axes.images[0].get_array())
        times = drawn.shape[0] // 12
        assert drawn.shape == (12 * times, 16 * times, 3)
        assert np.array_equal(drawn[::times, ::times], cell.pixels[20:32, 10:26])
        assert np.array_equal(drawn[times - 1 :: times, times - 1 :: times], cell.pixels[20:32, 10:26])


def test_without_scores_there_is_no_line_for_them() -> None:
    plain = [CropCell(name, noise(40, 40)) for name in ("Bicubic", "BSRN")]
    assert words(crop_figure(plain, (0, 0, 20, 20))) == ["Bicubic", "BSRN"]


def test_equal_scores_are_not_the_best() -> None:
    same = [CropCell(name, noise(40, 40), 30.0, 0.9) for name in ("A", "B")]
    assert bold_words(crop_figure(same, (0, 0, 20, 20))) == []


@settings(deadline=None, max_examples=15)
@given(
    count=st.integers(1, 9),
    height=st.integers(20, 300),
    width=st.integers(20, 300),
    share=st.tuples(st.integers(5, 100), st.integers(5, 100)),
)
def test_nothing_overlaps_or_leaves_the_page(
    count: int, height: int, width: int, share: tuple[int, int]
) -> None:
    crop: Region = (0, 0, max(1, width * share[0] // 100), max(1, height * share[1] // 100))
    if not 0.1 <= crop[2] / crop[3] <= 10:
        crop = (0, 0, min(crop[2:]), min(crop[2:]))
    figure = crop_figure(cells(count, height, width), crop)
    page_width, page_height = figure.get_size_inches()
    assert page_width == pytest.approx(PAGE_WIDTH)
    places = [axes.get_position() for axes in figure.axes]
    for index, one in enumerate(places):
        assert -1e-9 <= one.x0 < one.x1 <= 1 + 1e-9
        assert 0 <= one.y0 < one.y1 <= 1 + 1e-9
        for other in places[index + 1 :]:
            assert one.x1 <= other.x0 or other.x1 <= one.x0 or one.y1 <= other.y0 or other.y1 <= one.y0
    shapes = [(width / height), *(crop[2] / crop[3] for _ in range(count))]
    for place, shape in zip(places, shapes, strict=True):
        assert place.width * page_width / (place.height * page_height) == pytest.approx(shape)


def test_what_cannot_be_drawn_is_told() -> None:
    with pytest.raises(FigureError, match="at least one"):
        crop_figure([], (0, 0, 4, 4))
    with pytest.raises(FigureError, match=r"16 × 12 at 70, 20 does not lie inside HR, which has 80 × 60 px"):
        crop_figure(cells(2), (70, 20, 16, 12))
    with pytest.raises(FigureError, match="does not lie inside"):
        crop_figure(cells(2), (0, 0, 0, 5))
    with pytest.raises(FigureError, match=r"B has 40 × 30 px and A 80 × 60 px"):
        crop_figure([CropCell("A", noise(60, 80)), CropCell("B", noise(30, 40))], (0, 0, 4, 4))


def test_a_ground_truth_that_is_a_little_larger_fits() -> None:
    assert crop_figure([CropCell("HR", noise(63, 81)), CropCell("B", noise(60, 80))], (0, 0, 80, 60)).axes


def test_sixteen_bits_and_large_pictures_are_taken_down() -> None:
    deep = noise(50, 60).astype(np.uint16) * 257
    figure = crop_figure([CropCell("A", deep)], (0, 0, 20, 20))
    assert all(np.asarray(axes.images[0].get_array()).dtype == np.uint8 for axes in figure.axes)
    large = crop_figure([CropCell("A", np.zeros((3000, 6000, 3), np.uint8))], (0, 0, 64, 64))
    drawn = np.asarray(large.axes[0].images[0].get_array())
    assert drawn.shape[1] <= PAGE_WIDTH * 600


def test_png_has_the_size_and_the_pixels(tmp_path: Path) -> None:
    red = np.zeros((40, 40, 3), np.uint8)
    red[..., 0] = 200
    path = tmp_path / "figure.png"
    save_figure(crop_figure([CropCell("A", red)], (0, 0, 20, 20)), path)
    with PillowImage.open(path) as opened:
        picture = np.asarray(opened.convert("RGB"))
    assert picture.shape[1] == round(PAGE_WIDTH * 300)
    assert (np.all(picture == (200, 0, 0), axis=2)).mean() > 0.5
    assert tuple(picture[-1, -1]) == (255, 255, 255)


@pytest.mark.parametrize("suffix", ["PNG", "pdf", "svg"])
def test_the_same_figure_gives_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    files = [tmp_path / f"{index}.{suffix}" for index in range(2)]
    for path in files:
        save_figure(crop_figure(cells(3), (0, 0, 20, 15), name="a"), path)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert sorted(tmp_path.iterdir()) == files


def test_text_stays_text(tmp_path: Path) -> None:
    figure = crop_figure(cells(2), (0, 0, 20, 15), name="the name")
    save_figure(figure, tmp_path / "a.svg")
    svg = (tmp_path / "a.svg").read_text("utf-8")
    assert re.search(r"<text[^>]*>the name</text>", svg)
    save_figure(figure, tmp_path / "a.pdf")
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in pdf  # TrueType, which publishers ask for
    assert b"/Type3" not in pdf


def test_an_existing_file_is_kept_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"precious")
    figure = crop_figure(cells(2), (0, 0, 20, 15))
    with pytest.raises(ImageFileError, match=r"a\.png"):
        save_figure(figure, path)
    assert path.read_bytes() == b"precious"
    save_figure(figure, path, overwrite=True)
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(FigureError, match="png, pdf, svg"):
        save_figure(figure, tmp_path / "a.jpg")
    with pytest.raises(ImageFileError):
        save_figure(figure, tmp_path / "nowhere" / "a.png")
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figure = crop_figure(cells(2), (0, 0, 20, 15))

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(ImageFileError, match=r"a\.png: .*full"):
        save_figure(figure, tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_settings_of_the_process_are_left_alone(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    save_figure(crop_figure(cells(2), (0, 0, 20, 15)), tmp_path / "a.svg")
    assert dict(mpl.rcParams) == before


def test_long_names_are_fitted() -> None:
    face = font(7.5)
    assert fitted("BSRN", face, 100)[0] == "BSRN"
    name = "a_checkpoint_with_a_very_long_name_indeed_500000"
    shown, smaller = fitted(name, face, 60)
    assert text_width(shown, smaller) <= 60
    assert shown.startswith("a_ch")
    assert "…" in shown
    assert shown.endswith("0000")
    assert text_width("", face) == 0


POINTS = [
    ScatterPoint("Bicubic", "bicubic", 0, 28.43),
    ScatterPoint("FMEN-S", "FMEN", 341e3, 32.12),
    ScatterPoint("FMEN", "FMEN", 768e3, 32.24),
    ScatterPoint("MAFFSRN-L", "MAFFSRN", 830e3, 32.20),
    ScatterPoint("SAFMN", "SAFMN", 239e3, 32.18),
    ScatterPoint("BSRN", "BSRN", 352e3, 32.35),
    ScatterPoint("BSRN-S", "BSRN", 156e3, 32.16),
]


@pytest.mark.parametrize("dark", [False, True])
def test_scatter_places_and_names_every_network(dark: bool, tmp_path: Path) -> None:
    figure = scatter_figure(POINTS, "params", title="Set5 ×4", dark=dark)
    (axes,) = figure.axes
    drawn = [
        (np.asarray(line.get_xdata()).item(), np.asarray(line.get_ydata()).item()) for line in axes.lines
    ]
    assert drawn == [(point.cost / 1e3, point.psnr_y) for point in POINTS[1:]]
    assert [text.get_text() for text in axes.texts] == [point.label for point in POINTS[1:]]
    assert "Bicubic 28.43 dB" in axes.get_title(loc="right")
    markers = {point.label: line.get_marker() for point, line in zip(POINTS[1:], axes.lines, strict=True)}
    assert markers["BSRN"] == markers["BSRN-S"]
    assert len(set(markers.values())) == 4
    assert axes.get_xlabel() == "Parameters [K]"
    save_figure(figure, tmp_path / "a.png")


def test_names_in_a_scatter_neither_overlap_nor_leave_it() -> None:
    figure = scatter_figure(POINTS, "params", title="Set5 ×4")
    (axes,) = figure.axes
    boxes = [text.get_window_extent() for text in axes.texts]
    frame = figure.bbox
    for index, one in enumerate(boxes):
        assert frame.x0 <= one.x0 < one.x1 <= frame.x1
        for other in boxes[index + 1 :]:
            assert not one.overlaps(other)


def test_a_wide_range_of_costs_is_logarithmic() -> None:
    near = scatter_figure(POINTS, "params", title="")
    wide = scatter_figure([*POINTS, ScatterPoint("Huge", "X", 15e6, 32.6)], "params", title="")
    assert [figure.axes[0].get_xscale() for figure in (near, wide)] == ["linear", "log"]


def test_a_single_network_can_be_drawn(tmp_path: Path) -> None:
    save_figure(scatter_figure(POINTS[1:2], "runtime_ms", title="one"), tmp_path / "a.pdf")
    with pytest.raises(FigureError, match="no network"):
        scatter_figure(POINTS[:1], "params", title="none")
