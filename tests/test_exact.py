"""Tiled = whole, for every network: stages, windows, storage, orientations, and the seam meter."""

from __future__ import annotations

import dataclasses
import functools
import mmap
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from srviewer.engine.backends import EagerTorch
from srviewer.engine.device import Device, choose_device
from srviewer.engine.exact import (
    HALO,
    bounds,
    feature_bytes_per_pixel,
    has_statistics,
    in_focus,
    whole_image_plan,
    windowed_plan,
)
from srviewer.engine.orientation import ORIENTATIONS, Orientation
from srviewer.engine.planes import Plane, Storage
from srviewer.engine.request import Cancelled, Precision, Progress, UpscaleError, UpscaleOptions
from srviewer.engine.seams import check_seams
from srviewer.engine.staged_run import Program, area_of, run_stages, tiles_of
from srviewer.engine.stages import staged
from srviewer.engine.tiles import Box
from srviewer.engine.tracing import traced
from srviewer.engine.upscale import upscale
from srviewer.imaging.image import Image
from srviewer.imaging.mapped import let_go
from srviewer.networks import fused
from srviewer.networks.bsrn import ChannelContrast, ESAGrid
from srviewer.networks.maffsrn import MABGrid
from srviewer.networks.safmn import SAFMN, ScaleMap
from srviewer.networks.whole_image import Area, Span, WholeImageLayer
from srviewer.zoo import families
from srviewer.zoo.model import LoadedModel
from srviewer.zoo.spec import SPECS, BSRNConfig, MAFFSRNConfig, SAFMNConfig

FAMILIES = ("safmn_x2", "bsrn_x3", "bsrn_s_x4", "maffsrn_x4")
FP32 = UpscaleOptions(device="cpu", precision="fp32")


