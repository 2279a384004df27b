"""The weights that come with the program: what the list says of them, against the files and a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from srviewer import paths
from srviewer.analysis.metrics import measure
from srviewer.imaging.files import read_image
from srviewer.imaging.resize import downscale
from srviewer.report.benchmark import benchmark
from srviewer.report.datasets import find_dataset
from srviewer.zoo import families
from srviewer.zoo.checkpoint import read_checkpoint, read_metadata
from srviewer.zoo.download import file_sha256
from srviewer.zoo.manifest import Weights, catalogue
from srviewer.zoo.model import load_model
from srviewer.zoo.spec import SPECS
from srviewer.zoo.tensors import to_pixels, to_tensor

SHIPPED = tuple(entry for entry in catalogue() if entry.source == "shipped")

PICTURE_PSNR = {
    "bsrn_s_x4": 30.170,
    "fmen_s_x4": 30.243,
    "maffsrn_x2": 33.562,
    "maffsrn_x4": 30.132,
    "safmn_x2": 33.672,
    "safmn_x4": 30.262,
}
"""PSNR on Y in dB of the sample photograph's middle, reduced and upscaled again in fp32."""

MOST_BYTES = 40_000_000

every_file = pytest.mark.parametrize("entry", SHIPPED, ids=lambda entry: entry.id)


def test_every_file_is_listed_and_has_its_stored_score() -> None:
    listed = {entry.path for entry in SHIPPED}
    assert listed == set(paths.weights_folder().glob("*.safetensors"))
    assert {entry.id for entry in SHIPPED} == set(PICTURE_PSNR)
    assert len(listed) == len(SHIPPED)


def test_all_files_together_are_small() -> None:
    assert sum(entry.path.stat().st_size for entry in SHIPPED) <= MOST_BYTES


@every_file
def test_files_are_what_the_list_says(entry: Weights) -> None:
    assert file_sha256(entry.path) == entry.sha256
    assert entry.path.stat().st_size == entry.size
    told = read_metadata(entry.path)
    assert (told["family"], told["scale"]) == (entry.family, str(entry.scale))
    assert told["licence"] == entry.licence == "Apache-2.0"
    assert {"recipe", "data", "steps", "date"} <= told.keys()
    assert entry.recipe
    assert entry.data
    for score in entry.scores:
        assert told[f"{score.dataset.lower()}_psnr_ssim"] == f"{score.psnr_y:.3f}/{score.ssim_y:.4f}"
    assert {score.dataset for score in entry.scores} == {"Set5", "Set14"}


@every_file
def test_files_hold_every_shape_of_their_network(entry: Weights) -> None:
    state = read_checkpoint(entry.path)
    recognised = families.recognise(state, entry.path)
    assert recognised.spec is SPECS[entry.id]
    assert recognised.spelling is None  # under our own names
    built = families.build(SPECS[entry.id], fused=recognised.fused)
    assert {name: value.shape for name, value in state.items()} == {
        name: value.shape for name, value in built.state_dict().items() if "num_batches" not in name
    }
    assert all(value.dtype == torch.float32 for value in state.values())


@every_file
def test_a_picture_comes_out_as_well_as_it_did(entry: Weights) -> None:
    whole = read_image(paths.resources_folder() / "samples" / "chelsea.png").pixels
    truth = np.array(whole[60:252, 120:312], np.uint8)
    model = load_model(f"{entry.id}@shipped")
    with torch.inference_mode():
        result = to_pixels(model(to_tensor(downscale(truth, entry.scale))))
    assert measure(result, truth, scale=entry.scale).psnr_y == pytest.approx(PICTURE_PSNR[entry.id], abs=0.01)


@every_file
def test_every_file_passes_its_bar(entry: Weights) -> None:
    bar = {
        2: {"Set5": 37.2, "Set14": 32.8},
        3: {"Set5": 33.5, "Set14": 29.7},
        4: {"Set5": 31.0, "Set14": 27.8},
    }
    for score in entry.scores:
        assert score.psnr_y >= bar[entry.scale][score.dataset]


@every_file
def test_listed_scores_are_what_a_benchmark_gives(reference: Path, entry: Weights) -> None:
    (row,) = benchmark(
        [load_model(f"{entry.id}@shipped")], [find_dataset(reference / "Set5", entry.scale)]
    ).rows
    (score,) = (score for score in entry.scores if score.dataset == "Set5")
    assert row.psnr_y == pytest.approx(score.psnr_y, abs=0.01)
    assert row.ssim_y == pytest.approx(score.ssim_y, abs=0.0003)
