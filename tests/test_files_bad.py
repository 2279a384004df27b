from __future__ import annotations

import errno
import io
import os
import signal
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from icc_profiles import display_p3, inks, linear_grey
from numpy.typing import NDArray
from PIL import Image as Pillow

from srviewer.imaging import exif as exif_block
from srviewer.imaging.atomic import TEMPORARY_PREFIX
from srviewer.imaging.faults import quiet
from srviewer.imaging.files import (
    FormatName,
    ImageFileError,
    probe,
    read_image,
    read_thumbnail,
    write_image,
)
from srviewer.imaging.image import Image

NAMES = [
    "a.png",
    "wide.png",
    "a.jpg",
    "progressive.jpg",
    "a.webp",
    "lossless.webp",
    "a.tif",
    "wide.tif",
    "a.bmp",
    "a.avif",
]


def picture(height: int = 60, width: int = 80) -> NDArray[np.uint8]:
    return np.random.default_rng(9).integers(0, 256, (height, width, 3), dtype=np.uint8)


def sample(name: str) -> bytes:
    """Return the content of a sound file with profile and EXIF."""
    exif = Pillow.Exif()
    exif[271], exif[274] = "Maker", 6
    exif.get_ifd(34665)[40962] = 80
    stream = io.BytesIO()
    pixels = picture()
    options: dict[str, Any] = {"exif": exif, "icc_profile": display_p3()}
    if name == "wide.tif":
        wide = pixels.astype(np.uint16) * 257
        tifffile.imwrite(
            stream, wide, photometric="rgb", compression="adobe_deflate", iccprofile=display_p3()
        )
        return stream.getvalue()
    if name == "wide.png":
        return png(80, 60, 16, 2, [row.astype(">u2").tobytes() for row in pixels.astype(np.uint16) * 257])
    formats = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "tif": "TIFF", "bmp": "BMP", "avif": "AVIF"}
    if name == "progressive.jpg":
        options["progressive"] = True
    if name == "lossless.webp":
        options["lossless"] = True
    Pillow.fromarray(pixels).save(stream, formats[name.rpartition(".")[2]], **options)
    return stream.getvalue()


SAMPLES = dict.fromkeys(NAMES, b"")


@pytest.fixture(scope="module", autouse=True)
def samples() -> None:
    SAMPLES.update({name: sample(name) for name in NAMES})


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: list[bytes], extra: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + header + extra + body + chunk(b"IEND", b"")


