from __future__ import annotations

import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from icc_profiles import display_p3, linear_grey
from numpy.typing import NDArray
from PIL import Image as Pillow

from srviewer.imaging import png_regions, raw_rows, tiff_regions
from srviewer.imaging.files import ImageFileError, read_image, write_image
from srviewer.imaging.image import Image
from srviewer.imaging.levels import halve
from srviewer.imaging.regions import RegionSource, open_regions
from srviewer.imaging.segments import SegmentCache, parts


def noise(*shape: int, dtype: Any = np.uint8, seed: int = 3) -> NDArray[Any]:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def smooth(height: int, width: int, channels: int = 3, dtype: Any = np.uint8) -> NDArray[Any]:
    """Rows that every filter of PNG has something to say about."""
    rows, columns = np.mgrid[0:height, 0:width]
    planes = [rows * (3 + c) + columns * (5 - c) + (rows * columns) // (7 + c) for c in range(channels)]
    scale = 1 if dtype == np.uint8 else 191
    return (np.stack(planes, axis=2) * scale).astype(dtype)


def source(path: Path) -> RegionSource:
    found = open_regions(path)
    assert found is not None
    return found


def assert_same_image(path: Path, seed: int = 0, rectangles: int = 6) -> None:
    """Whatever is read by region must be what `read_image` reads, and what is said beside it."""
    whole = read_image(path)
    with source(path) as regions:
        assert (regions.width, regions.height, regions.bits) == (whole.width, whole.height, whole.bits)
        assert (regions.grey, regions.has_alpha) == (whole.grey, whole.alpha is not None)
        assert (regions.icc, regions.exif) == (whole.icc, whole.exif)
        assert (regions.notes, regions.format, regions.path) == (whole.notes, whole.format, path)
        assert regions.levels[0] == (whole.width, whole.height)
        random = np.random.default_rng(seed)
        rectangle = (0, 0, whole.width, whole.height)
        for _ in range(rectangles):
            x, y, width, height = rectangle
            pixels = regions.read(x, y, width, height)
            assert pixels.dtype == whole.pixels.dtype
            np.testing.assert_array_equal(pixels, whole.pixels[y : y + height, x : x + width])
            alpha = regions.read_alpha(x, y, width, height)
            if whole.alpha is None:
                assert alpha is None
            else:
                np.testing.assert_array_equal(alpha, whole.alpha[y : y + height, x : x + width])
            x, y = int(random.integers(whole.width)), int(random.integers(whole.height))
            width = int(random.integers(1, whole.width - x + 1))
            height = int(random.integers(1, whole.height - y + 1))
            rectangle = (x, y, width, height)


def refusal(act: Any) -> str:
    with pytest.raises(ImageFileError) as caught:
        act()
    assert "\n" not in str(caught.value)
    return caught.value.reason


# TIFF


@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    wide=st.booleans(),
    channels=st.sampled_from([1, 2, 3, 4]),
    cut=st.sampled_from(["tiles", "flat tiles", "strips", "one strip"]),
    compression=st.sampled_from([None, "adobe_deflate", "lzw", "zstd", "packbits"]),
    predictor=st.booleans(),
    planes=st.booleans(),
    opacity=st.sampled_from(["unassalpha", "assocalpha", "unspecified"]),
    order=st.sampled_from(["<", ">"]),
    big=st.booleans(),
    seed=st.integers(0, 1000),
)
@settings(max_examples=150, deadline=None)
def test_tiff_of_every_kind(
    tmp_path: Path,
    height: int,
    width: int,
    wide: bool,
    channels: int,
    cut: str,
    compression: str | None,
    predictor: bool,
    planes: bool,
    opacity: Any,
    order: Any,
    big: bool,
    seed: int,
) -> None:
    values = noise(height, width, channels, dtype=np.uint16 if wide else np.uint8, seed=seed)
    colours = 3 if channels > 2 else 1
    planar = planes and channels > 1
    tile = {"tiles": (16, 32), "flat tiles": (32, 16)}.get(cut)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        np.moveaxis(values, 2, 0) if planar else (values[..., 0] if channels == 1 else values),
        photometric="rgb" if colours == 3 else "minisblack",
        planarconfig=("separate" if planar else "contig") if channels > 1 else None,
        extrasamples=[opacity] if channels in (2, 4) else None,
        tile=tile,
        rowsperstrip=None if tile else (7 if cut == "strips" else height),
        compression=compression,
        predictor=predictor if compression in ("adobe_deflate", "lzw", "zstd") else None,
        byteorder=order,
        bigtiff=big,
        metadata=None,
    )
    assert_same_image(path, seed)


