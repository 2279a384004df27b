from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
import tracemalloc
import zlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from icc_profiles import display_p3, linear_grey
from numpy.typing import NDArray
from PIL import Image as Pillow

from srviewer.imaging import bigtiff, png_rows
from srviewer.imaging.atomic import TEMPORARY_PREFIX
from srviewer.imaging.files import FormatName, ImageFileError, WriteOptions, read_image, write_image
from srviewer.imaging.image import Image
from srviewer.imaging.levels import halve
from srviewer.imaging.png_rows import joined_adler
from srviewer.imaging.regions import open_regions
from srviewer.imaging.streaming import StreamWriter, estimated_bytes, open_stream, require_space

Bits = Literal[8, 16]


def noise(*shape: int, bits: Bits = 8, seed: int = 3) -> NDArray[Any]:
    return np.random.default_rng(seed).integers(0, 1 << bits, shape).astype(f"u{bits // 8}")


class Picture(NamedTuple):
    pixels: NDArray[Any]
    alpha: NDArray[Any] | None
    grey: bool
    bits: Bits


def picture(
    height: int, width: int, bits: Bits = 8, *, grey: bool = False, transparent: bool = False
) -> Picture:
    pixels = noise(height, width, 1 if grey else 3, bits=bits)
    pixels = np.repeat(pixels, 3, axis=2) if grey else pixels
    return Picture(pixels, noise(height, width, bits=bits, seed=4) if transparent else None, grey, bits)


def begin(path: Path, image: Picture, **options: Any) -> StreamWriter:
    height, width = image.pixels.shape[:2]
    return open_stream(
        path,
        width=width,
        height=height,
        bits=image.bits,
        grey=image.grey,
        alpha=image.alpha is not None,
        **options,
    )


def stream(path: Path, image: Picture, *, rows: int | None = None, seed: int = 0, **options: Any) -> Any:
    """Write an image in pieces of `rows` rows, or of any number."""
    random = np.random.default_rng(seed)
    with begin(path, image, **options) as writer:
        y = 0
        while y < len(image.pixels):
            count = rows if rows is not None else int(random.integers(0, 40))
            colours = image.pixels[y : y + count]
            if image.grey and random.integers(2):
                colours = colours[..., 0]
            writer.write_rows(colours, None if image.alpha is None else image.alpha[y : y + count])
            y += count
            assert writer.rows == min(y, len(image.pixels))
        return writer.finish()