@functools.cache
def model_of(model_id: str, *, short: bool = True) -> LoadedModel:
    """Return a network with random weights, by default of two blocks: each works as the others do."""
    torch.manual_seed(3)
    spec = SPECS[model_id]
    if short:
        assert isinstance(spec.config, (BSRNConfig, MAFFSRNConfig, SAFMNConfig))
        spec = dataclasses.replace(spec, config=dataclasses.replace(spec.config, blocks=2))
    network = fused(families.build(spec))
    return LoadedModel(model_id, spec, network.eval().requires_grad_(False), "random")


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    """Return something with edges and flat parts, 1 x 3 x H x W in 0..1."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // 6 + 2, width // 6 + 2, generator=generator)
    smooth = nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
    return (smooth + 0.1 * torch.rand(1, 3, height, width, generator=generator)).clamp(0, 1)


def image_of(batch: Tensor) -> Image:
    return Image((batch[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy().copy())


def program_of(model_id: str, precision: Precision = "fp32") -> Program:
    program = EagerTorch().program(model_of(model_id), choose_device("cpu"), precision)
    assert program is not None
    return program


def whole_program(model_id: str) -> Program:
    program = EagerTorch().program(model_of(model_id, short=False), choose_device("cpu"), "fp32")
    assert program is not None
    return program


def tiled(
    model_id: str,
    batch: Tensor,
    side: int,
    *,
    precision: Precision = "fp32",
    storage: Storage | None = None,
) -> Tensor:
    """Return the unrounded result of exact tiling."""
    return tiled_by(program_of(model_id, precision), batch, side, storage)


def tiled_by(program: Program, batch: Tensor, side: int, storage: Storage | None = None) -> Tensor:
    height, width = batch.shape[2:]
    result = torch.full((1, 3, height * program.scale, width * program.scale), float("nan"))

    def emit(box: Box, part: Tensor) -> None:
        place = box.times(program.scale)
        result[:, :, place.y : place.bottom, place.x : place.right] = part

    whole = Box(0, 0, width, height)
    with torch.inference_mode():
        run_stages(
            program,
            lambda box: batch[:, :, box.y : box.bottom, box.x : box.right],
            whole,
            tiles_of(whole, side),
            storage=storage,
            tick=lambda _: None,
            emit=emit,
        )
    return result


def untiled(model_id: str, batch: Tensor, precision: Precision = "fp32") -> Tensor:
    with torch.inference_mode():
        return EagerTorch().prepare(model_of(model_id), choose_device("cpu"), precision)(batch).float()


def psnr(one: Tensor, two: Tensor) -> float:
    return float(-10 * torch.log10((one.double() - two.double()).square().mean().clamp_min(1e-30)))


# Networks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model_id", FAMILIES)
@given(st.integers(16, 120), st.integers(16, 120), st.integers(16, 80), st.integers(0, 99))
@settings(max_examples=6, deadline=None)
def test_tiles_equal_the_whole(model_id: str, height: int, width: int, side: int, seed: int) -> None:
    batch = picture(height, width, seed)
    assert psnr(tiled(model_id, batch, side), untiled(model_id, batch)) > 100


@pytest.mark.parametrize("model_id", [one for one in SPECS if SPECS[one].reach is None and "_l_" not in one])
def test_every_network_that_looks_at_the_whole_image_is_cut_exactly(model_id: str) -> None:
    batch = picture(37, 45)
    program = whole_program(model_id)
    with torch.inference_mode():
        whole = EagerTorch().prepare(model_of(model_id, short=False), choose_device("cpu"), "fp32")(batch)
    assert psnr(tiled_by(program, batch, 24), whole) > 100


@pytest.mark.parametrize("model_id", FAMILIES)
def test_in_bf16_tiles_are_no_farther_from_fp32_than_the_whole_is(model_id: str) -> None:
    batch = picture(80, 75)
    exact = untiled(model_id, batch)
    whole = psnr(untiled(model_id, batch, "bf16"), exact)
    assert psnr(tiled(model_id, batch, 32, precision="bf16"), exact) > whole - 0.5


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_the_ablations_are_cut_too(norm: Literal["batch", "none"]) -> None:
    network = SAFMN(scale=2, blocks=2, norm=norm)
    graph = traced(network.eval())
    assert graph is not None
    assert staged(graph) is not None


def test_a_network_of_unknown_reach_is_not_cut() -> None:
    graph = traced(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.AdaptiveAvgPool2d(1)))
    assert graph is not None
    assert staged(graph) is None
    strided = traced(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, stride=2)))
    assert strided is not None
    assert staged(strided) is None


def test_only_what_later_stages_need_is_kept() -> None:
    # SAFMN keeps its features; those of the first convolution, for the long skip, are made again.
    stages = whole_program("safmn_x2").staged.stages
    assert [len(stage.keeps) for stage in stages] == [0] + [1] * 7 + [0]
    assert {len(stage.crops) for stage in stages[:-1]} == {1}
    # BSRN's eight concatenated outputs become one sum.
    assert max(len(stage.crops) for stage in whole_program("bsrn_x3").staged.stages) == 4
    # A local network is one stage.
    graph = traced(fused(families.build(SPECS["fmen_s_x4"])).eval())
    assert graph is not None
    cut = staged(graph)
    assert cut is not None
    assert [stage.reach for stage in cut.stages] == [SPECS["fmen_s_x4"].reach]


def test_features_in_files_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone: list[object] = []

    def noted(file: mmap.mmap) -> None:
        gone.append(file)
        let_go(file)

    monkeypatch.setattr("srviewer.engine.planes.let_go", noted)
    monkeypatch.setattr("srviewer.engine.planes._MOST_MAPPED", 50_000)
    batch = picture(60, 50)
    storage = Storage(torch.device("cpu"), tmp_path)
    assert torch.equal(tiled("bsrn_x3", batch, 24, storage=storage), tiled("bsrn_x3", batch, 24))
    assert storage.peak_bytes > 0
    assert len(gone) > 10
    assert list(tmp_path.iterdir())


# Layers ----------------------------------------------------------------------------------------------------

LAYERS: dict[str, Callable[[], WholeImageLayer]] = {
    "ESA": lambda: ESAGrid(channels=4, conv="bsconv", pointwise_bias=False, stride_conv="bsconv"),
    "ESA of BSRN-S": lambda: ESAGrid(channels=4, conv="bsconv", pointwise_bias=True, stride_conv="conv"),
    "MAB": lambda: MABGrid(channels=4),
    "SAFM / 2": lambda: ScaleMap(channels=4, divisor=2),
    "SAFM / 8": lambda: ScaleMap(channels=4, divisor=8),
    "CCA": ChannelContrast,
}


@pytest.mark.parametrize("name", LAYERS)
@given(st.integers(15, 90), st.integers(15, 90), st.integers(1, 50), st.integers(1, 50))
@settings(max_examples=20, deadline=None)
def test_parts_of_a_layer_make_its_whole(name: str, height: int, width: int, rows: int, columns: int) -> None:
    torch.manual_seed(1)
    layer = LAYERS[name]().double()
    x = torch.randn(1, 4, height, width, dtype=torch.float64)
    region = Area(Span(0, height, height), Span(0, width, width))
    parts = [
        Area(Span(y, min(height, y + rows), height), Span(x0, min(width, x0 + columns), width))
        for y in range(0, height, rows)
        for x0 in range(0, width, columns)
    ]
    with torch.inference_mode():
        expected = layer(x)
        shared = layer.begin(region, x)
        for core in parts:
            crop = core.grown(layer.margin, region)
            layer.gather(shared, region.cut(x, crop), crop, core, region)
        joined = layer.join(shared, region)
        for part in parts:
            found = layer.spread(joined, part, region)
            target = expected if expected.shape[2:] == (1, 1) else region.cut(expected, part)
            torch.testing.assert_close(found, target, rtol=1e-9, atol=1e-9)


def test_a_constant_image_has_statistics_without_nan() -> None:
    layer = ChannelContrast()
    region = Area(Span(0, 9, 9), Span(0, 9, 9))
    shared = layer.begin(region, torch.full((1, 2, 9, 9), 0.7))
    layer.gather(shared, torch.full((1, 2, 9, 9), 0.7), region, region, region)
    assert torch.isfinite(layer.join(shared, region)).all()


# Planes ----------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(1, 20), st.data())
@settings(max_examples=30, deadline=None)
def test_a_plane_gives_back_what_was_put(heights: list[int], width: int, data: st.DataObject) -> None:
    edges = np.cumsum([0, *heights]).tolist()
    bands = tuple(pairwise(edges))
    height = edges[-1]
    region = area_of(Box(0, 0, width, height), Box(0, 0, width, height))
    values = torch.arange(2 * height * width, dtype=torch.float32).view(1, 2, height, width)
    plane = Plane(bands, region, Storage(torch.device("cpu")))
    split = data.draw(st.integers(0, width))
    for top, bottom in bands:
        for left, right in ((0, split), (split, width)):
            if left < right:
                core = Area(Span(top, bottom, height), Span(left, right, width))
                plane.put(region.cut(values, core), core)
    top = data.draw(st.integers(0, height - 1))
    crop = Area(Span(top, data.draw(st.integers(top + 1, height)), height), Span(0, width, width))
    assert torch.equal(plane.cut(crop), region.cut(values, crop))
    plane.drop_above(top)
    assert torch.equal(plane.cut(crop), region.cut(values, crop))


def test_storage_is_used_again() -> None:
    storage = Storage(torch.device("cpu"))
    like = torch.zeros(1, 4, 2, 2)
    band = storage.take(like, 8, 10)
    storage.give_back(band)
    again = storage.take(like, 8, 10)
    assert again.data_ptr() == band.data_ptr()
    assert storage.peak_bytes == 4 * 8 * 10 * 4
    assert again.is_contiguous(memory_format=torch.channels_last)


# Plans -----------------------------------------------------------------------------------------------------


@given(
    st.integers(1, 700),
    st.integers(1, 700),
    st.integers(16, 200),
    st.integers(200**2, 500**2),
    st.sampled_from([None, 64, 100, 1000]),
)
@settings(max_examples=60, deadline=None)
def test_windows_cover_the_image_once(
    width: int, height: int, side: int, pixels: int, rows: int | None
) -> None:
    plan = windowed_plan(width, height, side, pixels=pixels, rows=rows)
    assert plan is not None
    assert all(one.region.pixels <= pixels for one in plan.windows)
    assert all(stop - start <= (rows or height) for start, stop in plan.bands())
    covered = np.zeros((height, width), np.int64)
    for one in plan.windows:
        for box in one.results:
            covered[box.y : box.bottom, box.x : box.right] += 1
        core = bounds(one.results)
        assert core.x - one.region.x in (min(core.x, HALO), core.x - one.region.x // 8 * 8)
        seen = np.zeros((one.region.height, one.region.width), np.int64)
        for box in one.tiles:
            place = box.within(one.region)
            seen[place.y : place.bottom, place.x : place.right] += 1
        assert (seen == 1).all()
    assert (covered == 1).all()
    bands = plan.bands()
    assert bands[0][0] == 0
    assert bands[-1][1] == height
    assert all(above[1] == below[0] for above, below in pairwise(bands))


def test_what_is_looked_at_comes_first() -> None:
    plan = in_focus(whole_image_plan(256, 256, 64), 256, 256, (0.75, 0.75, 1, 1))
    assert plan.windows[0].results[0] == Box(192, 192, 64, 64)
    assert sorted(plan.windows[0].results) == sorted(whole_image_plan(256, 256, 64).windows[0].results)


def test_a_plan_knows_the_memory_of_its_features() -> None:
    program = program_of("safmn_x2")
    plan = windowed_plan(500, 300, 64, pixels=300 * 330)
    assert plan is not None
    with torch.inference_mode():
        each = feature_bytes_per_pixel(program)
        assert plan.feature_bytes(program) == each * max(one.region.pixels for one in plan.windows)
        assert dataclasses.replace(plan, in_files=True).feature_bytes(program) == 0


def test_there_is_a_smallest_window() -> None:
    smallest = (64 + 2 * HALO) ** 2
    assert windowed_plan(500, 500, 64, pixels=smallest) is not None
    assert windowed_plan(500, 500, 64, pixels=smallest - 1) is None


@pytest.mark.parametrize(
    ("width", "height", "pixels", "regions"),
    [
        (1024, 1024, 1024 * 576, {(1024, 576)}),  # two halves, not four quarters
        (1000, 300, 600 * 300, {(560, 300), (568, 300)}),
        (2000, 2000, 2000 * 2000, {(2000, 2000)}),
    ],
)
def test_as_little_as_can_be_surrounds_windows(
    width: int, height: int, pixels: int, regions: set[tuple[int, int]]
) -> None:
    plan = windowed_plan(width, height, 128, pixels=pixels)
    assert plan is not None
    assert {(one.region.width, one.region.height) for one in plan.windows} == regions


@pytest.mark.parametrize("model_id", FAMILIES)
def test_the_features_between_stages_are_counted(model_id: str) -> None:
    with torch.inference_mode():
        features = feature_bytes_per_pixel(program_of(model_id))
    channels = {"safmn_x2": 36, "bsrn_x3": 64, "bsrn_s_x4": 48, "maffsrn_x4": 32}[model_id]
    assert channels * 4 <= features <= 7 * channels * 4
    assert has_statistics(program_of(model_id)) == (model_id == "bsrn_x3")


# Orientations ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_turned_rectangle_shows_the_same_pixels(orientation: Orientation) -> None:
    batch = picture(13, 21)
    whole, box = Box(0, 0, 21, 13), Box(4, 2, 9, 5)
    turned, place = orientation.of(batch), orientation.box(box, whole)
    part = batch[:, :, box.y : box.bottom, box.x : box.right]
    seen = turned[:, :, place.y : place.bottom, place.x : place.right]
    assert torch.equal(orientation.undone(seen), part)
    assert orientation.box_undone(place, whole) == box
    assert orientation.whole(whole) == Box(0, 0, turned.shape[3], turned.shape[2])


# The engine ------------------------------------------------------------------------------------------------


def levels_apart(one: Image, two: Image) -> int:
    return int(np.abs(one.pixels.astype(np.int64) - two.pixels).max())


@pytest.mark.parametrize("model_id", FAMILIES)
def test_upscale_in_tiles_is_exact_and_says_so(model_id: str) -> None:
    image, model = image_of(picture(90, 83)), model_of(model_id)
    whole = upscale(image, model, dataclasses.replace(FP32, tile="off"))
    told: list[Progress] = []
    result = upscale(image, model, dataclasses.replace(FP32, tile=32), progress=told.append)
    assert levels_apart(result.image, whole.image) <= 1
    assert (result.exact, result.tile, result.tiles) == (True, 32, 9)
    assert [one.tiles_done for one in told] == sorted(one.tiles_done for one in told)
    assert (told[0].tiles_done, told[0].tiles) == (0, 9)
    assert (told[-1].tiles_done, told[-1].tiles) == (9, 9)


def test_a_self_ensemble_in_tiles_is_that_of_the_whole() -> None:
    image, model = image_of(picture(45, 50)), model_of("safmn_x2")
    options = dataclasses.replace(FP32, self_ensemble=True)
    whole = upscale(image, model, dataclasses.replace(options, tile="off"))
    result = upscale(image, model, dataclasses.replace(options, tile=16))
    assert result.tiles == 12
    assert result.exact
    assert levels_apart(result.image, whole.image) <= 1


def test_little_memory_makes_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("srviewer.engine.cutting._COMFORTABLE_FEATURES", 6_000_000)
    released: list[Device] = []
    monkeypatch.setattr("srviewer.engine.running.release_memory", released.append)
    image, model = image_of(picture(260, 240)), model_of("safmn_x2")
    whole = upscale(image, model, dataclasses.replace(FP32, tile="off"))
    assert not released
    result = upscale(image, model, dataclasses.replace(FP32, tile=64))
    assert released  # what each window freed is given back before the next
    assert result.exact
    assert result.tiles > 16
    assert levels_apart(result.image, whole.image) <= 1


def test_statistics_of_more_than_memory_wait_in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    model, image = model_of("bsrn_x3"), image_of(picture(70, 60))
    whole = upscale(image, model, dataclasses.replace(FP32, tile="off"))
    limited = dataclasses.replace(FP32, tile=32, max_memory=3_000_000)
    monkeypatch.setattr("srviewer.engine.cutting.Cutter._tile_bytes", lambda *_: 0)
    result = upscale(image, model, limited)
    assert levels_apart(result.image, whole.image) <= 1
    monkeypatch.setattr("srviewer.engine.cutting.shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(UpscaleError, match="more than memory and disk hold"):
        upscale(image, model, limited)


class Spoilt(nn.Module):
    """A convolution that gives no numbers in 16 bits."""

    def __init__(self) -> None:
        super().__init__()
        self.grid = ScaleMap(channels=3, divisor=2)

    def forward(self, image: Tensor) -> Tensor:
        output: Tensor = self.grid(image) + image
        return output


def test_windows_without_numbers_run_again_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = dataclasses.replace(SPECS["safmn_x2"], id="spoilt", scale=1)
    model = LoadedModel("spoilt", spec, Spoilt().eval().requires_grad_(False), "a test")
    backend = EagerTorch()
    device = choose_device("cpu")
    half = backend.program(model, device, "fp16")
    assert half is not None
    layer = next(iter(half.staged.layers.values()))
    monkeypatch.setattr(layer, "join", lambda shared, _region: shared * float("nan"))
    image = image_of(picture(40, 40))
    options = UpscaleOptions(device="cpu", precision="fp16", tile=16)
    result = upscale(image, model, options, backend=backend)
    expected = upscale(image, model, dataclasses.replace(options, precision="fp32", tile="off"))
    assert result.fp32_tiles == result.tiles == 9
    assert levels_apart(result.image, expected.image) <= 1


def test_a_staged_run_can_be_cancelled_between_steps() -> None:
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked > 5

    with pytest.raises(Cancelled):
        upscale(
            image_of(picture(90, 90)),
            model_of("safmn_x2"),
            dataclasses.replace(FP32, tile=32),
            cancelled=cancelled,
        )
    assert asked == 6


# The seam meter --------------------------------------------------------------------------------------------


def test_the_seam_meter_finds_none() -> None:
    seams = check_seams(image_of(picture(70, 90)), model_of("bsrn_x3"), dataclasses.replace(FP32, tile=32))
    assert seams.largest_difference <= 0.05
    assert seams.psnr > 90
    assert (seams.region, seams.tile, seams.tiles) == ((0, 0, 90, 70), 32, 9)
    untiled_choice = check_seams(image_of(picture(70, 90)), model_of("bsrn_x3"), FP32)
    assert untiled_choice.tiles == 4


def test_the_seam_meter_finds_some() -> None:
    class Naive(EagerTorch):
        """Tiles that know nothing of each other."""

        def program(self, *_: object) -> None:
            return None

    class Contrasted(nn.Module):
        """Brightens by the whole image's statistics."""

        def __init__(self) -> None:
            super().__init__()
            self.statistics = ChannelContrast()

        def forward(self, image: Tensor) -> Tensor:
            statistics: Tensor = self.statistics(image)
            return image * (1 - statistics / 4)

    spec = dataclasses.replace(SPECS["safmn_x2"], id="contrasted", scale=1)
    model = LoadedModel("contrasted", spec, Contrasted().eval(), "a test")
    image, options = image_of(picture(70, 90)), dataclasses.replace(FP32, tile=32)
    naive = check_seams(image, model, options, backend=Naive())
    assert naive.largest_difference > 1
    assert naive.psnr < 60
    assert check_seams(image, model, options).largest_difference < 0.01
