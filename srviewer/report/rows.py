"""The records of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass

from srviewer.analysis.metrics import describe_protocol


@dataclass(frozen=True)
class ImageScore:
    """What one network reached on one picture.

    Attributes
    ----------
    image : the picture's name.
    psnr_y, ssim_y, psnr_rgb : as in `srviewer.analysis.metrics.Metrics`.
    seconds : time that the network took.
    """

    image: str
    psnr_y: float
    ssim_y: float | None
    psnr_rgb: float
    seconds: float


@dataclass(frozen=True)
class BenchmarkRow:
    """What one network reached on one test set.

    Attributes
    ----------
    model : the network's id.
    dataset : the test set's name.
    scale : the magnification.
    images : how many pictures the means are over.
    psnr_y, ssim_y : means over the pictures; `ssim_y` is None where a picture is too small for it.
    params : parameters of the network.
    multi_adds : multiply-adds of convolution and linear weights, for an output of 1280 x 720.
    activations : elements of all convolutions' outputs, for an output of 1280 x 720.
    convs : convolutions.
    runtime_ms, peak_memory_bytes : median time of one pass and the most memory in use, for an input of 256 x
        256; None where not asked for. Memory is what torch allocated (CUDA, MPS) or the resident set (CPU).
    runtime_ms_320x180, peak_memory_bytes_320x180 : the same for an input 320 wide and 180 high.
    psnr_lost : dB of mean PSNR below the base line's (negative where above); None without a base line and for
        it.
    multi_adds_saved_per_hundredth_db, params_saved_per_hundredth_db : what this network needs less than the
        base line, for each 0.01 dB that it loses against it (the trade-off of the efficiency study of RCAN,
        ICLR 2019 submission); negative where it needs more. None where there is no trade: no base line, or
        nothing lost.
    scores : picture by picture.
    """

    model: str
    dataset: str
    scale: int
    images: int
    psnr_y: float
    ssim_y: float | None
    params: int
    multi_adds: int
    activations: int
    convs: int
    runtime_ms: float | None = None
    peak_memory_bytes: int | None = None
    runtime_ms_320x180: float | None = None
    peak_memory_bytes_320x180: int | None = None
    psnr_lost: float | None = None
    multi_adds_saved_per_hundredth_db: float | None = None
    params_saved_per_hundredth_db: float | None = None
    scores: tuple[ImageScore, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A part of a benchmark that has no row, and why.

    Attributes
    ----------
    dataset : the test set's name.
    model : the network's id; None where no network could run.
    reason : one sentence that names the file.
    """

    dataset: str
    model: str | None
    reason: str

    @property
    def subject(self) -> str:
        """What failed, for the user."""
        return self.dataset if self.model is None else f"{self.model} on {self.dataset}"


@dataclass(frozen=True)
class Benchmark:
    """A finished benchmark.

    Attributes
    ----------
    rows : in the order of the test sets, then of the networks, as they were given.
    scale : the magnification of all rows.
    device : by name.
    precision : what the networks ran in; several where 16-bit pictures needed another.
    tiled : whether pictures were cut into tiles.
    baseline : id of the network that others are compared with, or None.
    notes : sentences about what a reader must know to judge the numbers.
    failures : what has no row.
    """

    rows: tuple[BenchmarkRow, ...]
    scale: int
    device: str
    precision: str
    tiled: bool
    baseline: str | None = None
    notes: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def caption(self) -> str:
        """One sentence that says how the numbers were measured."""
        how = f"{self.precision}, {'tiled' if self.tiled else 'untiled'}, on {self.device}"
        parts = [
            f"PSNR [dB] and SSIM at ×{self.scale}: {describe_protocol(self.scale)}",
            f"means over the pictures, results rounded to their inputs' depth ({how})",
            "Multi-Adds (convolution and linear weights only) and activations for an output of 1280 × 720",
        ]
        if any(row.runtime_ms is not None for row in self.rows):
            parts.append("time: median of one untiled pass")
            parts.append("memory: allocated by torch (GPU) or the process's resident set (CPU)")
        if self.baseline is not None:
            parts.append(
                f"per 0.01 dB: Multi-Adds and parameters saved for each 0.01 dB lost to {self.baseline}"
            )
        return "; ".join(parts) + "."