def refusal(act: Any) -> str:
    with pytest.raises(ImageFileError) as caught:
        act()
    assert "\n" not in str(caught.value)
    return caught.value.reason


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make small images go through everything that large ones do."""
    monkeypatch.setattr(bigtiff, "TILE_SIDE", 16)
    monkeypatch.setattr(bigtiff, "SMALLEST_LEVEL", 20)
    monkeypatch.setattr(png_rows, "BAND_BYTES", 500)


# Round trips


@given(
    height=st.integers(1, 100),
    width=st.integers(1, 100),
    bits=st.sampled_from([8, 16]),
    grey=st.booleans(),
    transparent=st.booleans(),
    name=st.sampled_from(["a.tif", "a.png"]),
    compress=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=80, deadline=None)
@pytest.mark.usefixtures("small_parts")
def test_what_is_streamed_is_read_again(
    tmp_path: Path,
    height: int,
    width: int,
    bits: Bits,
    grey: bool,
    transparent: bool,
    name: str,
    compress: bool,
    seed: int,
) -> None:
    path = tmp_path / name
    image = picture(height, width, bits, grey=grey, transparent=transparent)
    assert stream(path, image, seed=seed, overwrite=True, compress=compress) == ()
    back = read_image(path)
    np.testing.assert_array_equal(back.pixels, image.pixels)
    assert back.bits == bits
    assert back.grey == grey
    assert not back.notes
    if image.alpha is None:
        assert back.alpha is None
    else:
        np.testing.assert_array_equal(back.alpha, image.alpha)
    assert not [left for left in names(tmp_path) if left.startswith(TEMPORARY_PREFIX)]


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("transparent", [False, True])
def test_other_programs_read_it(tmp_path: Path, name: str, bits: Bits, transparent: bool) -> None:
    path = tmp_path / name
    image = picture(300, 700, bits, transparent=transparent)
    stream(path, image)
    samples = image.pixels if image.alpha is None else np.dstack([image.pixels, image.alpha])
    by_opencv = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)  # through libtiff and libpng
    assert by_opencv is not None
    if not (name == "a.tif" and bits == 8 and transparent):  # OpenCV multiplies those by their opacity
        order = [2, 1, 0, 3] if transparent else [2, 1, 0]
        np.testing.assert_array_equal(by_opencv[..., order], samples)
    if name == "a.tif":
        np.testing.assert_array_equal(tifffile.imread(path), samples)
    if bits == 8:
        with Pillow.open(path) as by_pillow:
            np.testing.assert_array_equal(np.asarray(by_pillow), samples)


@pytest.mark.usefixtures("small_parts")
@given(height=st.integers(1, 150), width=st.integers(1, 150), bits=st.sampled_from([8, 16]))
@settings(max_examples=40, deadline=None)
def test_every_level_is_half_of_the_one_before(tmp_path: Path, height: int, width: int, bits: Bits) -> None:
    path = tmp_path / "a.tif"
    image = picture(height, width, bits, transparent=True)
    stream(path, image, overwrite=True)
    expected, alpha = image.pixels, image.alpha
    assert alpha is not None
    found = open_regions(path)
    assert found is not None
    with found:
        assert max(found.levels[-1]) <= 20
        assert len(found.levels) == 1 or max(found.levels[-2]) > 20
        for level, size in enumerate(found.levels):
            assert size == (expected.shape[1], expected.shape[0])
            np.testing.assert_array_equal(found.read(0, 0, *size, level=level), expected)
            np.testing.assert_array_equal(found.read_alpha(0, 0, *size, level=level), alpha)
            expected, alpha = halve(expected), halve(alpha)


def test_a_tiff_is_a_tiled_pyramid(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    image = picture(1100, 2300)
    stream(path, image, rows=300)
    with tifffile.TiffFile(path) as content:
        assert content.is_bigtiff
        assert len(content.pages) == 1  # viewers show one page
        page = content.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        assert page.pages is not None
        below = [other for other in page.pages if isinstance(other, tifffile.TiffPage)]
        assert [level.shape for level in below] == [(550, 1150, 3), (275, 575, 3)]
        np.testing.assert_array_equal(below[1].asarray(), halve(halve(image.pixels)))
        for level in (page, *below):
            assert level.is_tiled
            assert (level.tilewidth, level.tilelength) == (256, 256)
            assert level.is_reduced == (level is not page)
            assert level.compression == tifffile.COMPRESSION.ADOBE_DEFLATE


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
@pytest.mark.usefixtures("small_parts")
def test_the_file_does_not_depend_on_how_rows_arrive(tmp_path: Path, name: str) -> None:
    image = picture(101, 75)
    contents = set()
    for rows in (1, 7, 16, 64, 101):
        stream(tmp_path / name, image, rows=rows, overwrite=True)
        contents.add((tmp_path / name).read_bytes())
    assert len(contents) == 1


def test_png_level_is_followed(tmp_path: Path) -> None:
    image = Picture(np.repeat(noise(60, 1, 3), 90, axis=1), None, False, 8)
    sizes = []
    for level in (0, 1, 9):
        stream(tmp_path / "a.png", image, overwrite=True, options=WriteOptions(png_level=level))
        sizes.append((tmp_path / "a.png").stat().st_size)
    assert sizes[0] > 60 * 90 * 3 > 4 * sizes[1]
    assert sizes[1] >= sizes[2]


# Profile and EXIF


def block(order: str) -> bytes:
    exif = Pillow.Exif()
    exif.endian = order
    exif[271], exif[315], exif[274] = "Maker", "Someone", 1
    exif[282], exif[283], exif[296] = 300.0, 240.0, 2
    exif.get_ifd(34665).update({33434: 0.004, 34855: 400, 40962: 10, 40963: 10, 37500: b"private notes"})
    exif.get_ifd(34853).update({1: "N", 2: (59.0, 19.0, 12.0)})
    return exif.tobytes()[6:]


@pytest.mark.parametrize("name", ["a.tif", "a.png"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.usefixtures("small_parts")
def test_profile_and_exif_are_kept(tmp_path: Path, name: str, order: str, bits: Bits) -> None:
    path = tmp_path / name
    image = picture(50, 70, bits)
    stream(path, image, icc=display_p3(), exif=block(order))
    back = read_image(path)
    np.testing.assert_array_equal(back.pixels, image.pixels)
    assert back.icc == display_p3()
    assert back.exif is not None
    found = Pillow.Exif()
    found.load(b"Exif\0\0" + back.exif)
    assert (found[271], found[315]) == ("Maker", "Someone")
    details = found.get_ifd(34665)
    assert (details[34855], details[40962], details[40963]) == (400, 70, 50)
    assert details[37500] == b"private notes"
    assert float(details[33434]) == pytest.approx(0.004)
    assert [float(value) for value in found.get_ifd(34853)[2]] == [59.0, 19.0, 12.0]
    if name == "a.tif":
        with tifffile.TiffFile(path) as content:
            page = content.pages[0]
            assert isinstance(page, tifffile.TiffPage)
            assert page.tags["XResolution"].value == (300, 1)
            assert page.tags["YResolution"].value == (240, 1)
            assert page.tags["ExifTag"].value["ISOSpeedRatings"] == 400
    if bits == 8:
        with Pillow.open(path) as by_pillow:
            assert by_pillow.getexif().get_ifd(34665)[34855] == 400


def test_a_grey_profile_stays_with_grey(tmp_path: Path) -> None:
    image = picture(20, 30, grey=True)
    for name in ("a.tif", "a.png"):
        stream(tmp_path / name, image, icc=linear_grey())
        back = read_image(tmp_path / name)
        assert (back.grey, back.icc) == (True, linear_grey())
    with pytest.raises(ValueError, match="grey"):
        begin(tmp_path / "b.tif", picture(20, 30), icc=linear_grey())


def test_damaged_exif_is_dropped_with_a_note(tmp_path: Path) -> None:
    for name in ("a.tif", "a.png"):
        assert stream(tmp_path / name, picture(20, 30), exif=b"II*\0nonsense") == (
            "its EXIF is damaged and was dropped",
        )
        assert read_image(tmp_path / name).exif is None


# Formats that are encoded whole


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.bmp", "a.avif"])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("bits", [8, 16])
def test_other_formats_come_out_as_if_written_whole(
    tmp_path: Path, name: str, grey: bool, bits: Bits
) -> None:
    image = picture(50, 70, bits, grey=grey, transparent=True)
    options = WriteOptions(jpeg_quality=80, avif_speed=10, webp_lossless=True)
    notes = stream(tmp_path / name, image, icc=display_p3(), exif=block("<"), options=options)
    whole = Image(image.pixels, alpha=image.alpha, grey=grey, icc=display_p3(), exif=block("<"))
    assert write_image(whole, tmp_path / f"whole-{name}", options=options) == notes
    assert (tmp_path / name).read_bytes() == (tmp_path / f"whole-{name}").read_bytes()


def test_what_has_to_be_whole_must_fit_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    reason = refusal(lambda: open_stream(path, width=20_000, height=20_000, bits=8))
    assert "20,000 × 20,000" in reason
    assert "6.4 GB" in reason
    assert "1.1 GB" in reason
    assert "choose .tif or .png" in reason
    assert "choose" in refusal(lambda: open_stream(path, width=70_000, height=9, bits=8))
    assert "choose" in refusal(lambda: open_stream(path, width=100, height=100, bits=8, max_memory=99_999))
    open_stream(path, width=100, height=100, bits=8, max_memory=160_000).close()
    reason = refusal(lambda: open_stream(tmp_path / "a.png", width=1_000_001, height=9, bits=8))
    assert "choose TIFF" in reason
    assert names(tmp_path) == []


# Whole or not at all


def test_nothing_stands_under_the_name_before_the_end(tmp_path: Path) -> None:
    for name in ("a.tif", "a.png", "a.jpg"):
        path = tmp_path / name
        image = picture(40, 30)
        with begin(path, image) as writer:
            writer.write_rows(image.pixels)
            assert not path.exists()
            assert all(left.startswith(TEMPORARY_PREFIX) for left in names(tmp_path))
            writer.finish()
            assert names(tmp_path) == [name]
            with pytest.raises(ValueError, match="closed"):
                writer.finish()
            with pytest.raises(ValueError, match="closed"):
                writer.write_rows(image.pixels)
            writer.close()
        assert names(tmp_path) == [name]
        path.unlink()


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.jpg"])
def test_leaving_early_leaves_nothing(tmp_path: Path, name: str) -> None:
    path, image = tmp_path / name, picture(400, 300)
    before = threading.active_count()
    with begin(path, image) as writer:
        writer.write_rows(image.pixels[:399])
    assert names(tmp_path) == []
    writer = begin(path, image)
    with pytest.raises(KeyError, match="elsewhere"), writer:
        raise KeyError("elsewhere")
    with begin(path, image) as writer:
        writer.write_rows(image.pixels[:399])
        with pytest.raises(ValueError, match="only 399 of 400 rows"):
            writer.finish()
    assert names(tmp_path) == []
    path.write_bytes(b"precious")
    with begin(path, image, overwrite=True) as writer:
        writer.write_rows(image.pixels)
    assert path.read_bytes() == b"precious"
    assert names(tmp_path) == [name]
    assert threading.active_count() == before


def test_a_fault_gives_the_disk_back_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(encoder: bigtiff.TiledTiff, rows: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path, image = tmp_path / "a.tif", picture(40, 30)
    with begin(path, image) as writer:
        writer.write_rows(image.pixels[:20])
        monkeypatch.setattr(bigtiff.TiledTiff, "add", full)
        reason = refusal(lambda: writer.write_rows(image.pixels[20:]))
        assert reason == "it cannot be written: the disk is full"
        assert names(tmp_path) == []
        with pytest.raises(ValueError, match="closed"):
            writer.finish()


def test_rows_that_do_not_fit_are_refused_and_the_rest_goes_on(tmp_path: Path) -> None:
    path, image = tmp_path / "a.tif", picture(40, 30, transparent=True)
    alpha = image.alpha
    assert alpha is not None
    with begin(path, image) as writer:
        for pixels, opacity in [
            (image.pixels[:5, :29], alpha[:5, :29]),
            (image.pixels[:5], None),
            (image.pixels[:5], alpha[:6]),
            (image.pixels[:5], alpha[:5].astype(np.uint16)),
            (image.pixels[:5].astype(np.uint16), alpha[:5]),
            (image.pixels[:5, :, 0], alpha[:5]),
            (np.concatenate([image.pixels] * 2), np.concatenate([alpha] * 2)),
        ]:
            with pytest.raises(ValueError, match=r"must be|missing|of an image"):
                writer.write_rows(pixels, opacity)
        writer.write_rows(image.pixels, alpha)
        writer.finish()
    np.testing.assert_array_equal(read_image(path).pixels, image.pixels)
    with begin(path, picture(40, 30), overwrite=True) as writer, pytest.raises(ValueError, match="opaque"):
        writer.write_rows(image.pixels, alpha)


def test_an_existing_file_is_refused_before_any_work(tmp_path: Path) -> None:
    for name in ("a.tif", "a.png", "a.jpg"):
        path, image = tmp_path / name, picture(4, 3)
        path.write_bytes(b"precious")
        assert "exists already" in refusal(lambda p=path, i=image: begin(p, i))
        assert path.read_bytes() == b"precious"
        stream(path, image, overwrite=True)
        assert read_image(path).width == 3
        path.unlink()
    assert names(tmp_path) == []


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    path, image = tmp_path / "a.tif", picture(4, 3)
    with begin(path, image) as writer:
        writer.write_rows(image.pixels)
        path.write_bytes(b"precious")
        assert "exists already" in refusal(writer.finish)
    assert path.read_bytes() == b"precious"
    assert names(tmp_path) == ["a.tif"]


def test_places_and_sizes_that_cannot_be_written(tmp_path: Path) -> None:
    image = picture(4, 3)
    assert "does not exist" in refusal(lambda: begin(tmp_path / "none" / "a.tif", image))
    assert "no format" in refusal(lambda: begin(tmp_path / "a.xyz", image))
    reason = refusal(lambda: open_stream(tmp_path / "a.tif", width=0, height=5, bits=8))
    assert reason == "the image has no pixels"
    stream(tmp_path / "a.xyz", image, format="TIFF")
    np.testing.assert_array_equal(read_image(tmp_path / "a.xyz").pixels, image.pixels)


def test_a_disk_too_small_is_told_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = 1_000_000_000
    real = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: real._replace(free=free))
    path = tmp_path / "a.tif"
    reason = refusal(lambda: open_stream(path, width=20_000, height=20_000, bits=8))
    assert reason == "it may take up to 1.6 GB, and the disk has 1.0 GB free"
    assert names(tmp_path) == []
    free = 2_000_000_000
    open_stream(path, width=20_000, height=20_000, bits=8).close()
    assert "1.0 GB" not in refusal(lambda: require_space(path, free + 1))
    require_space(path, free)
    assert names(tmp_path) == []


def test_a_disk_that_fills_up_while_writing(tmp_path: Path) -> None:
    if os.name != "posix":
        pytest.skip("needs resource limits")
    program = """
