"""Pictures that stay in their files, as panes draw them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytestqt.qtbot import QtBot
from region_sources import ArraySource, noise

from srviewer.app.growing_picture import GrowingPicture
from srviewer.app.region_picture import RegionPicture, region_thumbnail
from srviewer.app.tile_cache import TileCache, make_tile
from srviewer.imaging.faults import ImageFileError
from srviewer.imaging.image import Pixels
from srviewer.imaging.levels import halve
from srviewer.imaging.pyramid import Rectangle, TileIndex
from srviewer.imaging.streaming import open_stream
from srviewer.session.geometry import PixelRect, Size
from srviewer.session.regions import RegionFile


def never() -> bool:
    return False


def whole(picture: RegionPicture, level: int) -> Pixels:
    width, height = picture.pyramid.level_size(level)
    found = picture.read(level, Rectangle(0, 0, width, height))
    assert found is not None
    return found


@pytest.mark.parametrize("stored", [1, 2, 3])
@settings(max_examples=8, deadline=None)
@given(st.integers(513, 2300), st.integers(1, 900))
def test_levels_are_those_of_the_whole_picture(stored: int, width: int, height: int) -> None:
    pixels = noise(width, height)
    picture = RegionPicture(RegionFile(ArraySource(pixels, stored=stored)))
    assert picture.is_prepared
    expected: Pixels = pixels
    for level in range(picture.pyramid.levels):
        assert np.array_equal(whole(picture, level), expected)
        expected = halve(expected)


def test_a_stored_level_is_read_and_nothing_finer() -> None:
    source = ArraySource(noise(2100, 1300), stored=3)
    picture = RegionPicture(RegionFile(source))
    whole(picture, 2)
    assert {level for level, _ in source.reads} == {2}


def test_levels_that_were_rounded_down_keep_their_last_pixels() -> None:
    source = ArraySource(noise(2101, 1303), stored=3, rounded_down=True)
    assert source.levels[2] == (525, 325)
    picture = RegionPicture(RegionFile(source))
    shown = whole(picture, 2)
    assert shown.shape == (326, 526, 3)
    stored = source.read(0, 0, 525, 325, level=2)
    assert np.array_equal(shown[:325, :525], stored)
    assert np.array_equal(shown[325, :525], stored[-1])
    last = picture.read(2, Rectangle(525, 0, 1, 326))
    assert last is not None
    assert np.array_equal(last[:325, 0], stored[:, -1])


def test_a_file_without_levels_is_gone_through_band_by_band() -> None:
    pixels = noise(17_000, 700)
    source = ArraySource(pixels)
    picture = RegionPicture(RegionFile(source))
    assert picture.pyramid.levels == 7
    assert not picture.is_prepared
    assert picture.share < 0.01
    far = TileIndex(5, 0, 0)
    assert make_tile(picture, far) is None
    near = picture.read(1, Rectangle(30, 20, 200, 100))  # which can be had at once
    assert near is not None
    assert np.array_equal(near, halve(pixels)[20:120, 30:230])
    calls = iter([False, True])
    picture.prepare(lambda: next(calls))
    assert 0.01 < picture.share < 0.99
    begun = picture.tile_revision(far)
    assert begun > 0
    half_made = make_tile(picture, far)
    assert half_made is not None
    assert half_made.revision == begun
    source.reads.clear()
    picture.prepare(never)  # goes on where it was stopped
    assert min(box.y for _, box in source.reads) > 0
    assert picture.share > 0.99
    assert picture.tile_revision(far) > begun
    expected: Pixels = pixels
    for level in range(picture.pyramid.levels):
        assert np.array_equal(whole(picture, level), expected)
        expected = halve(expected)


def test_opacity_weighs_colours_in_every_level() -> None:
    pixels = np.full((40, 1100, 3), 200, np.uint8)
    alpha = np.zeros((40, 1100), np.uint8)
    pixels[:, ::2], alpha[:, ::2] = 100, 255
    picture = RegionPicture(RegionFile(ArraySource(pixels, alpha=alpha)))
    assert picture.has_alpha
    shown = whole(picture, 1)
    assert shown.shape[2] == 4
    assert (shown[..., :3] == 100).all()
    assert (shown[..., 3] == 128).all()


def test_values_come_from_memory_or_are_asked_for() -> None:
    pixels = noise(1500, 700)
    picture = RegionPicture(RegionFile(ArraySource(pixels)))
    missed: list[PixelRect] = []
    picture.missed = missed.append
    assert picture.pixel(700, 3) is None
    assert missed == [PixelRect(700, 3, 1, 1)]
    picture.fetch(missed[0])
    assert picture.pixel(700, 3) == tuple(pixels[3, 700].tolist())
    assert picture.pixel(1500, 3) is None
    assert len(missed) == 1
    area = Rectangle(1020, 500, 8, 20)  # over the borders of four blocks
    values = picture.values(area)
    assert (values[:12, :4] >= 0).all()
    assert (values[:, 4:] == -1).all()
    assert missed[1:] == [PixelRect(1020, 500, 8, 20)]
    picture.fetch(missed[1])
    assert np.array_equal(picture.values(area), pixels[500:520, 1020:1028].astype(np.int32))


def test_a_file_that_cannot_be_read_is_told_once_and_leaves_the_pane_empty() -> None:
    source = ArraySource(noise(9000, 40))
    source.fault = ImageFileError("/somewhere/image.tif", "the file is damaged")
    picture = RegionPicture(RegionFile(source))
    told: list[str] = []
    picture.faulted = told.append
    assert picture.read(0, Rectangle(0, 0, 5, 5)) is None
    picture.prepare(never)
    picture.fetch(PixelRect(0, 0, 1, 1))
    assert told == ["/somewhere/image.tif: the file is damaged"]
    missed: list[PixelRect] = []
    picture.missed = missed.append
    assert picture.pixel(0, 0) is None
    assert missed == []
    assert picture.is_broken


def test_a_closed_file_is_no_fault() -> None:
    file = RegionFile(ArraySource(noise(900, 40)))
    picture = RegionPicture(file)
    told: list[str] = []
    picture.faulted = told.append
    file.close()
    assert picture.read(0, Rectangle(0, 0, 5, 5)) is None
    assert told == []


def test_a_result_to_come_takes_no_memory() -> None:
    below = RegionPicture(RegionFile(ArraySource(noise(1100, 900), stored=2)))
    growing = GrowingPicture(Size(1100 * 4, 900 * 4), below)
    assert growing._done is None
    tile = growing.read(2, Rectangle(0, 0, 100, 50))
    assert tile is not None
    assert tile.mean() < 128  # dimmed
    assert (growing.values(Rectangle(3, 4, 5, 6)) == -1).all()
    assert growing.pixel(0, 0) is None


@pytest.fixture
def cache(qtbot: QtBot) -> Iterator[TileCache]:
    del qtbot
    cache = TileCache()
    yield cache
    cache.stop()


def test_the_cache_shows_how_far_a_file_was_gone_through(qtbot: QtBot, cache: TileCache) -> None:
    picture = RegionPicture(RegionFile(ArraySource(noise(9000, 300))))
    with qtbot.waitSignal(cache.changed):
        cache.keep([picture])
    qtbot.waitUntil(lambda: picture.is_prepared)
    top = TileIndex(picture.pyramid.levels - 1, 0, 0)
    with qtbot.waitSignal(cache.changed):
        cache.ask([(picture, top)])
    tile = cache.tile(picture, top)
    assert tile is not None
    assert tile.revision == picture.tile_revision(top)


def test_thumbnails_come_from_a_small_level(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with open_stream(path, width=3000, height=1500, bits=16) as writer:
        writer.write_rows(np.full((1500, 3000, 3), 257 * 77, np.uint16))
        writer.finish()
    thumbnail = region_thumbnail(path, 64)
    assert thumbnail.shape == (32, 64, 3)
    assert thumbnail.dtype == np.uint8
    assert (thumbnail == 77).all()
