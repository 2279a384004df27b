from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from icc_profiles import display_p3, inks, linear_grey
from numpy.typing import NDArray
from PIL import Image as Pillow

from srviewer.imaging.colour import is_srgb, srgb_profile
from srviewer.imaging.files import (
    IMAGE_SUFFIXES,
    FormatName,
    ImageFileError,
    WriteOptions,
    is_image_path,
    probe,
    read_image,
    read_thumbnail,
    write_image,
)
from srviewer.imaging.image import Image

LOSSLESS: list[FormatName] = ["PNG", "TIFF", "WEBP"]
WITH_METADATA: list[FormatName] = ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"]
SUFFIX = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "TIFF": ".tif", "BMP": ".bmp", "AVIF": ".avif"}
EXACT = WriteOptions(webp_lossless=True)
UPRIGHT_OF: dict[int, Any] = {
    1: None,
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}


def noise(*shape: int, dtype: Any = np.uint8) -> NDArray[Any]:
    return np.random.default_rng(5).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


def smooth(height: int, width: int) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[0:height, 0:width]
    red, green = rows * 255 // max(1, height - 1), columns * 255 // max(1, width - 1)
    return np.stack([red, green, (red + green) // 2], axis=2).astype(np.uint8)


def exif_block(width: int, height: int, orientation: int = 1) -> bytes:
    """Build an EXIF block as a camera would: main fields, sub-directories, and a thumbnail."""
    exif = Pillow.Exif()
    exif[271], exif[272], exif[315], exif[274] = "Maker", "Model 7", "Someone", orientation
    exif[282], exif[283], exif[296] = 300.0, 300.0, 2
    exif.get_ifd(34665).update(
        {33434: 0.004, 34855: 400, 40962: width, 40963: height, 37500: b"private notes"}
    )
    exif.get_ifd(34853).update({1: "N", 2: (59.0, 19.0, 12.0)})
    block = bytearray(exif.tobytes()[6:])
    # Pillow writes no thumbnail: add its directory by hand, big-endian as the rest.
    assert block[:4] == b"MM\0*"
    (first,) = struct.unpack_from(">I", block, 4)
    (count,) = struct.unpack_from(">H", block, first)
    struct.pack_into(">I", block, first + 2 + 12 * count, len(block))
    picture = b"\xff\xd8THUMBNAIL\xff\xd9"
    at = len(block) + 2 + 3 * 12 + 4
    block += struct.pack(">H", 3) + struct.pack(">HHII", 259, 3, 1, 6)
    block += struct.pack(">HHII", 513, 4, 1, at) + struct.pack(">HHII", 514, 4, 1, len(picture))
    return bytes(block) + bytes(4) + picture


def parsed(block: bytes | None) -> tuple[dict[int, Any], dict[int, Any], dict[int, Any]]:
    assert block is not None
    exif = Pillow.Exif()
    exif.load(b"Exif\0\0" + block)
    return dict(exif), dict(exif.get_ifd(34665)), dict(exif.get_ifd(34853))


def png(
    width: int, height: int, depth: int, colour: int, rows: list[bytes], *extra: tuple[bytes, bytes]
) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    out = b"\x89PNG\r\n\x1a\n" + chunk(
        b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    )
    out += b"".join(chunk(kind, data) for kind, data in extra)
    return out + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))) + chunk(b"IEND", b"")


# Round trips