@pytest.mark.parametrize("name", ["white is zero", "palette", "one bit", "twelve bits", "jpeg", "jpeg tiles"])
def test_tiff_of_rarer_kinds(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.tif"
    if name == "white is zero":
        tifffile.imwrite(path, noise(50, 60), photometric="miniswhite", rowsperstrip=8)
    elif name == "palette":
        table = noise(3, 256, dtype=np.uint16)
        tifffile.imwrite(path, noise(50, 60), photometric="palette", colormap=table, rowsperstrip=8)
    elif name == "one bit":
        tifffile.imwrite(
            path, noise(50, 61) > 99, photometric="minisblack", rowsperstrip=8, compression="packbits"
        )
    elif name == "twelve bits":
        tifffile.imwrite(
            path,
            noise(50, 61, dtype=np.uint16) >> 4,
            photometric="minisblack",
            bitspersample=12,
            rowsperstrip=9,
        )
    elif name == "jpeg":
        Pillow.fromarray(smooth(70, 90)).save(path, compression="jpeg")
    else:
        tifffile.imwrite(
            path, smooth(70, 90), photometric="ycbcr", subsampling=(2, 2), tile=(32, 32), compression="jpeg"
        )
    assert_same_image(path)


def test_tiff_says_what_is_beside_the_pixels(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[271], exif[274] = "Maker", 1
    exif.get_ifd(34665)[33434] = 0.004
    block = exif.tobytes()[6:]
    path = tmp_path / "a.tif"
    write_image(Image(noise(40, 50, 3), icc=display_p3(), exif=block), path)
    with source(path) as regions:
        assert regions.icc == display_p3()
        assert regions.exif is not None
    assert_same_image(path)
    write_image(
        Image(np.repeat(noise(40, 50, 1), 3, axis=2), grey=True, icc=linear_grey()), path, overwrite=True
    )
    assert_same_image(path)
    tifffile.imwrite(path, noise(3, 40, 50, 3), photometric="rgb", iccprofile=linear_grey())
    assert_same_image(path)  # with notes: further pages, a profile that does not fit


def test_our_own_whole_tiffs_are_read_by_strips(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_image(Image(noise(900, 700, 3, dtype=np.uint16)), path)
    assert_same_image(path)
    with source(path) as regions:
        regions.read(0, 500, 10, 10)
        assert regions._cache.nbytes < 900 * 700 * 6 / 4  # type: ignore[attr-defined]  # what only touched strips cost


def pyramid(path: Path, where: str, *, photometric: str = "rgb") -> list[NDArray[Any]]:
    levels: list[NDArray[Any]] = [smooth(203, 150)]
    while len(levels) < 4:
        levels.append(halve(levels[-1]))
    with tifffile.TiffWriter(path) as writer:
        below = len(levels) - 1 if where == "below" else 0
        writer.write(levels[0], photometric=photometric, subifds=below, tile=(32, 32), metadata=None)
        if where == "thumbnails too":  # square, as cameras' thumbnails are, and in another colour space
            writer.write(noise(64, 64, 3), photometric="rgb", subfiletype=1, metadata=None)
            writer.write(noise(102, 75), photometric="minisblack", subfiletype=1, metadata=None)
            writer.write(levels[1], photometric="rgb", subfiletype=0, metadata=None)
        for level in levels[1:]:
            writer.write(
                level, photometric=photometric, subfiletype=1, tile=(32, 32), metadata=None, compression="lzw"
            )
    return levels


@pytest.mark.parametrize("where", ["below", "behind", "thumbnails too"])
def test_reduced_levels_are_found(tmp_path: Path, where: str) -> None:
    path = tmp_path / "a.tif"
    levels = pyramid(path, where)
    with source(path) as regions:
        assert regions.levels == ((150, 203), (75, 102), (38, 51), (19, 26))
        for number, level in enumerate(levels):
            height, width = level.shape[:2]
            np.testing.assert_array_equal(regions.read(0, 0, width, height, level=number), level)
            np.testing.assert_array_equal(regions.read(3, 5, 9, 17, level=number), level[5:22, 3:12])
        with pytest.raises(ValueError, match="no level 4"):
            regions.read(0, 0, 1, 1, level=4)
        with pytest.raises(ValueError, match="not within 75 x 102"):
            regions.read(0, 0, 76, 1, level=1)


def test_a_broken_reduced_level_does_not_cost_the_image(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    levels = pyramid(path, "below")
    with tifffile.TiffFile(path) as content:
        page = content.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        assert page.pages is not None
        offsets = page.pages[1].tags["TileOffsets"]  # type: ignore[union-attr]  # a TiffPage here
    broken = bytearray(path.read_bytes())
    struct.pack_into("<I", broken, offsets.valueoffset, 0x7FFFFFF0)
    path.write_bytes(broken)
    with source(path) as regions:
        assert regions.levels == ((150, 203), (75, 102), (19, 26))
        np.testing.assert_array_equal(regions.read(0, 0, 150, 203), levels[0])


def test_only_what_is_touched_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    pixels = smooth(128, 128)
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(32, 32), compression="adobe_deflate")
    with tifffile.TiffFile(path) as content:
        page = content.pages[0]
        broken = bytearray(path.read_bytes())
        for index, (at, count) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=True)):
            if index != 5:
                broken[at : at + count] = b"\xff" * count
    path.write_bytes(broken)
    with source(path) as regions:
        np.testing.assert_array_equal(regions.read(32, 32, 32, 32), pixels[32:64, 32:64])
        reason = refusal(lambda: regions.read(31, 32, 32, 32))
        assert "damaged" in reason
        np.testing.assert_array_equal(regions.read(40, 40, 4, 4), pixels[40:44, 40:44])


# PNG


@given(
    height=st.integers(1, 60),
    width=st.integers(1, 40),
    wide=st.booleans(),
    channels=st.sampled_from([1, 2, 3, 4]),
    filters=st.sampled_from([0x08, 0x10, 0x20, 0x40, 0x80, 0xF8]),
    plain=st.booleans(),
    band=st.integers(1, 900),
    seed=st.integers(0, 1000),
)
@settings(max_examples=120, deadline=None)
def test_png_of_every_kind_in_any_order(
    tmp_path: Path,
    height: int,
    width: int,
    wide: bool,
    channels: int,
    filters: int,
    plain: bool,
    band: int,
    seed: int,
) -> None:
    dtype = np.uint16 if wide else np.uint8
    values = smooth(height, width, channels, dtype) if plain else noise(height, width, channels, dtype=dtype)
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(values[..., 0] if channels == 1 else values, filter=filters))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(png_regions, "_BAND_BYTES", band)
        patch.setattr(png_regions, "_PIECE", 50)
        assert_same_image(path, seed, rectangles=8)