import os, resource, signal, threading
import numpy as np
from srviewer.imaging.files import ImageFileError
from srviewer.imaging.streaming import open_stream
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
pixels = np.random.default_rng(0).integers(0, 256, (200, 900, 3), dtype=np.uint8)
for name in ("a.tif", "a.png", "a.jpg"):
    try:
        with open_stream(name, width=900, height=1000, bits=8) as writer:
            for _ in range(5):
                writer.write_rows(pixels)
            writer.finish()
    except ImageFileError as error:
        print(error)
assert os.listdir() == [], os.listdir()
assert threading.active_count() == 1
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert [line.partition(": ")[0] for line in lines] == ["a.tif", "a.png", "a.jpg"]
    assert all("it cannot be written: " in line for line in lines)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("name", ["a.tif", "a.png"])
@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("moment", ["half way", "before the end", "before the sync", "before the name"])
def test_a_killed_process_leaves_nothing_under_the_name(
    tmp_path: Path, name: str, existing: bool, moment: str
) -> None:
    path = tmp_path / name
    if existing:
        path.write_bytes(b"precious")
    program = f"""
import os, pathlib, signal
import numpy as np
from srviewer.imaging.streaming import open_stream

moment = {moment!r}

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

pixels = np.random.default_rng(0).integers(0, 256, (300, 900, 3), dtype=np.uint8)
with open_stream({str(path)!r}, width=900, height=900, bits=8, overwrite={existing}) as writer:
    writer.write_rows(pixels)
    writer.write_rows(pixels)
    if moment == "half way":
        die()
    writer.write_rows(pixels)
    if moment == "before the end":
        die()
    if moment == "before the sync":
        os.fsync = die
    if moment == "before the name":
        os.link = pathlib.Path.replace = die
    writer.finish()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    if existing:
        assert path.read_bytes() == b"precious"
    else:
        assert not path.exists()
    assert all(left.startswith(TEMPORARY_PREFIX) for left in names(tmp_path) if left != name)
    stream(path, picture(5, 5), overwrite=existing)  # what was left is in nobody's way


# Size and memory


@pytest.mark.parametrize("name", ["PNG", "TIFF", "JPEG", "WEBP", "AVIF", "BMP"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 16])
def test_no_file_is_larger_than_was_told(tmp_path: Path, name: FormatName, channels: int, bits: Bits) -> None:
    path = tmp_path / "a"
    image = picture(300, 400, bits, grey=channels < 3, transparent=channels in (2, 4))
    if name in ("JPEG", "AVIF"):  # what these compress worst
        image = image._replace(pixels=(image.pixels >> (bits - 1)) * image.pixels.dtype.type(2**bits - 1))
    options = WriteOptions(jpeg_quality=100, avif_quality=100, avif_speed=9, webp_lossless=True, png_level=1)
    stream(path, image, format=name, options=options, compress=False)
    told = estimated_bytes(400, 300, bits, channels, name)
    assert path.stat().st_size <= told
    if name == "TIFF":
        stream(path, image, format=name, overwrite=True)
        assert path.stat().st_size <= told
    if name in ("PNG", "BMP"):
        assert told - (1 << 16) < 1.01 * path.stat().st_size or (name == "BMP" and channels in (2, 4))


def test_the_estimate_counts_the_reduced_levels() -> None:
    assert 1.333 < estimated_bytes(20_480, 20_480, 8, 3, "TIFF") / (20_480**2 * 3) < 1.34
    assert 1.0 < estimated_bytes(20_000, 20_000, 16, 4, "PNG") / (20_000**2 * 8) < 1.001
    assert estimated_bytes(100, 100, 16, 3, "JPEG") == estimated_bytes(100, 100, 8, 3, "JPEG")


class _WhenAsked(ThreadPoolExecutor):
    """Does nothing until its result is asked for: threads that never get their turn."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future = _Unbegun()
        future.work = partial(work, *arguments, **named)
        return future