@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    wide=st.booleans(),
    grey=st.booleans(),
    transparent=st.booleans(),
    format_=st.sampled_from(LOSSLESS),
)
@settings(max_examples=120, deadline=None)
def test_what_is_written_is_read_again(
    tmp_path: Path, height: int, width: int, wide: bool, grey: bool, transparent: bool, format_: FormatName
) -> None:
    dtype: Any = np.uint16 if wide and format_ != "WEBP" else np.uint8
    pixels = noise(height, width, 1 if grey else 3, dtype=dtype)
    pixels = np.repeat(pixels, 3, axis=2) if grey else pixels
    alpha = noise(height, width, dtype=dtype) if transparent else None
    path = tmp_path / ("a" + SUFFIX[format_])
    notes = write_image(Image(pixels, alpha=alpha, grey=grey), path, overwrite=True, options=EXACT)
    back = read_image(path)
    np.testing.assert_array_equal(back.pixels, pixels)
    assert back.pixels.dtype == dtype
    if alpha is None:
        # Pillow writes WebP's opaque pictures without opacity; the others as they were asked to.
        assert back.alpha is None
    elif format_ != "WEBP" or (alpha < 255).any():
        np.testing.assert_array_equal(back.alpha, alpha)
    assert back.grey == (grey and format_ != "WEBP")
    assert back.format == format_
    assert back.path == path
    assert not back.notes
    assert not notes
    assert not back.pixels.flags.writeable
    header = probe(path)
    assert (header.width, header.height, header.bits) == (width, height, back.bits)
    assert header.channels == (1 if back.grey else 3) + (back.alpha is not None)


@pytest.mark.parametrize(("format_", "floor"), [("JPEG", 40), ("WEBP", 38), ("AVIF", 38), ("BMP", 99)])
def test_lossy_formats_stay_close(tmp_path: Path, format_: FormatName, floor: float) -> None:
    pixels = smooth(120, 160)
    path = tmp_path / ("a" + SUFFIX[format_])
    assert write_image(Image(pixels), path) == ()
    back = read_image(path)
    error = float(np.mean((back.pixels.astype(float) - pixels) ** 2))
    assert 10 * np.log10(255**2 / max(error, 1e-9)) > floor
    assert back.format == format_


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
@pytest.mark.parametrize("grey", [False, True])
def test_sixteen_bits_stay_sixteen(tmp_path: Path, format_: FormatName, grey: bool) -> None:
    ramp = np.linspace(0, 65535, 6000).round().astype(np.uint16).reshape(60, 100, 1)
    path = tmp_path / ("a" + SUFFIX[format_])
    write_image(Image(np.repeat(ramp, 3, axis=2), grey=grey), path)
    back = read_image(path)
    assert back.bits == 16
    assert len(np.unique(back.pixels)) == 6000
    foreign = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)  # another decoder agrees
    assert foreign is not None
    assert foreign.dtype == np.uint16
    assert foreign.ndim == (2 if grey else 3)
    np.testing.assert_array_equal(foreign.reshape(60, 100, -1)[..., :1], ramp)


def test_sixteen_bits_from_other_programs(tmp_path: Path) -> None:
    pixels = noise(9, 7, 3, dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), pixels[..., ::-1])
    cv2.imwrite(str(tmp_path / "a.tif"), pixels[..., ::-1])
    tifffile.imwrite(
        tmp_path / "b.tif", np.moveaxis(pixels, 2, 0), photometric="rgb", planarconfig="separate"
    )
    tifffile.imwrite(
        tmp_path / "c.tif", pixels, photometric="rgb", byteorder=">", compression="lzw", predictor=True
    )
    tifffile.imwrite(tmp_path / "d.tif", pixels, photometric="rgb", tile=(16, 16), bigtiff=True)
    for path in sorted(tmp_path.glob("?.*")):
        np.testing.assert_array_equal(read_image(path).pixels, pixels, err_msg=path.name)


# Metadata


@pytest.mark.parametrize("format_", WITH_METADATA)
@pytest.mark.parametrize("transparent", [False, True])
def test_a_profile_comes_out_byte_equal(tmp_path: Path, format_: FormatName, transparent: bool) -> None:
    alpha = noise(16, 16) if transparent else None
    path, again = tmp_path / ("a" + SUFFIX[format_]), tmp_path / ("b" + SUFFIX[format_])
    write_image(Image(smooth(16, 16), alpha=alpha, icc=display_p3()), path)
    image = read_image(path)
    assert image.icc == display_p3()
    write_image(image, again)
    assert read_image(again).icc == display_p3()
    with Pillow.open(again) as foreign:
        assert foreign.info["icc_profile"] == display_p3()


