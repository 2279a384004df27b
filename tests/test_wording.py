from __future__ import annotations

import math

import pytest

from srviewer.app.model_facts import CITATIONS, facts_of, is_checkpoint, model_title
from srviewer.session.wording import (
    bytes_text,
    clock_text,
    count_text,
    decibels_text,
    difference_text,
    duration_text,
    plural,
    similarity_text,
    throughput_text,
)
from srviewer.zoo.spec import FAMILY_NAMES, SPECS


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "–"),
        (0, "0 B"),
        (999, "999 B"),
        (1024, "1.0 KB"),
        (210 << 20, "210 MB"),
        (1022 << 20, "1.00 GB"),
        (int(1.21 * 2**30), "1.21 GB"),
        (23 << 30, "23.0 GB"),
        (139 << 30, "139 GB"),
        (3 << 40, "3.00 TB"),
        (5000 << 40, "5000 TB"),
    ],
)
def test_bytes(count: int | None, text: str) -> None:
    assert bytes_text(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "–"),
        (0, "0"),
        (352_400, "352 K"),
        (999_600, "1.00 M"),
        (1_006_379, "1.01 M"),
        (19_177_176_448, "19.2 G"),
        (171_859_968_000, "172 G"),
        (8_287_816_320, "8.3 G"),
    ],
)
def test_counts(count: int | None, text: str) -> None:
    assert count_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.001, "1.0 ms"),
        (0.0551, "55 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (9.996, "10.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1:00 min"),
        (185, "3:05 min"),
        (3729, "1:02:09 h"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00"), (0.2, "0:01"), (14.2, "0:14"), (59.6, "1:00"), (725, "12:05"), (3729, "1:02:09")],
)
def test_clock(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text


def test_qualities() -> None:
    assert decibels_text(22.0949) == "22.09"
    assert decibels_text(math.inf) == "∞"
    assert decibels_text(None) == similarity_text(None) == difference_text(None) == "–"
    assert similarity_text(0.81614) == "0.8161"
    assert difference_text(3.051) == "+3.05"
    assert difference_text(-0.123) == "−0.12"
    assert difference_text(-0.001) == "0.00"


def test_throughput_and_plurals() -> None:
    assert throughput_text(9.84) == "9.8 MP/s"
    assert throughput_text(0.416) == "0.42 MP/s"
    assert throughput_text(118.3) == "118 MP/s"
    assert plural(1, "image") == "1 image"
    assert plural(4, "image") == "4 images"


def test_titles_of_networks() -> None:
    assert model_title("bsrn_x4") == "BSRN ×4"
    assert model_title("fmen_s_x4@official") == "FMEN-S ×4 (official)"
    assert model_title("/somewhere/my net.pth") == "my net"
    assert model_title("weights.safetensors") == "weights"
    assert model_title("mine") == "mine"
    assert is_checkpoint("a/b.pth")
    assert not is_checkpoint("bsrn_x4@yours")


def test_facts_of_networks() -> None:
    facts = facts_of("bsrn_x4@shipped")
    assert facts is not None
    assert (facts.family, facts.scale, facts.parameters) == ("bsrn", 4, SPECS["bsrn_x4"].parameters)
    assert facts_of("/somewhere/net.pth") is None
    assert facts_of("unheard_of") is None
    assert CITATIONS.keys() == FAMILY_NAMES.keys()