def test_png_says_what_is_beside_the_pixels(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[271] = "Maker"
    path = tmp_path / "a.png"
    write_image(Image(noise(40, 50, 3), alpha=noise(40, 50), icc=display_p3(), exif=exif.tobytes()[6:]), path)
    assert_same_image(path)


def test_a_png_with_many_small_chunks(tmp_path: Path) -> None:
    pixels = smooth(40, 30)
    raw = b"".join(b"\0" + row.tobytes() for row in pixels)
    compressed = zlib.compress(raw)
    pieces = [compressed[at : at + 7] for at in range(0, len(compressed), 7)]
    pieces.insert(3, b"")
    path = tmp_path / "a.png"
    path.write_bytes(png(30, 40, 8, 2, pieces))
    with source(path) as regions:
        np.testing.assert_array_equal(regions.read(0, 0, 30, 40), pixels)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, colour: int, pieces: list[bytes], extra: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    data = b"".join(chunk(b"IDAT", piece) for piece in pieces)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + data + chunk(b"IEND", b"")


def banded(path: Path, monkeypatch: pytest.MonkeyPatch) -> NDArray[Any]:
    """Write a PNG that is read in 20 bands of 5 rows."""
    monkeypatch.setattr(png_regions, "_BAND_BYTES", 5 * 90)
    monkeypatch.setattr(png_regions, "_PIECE", 64)
    pixels = noise(100, 30, 3)
    write_image(Image(pixels), path, overwrite=True)
    return pixels


@pytest.mark.parametrize("fault", ["cut", "byte", "adler", "rows"])
def test_a_damaged_png_is_read_as_far_as_it_is_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    path = tmp_path / "a.png"
    pixels = banded(path, monkeypatch)
    content = path.read_bytes()
    raw = b"".join(b"\0" + row.tobytes() for row in pixels)
    if fault == "cut":
        path.write_bytes(content[: len(content) * 7 // 10])
    elif fault == "byte":
        at = len(content) * 7 // 10
        path.write_bytes(content[:at] + bytes([content[at] ^ 0x40]) + content[at + 1 :])
    elif fault == "adler":
        stream = bytearray(zlib.compress(raw))
        stream[-1] ^= 1
        path.write_bytes(png(30, 100, 8, 2, [bytes(stream[:-4]), bytes(stream[-4:])]))
    else:
        path.write_bytes(png(30, 100, 8, 2, [zlib.compress(raw[: 91 * 80])]))
    with source(path) as regions:
        np.testing.assert_array_equal(regions.read(0, 0, 30, 40), pixels[:40])
        for _ in range(2):
            reason = refusal(lambda: regions.read(0, 96, 30, 4))
            assert "truncated or damaged" in reason or "checksum" in reason
            np.testing.assert_array_equal(regions.read(2, 11, 9, 20), pixels[11:31, 2:11])


def test_png_from_top_to_bottom_inflates_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    pixels = banded(path, monkeypatch)
    decoded: list[int] = []
    really = png_regions.PngBands._next_band

    def counted(bands: png_regions.PngBands) -> Any:
        decoded.append(bands._current.band)
        return really(bands)

    monkeypatch.setattr(png_regions.PngBands, "_next_band", counted)
    with source(path) as regions:
        for y in range(0, 100, 4):
            np.testing.assert_array_equal(regions.read(0, y, 30, 4), pixels[y : y + 4])
        assert decoded == list(range(20))
        regions._cache.clear()  # type: ignore[attr-defined]  # the cache would hide what is decoded again
        decoded.clear()
        np.testing.assert_array_equal(regions.read(0, 70, 30, 5), pixels[70:75])
        np.testing.assert_array_equal(regions.read(0, 30, 30, 10), pixels[30:40])
        assert decoded == [14, 6, 7]  # it starts again where a band begins, not at the top


# BMP


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("width", [1, 2, 3, 53])
def test_bmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grey: bool, width: int) -> None:
    monkeypatch.setattr(raw_rows, "_BAND_BYTES", 700)
    path = tmp_path / "a.bmp"
    Pillow.fromarray(noise(41, width) if grey else noise(41, width, 3)).save(path)
    assert_same_image(path)


def test_a_bmp_from_the_top_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_rows, "_BAND_BYTES", 700)
    path = tmp_path / "a.bmp"
    Pillow.fromarray(noise(40, 52, 3)).save(path)
    content = bytearray(path.read_bytes())
    struct.pack_into("<i", content, 22, -40)
    path.write_bytes(content)
    assert_same_image(path)
    path.write_bytes(content[:-1])
    assert "truncated" in refusal(lambda: open_regions(path))


# What cannot be read by region


def encoded(name: str) -> bytes:
    stream = io.BytesIO()
    pixels = smooth(30, 40)
    picture = Pillow.fromarray(pixels)
    turned = Pillow.Exif()
    turned[274] = 6
    if name in ("a.jpg", "a.webp", "a.avif"):
        picture.save(stream, {"jpg": "JPEG"}.get(name[2:], name[2:].upper()))
    elif name == "cmyk.tif":
        picture.convert("CMYK").save(stream, "TIFF")
    elif name == "lab.tif":
        picture.convert("LAB").save(stream, "TIFF")
    elif name.startswith("turned"):
        picture.save(stream, {"png": "PNG", "tif": "TIFF"}[name[-3:]], exif=turned)
    elif name == "palette.png":
        picture.convert("P").save(stream, "PNG")
    elif name == "palette.bmp":
        picture.convert("P").save(stream, "BMP")
    elif name == "one bit.png":
        picture.convert("1").save(stream, "PNG")
    elif name == "colour key.png":
        picture.save(stream, "PNG", transparency=(0, 0, 0))
    else:
        assert name == "interlaced.png"
        raw = bytearray(png(1, 1, 8, 2, [zlib.compress(b"\0abc")]))
        raw[28] = 1
        raw[29:33] = zlib.crc32(raw[12:29]).to_bytes(4, "big")
        return bytes(raw)
    return stream.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        *("a.jpg", "a.webp", "a.avif", "cmyk.tif", "lab.tif", "turned.png", "turned.tif"),
        *("palette.png", "palette.bmp", "one bit.png", "colour key.png", "interlaced.png"),
    ],
)
def test_what_must_be_read_whole_says_so(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(encoded(name))
    read_image(path)
    assert open_regions(path) is None
    path.unlink()  # nothing holds it open (Windows would not let it go)


def test_what_is_stored_in_one_large_piece_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(90, 80, 3), photometric="rgb", rowsperstrip=90, compression="lzw")
    assert_same_image(path)
    monkeypatch.setattr(tiff_regions, "LARGEST_SEGMENT", 90 * 80 * 3 - 1)
    assert open_regions(path) is None
    tifffile.imwrite(path, noise(90, 80, 3), photometric="rgb", rowsperstrip=90)
    assert_same_image(path)  # uncompressed, one strip is as good as many
    path = tmp_path / "a.png"
    write_image(Image(noise(9, 80, 3)), path)
    monkeypatch.setattr(png_regions, "LARGEST_SEGMENT", 80 * 3 * 9 - 1)
    assert open_regions(path) is None