def refusal(path: Path, act: Callable[[Path], object] = read_image) -> str:
    """Return the reason why a file is refused; it must be one line that names the file."""
    with pytest.raises(ImageFileError) as caught:
        act(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: ")
    assert "\n" not in text
    assert caught.value.path == path
    assert not caught.value.reason.endswith(".")
    return caught.value.reason


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


# Damaged content


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.98])
def test_a_truncated_file_is_an_error_never_a_half_picture(tmp_path: Path, name: str, share: float) -> None:
    content = SAMPLES[name]
    path = tmp_path / name
    path.write_bytes(content[: int(len(content) * share)])
    if name.endswith(".tif") and share > 0.9:
        path.write_bytes(content[: len(content) // 2])  # directories may stand last: cut into the pixels
    assert "truncated" in (reason := refusal(path)) or "damaged" in reason


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_whose_download_left_zeros_is_truncated(tmp_path: Path, progressive: bool) -> None:
    thumbnail = b"\xff\xd8\xff\xda\0\x08\1\1\0\0\x3f\0thumbnail\xff\xd9"  # complete, unlike the picture
    exif = Pillow.Exif()
    exif.get_ifd(34665)[37500] = thumbnail
    path = tmp_path / "a.jpg"
    Pillow.fromarray(picture()).save(path, exif=exif, progressive=progressive)
    content = path.read_bytes()
    assert thumbnail in content
    assert read_image(path).width == 80
    path.write_bytes(content[: len(content) // 2] + bytes(len(content) - len(content) // 2))
    assert "truncated" in refusal(path)


@pytest.mark.parametrize("name", ["a.png", "wide.png"])
def test_a_png_with_a_changed_byte_in_its_pixels_is_damaged(tmp_path: Path, name: str) -> None:
    content = bytearray(SAMPLES[name])
    content[len(content) // 2] ^= 0x55
    (tmp_path / name).write_bytes(content)
    assert "damaged" in refusal(tmp_path / name)


@given(name=st.sampled_from(NAMES), seed=st.integers(0, 2**32 - 1), early=st.booleans())
@settings(max_examples=300, deadline=None)
def test_whatever_a_file_holds_it_is_a_picture_or_one_sentence(
    tmp_path: Path, name: str, seed: int, early: bool
) -> None:
    rng = np.random.default_rng(seed)
    content = bytearray(SAMPLES[name])
    reach = min(len(content), 700) if early else len(content)  # headers and metadata stand early
    for at in rng.integers(0, reach, rng.integers(1, 12)):
        content[at] = rng.integers(0, 256)
    path = tmp_path / name
    path.write_bytes(content)
    for act in (
        probe,
        lambda p: read_image(p, max_pixels=10**7),
        lambda p: read_thumbnail(p, 16, max_pixels=10**7),
    ):
        said = ""
        try:
            act(path)
        except ImageFileError as error:
            said = str(error)
        assert "\n" not in said


def test_nothing_reaches_stderr(tmp_path: Path) -> None:
    for name, content in SAMPLES.items():
        for at in range(8, 400, 13):
            changed = bytearray(content)
            changed[at] ^= 0xFF
            (tmp_path / f"{at}-{name}").write_bytes(changed)
    program = """
import sys, pathlib
from srviewer.imaging.files import ImageFileError, read_image
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    try:
        read_image(path, max_pixels=10**7)
    except ImageFileError:
        pass
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_warnings_of_libraries_are_kept_away_in_every_thread(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(SAMPLES["a.jpg"])
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as threads:
        read = list(threads.map(lambda _: read_image(path).pixels.sum(), range(64)))
    assert len(set(read)) == 1
    assert warnings.filters == before
    with quiet():
        warnings.warn("not shown", stacklevel=1)
    with pytest.warns(UserWarning, match="shown"):
        warnings.warn("shown", stacklevel=1)


# Not an image, or not one that is read


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.png", b"", "empty"),
        ("a.png", b"Dear diary,\nto-day I renamed a text.\n", "text"),
        ("a.png", "Überraschung, dies ist nur Text und kein Bild, aber lang genug. äöü".encode(), "text"),
        ("a.jpg", bytes(range(128, 256)), "not an image"),
        ("a.gif", b"GIF89a" + bytes(100), "GIF"),
        ("a.png", b"GIF89a" + bytes(100), "GIF"),
        ("a.psd", b"8BPS\0\1" + bytes(100), "Photoshop"),
        ("a.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "HEIC"),
        ("a.heic", b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic" + bytes(100), "HEIC"),
        ("a.cr3", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(100), "RAW"),
        ("a.mp4", b"\0\0\0\x18ftypisom\0\0\0\1isommp41" + bytes(100), "video"),
        ("a.cr2", b"II*\0\x10\0\0\0CR\2\0" + bytes(100), "RAW"),
        ("a.nef", b"II*\0\x10\0\0\0" + bytes(100), "RAW"),
        ("a.raf", b"FUJIFILMCCD-RAW 0201" + bytes(100), "RAW"),
        ("a.jxl", b"\xff\x0a" + bytes(100), "JPEG XL"),
        ("a.jp2", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100), "JPEG 2000"),
        ("a.exr", b"v/1\x01" + bytes(100), "OpenEXR"),
        ("a.pdf", b"%PDF-1.7" + bytes(100), "PDF"),
    ],
)
def test_foreign_files_get_one_clear_sentence(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    for act in (read_image, probe):
        assert reason in refusal(tmp_path / name, act)


@pytest.mark.parametrize(
    ("name", "what"), [("a.png", "animated PNG"), ("a.webp", "WebP"), ("a.avif", "AVIF")]
)
def test_animations_are_refused(tmp_path: Path, name: str, what: str) -> None:
    first, second = Pillow.fromarray(picture()), Pillow.fromarray(255 - picture())
    first.save(tmp_path / name, save_all=True, append_images=[second])
    assert what in refusal(tmp_path / name)
    assert "animated" in refusal(tmp_path / name, probe)


def test_digital_negatives_are_refused_whatever_their_name(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif", picture(), photometric="rgb", extratags=[(50706, 1, 4, b"\1\4\0\0", True)]
    )
    assert "RAW" in refusal(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", picture()[..., 0], photometric=32803)
    assert "RAW" in refusal(tmp_path / "b.tif")


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        (np.float32, "floating-point"),
        (np.float16, "floating-point"),
        (np.uint32, "32 bits"),
        (np.int16, "signed"),
    ],
)
def test_samples_of_other_kinds_are_refused(tmp_path: Path, dtype: Any, words: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", picture()[..., 0].astype(dtype))
    assert words in refusal(tmp_path / "a.tif")


# Sizes


def test_a_huge_header_is_refused_before_anything_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(60_000, 60_000, 8, 2, [b"abc"]))
    assert "60,000 × 60,000 pixels, more than the limit of 1,000 megapixels" in refusal(path)
    assert "limit" in refusal(path, lambda p: read_thumbnail(p, 64))
    assert probe(path).width == 60_000
    assert "damaged" in refusal(path, lambda p: read_image(p, max_pixels=10**10, max_memory=None))
    tifffile.imwrite(tmp_path / "a.tif", picture())
    content = bytearray((tmp_path / "a.tif").read_bytes())
    for entry in exif_block.first_directory(bytes(content))[0]:
        if entry.tag in (256, 257):
            content[entry.at : entry.at + 12] = struct.pack("<HHII", entry.tag, 4, 1, 60_000)
    (tmp_path / "a.tif").write_bytes(content)
    assert "60,000 × 60,000" in refusal(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.jpg", "a.bmp", "a.webp"])
def test_a_huge_header_of_other_formats(tmp_path: Path, name: str) -> None:
    content = bytearray(SAMPLES[name])
    if name == "a.jpg":
        at = content.index(b"\xff\xc0") + 5
        content[at : at + 4] = struct.pack(">HH", 60_000, 60_000)
    elif name == "a.webp":  # the format ends at 16,384
        content[24:30] = (16_382).to_bytes(3, "little") * 2
        (tmp_path / name).write_bytes(content)
        reason = refusal(tmp_path / name, lambda p: read_image(p, max_pixels=2 * 10**8))
        assert reason == "it has 16,383 × 16,383 pixels, more than the limit of 200 megapixels"
        return
    else:
        content[18:26] = struct.pack("<ii", 60_000, 60_000)
    (tmp_path / name).write_bytes(content)
    assert "60,000 × 60,000" in refusal(tmp_path / name)


def test_our_limits_are_the_only_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 100)  # would raise for any of these
    for name, content in SAMPLES.items():
        (tmp_path / name).write_bytes(content)
        assert read_image(tmp_path / name).pixels.size == 60 * 80 * 3
        assert "4,800" not in refusal(tmp_path / name, lambda p: read_image(p, max_pixels=4_799))
        assert read_image(tmp_path / name, max_pixels=4_800).width in (60, 80)


@pytest.mark.parametrize("name", NAMES)
def test_more_memory_than_allowed_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(SAMPLES[name])
    assert "memory" in refusal(tmp_path / name, lambda p: read_image(p, max_memory=50_000))
    assert read_image(tmp_path / name, max_memory=1_000_000).pixels.size == 60 * 80 * 3


def test_no_pixels(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(0, 5, 8, 2, []))
    assert "0 × 5" in refusal(tmp_path / "a.png")
    bmp = bytearray(SAMPLES["a.bmp"])
    bmp[18:22] = bytes(4)
    (tmp_path / "a.bmp").write_bytes(bmp)
    refusal(tmp_path / "a.bmp")
    empty = Image(np.zeros((0, 4, 3), np.uint8))
    assert "no pixels" in refusal(tmp_path / "b.png", lambda p: write_image(empty, p))


@pytest.mark.parametrize("size", [(1, 1), (5, 3)])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "a.bmp", "a.avif"])
def test_tiny_pictures_are_fine(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    write_image(Image(picture(*size)), tmp_path / name)
    assert read_image(tmp_path / name).pixels.shape == (*size, 3)


# Paths


def test_paths_that_are_no_readable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no such file" in refusal(tmp_path / "missing.png")
    assert "no such file" in refusal(tmp_path / "missing" / "a.png")
    (tmp_path / "folder.png").mkdir()
    assert "folder" in refusal(tmp_path / "folder.png")
    (tmp_path / "a.png").write_bytes(SAMPLES["a.png"])
    assert "file, not a folder" in refusal(tmp_path / "a.png" / "b.png")
    assert "too long" in refusal(tmp_path / ("x" * 300 + ".png"))

    def denied(self: Path, mode: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", denied)
    assert "permission denied" in refusal(tmp_path / "a.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    assert "not a file" in refusal(tmp_path / "a.png")
    assert "ordinary" in refusal(
        tmp_path / "a.png", lambda p: write_image(Image(picture()), p, overwrite=True)
    )


# Damaged metadata


@pytest.mark.parametrize(
    "icc", [b"rubbish", display_p3()[:200], b"\0" * 600, display_p3().replace(b"rXYZ", b"....")]
)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif"])
def test_a_damaged_profile_is_dropped_with_a_note(tmp_path: Path, suffix: str, icc: bytes) -> None:
    path = tmp_path / f"a{suffix}"
    Pillow.fromarray(picture()).save(path, icc_profile=icc)
    image = read_image(path)
    assert image.icc is None
    assert image.notes == ("its colour profile is damaged and was dropped",)


@pytest.mark.parametrize(("icc", "space"), [(linear_grey(), "GRAY"), (inks(), "CMYK")])
def test_a_profile_of_another_colour_space_is_dropped_with_a_note(
    tmp_path: Path, icc: bytes, space: str
) -> None:
    Pillow.fromarray(picture()).save(tmp_path / "a.png", icc_profile=icc)
    image = read_image(tmp_path / "a.png")
    assert image.icc is None
    assert image.notes == (f"its colour profile is for {space} and was dropped",)


def test_a_compressed_profile_that_explodes_is_dropped(tmp_path: Path) -> None:
    bomb = b"x\0\0" + zlib.compress(bytes(200 << 20), 9)
    (tmp_path / "a.png").write_bytes(png(1, 1, 8, 2, [b"abc"], chunk(b"iCCP", bomb)))
    image = read_image(tmp_path / "a.png")
    assert image.icc is None
    assert image.notes


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0rubbish", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_damaged_exif_is_dropped_with_a_note(tmp_path: Path, suffix: str, exif: bytes) -> None:
    path = tmp_path / f"a{suffix}"
    Pillow.fromarray(picture()).save(path, exif=exif)
    image = read_image(path)
    assert image.exif is None
    assert image.notes == ("its EXIF is damaged and was dropped",)
    assert image.width == 80


@given(st.binary(max_size=60), st.integers(0, 2**32 - 1))
@settings(max_examples=300, deadline=None)
def test_exif_of_any_bytes_is_changed_or_refused(tail: bytes, seed: int) -> None:
    exif = Pillow.Exif()
    exif[274], exif[271] = 6, "Maker"
    exif.get_ifd(34665)[40962] = 80
    block = bytearray(exif.tobytes()[6:] + tail)
    rng = np.random.default_rng(seed)
    for at in rng.integers(0, len(block), 5):
        block[at] = rng.integers(0, 256)
    given_block = bytes(block)
    for act in (
        exif_block.orientation,
        exif_block.upright,
        exif_block.tree,
        lambda b: exif_block.resized(b, 9, 9),
    ):
        try:
            act(given_block)
        except ValueError:
            continue
    try:
        changed = exif_block.upright(given_block)
    except ValueError:
        return
    assert exif_block.orientation(changed) == 1


def test_exif_directories_that_point_at_themselves_end() -> None:
    loop = b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 34665, 4, 1, 8) + struct.pack("<I", 8)
    assert exif_block.orientation(loop) == 1
    exif_block.upright(loop)
    exif_block.resized(loop, 5, 5)
    assert exif_block.tree(loop) is not None


# Writing


def test_an_existing_file_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"precious")
    assert "exists already" in refusal(path, lambda p: write_image(Image(picture()), p))
    assert path.read_bytes() == b"precious"
    path.chmod(0o640)
    write_image(Image(picture()), path, overwrite=True)
    np.testing.assert_array_equal(read_image(path).pixels, picture())
    assert path.stat().st_mode & 0o777 == 0o640
    assert names(tmp_path) == ["a.png"]


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    really_sync = os.fsync

    def sync(descriptor: int) -> None:
        if not path.exists():
            path.write_bytes(b"somebody else's")
        really_sync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    assert "exists already" in refusal(path, lambda p: write_image(Image(picture()), p))
    assert path.read_bytes() == b"somebody else's"
    assert names(tmp_path) == ["a.png"]


def test_without_hard_links_files_are_still_whole_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: Path, target: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    write_image(Image(picture()), tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").pixels, picture())
    assert "exists already" in refusal(tmp_path / "a.png", lambda p: write_image(Image(picture()), p))
    assert names(tmp_path) == ["a.png"]


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "a.png"
    link.symlink_to(tmp_path / "real" / "b.png")
    write_image(Image(picture()), link, overwrite=True)
    assert link.is_symlink()
    np.testing.assert_array_equal(read_image(tmp_path / "real" / "b.png").pixels, picture())


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    image = Image(picture())
    assert "does not exist" in refusal(tmp_path / "missing" / "a.png", lambda p: write_image(image, p))
    (tmp_path / "folder.png").mkdir()
    assert "folder" in refusal(tmp_path / "folder.png", lambda p: write_image(image, p, overwrite=True))
    assert "choose .png" in refusal(tmp_path / "a.xyz", lambda p: write_image(image, p))
    assert "choose .png" in refusal(tmp_path / "a", lambda p: write_image(image, p))
    (tmp_path / "file").write_bytes(b"")
    assert "not a folder" in refusal(tmp_path / "file" / "a.png", lambda p: write_image(image, p))
    long = tmp_path / ("x" * 300 + ".png")
    assert "too long" in refusal(long, lambda p: write_image(image, p))


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EACCES, "permission denied"), (errno.EROFS, "read-only"), (errno.ENOSPC, "disk is full")],
)
def test_a_folder_that_takes_no_new_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    def refuse(self: Path, mode: str) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "open", refuse)
    assert words in refusal(tmp_path / "a.png", lambda p: write_image(Image(picture()), p))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert "permission denied" in refusal(tmp_path / "a.png", lambda p: write_image(Image(picture()), p))
    tmp_path.chmod(0o700)


def test_a_disk_that_fills_up_at_the_last_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert "the disk is full" in refusal(tmp_path / "a.png", lambda p: write_image(Image(picture()), p))
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="needs resource limits")
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp", ".avif"])
def test_a_disk_that_fills_up_while_writing(tmp_path: Path, suffix: str) -> None:
    program = f"""
import resource, signal
import numpy as np
from srviewer.imaging.files import ImageFileError, write_image
from srviewer.imaging.image import Image
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
try:
    write_image(Image(pixels), "a{suffix}")
except ImageFileError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"a{suffix}: it cannot be written: ")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert names(tmp_path) == []


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize(
    "moment", ["at the first byte", "half way", "before the sync", "after the sync", "before the name"]
)
def test_a_killed_process_leaves_nothing_under_the_name(
    tmp_path: Path, moment: str, existing: bool, format_: FormatName
) -> None:
    path = tmp_path / "a.img"
    if existing:
        path.write_bytes(b"precious")
    program = f"""
import io, os, pathlib, signal
import numpy as np
from srviewer.imaging import writing
from srviewer.imaging.image import Image

moment = {moment!r}

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

really_sync, really_encode = os.fsync, writing._encode

def sync(descriptor):
    if moment == "before the sync":
        die()
    really_sync(descriptor)
    if moment == "after the sync":
        die()

def encode(stream, image, format_, options):
    if moment == "at the first byte":
        stream.write(b"x")
        stream.flush()
        die()
    really_encode(stream, image, format_, options)
    if moment == "half way":
        stream.flush()
        os.ftruncate(stream.fileno(), stream.seek(0, 2) // 2)
        die()

os.fsync, writing._encode = sync, encode
if moment == "before the name":
    os.link = die
    pathlib.Path.replace = die
pixels = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)
writing.write_image(Image(pixels), {str(path)!r}, format={format_!r}, overwrite={existing})
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    if existing:
        assert path.read_bytes() == b"precious"
    else:
        assert not path.exists()
    left = [name for name in names(tmp_path) if name != path.name]
    assert all(name.startswith(TEMPORARY_PREFIX) for name in left)
    pixels = np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8)
    write_image(Image(pixels), path, format=format_, overwrite=existing)  # what was left is in nobody's way
    np.testing.assert_array_equal(read_image(path).pixels, pixels)
