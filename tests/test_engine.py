from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from srviewer.engine import cutting
from srviewer.engine import footprint as footprint_room
from srviewer.engine import upscale as upscale_engine
from srviewer.engine.backends import EagerTorch, Runner, is_out_of_memory
from srviewer.engine.device import Device, choose_device
from srviewer.engine.footprint import Footprint, Surroundings, auto_side, footprint_of, measure
from srviewer.engine.mixed import mixed
from srviewer.engine.request import (
    Cancelled,
    FinishedTile,
    Progress,
    UpscaleError,
    UpscaleOptions,
)
from srviewer.engine.telemetry import PeakMeter, Stopwatch, release_memory
from srviewer.engine.upscale import upscale
from srviewer.imaging.files import read_image
from srviewer.imaging.image import Image, Pixels
from srviewer.imaging.resize import imresize
from srviewer.networks.fusion import fused
from srviewer.paths import user_cache_folder
from srviewer.zoo import families
from srviewer.zoo.model import LoadedModel, load_model
from srviewer.zoo.spec import SPECS
from srviewer.zoo.tensors import to_pixels, to_tensor

FP32 = UpscaleOptions(device="cpu", precision="fp32", tile="off")


def noise(height: int, width: int, dtype: type[np.uint8 | np.uint16] = np.uint8) -> Pixels:
    pixels: Pixels = np.random.default_rng(height * 1000 + width).integers(
        0, np.iinfo(dtype).max, (height, width, 3), dtype
    )
    return pixels


