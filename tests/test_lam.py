"""Local attribution maps, held against the reference's maps and against a plain second implementation."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from test_features import SMALL, picture, small
from torch import Tensor, nn

from srviewer.analysis.lam import (
    Attribution,
    LamError,
    LamOptions,
    Objective,
    PathKind,
    Window,
    attribute,
)
from srviewer.analysis.lam_maps import density, diffusion_index, gini, normalised
from srviewer.analysis.lam_memory import checkpointed
from srviewer.analysis.lam_paths import AttributionPath
from srviewer.engine.device import choose_device
from srviewer.engine.footprint import Footprint
from srviewer.engine.request import Cancelled
from srviewer.engine.telemetry import PeakMeter
from srviewer.engine.tiles import Box
from srviewer.imaging.files import read_image
from srviewer.zoo.model import LoadedModel, load_model

CPU = LamOptions(device="cpu", steps=4)


def bicubic(scale: int = 2) -> LoadedModel:
    return load_model(f"bicubic_x{scale}")


def smooth(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """A picture with edges rather than noise."""
    coarse = picture(height // 4 + 1, width // 4 + 1, seed)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def plain_map(
    pixels: NDArray[np.uint8],
    model: LoadedModel,
    window: Window,
    steps: int,
    objective: Objective,
    path: PathKind,
) -> NDArray[np.float64]:
    """The signed attributions as the definition reads: one step at a time, two-dimensional kernels."""
    picture01 = pixels.astype(np.float64) / 255
    axis = np.arange(-4, 5)
    squares = axis[:, None] ** 2 + axis[None] ** 2
    kernels = []
    for sigma in np.linspace(1.2, 0, steps + 1):
        kernel = np.exp(-squares / (2 * (sigma + 1e-5) ** 2))
        kernels.append(kernel / kernel.sum())
    total = np.zeros_like(picture01)
    for step in range(steps):
        if path == "blur":
            point = cv2.filter2D(picture01, -1, kernels[step + 1])
            derivative = cv2.filter2D(picture01, -1, (kernels[step + 1] - kernels[step]) * steps)
        else:
            point, derivative = picture01 * (step + 1) / steps, picture01
        batch = torch.from_numpy(point.transpose(2, 0, 1)[None]).float().requires_grad_()
        (plain_objective(model(batch), window, objective)).backward()  # type: ignore[no-untyped-call]  # torch's
        assert batch.grad is not None
        total += batch.grad[0].double().numpy().transpose(1, 2, 0) * derivative
    return total / steps


def plain_objective(result: Tensor, window: Window, kind: Objective) -> Tensor:
    rows, columns = (
        range(window.row, window.row + window.height),
        range(window.col, window.col + window.width),
    )
    total = result.sum() * 0
    for row in rows:
        for column in columns:
            here = result[0, :, row, column]
            if kind == "intensity":
                total = total + here.sum()
            elif row + 1 < result.shape[2] and column + 1 < result.shape[3]:
                down, across = result[0, :, row + 1, column] - here, result[0, :, row, column + 1] - here
                total = total + (down**2 + across**2).sqrt().sum()
    return total


@pytest.mark.parametrize("number", [0, 1], ids=["fmen_s_x4", "bsrn_x4"])
def test_the_references_maps(reference: Path, number: int) -> None:
    expected = json.loads((reference / "lam" / "expected.json").read_text())[number]
    model = load_model(str(reference / expected["weights"]))
    pixels = read_image(reference / expected["lr"]).pixels
    window = Window(expected["row"], expected["col"], expected["window"], expected["window"])
    found = attribute(pixels, model, window, LamOptions(device="cpu"))
    wanted = np.load(reference / expected["map"])
    assert np.corrcoef(found.map.ravel(), wanted.ravel())[0, 1] >= 0.999
    assert found.diffusion_index == pytest.approx(expected["diffusion_index"], abs=0.05)
    assert found.gini == pytest.approx(expected["gini"], abs=5e-4)
    assert found.map.max() == 1


@pytest.mark.parametrize("objective", ["gradient", "intensity"])
@pytest.mark.parametrize("path", ["blur", "linear"])
@pytest.mark.parametrize("name", ["bicubic", *SMALL])
def test_maps_are_what_the_definition_says(name: str, objective: Objective, path: PathKind) -> None:
    model = bicubic() if name == "bicubic" else small(name)
    pixels, window = smooth(21, 26), Window(10, 14, 8, 8)
    options = LamOptions(objective, path, steps=3, device="cpu")
    found = attribute(pixels, model, window, options)
    plain = plain_map(pixels, model, window, 3, objective, path)
    assert found.attributions == pytest.approx(plain, abs=2e-4 * np.abs(plain).max())
    assert (found.objective, found.path, found.steps) == (objective, path, 3)


@pytest.mark.parametrize(("row", "col"), [(0, 0), (32, 44), (0, 44)])
def test_windows_at_the_border(row: int, col: int) -> None:
    pixels, model, window = smooth(20, 26), small("fmen"), Window(row, col, 8, 8)
    plain = plain_map(pixels, model, window, 2, "gradient", "blur")
    found = attribute(pixels, model, window, LamOptions(steps=2, device="cpu"))
    assert found.attributions == pytest.approx(plain, abs=2e-4 * np.abs(plain).max())


@pytest.mark.parametrize("name", ["bsrn", "maffsrn", "safmn", "fmen"])
def test_pictures_below_the_smallest_side(name: str) -> None:
    pixels, model, window = smooth(5, 7), small(name), Window(2, 2, 6, 6)
    plain = plain_map(pixels, model, window, 2, "gradient", "blur")
    found = attribute(pixels, model, window, LamOptions(steps=2, device="cpu"))
    assert found.map.shape == (5, 7)
    assert found.attributions == pytest.approx(plain, abs=2e-4 * np.abs(plain).max())


@pytest.mark.parametrize("name", ["fmen", "bicubic"])
def test_a_network_that_sees_only_so_far_runs_on_what_it_sees(name: str) -> None:
    model = bicubic() if name == "bicubic" else small(name)
    everywhere = dataclasses.replace(model, spec=dataclasses.replace(model.spec, reach=None))
    pixels, window = smooth(110, 130), Window(100, 121, 9, 7)
    near, whole = (attribute(pixels, one, window, CPU) for one in (model, everywhere))
    assert near.attributions == pytest.approx(
        whole.attributions, abs=1e-4 * float(np.abs(whole.attributions).max())
    )
    assert near.map.shape == (110, 130)


def test_sixteen_bits_give_the_same() -> None:
    pixels = smooth(20, 20)
    eight = attribute(pixels, bicubic(), Window(10, 10, 8, 8), CPU)
    sixteen = attribute(pixels.astype(np.uint16) * 257, bicubic(), Window(10, 10, 8, 8), CPU)
    assert sixteen.map == pytest.approx(eight.map, abs=1e-6)


def test_attributions_add_up_to_the_change_of_the_objective() -> None:
    """Along the linear path, for a linear network, the path integral is exact (completeness)."""
    pixels, window = smooth(16, 20), Window(8, 8, 10, 12)
    found = attribute(pixels, bicubic(), window, LamOptions("intensity", "linear", 5, device="cpu"))
    batch = torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32) / 255)
    result = bicubic()(batch)[..., 8:18, 8:20]
    assert found.attributions.sum() == pytest.approx(float(result.sum()), rel=1e-5)


@pytest.mark.parametrize("name", ["bicubic", *SMALL])
@pytest.mark.parametrize("value", [0, 77, 255])
def test_a_flat_picture_gives_a_finite_answer(name: str, value: int) -> None:
    model = bicubic() if name == "bicubic" else small(name)
    pixels = np.full((24, 24, 3), value, np.uint8)
    found = attribute(pixels, model, Window(16, 16), CPU)
    assert np.isfinite(found.attributions).all()
    assert not found.map.any()
    assert (found.gini, found.diffusion_index) == pytest.approx((0, 100))
    assert not found.density().any()


@pytest.mark.parametrize("name", ["fmen", "bsrn"])
def test_batches_change_nothing(name: str) -> None:
    pixels, model = smooth(24, 20), small(name)
    maps = [
        attribute(pixels, model, Window(20, 12), LamOptions(steps=5, device="cpu", batch=batch))
        for batch in (1, 2, 5, 99)
    ]
    assert [found.batch for found in maps] == [1, 2, 5, 5]
    for found in maps[1:]:
        assert found.map == pytest.approx(maps[0].map, abs=1e-4)


@pytest.mark.parametrize("name", ["bicubic", *SMALL])
def test_checkpoints_change_nothing(name: str) -> None:
    model = bicubic() if name == "bicubic" else small(name)
    lean = checkpointed(model)
    batch = torch.rand(2, 3, 18, 20, generator=torch.Generator().manual_seed(1)).requires_grad_()
    (plain,) = torch.autograd.grad(model(batch).square().sum(), batch)
    (spared,) = torch.autograd.grad(lean(batch).square().sum(), batch)
    assert torch.allclose(plain, spared, rtol=1e-4, atol=1e-6 * float(plain.abs().max()))
    assert [type(one) for one in model.network.modules()] == [
        type(one) for one in (bicubic() if name == "bicubic" else small(name)).network.modules()
    ]


def test_memory_is_bounded() -> None:
    model = small("bsrn", scale=4)
    pixels, window = smooth(160, 160), Window(100, 100)
    free = attribute(pixels, model, window, LamOptions(steps=2, device="cpu"))
    assert not free.checkpointed
    limit = 300_000_000
    limited = LamOptions(steps=6, device="cpu", max_memory=limit, batch=6)
    attribute(pixels, model, window, limited)  # measures the network, too
    with PeakMeter(choose_device("cpu")) as meter:
        bounded = attribute(pixels, model, window, limited)
    assert 1 <= bounded.batch < 6
    assert meter.peak() - meter.before <= limit
    with pytest.raises(LamError, match=r"would take about .* GB for one step over 160 × 160 px"):
        attribute(pixels, model, window, LamOptions(device="cpu", max_memory=5_000_000))


def test_features_are_computed_twice_only_where_memory_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    def footprint(_: object, __: object, ___: object, backend: str, ____: object) -> Footprint:
        return Footprint(0, 100 if backend.endswith("checkpointed") else 1000)

    monkeypatch.setattr("srviewer.analysis.lam.footprint_of", footprint)
    model, pixels, window = small("bsrn"), smooth(20, 20), Window(10, 10)
    plain = attribute(pixels, model, window, CPU)
    for limit, batch, twice in (
        (1_600_000, 4, False),
        (800_000, 2, False),
        (399_999, 4, True),
        (80_000, 2, True),
    ):
        found = attribute(pixels, model, window, dataclasses.replace(CPU, max_memory=limit))
        assert (found.batch, found.checkpointed) == (batch, twice)
        assert found.map == pytest.approx(plain.map, abs=1e-4)
    with pytest.raises(LamError, match="one step"):
        attribute(pixels, model, window, dataclasses.replace(CPU, max_memory=39_999))


class Hungry(nn.Module):
    """Runs out of memory for more than one picture."""

    def __init__(self, inner: nn.Module, most: int) -> None:
        super().__init__()
        self.inner = inner
        self.most = most

    def forward(self, batch: Tensor) -> Tensor:
        if len(batch) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        result: Tensor = self.inner(batch)
        return result


def test_running_out_of_memory_makes_batches_smaller() -> None:
    model = small("fmen")
    pixels, window = smooth(20, 20), Window(10, 10)
    plain = attribute(pixels, model, window, CPU)
    hungry = dataclasses.replace(model, network=Hungry(model.network, 1))
    found = attribute(pixels, hungry, window, dataclasses.replace(CPU, batch=4))
    assert found.batch == 1
    assert found.map == pytest.approx(plain.map, abs=1e-5)
    with pytest.raises(LamError, match="ran out of memory"):
        attribute(pixels, dataclasses.replace(model, network=Hungry(model.network, 0)), window, CPU)


def test_progress_and_cancelling() -> None:
    pixels, model = smooth(16, 16), bicubic()
    told: list[tuple[int, int]] = []
    options = LamOptions(steps=5, batch=2, device="cpu")
    attribute(pixels, model, Window(4, 4), options, progress=lambda done, steps: told.append((done, steps)))
    assert told == [(0, 5), (2, 5), (4, 5), (5, 5)]
    asked = 0

    def cancelled() -> bool:
        nonlocal asked
        asked += 1
        return asked == 2

    told.clear()
    with pytest.raises(Cancelled):
        attribute(
            pixels,
            model,
            Window(4, 4),
            options,
            progress=lambda done, steps: told.append((done, steps)),
            cancelled=cancelled,
        )
    assert told == [(0, 5), (2, 5)]


def test_the_model_stays_as_it_is_and_gets_no_gradients() -> None:
    model = small("bsrn")
    model.network.requires_grad_(True)
    strides = [value.stride() for value in model.network.parameters()]
    found = attribute(smooth(20, 20), model, Window(8, 8), CPU)
    assert all(value.requires_grad and value.grad is None for value in model.network.parameters())
    assert [value.stride() for value in model.network.parameters()] == strides
    assert not found.map.flags.writeable
    with torch.inference_mode():  # the caller's mode does not matter
        again = attribute(smooth(20, 20), model, Window(8, 8), CPU)
    assert np.array_equal(found.map, again.map)


def test_faults_are_told() -> None:
    pixels = smooth(16, 16)
    for window in (Window(-1, 0), Window(17, 0), Window(0, 20), Window(0, 0, 0, 4)):
        with pytest.raises(LamError, match="does not lie in the result of 32 × 32 px"):
            attribute(pixels, bicubic(), window, CPU)
    for fault in ({"steps": 0}, {"sigma": 0.0}, {"batch": 0}, {"path": "x"}, {"objective": "y"}):
        with pytest.raises(LamError):
            LamOptions(**fault)
    broken = small("fmen")
    with torch.no_grad():
        next(iter(broken.network.parameters())).fill_(float("nan"))
    with pytest.raises(LamError, match="not finite"):
        attribute(pixels, broken, Window(0, 0), CPU)


def test_a_path_over_a_part_is_that_part_of_the_path() -> None:
    pixels = smooth(40, 50)
    box = Box(30, 3, 20, 17)
    whole = AttributionPath(pixels, kind="blur", steps=3, sigma=1.2)
    part = AttributionPath(pixels, kind="blur", steps=3, sigma=1.2, box=box)
    for one, other in zip(whole, part, strict=True):
        assert other.point == pytest.approx(one.point[3:20, 30:50])
        assert other.derivative == pytest.approx(one.derivative[3:20, 30:50])
    assert other.point == pytest.approx(pixels[3:20, 30:50] / 255)


def test_gini_and_diffusion_index() -> None:
    assert gini(np.full((5, 5), 0.3)) == pytest.approx(0)
    single = np.zeros(100)
    single[7] = 1
    assert gini(single) == pytest.approx(0.99, abs=1e-4)
    assert gini(np.zeros((4, 4))) == pytest.approx(0)
    ramp = np.arange(1, 5.0)
    pairs = np.abs(ramp[:, None] - ramp[None]).sum() / (2 * 16 * ramp.mean())
    assert gini(ramp) == pytest.approx(pairs, rel=1e-6)
    assert diffusion_index(ramp) == pytest.approx(100 * (1 - pairs))


def test_normalised_is_the_share_of_the_largest_sum() -> None:
    signed = np.array([[[1.0, -3, 0], [0.5, 0, 0.5]]])
    assert normalised(signed, negligible=0) == pytest.approx(np.array([[1, 0.5]]))
    assert not normalised(signed, negligible=5).any()


@pytest.mark.parametrize("seed", range(3))
def test_density_is_the_sum_of_kernels(seed: int) -> None:
    height, width = 14, 19
    weights = np.random.default_rng(seed).random((height, width)) ** 6
    shares = weights / weights.sum()
    places = np.argwhere(np.ones((height, width))).astype(float)
    covariance = np.cov(places.T, aweights=shares.ravel())
    kernel = np.linalg.inv(covariance * (1 / (shares**2).sum()) ** (-1 / 3))
    away = places[:, None] - places[None]
    summed = np.exp(-np.einsum("abi,ij,abj->ab", away, kernel, away) / 2) @ shares.ravel()
    assert density(weights) == pytest.approx((summed / summed.max()).reshape(height, width), abs=1e-6)


def test_density_of_one_pixel_and_of_nothing() -> None:
    single = np.zeros((9, 12))
    single[4, 6] = 1
    found = density(single)
    assert found[4, 6] == 1
    assert np.isfinite(found).all()
    assert found.sum() < 3
    assert not density(np.zeros((5, 5))).any()


def test_results_tell_how_they_came_about() -> None:
    found = attribute(smooth(16, 16), bicubic(), Window(4, 6, 8, 10), CPU)
    assert isinstance(found, Attribution)
    assert (found.model, found.scale, found.window) == ("bicubic_x2", 2, Window(4, 6, 8, 10))
    assert found.device == choose_device("cpu").name
    assert found.seconds > 0
    assert found.diffusion_index == pytest.approx(diffusion_index(found.map))