class _Unbegun(Future[Any]):
    work: Callable[[], Any]

    def result(self, timeout: float | None = None) -> Any:
        return self.work()


class _AtOnce(ThreadPoolExecutor):
    """Has finished before anybody asks: threads that are faster than whoever feeds them."""

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(work(*arguments, **named))
        return future


@pytest.mark.parametrize("threads", [_WhenAsked, _AtOnce])
@pytest.mark.parametrize("name", ["a.tif", "a.png"])
def test_memory_does_not_grow_with_the_height(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, threads: type[ThreadPoolExecutor]
) -> None:
    monkeypatch.setattr(png_rows, "BAND_BYTES", 1 << 18)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    # Real threads finish whenever the machine lets them; all that they may do lies between these two.
    monkeypatch.setattr(bigtiff, "ThreadPoolExecutor", threads)
    monkeypatch.setattr(png_rows, "ThreadPoolExecutor", threads)
    rows = noise(128, 1024, 3)
    peaks = []
    for height in (4096, 16_384):  # 13 and 50 MB; a band of every reduced level is part of both
        with open_stream(tmp_path / name, width=1024, height=height, bits=8, overwrite=True) as writer:
            tracemalloc.start()
            for _ in range(0, height, len(rows)):
                writer.write_rows(rows)
            writer.finish()
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < 6_000_000
    assert peaks[1] < 1.2 * peaks[0]


@given(first=st.binary(max_size=200), second=st.binary(max_size=200))
def test_checksums_are_joined(first: bytes, second: bytes) -> None:
    joined = joined_adler(zlib.adler32(first), zlib.adler32(second), len(second))
    assert joined == zlib.adler32(first + second)
