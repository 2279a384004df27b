"""What a run will cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from srviewer.engine.request import UpscaleOptions, UpscaleResult
from srviewer.imaging.image import Image
from srviewer.session.entries import ResultFacts
from srviewer.session.estimate import (
    Estimate,
    History,
    Measurement,
    duration_text,
    estimate_text,
    workload_of,
)
from srviewer.session.geometry import Size

OPTIONS = UpscaleOptions(device="cpu")
BSRN, SAFMN = workload_of("bsrn_x4@official", 4), workload_of("safmn_x4", 4)
BICUBIC, OWN = workload_of("bicubic_x4", 4), workload_of("/w/mine.pth", 4)
LR = Size(100, 50)
RUN = Measurement(BSRN, "cpu", "auto", "auto", False, 80_000, 2.0, 500_000_000)


def test_nothing_is_claimed_before_anything_ran() -> None:
    estimate = History().estimate(BSRN, LR, 8, OPTIONS)
    assert estimate == Estimate(Size(400, 200), 400 * 200 * 3)
    assert History().estimate(BSRN, LR, 16, OPTIONS).result_bytes == 400 * 200 * 6
    assert estimate_text(estimate) == "400 × 200 · at least 234 KB for the result"


def test_time_of_the_same_network_is_in_proportion_to_the_output() -> None:
    estimate = History([RUN]).estimate(BSRN, Size(200, 100), 8, OPTIONS)
    assert estimate.seconds == pytest.approx(8.0)
    assert estimate.basis == "measured"
    assert estimate.memory_bytes == 500_000_000 + 240_000 * 3


def test_time_of_another_network_goes_by_multi_adds() -> None:
    estimate = History([RUN]).estimate(SAFMN, LR, 8, OPTIONS)
    assert BSRN.multi_adds_720p
    assert SAFMN.multi_adds_720p
    assert estimate.seconds == pytest.approx(2.0 * SAFMN.multi_adds_720p / BSRN.multi_adds_720p)
    assert estimate.basis == "derived"
    assert estimate.memory_bytes is None


def test_unknown_networks_and_interpolation_are_not_guessed() -> None:
    history = History([RUN])
    assert history.estimate(BICUBIC, LR, 8, OPTIONS).seconds is None
    assert history.estimate(OWN, LR, 8, OPTIONS).seconds is None
    bicubic_only = History([replace(RUN, workload=BICUBIC)])
    assert bicubic_only.estimate(BSRN, LR, 8, OPTIONS).seconds is None
    assert bicubic_only.estimate(BICUBIC, LR, 8, OPTIONS).seconds == pytest.approx(2.0)


def test_other_devices_and_precisions_do_not_count() -> None:
    history = History([RUN])
    for options in (UpscaleOptions(device="cuda:0"), UpscaleOptions(device="cpu", precision="bf16")):
        assert history.estimate(BSRN, LR, 8, options).seconds is None
    assert history.estimate(BSRN, LR, 8, UpscaleOptions(device="cpu", tile=64)).memory_bytes is None


def test_a_self_ensemble_takes_eight_passes() -> None:
    eight = UpscaleOptions(device="cpu", self_ensemble=True)
    assert History([RUN]).estimate(BSRN, LR, 8, eight).seconds == pytest.approx(16.0)
    assert History([replace(RUN, ensemble=True)]).estimate(BSRN, LR, 8, OPTIONS).seconds == pytest.approx(
        0.25
    )


def test_memory_of_a_tiny_image_says_nothing_about_a_large_one() -> None:
    assert History([RUN]).estimate(BSRN, Size(10_000, 10_000), 8, OPTIONS).memory_bytes is None


def test_runs_to_files_do_not_grow_with_the_image() -> None:
    to_file = replace(RUN, in_memory=False)
    history = History([RUN, to_file, replace(to_file, peak_memory_bytes=400_000_000)])
    estimate = history.estimate(BSRN, Size(200, 100), 8, OPTIONS)
    assert (estimate.file_memory_bytes, estimate.memory_bytes) == (500_000_000, 500_000_000 + 240_000 * 3)
    assert history.estimate(BSRN, Size(201, 100), 8, OPTIONS).file_memory_bytes is None
    assert history.estimate(BSRN, LR, 8, replace(OPTIONS, tile=64)).file_memory_bytes is None
    assert History([RUN]).estimate(BSRN, LR, 8, OPTIONS).file_memory_bytes is None


def test_what_is_too_short_or_too_old_is_forgotten() -> None:
    history = History()
    history.add(replace(RUN, seconds=0.001))
    assert history.measurements == ()
    for seconds in range(1, 251):
        history.add(replace(RUN, seconds=float(seconds)))
    assert len(history.measurements) == 200
    estimate = history.estimate(BSRN, LR, 8, OPTIONS)
    assert estimate.seconds == pytest.approx(248)


def test_a_result_becomes_a_measurement() -> None:
    image = Image(np.zeros((200, 400, 3), np.uint8))
    result = UpscaleResult(
        image, "bsrn_x4@official", 4, "Some CPU", "bf16", 96, 4, True, 2.0, 0.04, 500_000_000, 0
    )
    assert Measurement.of(BSRN, OPTIONS, ResultFacts.of(result)) == RUN


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.9, "9.9 s"), (9.96, "0:10"), (41, "0:41"), (3725, "1:02:05")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_an_estimate_is_one_line() -> None:
    estimate = Estimate(Size(16000, 24000), 1, 41.0, "measured", 1_300_000_000)
    assert estimate_text(estimate) == "16000 × 24000 · about 0:41 · needs about 1.21 GB"