@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_sixteen_bits_keep_profile_and_exif(tmp_path: Path, format_: FormatName) -> None:
    path = tmp_path / ("a" + SUFFIX[format_])
    pixels = noise(6, 8, 3, dtype=np.uint16)
    write_image(Image(pixels, icc=display_p3(), exif=exif_block(3, 4)), path)
    back = read_image(path)
    np.testing.assert_array_equal(back.pixels, pixels)
    assert back.icc == display_p3()
    main, camera, place = parsed(back.exif)
    assert (main[271], camera[34855], place[1]) == ("Maker", 400, "N")


@pytest.mark.parametrize("format_", WITH_METADATA)
def test_exif_is_kept_and_says_the_new_size(tmp_path: Path, format_: FormatName) -> None:
    source, path = tmp_path / "source.jpg", tmp_path / ("a" + SUFFIX[format_])
    Pillow.fromarray(smooth(30, 40)).save(source, exif=b"Exif\0\0" + exif_block(40, 30))
    image = read_image(source)
    assert image.exif is not None
    assert b"THUMBNAIL" not in image.exif
    larger = Image(smooth(60, 80), exif=image.exif)
    write_image(larger, path)
    with Pillow.open(path) as foreign:
        seen = foreign.getexif()
        main, camera, place = dict(seen), seen.get_ifd(34665), seen.get_ifd(34853)
        assert main[271] == "Maker"
        assert main[315] == "Someone"
        assert main.get(274, 1) == 1
        assert float(main[282]) == 300
        assert (camera[40962], camera[40963]) == (80, 60)
        assert (camera[34855], camera[37500]) == (400, b"private notes")
        assert float(camera[33434]) == pytest.approx(0.004)
        assert [float(part) for part in place[2]] == [59, 19, 12]
        if format_ != "AVIF" and format_ != "WEBP":
            assert foreign.info["dpi"][0] == pytest.approx(300, abs=0.1)
    again = read_image(path)
    assert parsed(again.exif)[1][37500] == b"private notes"
    assert b"THUMBNAIL" not in path.read_bytes()


def test_makers_notes_stay_where_their_offsets_point(tmp_path: Path) -> None:
    block = exif_block(40, 30, orientation=6)
    at = block.index(b"private notes")
    Pillow.fromarray(smooth(30, 40)).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + block)
    write_image(read_image(tmp_path / "a.jpg"), tmp_path / "b.jpg")
    kept = read_image(tmp_path / "b.jpg").exif
    assert kept is not None
    assert kept.index(b"private notes") == at


def test_a_size_field_too_small_for_the_new_size_grows(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif.get_ifd(34665).update({40962: 100, 40963: 1})  # Pillow stores these as SHORT
    wide = Image(np.zeros((1, 70_000, 3), np.uint8), exif=exif.tobytes()[6:])
    write_image(wide, tmp_path / "a.png")
    assert parsed(read_image(tmp_path / "a.png").exif)[1][40962] == 70_000


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_", WITH_METADATA)
def test_every_orientation_is_baked_in(tmp_path: Path, format_: FormatName, orientation: int) -> None:
    stored = smooth(24, 40)
    stored[:8, :8] = (255, 0, 0)
    exif = Pillow.Exif()
    exif[274], exif[271] = orientation, "Maker"
    path = tmp_path / ("a" + SUFFIX[format_])
    picture = Pillow.fromarray(stored)
    if format_ == "JPEG":
        picture.save(path, exif=exif, quality=100, subsampling=0)
    elif format_ == "WEBP":
        picture.save(path, exif=exif, lossless=True)
    elif format_ == "AVIF":
        picture.save(path, exif=exif, quality=100, subsampling="4:4:4")
    else:
        picture.save(path, exif=exif)
    turn = UPRIGHT_OF[orientation]
    expected = np.asarray(picture if turn is None else picture.transpose(turn))
    image = read_image(path)
    header = probe(path)
    assert image.pixels.shape == expected.shape
    assert (header.height, header.width) == expected.shape[:2]
    assert np.abs(image.pixels.astype(int) - expected).mean() < 2
    assert parsed(image.exif)[0].get(274, 1) == 1
    assert parsed(image.exif)[0][271] == "Maker"
    write_image(image, tmp_path / "b.png")
    np.testing.assert_array_equal(read_image(tmp_path / "b.png").pixels, image.pixels)
    small = read_thumbnail(path, 20)
    assert small.shape == ((20, 12, 3) if orientation >= 5 else (12, 20, 3))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_of_a_sixteen_bit_tiff(tmp_path: Path, orientation: int) -> None:
    stored = noise(3, 5, 3, dtype=np.uint16)
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="rgb", extratags=[(274, 3, 1, orientation, True)]
    )
    first = Pillow.fromarray(np.arange(15, dtype=np.uint8).reshape(3, 5))
    turn = UPRIGHT_OF[orientation]
    places = np.asarray(first if turn is None else first.transpose(turn))
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, stored.reshape(15, 3)[places])