class Local(nn.Module):
    """A x2 network that looks one pixel around."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv = nn.Conv2d(3, 12, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, image: Tensor) -> Tensor:
        answer: Tensor = self.shuffle(self.conv(image))
        return answer


class Faulty(Local):
    """The same, but a test decides what goes wrong."""

    def __init__(self, fault: Callable[[Tensor, int], Tensor | None]) -> None:
        super().__init__()
        self.fault = fault
        self.calls: list[tuple[int, int]] = []

    def forward(self, image: Tensor) -> Tensor:
        if not torch.is_tensor(image):
            raise TypeError("a faulty network cannot be traced")
        self.calls.append((int(image.shape[3]), int(image.shape[2])))
        wrong = self.fault(image, len(self.calls))
        return super().forward(image) if wrong is None else wrong

    def __deepcopy__(self, memo: dict[int, object]) -> Faulty:
        """Copies report to the original, since the engine works on copies."""
        twin = Faulty(self.fault)
        twin.load_state_dict(self.state_dict())
        twin.calls = self.calls
        return twin.requires_grad_(False)


def loaded(network: nn.Module, *, reach: int | None = 1) -> LoadedModel:
    spec = dataclasses.replace(
        SPECS["safmn_x2"], id="fake", name="Fake", reach=reach, overlap=1, smallest_side=1
    )
    return LoadedModel("fake", spec, network.eval().requires_grad_(False), "a test")


def real(model_id: str) -> LoadedModel:
    torch.manual_seed(1)
    network = fused(families.build(SPECS[model_id]))
    return LoadedModel(model_id, SPECS[model_id], network.eval().requires_grad_(False), "random")


def psnr(one: Pixels, two: Pixels) -> float:
    square = float(((one.astype(np.float64) - two) ** 2).mean())
    return float(10 * np.log10(255**2 / max(square, 1e-12)))


def most(one: Pixels, two: Pixels) -> int:
    return int(np.abs(one.astype(np.int64) - two).max())


# The result ------------------------------------------------------------------------------------------------


def test_the_result_is_the_networks(tmp_path: Path) -> None:
    model = loaded(Local())
    image = Image(noise(13, 17), icc=b"profile", exif=b"exif", path=tmp_path / "a.png", format="PNG")
    result = upscale(image, model, FP32)
    with torch.no_grad():
        expected = to_pixels(model(to_tensor(image.pixels)), np.uint8)
    np.testing.assert_array_equal(result.image.pixels, expected)
    assert (result.image.icc, result.image.exif, result.image.format) == (b"profile", b"exif", "PNG")
    assert result.image.path is None
    assert (result.model, result.scale, result.precision, result.tile, result.tiles) == (
        "fake",
        2,
        "fp32",
        None,
        1,
    )
    assert result.exact
    assert result.fp32_tiles == 0
    assert result.device == choose_device("cpu").name
    assert result.seconds > 0
    assert result.megapixels_per_second > 0
    assert result.peak_memory_bytes > 50_000_000
    assert not result.image.pixels.flags.writeable


@given(st.integers(1, 60), st.integers(1, 60), st.integers(16, 40))
@settings(max_examples=15, deadline=None)
def test_tiles_change_nothing_for_a_local_network(height: int, width: int, side: int) -> None:
    model, image = loaded(Local()), Image(noise(height, width))
    whole = upscale(image, model, FP32)
    tiled = upscale(image, model, dataclasses.replace(FP32, tile=side))
    assert most(whole.image.pixels, tiled.image.pixels) <= 1
    assert psnr(whole.image.pixels, tiled.image.pixels) >= 60
    assert tiled.exact
    assert tiled.tile == (side if tiled.tiles > 1 else None)
    assert (tiled.tiles > 1) == (max(height, width) > side)


class Unknown(Local):
    """A network with a layer of which nobody knows how far it looks."""

    def forward(self, image: Tensor) -> Tensor:
        return super().forward(image - image.mean(dim=(2, 3), keepdim=True))


def test_tiles_of_a_network_that_cannot_be_cut_into_stages_are_not_exact() -> None:
    model, image = loaded(Unknown(), reach=None), Image(noise(40, 40))
    assert not upscale(image, model, UpscaleOptions(device="cpu", tile=16)).exact
    assert upscale(image, model, UpscaleOptions(device="cpu", tile=64)).exact
    assert upscale(image, model, UpscaleOptions(device="cpu")).exact
    assert upscale(image, loaded(Local(), reach=None), UpscaleOptions(device="cpu", tile=16)).exact


@pytest.mark.parametrize("tile", ["off", 16])
def test_sixteen_bits_stay(tile: int | str) -> None:
    model, image = loaded(Local()), Image(noise(20, 30, np.uint16))
    options = UpscaleOptions(device="cpu", precision="bf16", tile="off" if tile == "off" else 16)
    result = upscale(image, model, options)
    with torch.no_grad():
        expected = to_pixels(model(to_tensor(image.pixels)), np.uint16)
    assert result.image.pixels.dtype == np.uint16
    assert result.precision == "fp32"
    assert most(result.image.pixels, expected) <= 1
    assert len(np.unique(result.image.pixels)) > 1000


def test_bicubic_runs_in_fp32() -> None:
    image = Image(noise(12, 9) // 4 + 90)  # no overshoot: MATLAB would clip it after its first pass
    result = upscale(image, load_model("bicubic_x3"), UpscaleOptions(device="cpu", precision="bf16"))
    assert result.precision == "fp32"
    # MATLAB rounds there too, the module does not.
    assert most(result.image.pixels, imresize(image.pixels, 3)) <= 1


def test_grey_stays_grey() -> None:
    grey = noise(15, 11)
    grey[:] = grey[:, :, :1].copy()
    model = loaded(Local())
    result = upscale(Image(grey, grey=True), model, FP32).image
    assert result.grey
    np.testing.assert_array_equal(result.pixels[..., 0], result.pixels[..., 1])
    np.testing.assert_array_equal(result.pixels[..., 0], result.pixels[..., 2])
    with torch.no_grad():
        red, green, blue = model(to_tensor(grey))[0].double().numpy()
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    expected = np.rint(np.clip(luma, 0, 1) * 255)
    assert np.abs(result.pixels[..., 0] - expected).max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha_is_enlarged_beside(dtype: type[np.uint8 | np.uint16]) -> None:
    alpha = noise(600, 7, dtype)[..., 0].copy()
    result = upscale(Image(noise(600, 7, dtype), alpha=alpha), loaded(Local()), FP32).image
    assert result.alpha is not None
    assert result.alpha.dtype == dtype
    np.testing.assert_array_equal(result.alpha, imresize(alpha, 2))


def test_hidden_colours_make_no_fringe() -> None:
    pixels = np.full((24, 24, 3), 200, np.uint8)
    alpha = np.full((24, 24), 255, np.uint8)
    alpha[:, 12:] = 0
    pixels[:, 12:] = 0
    result = upscale(Image(pixels, alpha=alpha), load_model("bicubic_x2"), FP32).image
    assert result.pixels.min() >= 199


@pytest.mark.parametrize("size", [(1, 1), (5, 3)])
def test_tiny_pictures(size: tuple[int, int]) -> None:
    result = upscale(Image(noise(*size)), real("bsrn_x2"), UpscaleOptions(device="cpu"))
    assert result.image.pixels.shape == (2 * size[0], 2 * size[1], 3)


def test_self_ensemble_turns_with_the_picture() -> None:
    model, pixels = loaded(Local()), noise(21, 33)
    options = dataclasses.replace(FP32, self_ensemble=True)
    once = upscale(Image(pixels), model, options).image.pixels
    turned = upscale(Image(np.rot90(pixels)[:, ::-1].copy()), model, options).image.pixels
    assert most(np.rot90(once)[:, ::-1], turned) <= 1
    plain = upscale(Image(pixels), model, FP32).image.pixels
    assert most(once, plain) > 1


def test_the_model_stays_as_it_is() -> None:
    model = loaded(Local())
    upscale(Image(noise(9, 9)), model, UpscaleOptions(device="cpu", precision="bf16"))
    assert all(parameter.dtype == torch.float32 for parameter in model.network.parameters())


# While it runs ---------------------------------------------------------------------------------------------


def test_finished_tiles_make_the_result() -> None:
    tiles: list[FinishedTile] = []
    result = upscale(
        Image(noise(50, 70)), loaded(Local()), dataclasses.replace(FP32, tile=20), on_tile=tiles.append
    )
    gathered = np.zeros_like(result.image.pixels)
    for tile in tiles:
        assert tile.pixels.shape == (tile.height, tile.width, 3)
        assert not tile.pixels.flags.writeable
        assert not np.shares_memory(tile.pixels, result.image.pixels)
        gathered[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width] = tile.pixels
    assert len(tiles) == result.tiles
    np.testing.assert_array_equal(gathered, result.image.pixels)


def test_progress_counts_up() -> None:
    told: list[Progress] = []
    result = upscale(
        Image(noise(50, 70)), loaded(Local()), dataclasses.replace(FP32, tile=20), progress=told.append
    )
    assert [one.tiles_done for one in told] == list(range(result.tiles + 1))
    assert {one.tiles for one in told} == {result.tiles}
    assert told[0].eta_seconds is None
    assert told[-1].eta_seconds == 0
    assert all(one.memory_bytes > 0 for one in told)
    assert told[-1].milliseconds_per_tile > 0
    assert told[-1].elapsed_seconds <= result.seconds


def test_tiles_in_view_come_first() -> None:
    tiles: list[FinishedTile] = []
    upscale(
        Image(noise(90, 90)),
        loaded(Local()),
        dataclasses.replace(FP32, tile=30),
        on_tile=tiles.append,
        focus=(0.7, 0.7, 0.95, 0.95),
    )
    assert (tiles[0].x, tiles[0].y) == (120, 120)
    assert (tiles[-1].x, tiles[-1].y) == (0, 0)


def test_cancel_stops_between_tiles() -> None:
    tiles: list[FinishedTile] = []
    with pytest.raises(Cancelled):
        upscale(
            Image(noise(60, 60)),
            loaded(Local()),
            dataclasses.replace(FP32, tile=20),
            on_tile=tiles.append,
            cancelled=lambda: len(tiles) == 3,
        )
    assert len(tiles) == 3


def test_pause_holds_and_resumes() -> None:
    answers = iter([False, False, True, True, True] + [False] * 100)
    asked: list[bool] = []

    def paused() -> bool:
        asked.append(next(answers))
        return asked[-1]

    result = upscale(Image(noise(40, 40)), loaded(Local()), dataclasses.replace(FP32, tile=20), paused=paused)
    assert result.tiles == 4
    assert asked.count(True) == 3


def test_cancel_works_while_paused() -> None:
    polls: list[bool] = []

    def cancelled() -> bool:
        polls.append(True)
        return len(polls) > 4

    with pytest.raises(Cancelled):
        upscale(Image(noise(9, 9)), loaded(Local()), FP32, paused=lambda: True, cancelled=cancelled)


def test_stopwatch_leaves_pauses_out_and_foretells() -> None:
    time = [100.0]
    watch = Stopwatch(lambda: time[0])
    time[0] += 5  # the first tile, with warming up
    watch.tile_done(work=100, pixels=400)
    first = watch.progress(work_left=300, tiles_left=3, memory_bytes=7)
    assert first.eta_seconds == pytest.approx(15)
    begin = watch.now()
    time[0] += 1000
    watch.pause_ended(begin)
    time[0] += 1
    watch.tile_done(work=100, pixels=400)
    second = watch.progress(work_left=200, tiles_left=2, memory_bytes=7)
    assert second.elapsed_seconds == pytest.approx(6)
    assert second.eta_seconds == pytest.approx(2)
    assert second.milliseconds_per_tile == pytest.approx(3000)
    assert second.megapixels_per_second == pytest.approx(800e-6 / 6)
    assert (second.tiles_done, second.tiles, second.memory_bytes) == (2, 4, 7)


# Faults ----------------------------------------------------------------------------------------------------


def test_nan_in_low_precision_runs_that_tile_again_in_fp32() -> None:
    pixels = noise(40, 60)
    pixels[5, 5] = 255

    def overflow(image: Tensor, _: int) -> Tensor | None:
        if image.dtype == torch.float32 or image.amax(dim=1).max() < 1:
            return None
        height, width = image.shape[2:]
        return torch.full((1, 3, 2 * height, 2 * width), torch.inf, dtype=image.dtype)

    pixels[pixels.min(axis=2) > 250] = 240
    pixels = np.minimum(pixels, 250)
    pixels[5, 5] = 255
    options = UpscaleOptions(device="cpu", precision="bf16", tile=20)
    result = upscale(Image(pixels), loaded(Faulty(overflow)), options)
    exact = upscale(Image(pixels), loaded(Local()), FP32)
    assert result.tiles == 6
    assert result.fp32_tiles == 1
    assert result.precision == "bf16"
    np.testing.assert_array_equal(result.image.pixels[:40, :40], exact.image.pixels[:40, :40])
    assert psnr(result.image.pixels, exact.image.pixels) > 40


def test_nan_in_fp32_is_an_error() -> None:
    def broken(image: Tensor, _: int) -> Tensor:
        return torch.full((1, 3, 2 * image.shape[2], 2 * image.shape[3]), torch.nan, dtype=image.dtype)

    for precision in ("fp32", "bf16"):
        with pytest.raises(UpscaleError, match="no numbers"):
            upscale(
                Image(noise(9, 9)),
                loaded(Faulty(broken)),
                UpscaleOptions(device="cpu", precision="fp32" if precision == "fp32" else "bf16"),
            )


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    MemoryError(),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried"
    ),
    RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: str(error)[:30])
def test_memory_running_out_makes_smaller_tiles_and_keeps_finished_ones(error: Exception) -> None:
    def fault(image: Tensor, call: int) -> Tensor | None:
        # The third tile and all that are as large as it find no memory.
        if call >= 3 and image.shape[2] * image.shape[3] > 25 * 25:
            raise error
        return None

    network = Faulty(fault)
    image = Image(noise(80, 80))
    tiles: list[FinishedTile] = []
    told: list[Progress] = []
    options = dataclasses.replace(FP32, tile=40)
    result = upscale(image, loaded(network), options, on_tile=tiles.append, progress=told.append)
    whole = upscale(image, loaded(Local()), FP32)
    assert most(result.image.pixels, whole.image.pixels) <= 1
    assert [(tile.width, tile.height) for tile in tiles[:2]] == [(80, 80), (80, 80)]
    assert {(tile.width, tile.height) for tile in tiles[2:]} == {(40, 40)}
    assert len(network.calls) == 2 + 1 + 8
    assert (result.tiles, result.tile) == (10, 20)
    assert (told[-1].tiles_done, told[-1].tiles) == (10, 10)


def test_memory_running_out_in_one_tile_makes_several() -> None:
    def fault(image: Tensor, _: int) -> Tensor | None:
        if image.shape[2] > 60:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return None

    image = Image(noise(100, 100))
    result = upscale(image, loaded(Faulty(fault), reach=None), FP32)
    assert result.tiles > 1
    assert not result.exact
    whole = upscale(image, loaded(Local()), FP32)
    assert most(result.image.pixels, whole.image.pixels) <= 1


def test_no_memory_at_all_is_one_sentence() -> None:
    def fault(image: Tensor, _: int) -> Tensor | None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(
        UpscaleError, match=r"too little memory for fake, even for a tile of \d+ x \d+ pixels"
    ):
        upscale(Image(noise(100, 100)), loaded(Faulty(fault)), FP32)


def test_other_faults_name_the_network() -> None:
    def fault(image: Tensor, _: int) -> Tensor | None:
        raise RuntimeError("cuDNN error: broken\nlong trace")

    with pytest.raises(UpscaleError, match=r"fake failed on .*: cuDNN error: broken$"):
        upscale(Image(noise(9, 9)), loaded(Faulty(fault)), FP32)
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_a_result_beyond_memory_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upscale_engine, "free_memory", lambda _: 1000)
    with pytest.raises(UpscaleError, match=r"the result of 200 x 100 pixels needs .* GB"):
        upscale(Image(noise(50, 100)), loaded(Local()), FP32)


# Memory and tiles ------------------------------------------------------------------------------------------

CPU = Device("cpu", "cpu", "a CPU")
NONE_NEEDED = Footprint(0, 1)


def place(width: int, height: int, *, local: bool, budget: int, limited: bool = False) -> Surroundings:
    return Surroundings(width, height, 16, 1 if local else 8, local, CPU, budget, limited)


def never() -> Footprint:
    raise AssertionError("measured although the memory cannot matter")


def test_with_plenty_of_memory_nothing_is_measured() -> None:
    assert auto_side(place(270, 270, local=True, budget=10**11), never) is None
    assert auto_side(place(1280, 720, local=True, budget=10**11), never) == 192
    assert auto_side(place(1000, 1000, local=False, budget=10**11), never) is None
    assert auto_side(place(6000, 4000, local=False, budget=10**11), never) == 512


@given(st.integers(1, 3000), st.integers(1, 3000), st.booleans(), st.integers(10**5, 10**9))
def test_automatic_tiles_fit(width: int, height: int, local: bool, budget: int) -> None:
    measured = Footprint(10_000, 2_000)
    here = place(width, height, local=local, budget=budget)
    side = auto_side(here, lambda: measured)
    if side is None:
        assert measured.at(width * height) <= budget
        return
    assert side >= 16
    if side > 16:
        crop = side + 32
        assert measured.at(min(crop, width) * min(crop, height)) <= budget


def test_a_limit_below_the_smallest_tile_is_an_error() -> None:
    with pytest.raises(UpscaleError, match="the memory limit of 1 MB is too small"):
        auto_side(place(1000, 1000, local=True, budget=10**6, limited=True), lambda: Footprint(10**6, 1000))
    assert auto_side(place(1000, 1000, local=True, budget=10**6), lambda: Footprint(10**6, 1000)) == 16


def test_a_memory_limit_makes_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "footprint_of", lambda *_: Footprint(0, 1000))
    limited = UpscaleOptions(device="cpu", precision="fp32", max_memory=1_000_000)
    result = upscale(Image(noise(90, 90)), loaded(Local()), limited)
    assert result.tile == 29  # (29 + 2)^2 * 1000 is just below the limit
    assert result.tiles == 16


def test_the_footprint_is_measured_once_and_kept() -> None:
    model = loaded(Local())
    spec = model.spec
    made: list[int] = []

    def prepare() -> Runner:
        made.append(1)
        return EagerTorch().prepare(model, CPU, "fp32")

    with torch.inference_mode():
        first = footprint_of(spec, CPU, "fp32", "kept", prepare)
        footprint_room._REMEMBERED.clear()
        again = footprint_of(spec, CPU, "fp32", "kept", prepare)
        assert first == again
        assert len(made) == 1
        footprint_of(spec, CPU, "bf16", "kept", prepare)
        assert len(made) == 2
        file = user_cache_folder() / "footprints.json"
        assert len(json.loads(file.read_text())["footprints"]) == 2
        for rubbish in ("", "{", "[]", '{"version": 1}', '{"version": 1, "footprints": {"a": 3}}', "\x00"):
            file.write_text(rubbish)
            footprint_room._REMEMBERED.clear()
            footprint_of(spec, CPU, "fp32", "kept", prepare)
        assert len(made) == 8
    # Input, convolution and shuffled output hold 3 + 12 + 12 numbers of 4 bytes, and pixels come on top.
    assert 64 <= first.per_pixel < 1000


def test_where_nothing_can_be_written_it_is_measured_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("SRVIEWER_CACHE", str(tmp_path / "file" / "cache"))
    runner = EagerTorch().prepare(loaded(Local()), CPU, "fp32")
    with torch.inference_mode():
        assert footprint_of(SPECS["safmn_x2"], CPU, "fp32", "x", lambda: runner).per_pixel > 0


def test_a_measured_peak_holds_for_larger_tiles() -> None:
    runner = EagerTorch().prepare(real("fmen_s_x4"), CPU, "fp32")
    with torch.inference_mode():
        found = measure(runner, CPU)
        release_memory(CPU)
        with PeakMeter(CPU) as meter:
            to_pixels(runner(torch.rand(1, 3, 300, 300)))
    assert meter.peak() - meter.before <= found.at(300 * 300) * 1.1
    # 50 features of 4 bytes, a few of them at once, and 16 output pixels of 3 x 4 bytes per input pixel.
    assert 400 < found.per_pixel < 5000


# Precision -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model_id", ["fmen_s_x4", "fmen_x2", "maffsrn_x3", "safmn_x2", "bsrn_x2", "bsrn_s_x4"]
)
def test_mixed_precision_is_closer_than_plain(model_id: str) -> None:
    model = real(model_id)
    exact = model.to(memory_format=torch.channels_last)
    batch = torch.rand(1, 3, 37, 45, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        expected = model(batch)
        plain = model.to(dtype=torch.bfloat16)(batch.bfloat16()).float()
        separate = mixed(exact.network, exact.spec, torch.bfloat16, merge=False)
        merged = mixed(exact.network, exact.spec, torch.bfloat16, merge=True)
        assert separate is not None
        assert merged is not None
        spec = dataclasses.replace(model.spec, value_range=1.0)
        found = dataclasses.replace(model, network=separate, spec=spec)(batch).float()
        both = dataclasses.replace(model, network=merged, spec=spec)(batch).float()
    error = (found - expected).square().mean().sqrt()
    assert error <= 1.05 * (plain - expected).square().mean().sqrt()
    assert (both - expected).square().mean().sqrt() <= 1.25 * error + 1e-6
    assert error <= 0.005 * (expected.max() - expected.min())


@pytest.mark.parametrize("model_id", ["safmn_x4", "fmen_s_x4"])
def test_whatever_runs_it_bf16_is_as_near_to_fp32(model_id: str) -> None:
    model, image = load_model(model_id), Image(noise(150, 170))
    exact = upscale(image, model, dataclasses.replace(FP32, tile="off"), backend=EagerTorch()).image.pixels
    options = UpscaleOptions(device="cpu", precision="bf16", tile="off")
    eager = psnr(upscale(image, model, options, backend=EagerTorch()).image.pixels, exact)
    for tile in ("off", "auto", 64):
        result = upscale(image, model, dataclasses.replace(options, tile=tile))
        assert psnr(result.image.pixels, exact) >= eager - 0.5


def test_what_cannot_be_traced_runs_plainly() -> None:
    faulty = Faulty(lambda image, _: None)
    assert mixed(faulty, SPECS["safmn_x2"], torch.bfloat16, merge=True) is None
    assert mixed(nn.Identity(), SPECS["bicubic_x2"], torch.bfloat16, merge=True) is None


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_fmen_in_tiles_equals_the_whole(reference: Path, precision: str) -> None:
    model = load_model(str(reference / "weights" / "fmen_s_x4.pt"))
    image = read_image(reference / "Set14" / "image_SRF_4" / "img_003_SRF_4_LR.png")
    options = UpscaleOptions(device="cpu", precision="fp32" if precision == "fp32" else "bf16", tile="off")
    whole = upscale(image, model, options, backend=EagerTorch())
    tiled = upscale(image, model, dataclasses.replace(options, tile=32), backend=EagerTorch())
    assert tiled.tiles > 4
    assert tiled.exact
    assert most(whole.image.pixels, tiled.image.pixels) <= (1 if precision == "fp32" else 0)
    assert psnr(whole.image.pixels, tiled.image.pixels) >= 60


# The room --------------------------------------------------------------------------------------------------


def test_requests_and_tiles_need_no_torch() -> None:
    code = (
        "import sys, srviewer.engine.request, srviewer.engine.tiles;"
        "sys.exit('torch' in sys.modules or 'PySide6' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("reference_id", ["bicubic_x2", "bicubic_x3"])
def test_bicubic_in_tiles_equals_bicubic(reference_id: str) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (61, 83, 3), dtype=np.uint8)
    model = load_model(reference_id)
    whole = upscale(Image(pixels), model, UpscaleOptions(tile="off"))
    tiled = upscale(Image(pixels), model, UpscaleOptions(tile=17))
    assert tiled.tiles > 1
    assert tiled.exact
    np.testing.assert_array_equal(tiled.image.pixels, whole.image.pixels)