# Faults and use


def test_files_that_are_no_images(tmp_path: Path) -> None:
    assert refusal(lambda: open_regions(tmp_path / "none.tif")) == "there is no such file or folder"
    assert refusal(lambda: open_regions(tmp_path)) == "it is a folder, not a file"
    path = tmp_path / "a.tif"
    path.write_text("hello")
    assert "text" in refusal(lambda: open_regions(path))
    write_image(Image(noise(90, 80, 3)), path, overwrite=True)
    path.write_bytes(path.read_bytes()[:4000])
    assert "truncated" in refusal(lambda: open_regions(path))
    write_image(Image(noise(90, 80, 3)), path, overwrite=True)
    assert "more than the limit" in refusal(lambda: open_regions(path, max_pixels=7199))
    path = tmp_path / "a.png"
    path.write_bytes(png(4, 4, 8, 2, []))
    assert "pixels are missing" in refusal(lambda: open_regions(path))


@given(seed=st.integers(0, 10_000), name=st.sampled_from(["a.tif", "a.png", "a.bmp"]))
@settings(max_examples=150, deadline=None)
def test_damaged_files_give_one_sentence_or_pixels(tmp_path: Path, seed: int, name: str) -> None:
    path = tmp_path / name
    random = np.random.default_rng(seed)
    if seed % 3 == 0 and name == "a.tif":
        pyramid(path, "below")
    else:
        write_image(Image(noise(40, 50, 3), icc=display_p3()), path, overwrite=True)
    content = bytearray(path.read_bytes())
    for at in random.integers(0, len(content), random.integers(1, 9)):
        content[at] = random.integers(256)
    path.write_bytes(content[: int(random.integers(len(content) // 2, len(content) * 2))])
    try:
        found = open_regions(path, max_pixels=1_000_000)
        if found is not None:
            with found:
                for level, (width, height) in enumerate(found.levels):
                    shape = (min(height, 300), min(width, 300), 3)
                    assert found.read(0, 0, shape[1], shape[0], level=level).shape == shape
    except ImageFileError as error:
        text = str(error)
        assert "\n" not in text


@pytest.mark.parametrize("box", [(-1, 0, 5, 5), (0, 0, 0, 5), (0, 0, 5, -1), (46, 0, 5, 5), (0, 36, 5, 5)])
def test_rectangles_must_lie_within(tmp_path: Path, box: tuple[int, int, int, int]) -> None:
    path = tmp_path / "a.png"
    write_image(Image(noise(40, 50, 3), alpha=noise(40, 50)), path)
    with source(path) as regions:
        with pytest.raises(ValueError, match="not within 50 x 40"):
            regions.read(*box)
        with pytest.raises(ValueError, match="not within 50 x 40"):
            regions.read_alpha(*box)


def test_a_closed_source_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_image(Image(noise(40, 50, 3)), path)
    regions = source(path)
    regions.read(0, 0, 5, 5)
    regions.close()
    regions.close()
    with pytest.raises(ValueError, match="closed"):
        regions.read(0, 0, 5, 5)


def test_what_is_read_belongs_to_the_caller(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    pixels = noise(40, 50, 3)
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(16, 16))
    with source(path) as regions:
        regions.read(0, 0, 16, 16)[:] = 0
        np.testing.assert_array_equal(regions.read(0, 0, 16, 16), pixels[:16, :16])


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.bmp"])
def test_many_threads_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(png_regions, "_BAND_BYTES", 2000)
    monkeypatch.setattr(raw_rows, "_BAND_BYTES", 2000)
    path = tmp_path / name
    pixels = noise(120, 110, 3)
    if name == "a.tif":
        tifffile.imwrite(path, pixels, photometric="rgb", tile=(16, 16), compression="adobe_deflate")
    else:
        write_image(Image(pixels), path)
    found = open_regions(path, cache_bytes=9000)
    assert found is not None

    def read(seed: int) -> bool:
        random = np.random.default_rng(seed)
        x, y = int(random.integers(100)), int(random.integers(100))
        return bool((found.read(x, y, 10, 20) == pixels[y : y + 20, x : x + 10]).all())

    with found, ThreadPoolExecutor(8) as threads:
        assert all(threads.map(read, range(200)))


def test_the_cache_keeps_what_was_used_last() -> None:
    cache = SegmentCache(100)
    loaded: list[int] = []

    def get(number: int, size: int = 30) -> None:
        def load() -> NDArray[np.uint8]:
            loaded.append(number)
            return np.zeros(size, np.uint8)

        assert cache.get((0, number, 0), load).size == size
        assert cache.nbytes <= 100

    for number in (1, 2, 3, 1, 4, 1, 3, 2):
        get(number)
    assert loaded == [1, 2, 3, 4, 2]
    get(5, size=101)
    get(5, size=101)
    assert loaded == [1, 2, 3, 4, 2, 5, 5]
    cache.clear()
    assert cache.nbytes == 0


@given(
    segment=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    x=st.integers(0, 50),
    y=st.integers(0, 50),
    width=st.integers(1, 50),
    height=st.integers(1, 50),
)
def test_parts_cover_a_rectangle_once(
    segment: tuple[int, int], x: int, y: int, width: int, height: int
) -> None:
    rows, columns = np.mgrid[0:120, 0:120]
    seen = np.zeros((height, width), np.int64)
    for part in parts(segment, x, y, width, height):
        seen[part.outer] += 1
        top, left = part.row * segment[1], part.column * segment[0]
        for index, (start, values) in enumerate(((top, rows), (left, columns))):
            window = values[y : y + height, x : x + width][part.outer]
            inner = part.inner[index]
            assert 0 <= inner.start < inner.stop <= segment[1 - index]
            assert (window.min(), window.max() + 1) == (start + inner.start, start + inner.stop)
    assert (seen == 1).all()