@pytest.mark.parametrize("where", ["eXIf after the pixels", "hexadecimal text"])
def test_exif_of_a_png_wherever_it_stands(tmp_path: Path, where: str) -> None:
    block = exif_block(2, 1, orientation=3)
    plain = png(2, 1, 8, 2, [bytes((1, 2, 3, 4, 5, 6))])
    if where == "hexadecimal text":
        text = b"\nexif\n%8d\n" % len(block) + block.hex().encode()
        data = b"Raw profile type exif\0\0" + zlib.compress(text)
        chunk = struct.pack(">I", len(data)) + b"zTXt" + data + struct.pack(">I", zlib.crc32(b"zTXt" + data))
        content = plain[:33] + chunk + plain[33:]
    else:
        chunk = (
            struct.pack(">I", len(block)) + b"eXIf" + block + struct.pack(">I", zlib.crc32(b"eXIf" + block))
        )
        content = plain[:-12] + chunk + plain[-12:]
    (tmp_path / "a.png").write_bytes(content)
    image = read_image(tmp_path / "a.png")
    assert image.pixels[0].tolist() == [[4, 5, 6], [1, 2, 3]]
    assert parsed(image.exif)[0][271] == "Maker"


# Kinds of pixels


def test_palettes_are_exact(tmp_path: Path) -> None:
    pixels = noise(8, 8, 3)
    colours = pixels.reshape(-1, 3)
    indices = np.arange(64, dtype=np.uint8).reshape(8, 8)
    picture = Pillow.fromarray(indices, "L")
    picture.putpalette(colours.tobytes())
    for name in ("a.png", "a.bmp", "a.tif"):
        picture.save(tmp_path / name)
        image = read_image(tmp_path / name)
        np.testing.assert_array_equal(image.pixels, pixels, err_msg=name)
        assert image.alpha is None
        assert not image.grey
    opacity = bytes(range(0, 256, 4))
    picture.save(tmp_path / "b.png", transparency=opacity)
    image = read_image(tmp_path / "b.png")
    np.testing.assert_array_equal(image.pixels, pixels)
    assert image.alpha is not None
    assert image.alpha.tobytes() == opacity
    write_image(image, tmp_path / "c.png")
    np.testing.assert_array_equal(read_image(tmp_path / "c.png").pixels, pixels)
    assert probe(tmp_path / "b.png").channels == 4


