"""Where networks disagree."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from srviewer.session.disagreement import Place, disagreements, following, next_disagreement
from srviewer.session.geometry import Point, Rect

Array8 = NDArray[np.uint8]


def flat(width: int, height: int) -> Array8:
    return np.full((height, width, 3), 100, np.uint8)


def marked(width: int, height: int, *marks: tuple[int, int, int]) -> Array8:
    """A flat picture with 12 x 12 patches (column, row, value) at their corners."""
    pixels = flat(width, height)
    for x, y, value in marks:
        pixels[y : y + 12, x : x + 12] = value
    return pixels


def middle(x: int, y: int, width: int, height: int) -> Point:
    return Point((x + 6) / width, (y + 6) / height)


def test_places_are_found_strongest_first() -> None:
    width, height = 480, 320
    other = marked(width, height, (40, 200, 130), (400, 20, 190), (210, 150, 160))
    places = disagreements([flat(width, height), other])
    assert len(places) >= 3
    for place, (x, y) in zip(places, [(400, 20), (210, 150), (40, 200)], strict=False):
        assert place.area.contains(middle(x, y, width, height))
    assert [place.strength for place in places] == sorted((place.strength for place in places), reverse=True)


def test_strength_is_the_mean_spread_of_the_window() -> None:
    a, b, c = flat(64, 64), flat(64, 64), flat(64, 64)
    b += 10
    c -= 20
    place = disagreements([a, b, c])[0]
    assert place.strength == pytest.approx(30 / 255, rel=1e-5)


def test_no_two_places_overlap_and_all_lie_in_the_image() -> None:
    rng = np.random.default_rng(4)
    for width, height in ((333, 217), (1601, 90), (20, 700), (7, 5)):
        pictures = [rng.integers(0, 256, (height, width, 3), np.uint8) for _ in range(3)]
        places = disagreements(pictures)
        assert places
        for place in places:
            assert 0 <= place.area.left < place.area.right <= 1
            assert 0 <= place.area.top < place.area.bottom <= 1
        for one, other in itertools.combinations(places, 2):
            shrunk = Rect(
                one.area.left + 1e-9, one.area.top + 1e-9, one.area.right - 1e-9, one.area.bottom - 1e-9
            )
            assert not shrunk.overlaps(other.area)


def test_large_pictures_are_searched_in_blocks_with_the_same_outcome() -> None:
    width, height = 2500, 1700
    pixels = flat(width, height)
    pixels[1203:1290, 2101:2200] = 255
    (place, *_) = disagreements([flat(width, height), pixels])
    assert place.area.contains(Point(2150 / width, 1246 / height))


def test_sizes_and_depths_may_differ() -> None:
    width, height = 240, 160
    small = flat(width, height)
    large = marked(width * 2, height * 2, (300, 60, 255), (301, 61, 255)).astype(np.uint16) * 257
    (place, *_) = disagreements([small, large])
    assert place.area.contains(middle(300, 60, width * 2, height * 2))
    assert disagreements([small, flat(width * 2, height * 2).astype(np.uint16) * 257]) == ()


def test_agreement_gives_no_place() -> None:
    assert disagreements([]) == ()
    assert disagreements([flat(30, 30)]) == ()
    assert disagreements([flat(30, 30), flat(30, 30)]) == ()
    assert next_disagreement([flat(30, 30), flat(30, 30)]) is None
    with pytest.raises(ValueError, match="H x W x 3"):
        disagreements([np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)])


def test_next_goes_round() -> None:
    pictures = [flat(480, 320), marked(480, 320, (40, 200, 130), (400, 20, 190))]
    places = disagreements(pictures)
    visited = [next_disagreement(pictures)]
    for _ in places:
        visited.append(next_disagreement(pictures, visited[-1]))
    assert tuple(visited) == (*places, places[0])
    assert following(places, Place(Rect(0.9, 0.9, 1, 1), 1.0)) == places[0]
