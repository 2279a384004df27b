"""What is behind dropped paths."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from srviewer.imaging.files import write_image
from srviewer.imaging.image import Image
from srviewer.session.dropping import expand, local_paths, natural_key
from srviewer.session.geometry import Size
from srviewer.session.intake import take_in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "a10.png",
        "a2.PNG",
        "notes.txt",
        ".hidden.png",
        "net.pth",
        "sub/b.jpg",
        "sub/deep/c.tif",
        ".git/d.png",
        "empty/readme.md",
    ):
        file = tmp_path / "in" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path / "in"


def names(paths: tuple[Path, ...], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def test_a_folder_gives_its_images_in_natural_order(folder: Path) -> None:
    dropped = expand([folder])
    assert names(dropped.images, folder) == ["a2.PNG", "a10.png", "sub/b.jpg", "sub/deep/c.tif"]
    assert dropped.checkpoints == ()
    assert dropped.ignored == ()
    assert names(expand([folder], recursive=False).images, folder) == ["a2.PNG", "a10.png"]


def test_named_files_are_taken_or_told_apart(folder: Path) -> None:
    dropped = expand([folder / "net.pth", folder / ".hidden.png", folder / "notes.txt", folder / "gone.png"])
    assert names(dropped.checkpoints, folder) == ["net.pth"]
    assert names(dropped.images, folder) == [".hidden.png"]
    assert [(one.path.name, one.reason) for one in dropped.ignored] == [
        ("notes.txt", "is no image"),
        ("gone.png", "does not exist"),
    ]


def test_a_folder_without_images_is_told(folder: Path) -> None:
    (ignored,) = expand([folder / "empty"]).ignored
    assert str(ignored).endswith("holds no image that is not in the list already")


def test_each_file_comes_once(folder: Path) -> None:
    dropped = expand([folder / "a10.png", folder, folder / "a10.png"])
    assert names(dropped.images, folder) == ["a10.png", "a2.PNG", "sub/b.jpg", "sub/deep/c.tif"]


def test_links_in_circles_end(folder: Path) -> None:
    (folder / "sub" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "dangling.png").symlink_to(folder / "nothing.png")
    dropped = expand([folder])
    assert names(dropped.images, folder) == ["a2.PNG", "a10.png", "sub/b.jpg", "sub/deep/c.tif"]
    assert expand([folder / "dangling.png"]).ignored[0].reason == "is a link to something that does not exist"


def test_patterns_are_expanded_where_no_such_file_is(folder: Path) -> None:
    assert names(expand([f"{folder}/a*.*"]).images, folder) == ["a2.PNG", "a10.png"]
    assert names(expand([f"{folder}/**/*.tif"]).images, folder) == ["sub/deep/c.tif"]
    assert expand([f"{folder}/*.bmp"]).ignored[0].reason == "matches nothing"
    (folder / "x[1].png").touch()
    assert names(expand([folder / "x[1].png"]).images, folder) == ["x[1].png"]


def test_an_unreadable_folder_is_told_and_the_rest_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def guarded(path: Path) -> object:
        if path.name == "sub":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", guarded)  # root, as whom tests may run, reads every folder
    dropped = expand([folder])
    assert names(dropped.images, folder) == ["a2.PNG", "a10.png"]
    assert [(one.path.name, one.reason) for one in dropped.ignored] == [
        ("sub", "cannot be read: Permission denied")
    ]


def test_odd_paths_do_not_stop_the_rest(folder: Path) -> None:
    dropped = expand(["bad\0name.png", "x" * 5000 + ".png", folder / "a2.PNG"])
    assert names(dropped.images, folder) == ["a2.PNG"]
    assert len(dropped.ignored) == 2


def test_a_search_can_be_stopped(folder: Path) -> None:
    asked: list[None] = []

    def stopped() -> bool:
        asked.append(None)
        return len(asked) > 3

    assert len(expand([folder], stopped=stopped).images) < 4


def test_numbers_in_names_count_as_numbers() -> None:
    listed = [Path(name) for name in ("b", "a10", "A9", "a1", "a01b", "10", "9")]
    assert [str(path) for path in sorted(listed, key=natural_key)] == [
        "9",
        "10",
        "a1",
        "a01b",
        "A9",
        "a10",
        "b",
    ]


def test_urls_of_local_files() -> None:
    paths, others = local_paths(
        ["file:///tmp/a%20b.png", "file://localhost/c.png", "http://x.org/d.png", "file://server/e.png", " "]
    )
    assert paths == (Path("/tmp/a b.png"), Path("/c.png"))
    assert others == ("http://x.org/d.png", "file://server/e.png")


def test_taking_in_reads_headers_and_finds_pairs(tmp_path: Path) -> None:
    def picture(name: str, width: int, height: int, *, deep: bool = False) -> Path:
        shape = (height, width, 3)
        image = Image(np.zeros(shape, np.uint16)) if deep else Image(np.zeros(shape, np.uint8))
        write_image(image, tmp_path / name)
        return tmp_path / name

    low, high = picture("a_LR.png", 8, 6), picture("a_HR.png", 32, 24)
    deep = picture("b.png", 5, 7, deep=True)
    broken = tmp_path / "c.png"
    broken.write_bytes(b"no png")
    (tmp_path / "net.pth").touch()
    intake = take_in([tmp_path, tmp_path / "net.pth"])
    assert [(image.path, image.size, image.bits) for image in intake.images] == [
        (low, Size(8, 6), 8),
        (deep, Size(5, 7), 16),
    ]
    assert [(pair.lr, pair.hr, pair.scale) for pair in intake.pairs] == [(low, high, 4)]
    assert intake.checkpoints == (tmp_path / "net.pth",)
    assert [one.path for one in intake.ignored] == [broken]
    assert take_in([tmp_path], stopped=lambda: True).images == ()


def test_a_link_in_a_circle_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
    (tmp_path / "photo.png").write_bytes(b"")
    found = expand([tmp_path])
    assert [image.name for image in found.images] == ["photo.png"]
    assert found.ignored == ()
