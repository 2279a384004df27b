"""The forms that a benchmark's table takes."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

import pytest

from srviewer.report.rows import Benchmark, BenchmarkRow, Failure, ImageScore
from srviewer.report.tables import csv_images, render, table_of

KEYS = [
    *("model", "dataset", "scale", "images", "psnr_y", "ssim_y"),
    *("params", "multi_adds", "activations", "convs"),
    *("runtime_ms", "peak_memory_bytes"),
]


def row(model: str, dataset: str, psnr: float, ssim: float | None, params: int = 352_400) -> BenchmarkRow:
    return BenchmarkRow(
        model=model,
        dataset=dataset,
        scale=4,
        images=1,
        psnr_y=psnr,
        ssim_y=ssim,
        params=params,
        multi_adds=params * 54_321,
        activations=params * 200,
        convs=50 if params else 0,
        scores=(ImageScore("img_001", psnr, ssim, psnr - 1.5, 0.25),),
    )


@pytest.fixture
def benchmark() -> Benchmark:
    return Benchmark(
        rows=(
            row("bicubic_x4", "Set5", 28.4301, 0.81114, 0),
            row("bsrn_x4", "Set5", 32.3512, 0.89654),
            row("my_net|v2", "Set5", 32.3488, 0.8949, 1_006_379),
            row("bicubic_x4", "Set14", 26.09, 0.7047, 0),
            row("bsrn_x4", "Set14", 28.739, 0.7847),
            row("my_net|v2", "Set14", 28.637, 0.782, 1_006_379),
        ),
        scale=4,
        device="Some CPU, 2 threads",
        precision="fp32",
        tiled=False,
    )


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.replace(r"\|", "¦").strip("|").split("|")]


def test_markdown_marks_best_and_second_of_each_data_set(benchmark: Benchmark) -> None:
    lines = render(benchmark, "markdown").splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len({len(line) for line in table}) == 1
    assert cells(table[0]) == [
        *(
            "Model",
            "Params",
            "Multi-Adds",
            "Acts",
            "Convs",
            "Set5 PSNR",
            "Set5 SSIM",
            "Set14 PSNR",
            "Set14 SSIM",
        )
    ]
    assert set(cells(table[1])[1]) == {"-", ":"}
    # 32.3512 and 32.3488 print alike, so both are best and the next is second.
    # fmt: off
    assert cells(table[2]) == ["bicubic_x4", "–", "–", "–", "–", "28.43", "0.8111", "26.09", "0.7047"]
    assert cells(table[3]) == [
        "bsrn_x4", "352K", "19.1G", "70.5M", "50", "**32.35**", "**0.8965**", "**28.74**", "**0.7847**",
    ]
    assert cells(table[4]) == [
        "my_net¦v2", "1,006K", "54.7G", "201.3M", "50", "**32.35**", "<ins>0.8949</ins>", "<ins>28.64</ins>",
        "<ins>0.7820</ins>",
    ]
    # fmt: on
    assert "4 px shaved" in lines[-1]
    assert "fp32, untiled, on Some CPU, 2 threads" in lines[-1]


def test_latex(benchmark: Benchmark) -> None:
    lines = render(replace(benchmark, notes=("100 % & more_$",)), "latex").splitlines()
    text = "\n".join(lines)
    assert r"\begin{tabular}{lrrrrrrrr}" in lines
    assert [lines.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
    assert r"\multicolumn{2}{c}{Set5} & \multicolumn{2}{c}{Set14} \\" in text
    assert r"\cmidrule(lr){6-7} \cmidrule(lr){8-9}" in text
    assert text.count(r"\textbf{32.35}") == 2
    assert r"\underline{0.8949}" in text
    assert r"bsrn\_x4" in text
    assert r"my\_net|v2" in text
    assert r"100 \% \& more\_\$" in text
    assert text.isascii()
    body = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
    assert [line.count(" & ") for line in body] == [8, 8, 8]
    assert all(line.endswith(r"\\") for line in body)


def test_plain_text_is_aligned_and_states_the_protocol(benchmark: Benchmark) -> None:
    lines = render(benchmark, "text").splitlines()
    ends = [
        line.index(value) + len(value)
        for line, value in zip(lines[2:5], ("28.43", "32.35", "32.35"), strict=True)
    ]
    assert len(set(ends)) == 1
    assert lines[0].index("Set5 PSNR") + len("Set5 PSNR") == ends[0]
    assert lines[5] == ""
    assert lines[6].startswith("PSNR [dB] and SSIM at ×4")


def test_csv_has_the_keys_and_whole_numbers(benchmark: Benchmark) -> None:
    table = list(csv.DictReader(io.StringIO(render(benchmark, "csv"))))
    assert list(table[0])[: len(KEYS)] == KEYS
    assert len(table) == 6
    assert table[1]["psnr_y"] == "32.3512"
    assert table[1]["params"] == "352400"
    assert table[1]["runtime_ms"] == ""
    images = list(csv.DictReader(io.StringIO(csv_images(benchmark))))
    assert images[2]["image"] == "img_001"
    assert float(images[2]["psnr_rgb"]) == pytest.approx(30.8488)


def test_json_holds_the_rows(benchmark: Benchmark) -> None:
    told = json.loads(render(replace(benchmark, failures=(Failure("Set14", None, "a.png: broken"),)), "json"))
    assert list(told["rows"][0])[: len(KEYS)] == KEYS
    assert told["rows"][1]["psnr_y"] == 32.3512
    assert told["rows"][1]["runtime_ms"] is None
    assert told["rows"][1]["scores"] == [
        {"image": "img_001", "psnr_y": 32.3512, "ssim_y": 0.89654, "psnr_rgb": 30.8512, "seconds": 0.25}
    ]
    assert told["failures"] == [{"model": None, "dataset": "Set14", "error": "a.png: broken"}]
    assert "Y of YCbCr" in told["protocol"]


def test_infinite_and_missing_values_in_every_form() -> None:
    same = replace(row("a", "S", math.inf, None), runtime_ms=12.34, peak_memory_bytes=210_000_000)
    benchmark = Benchmark((same, row("b", "S", 30.0, 0.9)), 4, "d", "fp32", tiled=True)

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    told = json.loads(render(benchmark, "json"), parse_constant=refuse)
    assert told["rows"][0]["psnr_y"] is None
    assert told["rows"][0]["scores"][0]["psnr_y"] is None
    assert next(csv.DictReader(io.StringIO(render(benchmark, "csv"))))["psnr_y"] == "inf"
    markdown = render(benchmark, "markdown")
    assert "**∞**" in markdown
    assert "12.3" in markdown
    assert "210.0" in markdown
    assert "tiled, on d" in markdown
    assert r"\textbf{$\infty$}" in render(benchmark, "latex")
    assert "memory: allocated" in render(benchmark, "text")


def test_trade_off_columns_stand_only_where_there_is_a_base_line(benchmark: Benchmark) -> None:
    assert all("0.01 dB" not in column.title for column in table_of(benchmark).columns)
    traded = replace(
        benchmark.rows[2], multi_adds_saved_per_hundredth_db=1.25e9, params_saved_per_hundredth_db=-3_400.0
    )
    rows = (*benchmark.rows[:2], traded)
    table = table_of(replace(benchmark, rows=rows, baseline="bsrn_x4"))
    titles = [f"{column.group} {column.title}" for column in table.columns]
    assert [table.rows[index][titles.index("Set5 G/0.01 dB")].text for index in range(3)] == [
        "–",
        "–",
        "1.25",
    ]
    assert table.rows[2][titles.index("Set5 K/0.01 dB")].text == "-3.40"
    assert "lost to bsrn_x4" in table.caption


def test_nothing_measured_is_still_a_table() -> None:
    empty = Benchmark((), 4, "d", "fp32", tiled=False, failures=(Failure("Set5", "net", "a.png: broken"),))
    assert "net on Set5: a.png: broken" in render(empty, "text")
    assert "a.png: broken" in render(empty, "markdown")
    assert r"\begin{tabular}" in render(empty, "latex")
    assert json.loads(render(empty, "json"))["rows"] == []
    assert render(empty, "csv").startswith("model,dataset,scale")


def test_one_network_alone_is_not_the_best(benchmark: Benchmark) -> None:
    assert "**" not in render(replace(benchmark, rows=benchmark.rows[1:2]), "markdown")
