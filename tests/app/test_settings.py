from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srviewer.app.dialogs.output import OutputChoice
from srviewer.app.settings import Settings, SettingsStore, settings_file
from srviewer.app.target_size import TargetSize, TargetSizeError, resampled
from srviewer.engine.request import UpscaleOptions
from srviewer.imaging.image import Image
from srviewer.session.estimate import Measurement, Workload
from srviewer.session.geometry import Size

FULL = Settings(
    theme="light",
    options=UpscaleOptions("cuda:1", "bf16", 96, 3 << 30, True),
    run_on_drop=False,
    output=OutputChoice(Path("/out"), "{stem}-{model}, {scale}", "JPEG", 80, "4:2:0", True),
    target=TargetSize("print", 1.5, 5000, 42.0, 240.0),
    ticked=("bicubic_x4", "/a b/ü.pth", 'with "quotes", and commas'),
    open_folder="/somewhere/else",
    recent=("/a.png", "/b, c.png"),
    geometry=bytes(range(256)),
    layout=b"\x00\xff;=\n",
    history=(Measurement(Workload("safmn_x4", 4, 1.5e10), "auto", "auto", "auto", False, 10**6, 2.5, 10**9),),
)


def test_all_settings_survive_a_file(tmp_path: Path) -> None:
    store = SettingsStore(tmp_path / "deep" / "settings.ini")
    store.save(FULL)
    assert SettingsStore(tmp_path / "deep" / "settings.ini").load() == FULL


def test_no_file_gives_the_defaults(tmp_path: Path) -> None:
    assert SettingsStore(tmp_path / "none.ini").load() == Settings()
    assert SettingsStore(None).load() == Settings()
    SettingsStore(None).save(FULL)


def test_nothing_ticked_is_remembered_as_such(tmp_path: Path) -> None:
    store = SettingsStore(tmp_path / "s.ini")
    store.save(dataclasses.replace(FULL, ticked=()))
    assert store.load().ticked == ()


@pytest.mark.parametrize(
    "content", [b"", b"\x00\x01\x02\xff" * 50, b"[General]\nversion=rubbish\n", b"theme=dark"]
)
def test_a_broken_file_is_put_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "settings.ini"
    path.write_bytes(content)
    assert SettingsStore(path).load() == Settings()
    assert not path.exists()
    assert path.with_name("settings.ini.broken").read_bytes() == content
    SettingsStore(path).save(FULL)
    assert SettingsStore(path).load() == FULL


@pytest.mark.parametrize(
    "key",
    [
        "theme",
        "device",
        "precision",
        "tile",
        "max_memory",
        "on_drop",
        "template",
        "form",
        "quality",
        "factor",
        "kind",
        "ticked",
        "recent",
        "geometry",
        "history",
    ],
)
def test_one_bad_value_costs_only_itself(tmp_path: Path, key: str) -> None:
    path = tmp_path / "settings.ini"
    SettingsStore(path).save(FULL)
    lines = path.read_text().splitlines()
    hits = [index for index, line in enumerate(lines) if line.partition("=")[0].rpartition("\\")[2] == key]
    assert len(hits) == 1
    lines[hits[0]] = f"{lines[hits[0]].partition('=')[0]}=<nonsense>"
    path.write_text("\n".join(lines))
    loaded = SettingsStore(path).load()
    assert loaded != FULL
    assert loaded.open_folder == FULL.open_folder
    assert loaded.options.max_memory in (FULL.options.max_memory, None)


def test_an_unwritable_place_is_no_fault(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    SettingsStore(blocked / "settings.ini").save(FULL)
    assert blocked.read_text() == "in the way"


def test_the_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRVIEWER_CONFIG", str(tmp_path))
    assert settings_file() == tmp_path / "settings.ini"


@given(width=st.integers(1, 5000), height=st.integers(1, 5000), edge=st.integers(1, 20_000))
def test_a_long_edge_is_reached_exactly(width: int, height: int, edge: int) -> None:
    size = TargetSize("long edge", long_edge=edge).size_for(Size(width, height), 4)
    assert max(size.width, size.height) == edge
    assert abs(min(size.width, size.height) - min(width, height) * edge / max(width, height)) <= 1


def test_sizes_by_factor_print_and_network() -> None:
    source = Size(300, 200)
    assert TargetSize().size_for(source, 4) == Size(1200, 800)
    assert TargetSize("factor", factor=2.5).size_for(source, 4) == Size(750, 500)
    assert TargetSize("print", print_centimetres=25.4, dots_per_inch=300).size_for(source, 4) == Size(
        3000, 2000
    )
    with pytest.raises(TargetSizeError, match="too long"):
        TargetSize("factor", factor=1000).size_for(source, 4)
    with pytest.raises(TargetSizeError, match="above zero"):
        TargetSize("factor", factor=0)


def test_resampling_keeps_depth_and_alpha() -> None:
    import numpy as np

    pixels = np.full((8, 12, 3), 40_000, np.uint16)
    image = resampled(Image(pixels, pixels[..., 0].copy()), Size(9, 6))
    assert image.pixels.shape == (6, 9, 3)
    assert image.alpha is not None
    assert image.pixels.dtype == image.alpha.dtype == np.uint16
    assert int(image.pixels.min()) == int(image.pixels.max()) == 40_000