def test_few_bits_and_transparent_colours_of_png(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(4, 1, 2, 0, [bytes([0b00011011])], (b"tRNS", b"\0\x01")))
    image = read_image(path)
    assert image.grey
    assert image.pixels[0, :, 0].tolist() == [0, 85, 170, 255]
    assert image.alpha is not None
    assert image.alpha[0].tolist() == [255, 0, 255, 255]
    path.write_bytes(png(8, 1, 1, 0, [bytes([0b01010011])]))
    assert read_image(path).pixels[0, :, 1].tolist() == [0, 255, 0, 255, 0, 0, 255, 255]
    row = struct.pack(">6H", 1000, 2000, 3000, 4, 5, 6)
    path.write_bytes(png(2, 1, 16, 2, [row], (b"tRNS", struct.pack(">3H", 4, 5, 6))))
    image = read_image(path)
    assert image.alpha is not None
    assert image.alpha[0].tolist() == [65535, 0]
    assert image.pixels[0, 0].tolist() == [1000, 2000, 3000]


def test_one_bit_files(tmp_path: Path) -> None:
    dots = noise(9, 13) > 127
    for name, options in (("a.png", {}), ("a.bmp", {}), ("a.tif", {}), ("b.tif", {"compression": "group4"})):
        Pillow.fromarray(dots).save(tmp_path / name, **options)
        image = read_image(tmp_path / name)
        np.testing.assert_array_equal(image.pixels[..., 0], dots * np.uint8(255), err_msg=name)
        assert image.bits == 8


