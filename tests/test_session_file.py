"""Session files: saving, opening, damage."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srviewer.session.comparison import Comparison, Mode, Pane, PaneKind
from srviewer.session.entries import GivenReference, MadeReference, Reference
from srviewer.session.geometry import PixelRect, Point
from srviewer.session.sessionfile import (
    OpenedSession,
    SavedImage,
    SavedView,
    SessionFileError,
    SessionRecord,
    open_session,
    save_session,
)

scales = st.sampled_from((2, 3, 4))
pane = st.builds(Pane, st.sampled_from(PaneKind), st.sampled_from(("", "bsrn_x4", "/weights/mein netz.pth")))
comparisons = st.builds(
    Comparison,
    mode=st.sampled_from(Mode),
    a=st.none() | pane,
    b=st.none() | pane,
    divider=st.floats(0, 1),
    orientation=st.sampled_from(("vertical", "horizontal")),
    gain=st.floats(1, 64),
    colour_map=st.sampled_from(("grey", "inferno", "viridis", "turbo")),
)
views = st.builds(
    SavedView, st.builds(Point, st.floats(0, 1), st.floats(0, 1)), st.floats(1e-6, 1e6), st.booleans()
)
regions = st.none() | st.builds(
    PixelRect, st.integers(0, 9999), st.integers(0, 9999), st.integers(1, 9999), st.integers(1, 9999)
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("sub/a.png", "ü b.png", "hr.png", "other/c.tif"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"")
    return tmp_path


@settings(max_examples=60)
@given(st.data())
def test_what_is_saved_is_opened(folder: Path, data: st.DataObject) -> None:
    references: st.SearchStrategy[Reference | None] = st.one_of(
        st.none(),
        st.builds(MadeReference, scales),
        st.builds(GivenReference, st.just(folder / "hr.png"), scales),
    )
    paths = st.sampled_from([folder / "sub/a.png", folder / "ü b.png", folder / "other/c.tif"])
    images = tuple(data.draw(st.lists(st.builds(SavedImage, paths, references, regions), max_size=4)))
    record = SessionRecord(
        images,
        data.draw(st.integers(0, len(images) - 1)) if images else None,
        tuple(data.draw(st.lists(st.sampled_from(["bicubic_x4", "bsrn_x4", "/w/eigen.pth"]), unique=True))),
        data.draw(views),
        data.draw(comparisons),
    )
    path = folder / "sub" / "one.srsession"
    save_session(record, path)
    assert open_session(path) == OpenedSession(record, ())


def test_a_session_moves_with_its_files(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    save_session(
        SessionRecord((SavedImage(folder / "sub/a.png", GivenReference(folder / "hr.png", 4)),), 0),
        folder / "one.srsession",
    )
    assert str(folder) not in (folder / "one.srsession").read_text(encoding="utf-8")
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "moved"
    folder.rename(elsewhere)
    try:
        opened = open_session(elsewhere / "one.srsession")
        assert opened.missing == ()
        assert opened.record.images[0].path == elsewhere / "sub/a.png"
        assert opened.record.images[0].reference == GivenReference(elsewhere / "hr.png", 4)
    finally:
        elsewhere.rename(folder)


def test_missing_files_are_told_and_the_rest_opens(folder: Path) -> None:
    images = (
        SavedImage(folder / "gone.png"),
        SavedImage(folder / "ü b.png", GivenReference(folder / "gone too.png", 2)),
        SavedImage(folder / "sub/a.png"),
    )
    path = folder / "one.srsession"
    save_session(SessionRecord(images, 2), path)
    opened = open_session(path)
    assert opened.missing == (folder / "gone.png", folder / "gone too.png")
    assert [image.path for image in opened.record.images] == [folder / "ü b.png", folder / "sub/a.png"]
    assert opened.record.images[0].reference is None
    assert opened.record.current == 1
    save_session(SessionRecord(images, 0), path)
    assert open_session(path).record.current == 0


def whole(folder: Path) -> Path:
    path = folder / "one.srsession"
    record = SessionRecord(
        (SavedImage(folder / "sub/a.png", MadeReference(4), PixelRect(1, 2, 3, 4)),), 0, ("bicubic_x4",)
    )
    save_session(record, path)
    return path


def test_a_cut_file_is_a_clear_error(folder: Path) -> None:
    path = whole(folder)
    content = path.read_bytes()
    for length in range(0, len(content) - 2, 7):
        path.write_bytes(content[:length])
        with pytest.raises(SessionFileError, match=r"one\.srsession"):
            open_session(path)


@settings(max_examples=150)
@given(st.data())
def test_any_wrong_value_is_a_clear_error_or_none(folder: Path, data: st.DataObject) -> None:
    """Damage anywhere in the tree never gives another exception than the one that is documented."""
    path = whole(folder)
    content = json.loads(path.read_bytes())
    node, key = content, data.draw(st.sampled_from(sorted(content)))
    while isinstance(node[key], dict | list) and node[key] and data.draw(st.booleans()):
        node = node[key]
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
    junk = st.sampled_from(
        [None, True, -1, 0, 2.5, 1e308, 10**400, "", "x", "\0", [], [1], {}, {"kind": "made"}]
    )
    node[key] = data.draw(junk)
    path.write_text(json.dumps(content), encoding="utf-8")
    with contextlib.suppress(SessionFileError):
        save_session(open_session(path).record, path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "damaged"),
        (b"\xff\xfe\x00", "damaged"),
        (b"[" * 100_000, "damaged"),
        (b"[]", "no session file"),
        (b'{"kind": "something else"}', "no session file"),
        (b'{"kind": "srviewer session", "version": 99}', "newer version"),
        (b'{"kind": "srviewer session", "version": "1"}', "version"),
        (b'{"kind": "srviewer session", "version": 1}', "images"),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.srsession"
    path.write_bytes(content)
    with pytest.raises(SessionFileError, match=reason):
        open_session(path)


def test_unreadable_and_unwritable_paths(tmp_path: Path) -> None:
    with pytest.raises(SessionFileError, match="cannot be read"):
        open_session(tmp_path / "nothing.srsession")
    with pytest.raises(SessionFileError, match="nowhere"):
        save_session(SessionRecord(), tmp_path / "nowhere" / "x.srsession")


def test_a_failed_save_leaves_the_old_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = whole(folder)
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SessionFileError, match="disk is full"):
        save_session(SessionRecord(), path)
    assert path.read_bytes() == before
    assert sorted(file.name for file in folder.iterdir()) == [
        "hr.png",
        "one.srsession",
        "other",
        "sub",
        "ü b.png",
    ]
