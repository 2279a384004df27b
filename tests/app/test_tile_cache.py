"""Pictures and the cache of their tiles."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytestqt.qtbot import QtBot

from srviewer.app.difference import DifferencePicture, colour_table
from srviewer.app.growing_picture import GrowingPicture
from srviewer.app.picture import ArrayPicture, resampled
from srviewer.app.qimages import to_pixels
from srviewer.app.tile_cache import MARGIN, TileCache, make_tile
from srviewer.imaging.levels import halve
from srviewer.imaging.pyramid import Rectangle, TileIndex
from srviewer.session.geometry import Size


def never() -> bool:
    return False


def noise(height: int, width: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def whole(picture: ArrayPicture | GrowingPicture | DifferencePicture, level: int) -> np.ndarray:
    width, height = picture.pyramid.level_size(level)
    found = picture.read(level, Rectangle(0, 0, width, height))
    assert found is not None
    return found


@pytest.fixture
def cache(qtbot: QtBot) -> Iterator[TileCache]:
    del qtbot
    cache = TileCache()
    yield cache
    cache.stop()


# Pictures


@settings(max_examples=15)
@given(st.integers(513, 1300), st.integers(1, 900))
def test_levels_are_the_same_prepared_or_not(width: int, height: int) -> None:
    pixels = noise(height, width)
    picture, prepared = ArrayPicture(pixels), ArrayPicture(pixels)
    prepared.prepare(never)
    assert prepared.is_prepared
    expected = pixels
    for level in range(picture.pyramid.levels):
        assert np.array_equal(whole(picture, level), expected)
        assert np.array_equal(whole(prepared, level), expected)
        expected = halve(expected)


def test_a_part_is_the_part_of_the_whole() -> None:
    picture = ArrayPicture(noise(1500, 2100))
    picture.prepare(never)
    for level in range(picture.pyramid.levels):
        part = picture.read(level, Rectangle(7, 5, 60, 40))
        assert part is not None
        assert np.array_equal(part, whole(picture, level)[5:45, 7:67])


def test_far_levels_wait_for_prepare() -> None:
    picture = ArrayPicture(np.zeros((20, 9000, 3), np.uint8))
    assert picture.pyramid.levels > 4
    assert picture.read(4, Rectangle(0, 0, 10, 1)) is None
    picture.prepare(never)
    assert picture.read(4, Rectangle(0, 0, 10, 1)) is not None


def test_preparing_can_be_cancelled() -> None:
    picture = ArrayPicture(np.zeros((2000, 1200, 3), np.uint8))
    picture.prepare(lambda: True)
    assert not picture.is_prepared


def test_a_mapped_file_is_a_picture(tmp_path: Path) -> None:
    pixels = noise(700, 900)
    pixels.tofile(tmp_path / "raw")
    picture = ArrayPicture(np.memmap(tmp_path / "raw", np.uint8, "r", shape=pixels.shape))
    assert not picture.is_quick(0, Rectangle(0, 0, 8, 8)), "a disk may be slow"
    picture.prepare(never)
    assert np.array_equal(whole(picture, 0), pixels)
    assert np.array_equal(whole(picture, 1), halve(pixels))
    assert picture.pixel(3, 5) == tuple(pixels[5, 3].tolist())


def test_transparent_colours_do_not_bleed() -> None:
    pixels = np.zeros((600, 600, 3), np.uint8)
    pixels[:, ::2] = 200  # opaque
    alpha = np.zeros((600, 600), np.uint8)
    alpha[:, ::2] = 255
    half = whole(ArrayPicture(pixels, alpha), 1)
    assert np.all(half[..., :3] == 200)
    assert np.all(np.abs(half[..., 3].astype(int) - 128) <= 1)


def test_values_may_differ_from_what_is_shown() -> None:
    shown, own = noise(4, 4), noise(4, 4).astype(np.uint16) * 257
    picture = ArrayPicture(shown, values=own)
    assert picture.pixel(1, 2) == tuple(own[2, 1].tolist())
    assert picture.pixel(4, 0) is None
    assert np.array_equal(picture.values(Rectangle(1, 1, 2, 3)), own[1:4, 1:3])


def test_resampling_keeps_whole_image_coordinates() -> None:
    ramp = np.repeat(np.arange(0, 160, 2, dtype=np.uint8)[None, :, None], 30, axis=0).repeat(3, axis=2)
    large = resampled(ArrayPicture(ramp), Size(320, 120), 0, Rectangle(40, 10, 200, 60))
    assert large is not None
    expected = (np.arange(40, 240) + 0.5) / 4 * 2 - 1
    assert np.abs(large[20, :, 0] - expected).max() <= 1


def test_a_growing_picture_shows_pieces_and_the_dimmed_input() -> None:
    final = noise(600, 800)
    below = ArrayPicture(np.full((150, 200, 3), 200, np.uint8))
    picture = GrowingPicture(Size(800, 600), below)
    before = whole(picture, 0)
    assert before.max() < 120
    assert picture.pixel(0, 0) is None
    picture.paste(100, 40, final[40:300, 100:500])
    shown = whole(picture, 0)
    assert np.array_equal(shown[40:300, 100:500], final[40:300, 100:500])
    assert np.array_equal(shown[:40], before[:40])
    assert picture.pixel(100, 40) == tuple(final[40, 100].tolist())
    assert picture.pixel(99, 40) is None
    assert picture.values(Rectangle(99, 40, 2, 1)).tolist() == [[[-1] * 3, final[40, 100].tolist()]]
    assert below.read(0, Rectangle(0, 0, 1, 1)) is not None


def test_a_growing_picture_ends_as_the_result() -> None:
    final = noise(1111, 1333)
    picture, result = GrowingPicture(Size(1333, 1111), ArrayPicture(noise(278, 334))), ArrayPicture(final)
    for y in range(0, 1111, 300):
        for x in range(0, 1333, 260):
            picture.paste(x, y, final[y : y + 300, x : x + 260])
    for level in range(picture.pyramid.levels):
        assert np.array_equal(whole(picture, level), whole(result, level))


def test_only_touched_tiles_get_another_revision() -> None:
    picture = GrowingPicture(Size(2048, 2048), ArrayPicture(noise(512, 512)))
    picture.paste(0, 0, noise(100, 100))
    assert picture.tile_revision(TileIndex(0, 0, 0)) == 1
    assert picture.tile_revision(TileIndex(0, 0, 1)) == 0
    assert picture.tile_revision(TileIndex(2, 0, 0)) == 1
    picture.paste(500, 0, noise(100, 12))
    assert picture.tile_revision(TileIndex(0, 0, 1)) == 1, "its margin shows the piece"


def test_a_growing_picture_of_sixteen_bits() -> None:
    final = noise(64, 64).astype(np.uint16) * 257
    picture = GrowingPicture(Size(64, 64), ArrayPicture(noise(16, 16)))
    picture.paste(0, 0, final[:32])
    shown = whole(picture, 0)
    assert shown.dtype == np.uint16
    assert np.array_equal(shown[:32], final[:32])
    assert shown[32:].max() > 255


def test_pieces_beyond_the_result_are_refused() -> None:
    picture = GrowingPicture(Size(64, 64), ArrayPicture(noise(16, 16)))
    with pytest.raises(ValueError, match="not within"):
        picture.paste(40, 0, noise(32, 32))


def test_the_difference_is_exact() -> None:
    a, b = noise(40, 50, 1), noise(40, 50, 2)
    picture = DifferencePicture(ArrayPicture(a), ArrayPicture(b), 2.0, "grey")
    largest = np.abs(a.astype(int) - b).max(axis=2)
    assert np.array_equal(whole(picture, 0)[..., 0], np.minimum(2 * largest, 255))
    assert picture.pixel(3, 4) == tuple(np.abs(a.astype(int) - b)[4, 3].tolist())


def test_the_difference_of_equals_is_nothing() -> None:
    a = noise(1200, 1300)
    picture = DifferencePicture(ArrayPicture(a), ArrayPicture(a.copy()), 64.0, "inferno")
    for level in range(picture.pyramid.levels):
        assert np.all(whole(picture, level) == colour_table("inferno")[0])


def test_differences_that_alternate_do_not_cancel() -> None:
    a = np.full((1024, 1024, 3), 100, np.uint8)
    b = a.copy()
    b[:, ::2], b[:, 1::2] = 90, 110
    picture = DifferencePicture(ArrayPicture(a), ArrayPicture(b), 1.0, "grey")
    assert np.all(whole(picture, 1) == 10)


def test_the_difference_of_depths_and_sizes() -> None:
    grey = np.full((30, 40, 3), 77, np.uint8)
    deep = np.full((60, 80, 3), 77 * 257, np.uint16)
    picture = DifferencePicture(ArrayPicture(grey), ArrayPicture(deep), 8.0, "grey")
    assert picture.size == Size(80, 60)
    assert whole(picture, 0).max() == 0
    assert picture.pixel(1, 1) is None


# The cache


def test_a_tile_carries_its_neighbours() -> None:
    pixels = noise(700, 700)
    tile = make_tile(ArrayPicture(pixels), TileIndex(0, 0, 1))
    assert tile is not None
    shown = to_pixels(tile.image)[0]
    assert shown.shape == (512 + 2 * MARGIN, 188 + 2 * MARGIN, 3)
    assert np.array_equal(shown[1:], pixels[:513, [*range(511, 700), 699]])
    assert np.array_equal(shown[0], shown[1]), "the edge is repeated"


def test_asked_tiles_come(qtbot: QtBot, cache: TileCache) -> None:
    picture = ArrayPicture(noise(1000, 1000))
    cache.keep([picture])
    index = TileIndex(0, 1, 1)
    assert cache.tile(picture, index) is None
    with qtbot.waitSignal(cache.changed) as changed:
        cache.ask([(picture, index)])
    assert changed.args == [frozenset([picture])]
    qtbot.waitUntil(lambda: cache.is_idle)
    tile = cache.tile(picture, index)
    assert tile is not None
    assert tile.revision == 0


def test_the_budget_is_kept_by_dropping_the_oldest(qtbot: QtBot) -> None:
    del qtbot
    cache = TileCache(2_400_000)  # two tiles
    picture = ArrayPicture(noise(600, 2000))
    cache.keep([picture])
    first, second, third = (TileIndex(0, 0, column) for column in range(3))
    for index in (first, second):
        cache.make(picture, index)
    assert cache.tile(picture, first) is not None  # used now, so the second is the oldest
    cache.make(picture, third)
    assert cache.tile(picture, second) is None
    assert cache.tile(picture, first) is not None
    assert cache.held_bytes <= 2_400_000
    cache.stop()


def test_forgotten_pictures_leave_nothing(qtbot: QtBot, cache: TileCache) -> None:
    picture, other = ArrayPicture(noise(600, 600)), ArrayPicture(noise(600, 600))
    cache.keep([picture, other])
    qtbot.waitUntil(lambda: cache.is_idle)
    cache.make(picture, TileIndex(0, 0, 0))
    cache.keep([other])
    assert cache.tile(picture, TileIndex(0, 0, 0)) is None
    assert cache.held_bytes == 0
    cache.ask([(picture, TileIndex(0, 0, 0))])
    assert cache.is_idle


def test_a_successor_shows_the_old_tiles_as_stale(cache: TileCache) -> None:
    old, new = ArrayPicture(noise(300, 300)), ArrayPicture(noise(300, 300, 9))
    cache.keep([old])
    cache.make(old, TileIndex(0, 0, 0))
    cache.succeed(old, new)
    cache.keep([new])
    tile = cache.tile(new, TileIndex(0, 0, 0))
    assert tile is not None
    assert tile.revision == -1


class SlowPicture(ArrayPicture):
    """Waits before it reads; counts how often it was read."""

    def __init__(self, pixels: np.ndarray, gate: threading.Event) -> None:
        super().__init__(pixels)
        self.gate = gate
        self.read_tiles: list[Rectangle] = []

    def read(self, level: int, area: Rectangle) -> np.ndarray | None:
        assert self.gate.wait(10)
        self.read_tiles.append(area)
        return super().read(level, area)

    def prepare(self, cancelled: Callable[[], bool]) -> None:
        del cancelled


def test_a_later_wish_replaces_what_is_not_begun(qtbot: QtBot, cache: TileCache) -> None:
    gate = threading.Event()
    picture = SlowPicture(noise(600, 6000), gate)
    cache.keep([picture])
    cache.ask([(picture, TileIndex(0, 0, column)) for column in range(12)])
    cache.ask([(picture, TileIndex(0, 1, 11))])
    gate.set()
    qtbot.waitUntil(lambda: cache.tile(picture, TileIndex(0, 1, 11)) is not None)
    qtbot.waitUntil(lambda: cache.is_idle)
    assert len(picture.read_tiles) <= 5, "what was begun, and the last wish"


def test_stopping_waits_and_forgets(qtbot: QtBot) -> None:
    del qtbot
    cache = TileCache()
    picture = ArrayPicture(noise(2000, 2000))
    cache.keep([picture])
    cache.ask([(picture, TileIndex(0, 0, 0))])
    cache.stop()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("tiles", "levels"))]
    assert cache.held_bytes == 0
    cache.ask([(picture, TileIndex(0, 0, 0))])  # nothing happens, nothing fails