def test_white_is_zero_and_odd_depths_of_tiff(tmp_path: Path) -> None:
    grey = noise(5, 6, dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", 65535 - grey, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels[..., 0], grey)
    twelve = grey >> 4
    tifffile.imwrite(tmp_path / "b.tif", twelve, bitspersample=12)
    spread = read_image(tmp_path / "b.tif").pixels[..., 0]
    np.testing.assert_array_equal(spread, np.rint(twelve * (65535 / 4095)))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_associated_alpha_becomes_straight(tmp_path: Path, dtype: Any) -> None:
    most = int(np.iinfo(dtype).max)
    straight = np.full((2, 3, 3), most // 2, dtype)
    alpha = np.array([[0, most // 4, most], [most // 2, most // 3, 1]], dtype)
    stored = np.rint(straight.astype(float) * alpha[..., None] / most).astype(dtype)
    tifffile.imwrite(
        tmp_path / "a.tif", np.dstack([stored, alpha]), photometric="rgb", extrasamples=["assocalpha"]
    )
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.alpha, alpha)
    assert image.pixels[0, 0].tolist() == [0, 0, 0]
    np.testing.assert_allclose(image.pixels[0, 1:].astype(float), most // 2, atol=3)


def test_extra_samples_that_are_no_opacity_are_left_out(tmp_path: Path) -> None:
    pixels = noise(4, 5, 4)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unspecified"])
    image = read_image(tmp_path / "a.tif")
    assert image.alpha is None
    assert image.notes == ("one channel that is neither colour nor opacity was left out",)
    np.testing.assert_array_equal(image.pixels, pixels[..., :3])


@pytest.mark.parametrize("profile", [None, inks()])
@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "wide.tif", "plain.jpg"])
def test_inks_become_srgb_and_are_tagged(tmp_path: Path, name: str, profile: bytes | None) -> None:
    drops = np.zeros((16, 32, 4), np.uint8)
    drops[:, 16:] = (255, 0, 0, 0)
    path = tmp_path / name
    if name == "wide.tif":
        tifffile.imwrite(path, drops.astype(np.uint16) * 257, photometric="separated", iccprofile=profile)
    elif name == "plain.jpg":
        Pillow.fromarray(255 - drops, "CMYK").save(path, quality=100, icc_profile=profile)
        content = path.read_bytes()
        marker = content.index(b"\xff\xee")  # without Adobe's marker the values are inks, not paper
        path.write_bytes(content[:marker] + content[marker + 16 :])
    else:
        Pillow.fromarray(drops, "CMYK").save(path, quality=100, icc_profile=profile)
    image = read_image(path)
    most = 65535 if name == "wide.tif" else 255
    paper, cyan = image.pixels[4, 4] / most, image.pixels[4, 28] / most
    np.testing.assert_allclose(paper, 1, atol=0.02)
    np.testing.assert_allclose(cyan, [0, 1, 1] if profile is None else [0, 0.647, 0.84], atol=0.03)
    assert image.icc == srgb_profile()
    assert any("CMYK" in note for note in image.notes)
    write_image(image, tmp_path / "b.png")
    assert is_srgb(read_image(tmp_path / "b.png").icc)


@pytest.mark.parametrize("photometric", [8, 9])
def test_lab_becomes_srgb(tmp_path: Path, photometric: int) -> None:
    lab = np.array([[[255, 128, 128], [0, 128, 128], [136, 209, 195]]], np.uint8)
    stored = lab ^ np.array([0, 128, 128], np.uint8) if photometric == 8 else lab
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric=photometric)
    white, black, red = read_image(tmp_path / "a.tif").pixels[0].tolist()
    assert (white, black) == ([255] * 3, [0] * 3)
    assert red[0] > 240
    assert max(red[1:]) < 30


def test_jpeg_inside_tiff_is_rgb(tmp_path: Path) -> None:
    pixels = smooth(64, 48)
    Pillow.fromarray(pixels).save(tmp_path / "a.tif", compression="jpeg", quality=95)
    assert np.abs(read_image(tmp_path / "a.tif").pixels.astype(int) - pixels).mean() < 3


def test_grey_with_its_profile(tmp_path: Path) -> None:
    grey = Image(np.repeat(noise(8, 8, 1), 3, axis=2), grey=True, icc=linear_grey())
    for name in ("a.png", "a.jpg", "a.tif"):
        assert write_image(grey, tmp_path / name) == ()
        back = read_image(tmp_path / name)
        assert back.grey
        assert back.icc == linear_grey()
    (note,) = write_image(grey, tmp_path / "a.webp")
    assert "grey" in note
    assert is_srgb(read_image(tmp_path / "a.webp").icc)


# What formats cannot hold


@pytest.mark.parametrize("format_", ["JPEG", "BMP"])
def test_transparency_is_laid_over_white(tmp_path: Path, format_: FormatName) -> None:
    alpha = np.zeros((16, 16), np.uint8)
    alpha[:, 8:] = 255
    path = tmp_path / ("a" + SUFFIX[format_])
    (note,) = write_image(Image(np.full((16, 16, 3), 40, np.uint8), alpha=alpha), path)
    assert "white" in note
    back = read_image(path).pixels
    assert back[:, :7].min() > 250
    assert back[:, 9:].max() < 46


@pytest.mark.parametrize("format_", ["JPEG", "WEBP", "AVIF", "BMP"])
def test_sixteen_bits_are_rounded_where_there_are_eight(tmp_path: Path, format_: FormatName) -> None:
    pixels = np.full((8, 8, 3), 129 * 257 + 100, np.uint16)
    path = tmp_path / ("a" + SUFFIX[format_])
    (note,) = write_image(Image(pixels), path, options=EXACT)
    assert "8 bits" in note
    assert np.abs(read_image(path).pixels.astype(int) - 129).max() <= 1


def test_bmp_gets_srgb_since_it_holds_no_profile(tmp_path: Path) -> None:
    green = np.zeros((2, 2, 3), np.uint8)
    green[..., 1] = 200
    notes = write_image(Image(green, icc=display_p3(), exif=exif_block(2, 2)), tmp_path / "a.bmp")
    assert len(notes) == 2
    assert read_image(tmp_path / "a.bmp").pixels[0, 0, 1] > 200


@pytest.mark.parametrize(("name", "limit"), [("a.webp", "16,383"), ("a.jpg", "65,500"), ("a.avif", "16,384")])
def test_too_many_pixels_for_the_format_names_another(tmp_path: Path, name: str, limit: str) -> None:
    wide = Image(np.zeros((1, 65_501, 3), np.uint8))
    with pytest.raises(ImageFileError, match=rf"{limit}.*65,501 × 1; choose PNG"):
        write_image(wide, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_jpeg_chooses_quality_and_subsampling(tmp_path: Path) -> None:
    image = Image(noise(64, 64, 3))
    write_image(image, tmp_path / "a.jpg")
    write_image(image, tmp_path / "b.jpg", options=WriteOptions(jpeg_quality=60, jpeg_subsampling="4:2:0"))
    with Pillow.open(tmp_path / "a.jpg") as full, Pillow.open(tmp_path / "b.jpg") as half:
        assert [layer[1:3] for layer in full.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]  # of JpegImageFile
        assert [layer[1:3] for layer in half.layer] == [(2, 2), (1, 1), (1, 1)]  # type: ignore[attr-defined]
    assert (tmp_path / "b.jpg").stat().st_size < (tmp_path / "a.jpg").stat().st_size / 2


def test_exif_too_large_for_jpeg_is_dropped_with_a_note(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif.get_ifd(34665)[37500] = bytes(70_000)
    image = Image(noise(4, 4, 3), exif=exif.tobytes()[6:])
    (note,) = write_image(image, tmp_path / "a.jpg")
    assert "EXIF" in note
    assert write_image(image, tmp_path / "a.png") == ()
    assert len(read_image(tmp_path / "a.png").exif or b"") > 70_000


def test_the_format_may_differ_from_the_suffix(tmp_path: Path) -> None:
    write_image(Image(noise(4, 4, 3)), tmp_path / "a.jpg", format="PNG")
    assert (tmp_path / "a.jpg").read_bytes().startswith(b"\x89PNG")
    assert read_image(tmp_path / "a.jpg").format == "PNG"  # content decides, not the name


@pytest.mark.parametrize(
    "options",
    [
        {"jpeg_quality": 0},
        {"webp_quality": 101},
        {"png_level": 10},
        {"avif_speed": -1},
        {"background": (0, 0, 256)},
    ],
)
def test_senseless_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        WriteOptions(**options)


# The rest of the face


def test_image_paths_are_told_by_suffix() -> None:
    assert {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".avif"} <= IMAGE_SUFFIXES
    assert is_image_path("a/B.JPeG")
    assert not is_image_path("a/png")


def test_phone_pictures_with_a_second_image_are_jpeg(tmp_path: Path) -> None:
    first, second = Pillow.fromarray(smooth(20, 30)), Pillow.fromarray(smooth(10, 15))
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    image = read_image(tmp_path / "a.jpg")
    assert (image.format, image.height, image.width) == ("JPEG", 20, 30)


def test_the_first_of_many_pages_is_read_with_a_note(tmp_path: Path) -> None:
    pages = noise(3, 8, 9, 3)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="rgb")
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.pixels, pages[0])
    assert image.notes == ("only the first of its 3 pages was read",)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp"])
def test_thumbnails_are_small_upright_and_srgb(tmp_path: Path, name: str) -> None:
    pixels = np.full((300, 450, 3), (0, 200, 30), np.uint8)
    write_image(Image(pixels, icc=display_p3()), tmp_path / name)
    small = read_thumbnail(tmp_path / name, 90)
    assert small.shape == (60, 90, 3)
    assert small.dtype == np.uint8
    assert small[30, 45, 1] > 200  # P3's green, as sRGB shows it
    assert read_thumbnail(tmp_path / name, 4096).shape == (300, 450, 3)


def test_thumbnails_show_white_where_nothing_is(tmp_path: Path) -> None:
    write_image(
        Image(np.zeros((40, 40, 3), np.uint16), alpha=np.zeros((40, 40), np.uint16)), tmp_path / "a.png"
    )
    assert (read_thumbnail(tmp_path / "a.png", 10) == 255).all()


def test_importing_the_face_is_light() -> None:
    heavy = ("cv2", "tifffile", "imagecodecs", "PIL.ImageCms", "torch", "PySide6")
    program = f"import sys, srviewer.imaging.files; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
