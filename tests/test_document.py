"""The document: images, pixels within their budget, ground truths, results, scores."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from session_listening import Listener, picture, tile, upscaled

from srviewer.analysis.metrics import Metrics
from srviewer.imaging.files import ImageFileError, write_image
from srviewer.imaging.resize import downscale
from srviewer.session.document import Document
from srviewer.session.entries import GivenReference, ImageId, MadeReference
from srviewer.session.events import (
    CurrentChanged,
    ImagesChanged,
    PixelsChanged,
    RecentChanged,
    ReferenceChanged,
    ResultsChanged,
    ScoresChanged,
    TickedChanged,
    TileArrived,
)
from srviewer.session.geometry import PixelRect, Size
from srviewer.session.image_list import DocumentError
from srviewer.session.loading import LoadError, load
from srviewer.session.pixel_store import MemoryBudget, PixelKey, PixelStore, image_bytes
from srviewer.session.recent import MOST_RECENT
from srviewer.session.scores import Consistency, NotMeasured, ScoreRow, sorted_rows

BSRN, BICUBIC = "bsrn_x4", "bicubic_x4"


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def document(listener: Listener) -> Document:
    return Document(listener)


def metrics(psnr: float) -> Metrics:
    return Metrics(psnr, 0.5, psnr, 4)


def read(document: Document, image: ImageId) -> None:
    """Do what the window's threads do: read the file's pixels."""
    order = document.load_order(image, "file")
    assert order is not None
    document.loading(order)
    assert document.loaded(order, load(order))


def with_result(document: Document, image: ImageId, model: str, scale: int = 4) -> None:
    source = document.pixels(image, "input")
    assert source is not None
    document.begin_result(image, model, scale)
    assert document.finish_result(image, model, upscaled(source, model, scale)) is not None


# Images


def test_files_become_rows_once(document: Document, listener: Listener) -> None:
    a, b = document.add_files([Path("a.png"), Path("b.png")])
    assert [entry.name for entry in document.images] == ["a.png", "b.png"]
    assert listener.take() == [
        ImagesChanged("added", (a, b)),
        RecentChanged((Path("a.png"), Path("b.png"))),
        CurrentChanged(a),
    ]
    assert document.add_files([Path("b.png"), Path("./b.png").absolute()]) == (b,)
    assert len(document.images) == 2
    assert document.current == document.entry(a)


def test_closing_shows_the_neighbour(document: Document, listener: Listener) -> None:
    a, b, c = document.add_files([Path("a"), Path("b"), Path("c")])
    document.select(b)
    listener.take()
    document.close(b)
    assert listener.take() == [ImagesChanged("removed", (b,)), CurrentChanged(c)]
    document.close(c)
    assert document.current == document.entry(a)
    document.close(a)
    assert document.images == ()
    with pytest.raises(DocumentError, match="no longer"):
        document.entry(a)
    (again,) = document.add_files([Path("a")])
    assert again not in (a, b, c), "ids are never given twice"


def test_rows_are_moved_and_walked(document: Document, listener: Listener) -> None:
    a, b, c = document.add_files([Path("a"), Path("b"), Path("c")])
    listener.take()
    document.move(a, 99)
    assert [entry.id for entry in document.images] == [b, c, a]
    assert listener.take() == [ImagesChanged("changed", (a,), order=True)]
    document.move(a, 2)
    assert listener.take() == []
    document.select_beside(1)
    assert document.current == document.entry(b)
    document.select_beside(-1)
    assert document.current == document.entry(a)


def test_recent_files_are_few_and_latest_first(document: Document) -> None:
    document.remember([Path(str(number)) for number in range(20)])
    document.remember([Path("7")])
    assert document.recent[:3] == (Path("7"), Path("0"), Path("1"))
    assert len(document.recent) == MOST_RECENT
    assert len(set(document.recent)) == MOST_RECENT


# Pixels


def test_a_file_is_listed_described_read(document: Document, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_image(picture(9, 7), path)
    (image,) = document.add_files([path])
    assert document.entry(image).state == "listed"
    document.described(image, Size(9, 7), 8)
    assert document.entry(image).size == Size(9, 7)
    order = document.load_order(image, "file")
    assert order is not None
    document.loading(order)
    assert document.entry(image).state == "loading"
    assert document.loaded(order, load(order))
    assert document.entry(image).state == "ready"
    assert document.load_order(image, "file") is None
    shown = document.pixels(image, "input")
    assert shown is document.pixels(image, "file")
    assert shown is not None
    np.testing.assert_array_equal(shown.pixels, picture(9, 7).pixels)


def test_what_cannot_be_read_says_why(document: Document, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"no png")
    (image,) = document.add_files([path])
    order = document.load_order(image, "file")
    assert order is not None
    with pytest.raises(ImageFileError) as caught:
        load(order)
    document.load_failed(order, str(caught.value))
    assert document.entry(image).state == "failed"
    assert "a.png" in str(document.entry(image).error)


def test_pixels_of_a_closed_image_are_ignored(document: Document, tmp_path: Path) -> None:
    (image,) = document.add_files([tmp_path / "a.png"])
    order = document.load_order(image, "file")
    assert order is not None
    document.close(image)
    assert not document.loaded(order, picture(4, 4))
    document.load_failed(order, "gone")
    assert document.held_bytes == 0


def test_pixels_stay_within_the_budget_and_can_be_read_again(listener: Listener, tmp_path: Path) -> None:
    one = image_bytes(picture(100, 100)) + 100  # a file's pictures may carry a profile
    document = Document(listener, MemoryBudget(3 * one))
    paths = [tmp_path / f"{number}.png" for number in range(10)]
    for path in paths:
        write_image(picture(100, 100), path)
    images = document.add_files(paths)
    for image in images:
        document.select(image)
        read(document, image)
        assert document.held_bytes <= 3 * one
    gone = [
        event.image for event in listener.take() if isinstance(event, PixelsChanged) and not event.present
    ]
    assert gone
    assert document.pixels(gone[0], "file") is None
    assert document.entry(gone[0]).state == "ready"
    read(document, gone[0])
    assert document.pixels(gone[0], "file") is not None


def test_opening_and_closing_many_leaves_nothing(document: Document) -> None:
    for number in range(200):
        image = document.add_image(picture(20, 20), f"pasted {number}")
        with_result(document, image, BSRN)
        document.close(image)
    assert document.held_bytes == 0
    assert document.images == ()
    assert document.unsaved() == ()


def test_pasted_images_and_unsaved_results_are_never_dropped(listener: Listener, tmp_path: Path) -> None:
    document = Document(listener, MemoryBudget(0))
    pasted = document.add_image(picture(10, 10), "pasted")
    other = document.add_image(picture(10, 10), "pasted 2")
    with_result(document, pasted, BSRN)
    document.select(other)
    assert document.pixels(pasted, "file") is not None
    assert document.pixels(pasted, "result", BSRN) is not None
    document.mark_saved(pasted, BSRN, tmp_path / "r.jpg", lossless=False)
    assert document.pixels(pasted, "result", BSRN) is not None, "a JPEG holds other pixels"
    result = document.pixels(pasted, "result", BSRN)
    assert result is not None
    write_image(result, tmp_path / "r.png")
    document.mark_saved(pasted, BSRN, tmp_path / "r.png", lossless=True)
    assert document.pixels(pasted, "result", BSRN) is None
    order = document.load_order(pasted, "result", BSRN)
    assert order is not None
    assert document.loaded(order, load(order))
    again = document.pixels(pasted, "result", BSRN)
    assert again is not None
    np.testing.assert_array_equal(again.pixels, result.pixels)


def test_a_reloaded_result_does_not_replace_a_newer_one(tmp_path: Path) -> None:
    document = Document(budget=MemoryBudget(0))
    image = document.add_image(picture(10, 10), "pasted")
    document.select(document.add_image(picture(5, 5), "other"))
    with_result(document, image, BSRN)
    document.mark_saved(image, BSRN, tmp_path / "r.png", lossless=True)
    order = document.load_order(image, "result", BSRN)
    assert order is not None
    with_result(document, image, BSRN)
    newer = document.pixels(image, "result", BSRN)
    assert not document.loaded(order, picture(40, 40, seed=9))
    assert document.pixels(image, "result", BSRN) is newer


def test_the_store_drops_the_least_recently_used_first() -> None:
    one = image_bytes(picture(10, 10))
    store = PixelStore(MemoryBudget(2 * one))
    a, b, c, d = (PixelKey(ImageId(number), "file") for number in range(4))
    assert store.put(a, picture(10, 10), replaceable=True) == ()
    assert store.put(b, picture(10, 10), replaceable=True) == ()
    store.get(a)
    assert store.put(c, picture(10, 10), replaceable=True) == (b,)
    store.use({a})
    assert store.put(d, picture(10, 10), replaceable=True) == (c,)
    assert store.held_bytes == 2 * one
    store.put(d, picture(20, 20), replaceable=True)
    assert store.held_bytes == 5 * one, "in use, or the newest: over the budget for now"
    assert store.use(()) == (a, d)
    with pytest.raises(ValueError, match="budget"):
        MemoryBudget(-1)


# Ground truth


def test_an_image_as_its_own_ground_truth(document: Document, listener: Listener) -> None:
    image = document.add_image(picture(43, 30), "hr")
    with_result(document, image, BSRN)
    listener.take()
    document.use_as_ground_truth(image, 4)
    entry = document.entry(image)
    assert (entry.input_size, entry.truth_size) == (Size(10, 7), Size(40, 28))
    assert document.result(image, BSRN) is None, "it was made of another input"
    assert document.pixels(image, "result", BSRN) is None
    heard = listener.take()
    assert ReferenceChanged(image, MadeReference(4), input_changed=True) in heard
    assert ResultsChanged(image, BSRN, "removed") in heard
    for role in ("input", "truth"):
        order = document.load_order(image, "input" if role == "input" else "truth")
        assert order is not None
        assert document.loaded(order, load(order))
    low, truth = document.pixels(image, "input"), document.pixels(image, "truth")
    assert low is not None
    assert truth is not None
    np.testing.assert_array_equal(truth.pixels, picture(43, 30).pixels[:28, :40])
    np.testing.assert_array_equal(low.pixels, downscale(picture(43, 30).pixels, 4))


def test_a_pair_keeps_its_results_and_changes_its_numbers(document: Document, tmp_path: Path) -> None:
    image = document.add_image(picture(10, 7), "lr")
    with_result(document, image, BSRN)
    order = document.score_order(image, BSRN)
    assert order is not None
    assert order.against == "input"
    assert document.scored(order, Consistency(40.0))
    write_image(picture(41, 31), tmp_path / "hr.png")
    document.set_ground_truth(image, tmp_path / "hr.png", 4)
    assert document.entry(image).reference == GivenReference(tmp_path / "hr.png", 4)
    assert document.result(image, BSRN) is not None
    assert document.score(image, BSRN) is None
    wanted = document.load_order(image, "truth")
    assert wanted is not None
    assert document.loaded(wanted, load(wanted))
    truth = document.pixels(image, "truth")
    assert truth is not None
    assert (truth.width, truth.height) == (40, 28)


def test_a_ground_truth_of_the_wrong_size_is_refused_and_left(document: Document, tmp_path: Path) -> None:
    image = document.add_image(picture(10, 7), "lr")
    write_image(picture(44, 28), tmp_path / "hr.png")
    document.set_ground_truth(image, tmp_path / "hr.png", 4)
    order = document.load_order(image, "truth")
    assert order is not None
    with pytest.raises(LoadError, match=r"hr\.png is 44 × 28: .* 40 × 28"):
        load(order)
    document.load_failed(order, "wrong size")
    assert document.entry(image).reference is None
    assert document.entry(image).notes == ("wrong size",)
    with pytest.raises(DocumentError, match="too small"):
        document.use_as_ground_truth(document.add_image(picture(3, 9), "tiny"), 4)


def test_pictures_of_an_older_reference_are_ignored(document: Document) -> None:
    image = document.add_image(picture(40, 40), "hr")
    document.use_as_ground_truth(image, 4)
    order = document.load_order(image, "input")
    assert order is not None
    document.use_as_ground_truth(image, 2)
    assert not document.loaded(order, load(order))
    assert document.pixels(image, "input") is None


def test_the_files_pixels_fit_whatever_the_reference(document: Document, tmp_path: Path) -> None:
    write_image(picture(40, 40), tmp_path / "a.png")
    (image,) = document.add_files([tmp_path / "a.png"])
    order = document.load_order(image, "file")
    assert order is not None
    document.loading(order)
    document.use_as_ground_truth(image, 4)
    assert document.loaded(order, load(order))
    assert document.entry(image).state == "ready"


# Networks, results


def test_networks_are_ticked_in_order(document: Document, listener: Listener) -> None:
    document.tick([BICUBIC, BSRN, BICUBIC])
    document.set_ticked("safmn_x4", ticked=True)
    document.set_ticked(BSRN, ticked=False)
    document.set_ticked(BSRN, ticked=False)
    assert document.ticked == (BICUBIC, "safmn_x4")
    assert len([event for event in listener.take() if isinstance(event, TickedChanged)]) == 3


def test_a_result_comes_tile_by_tile(document: Document, listener: Listener) -> None:
    image = document.add_image(picture(10, 5), "a")
    listener.take()
    document.begin_result(image, BSRN, 4)
    partial = document.partial(image, BSRN)
    assert partial is not None
    assert partial.size == Size(40, 20)
    first = tile(0, 0, 20, 20)
    document.add_tile(image, BSRN, first)
    assert partial.share == 0.5
    assert listener.take() == [ResultsChanged(image, BSRN, "added"), TileArrived(image, BSRN, first)]
    source = document.pixels(image, "input")
    assert source is not None
    entry = document.finish_result(image, BSRN, upscaled(source, BSRN, 4))
    assert entry is not None
    assert entry.facts.size == Size(40, 20)
    assert document.partial(image, BSRN) is None
    assert listener.take() == [
        ResultsChanged(image, BSRN, "changed"),
        PixelsChanged(image, "result", BSRN, present=True),
    ]
    assert document.unsaved() == (entry,)


def test_an_abandoned_result_leaves_the_one_before(document: Document, listener: Listener) -> None:
    image = document.add_image(picture(10, 5), "a")
    with_result(document, image, BSRN)
    document.begin_result(image, BSRN, 4)
    document.add_tile(image, BSRN, tile(0, 0, 20, 20))
    listener.take()
    document.abandon_result(image, BSRN)
    assert document.partial(image, BSRN) is None
    assert document.result(image, BSRN) is not None
    assert listener.take() == [ResultsChanged(image, BSRN, "changed")]
    document.abandon_result(image, BSRN)
    assert listener.take() == []
    document.drop_result(image, BSRN)
    assert document.result(image, BSRN) is None
    assert listener.take() == [ResultsChanged(image, BSRN, "removed")]


def test_tiles_and_results_of_a_closed_image_are_forgotten(document: Document, listener: Listener) -> None:
    image = document.add_image(picture(10, 5), "a")
    document.begin_result(image, BSRN, 4)
    document.close(image)
    listener.take()
    document.add_tile(image, BSRN, tile(0, 0, 20, 20))
    assert document.finish_result(image, BSRN, upscaled(picture(10, 5), BSRN, 4)) is None
    assert listener.take() == []
    assert document.held_bytes == 0


# Scores


def evaluated(document: Document) -> ImageId:
    image = document.add_image(picture(40, 40), "hr")
    document.use_as_ground_truth(image, 4)
    order = document.load_order(image, "input")
    assert order is not None
    document.loaded(order, load(order))
    for model in (BICUBIC, BSRN):
        with_result(document, image, model)
    return image


def test_scores_are_ordered_once_and_kept(document: Document, listener: Listener) -> None:
    image = evaluated(document)
    region = PixelRect(1, 2, 3, 4)
    order = document.score_order(image, BSRN, region)
    assert order is not None
    assert order.against == "truth"
    assert order.region == (4, 8, 12, 16)
    assert document.score_order(image, BSRN, region) is None, "it is being measured"
    listener.take()
    assert document.scored(order, metrics(30))
    assert listener.take() == [ScoresChanged(image, BSRN)]
    assert document.score(image, BSRN, region) == metrics(30)
    assert document.score_order(image, BSRN, region) is None, "it is known"
    assert not document.scored(order, metrics(31))


def test_scores_go_with_selection_result_and_reference(document: Document) -> None:
    image = evaluated(document)
    old, new = PixelRect(0, 0, 2, 2), PixelRect(1, 1, 2, 2)
    orders = [document.score_order(image, BSRN, region) for region in (None, old)]
    for order in orders:
        assert order is not None
        document.scored(order, metrics(30))
    document.keep_scores_of(image, new)
    assert document.score(image, BSRN, old) is None
    assert document.score(image, BSRN) == metrics(30)
    late = document.score_order(image, BICUBIC)
    assert late is not None
    with_result(document, image, BICUBIC)
    assert not document.scored(late, metrics(20)), "measured on the result before"
    again = document.score_order(image, BICUBIC)
    assert again is not None
    assert again != late
    document.clear_ground_truth(image)
    assert not document.scored(again, metrics(20))
    assert document.score(image, BSRN) is None


def test_without_a_ground_truth_only_the_whole_image_is_measured(document: Document) -> None:
    image = document.add_image(picture(10, 10), "a")
    with_result(document, image, BSRN)
    assert document.score_order(image, BSRN, PixelRect(0, 0, 5, 5)) is None
    assert document.score_order(image, BICUBIC) is None, "no result"
    assert document.score_order(image, BSRN) is not None


def test_the_table_of_metrics(document: Document) -> None:
    image = evaluated(document)
    for model, psnr in ((BICUBIC, 19.04), (BSRN, 22.09)):
        order = document.score_order(image, model)
        assert order is not None
        document.scored(order, metrics(psnr))
    rows = document.score_rows(image, [BSRN, BICUBIC, "safmn_x4"], BICUBIC)
    assert [row.model for row in rows] == [BSRN, BICUBIC, "safmn_x4"]
    assert rows[0].delta_db == pytest.approx(3.05)
    assert rows[0].seconds == 1.0
    assert rows[1].delta_db == 0
    assert rows[2] == ScoreRow("safmn_x4")
    equal = replace(rows[0], model="other")
    assert [row.model for row in sorted_rows((*rows, equal), "psnr_y")] == [
        BICUBIC,
        BSRN,
        "other",
        "safmn_x4",
    ]
    descending = sorted_rows((*rows, equal), "psnr_y", descending=True)
    assert [row.model for row in descending] == [BSRN, "other", BICUBIC, "safmn_x4"]
    assert [row.model for row in sorted_rows(rows, "model")] == [BICUBIC, BSRN, "safmn_x4"]


def test_what_could_not_be_measured_says_why(document: Document) -> None:
    image = document.add_image(picture(10, 10), "a")
    with_result(document, image, BSRN)
    order = document.score_order(image, BSRN)
    assert order is not None
    document.scored(order, NotMeasured("the sizes differ"))
    (row,) = document.score_rows(image, [BSRN], None)
    assert row.note == "the sizes differ"
