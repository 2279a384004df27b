"""What a training is asked for, what it tells on the way, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

DeviceChoice = Literal["auto", "cpu", "cuda"]
"""Where a training runs; ``"auto"`` takes CUDA where it is."""

PrecisionChoice = Literal["auto", "fp32", "bf16"]
"""The arithmetic of most layers; ``"auto"`` takes bfloat16 where the hardware has it."""


@dataclass(frozen=True)
class TrainingOptions:
    """How a recipe is run.

    Attributes
    ----------
    recipe : a key of ``RECIPES``.
    data : folder of pictures, searched with its subfolders.
    output : a folder, made where it is missing, or the ``.safetensors`` file to write.
    minutes, steps : the budget of the whole training, earlier parts of a resumed one counted; just one is
        set.
    part_minutes : after which it is cut short, with a checkpoint to go on from; None for never.
    start : reference of the model, or file, whose weights are the beginning; None for fresh ones.
    resume : go on from the checkpoint in the output folder.
    seed : of the first weights and of the order of patches.
    device, devices, nodes : where it runs, on how many of them per host, on how many hosts.
    precision : of most layers.
    threads : of the CPU; None leaves the number to torch.
    validation : pictures set aside to choose among checkpoints.
    interval : seconds between checkpoints; None for 120, or a tenth of the budget where that is less.
    compile : whether layers are compiled, on CUDA.
    """

    recipe: str
    data: Path
    output: Path
    minutes: float | None = None
    steps: int | None = None
    part_minutes: float | None = None
    start: str | None = None
    resume: bool = False
    seed: int = 0
    device: DeviceChoice = "auto"
    devices: int = 1
    nodes: int = 1
    precision: PrecisionChoice = "auto"
    threads: int | None = None
    validation: int = 16
    interval: float | None = None
    compile: bool = True


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training is, told after every step.

    Attributes
    ----------
    step : steps done, those of earlier parts counted.
    done : 0..1 of the budget.
    loss : of this step; None on steps where it would have to be waited for.
    rate : the learning rate of this step.
    steps_per_second : over the last minute or so.
    eta_seconds : estimate of the time left.
    psnr : of the last validation, in dB; None before the first.
    best_psnr : of the best so far.
    validated : whether this step ended with a validation.
    """

    step: int
    done: float
    loss: float | None
    rate: float
    steps_per_second: float
    eta_seconds: float
    psnr: float | None
    best_psnr: float | None
    validated: bool


@dataclass(frozen=True)
class TrainingResult:
    """What a training gave.

    Attributes
    ----------
    weights : the file with the best weights by validation; None where it was stopped before the first.
    checkpoint : from which it can go on.
    steps, minutes : all that it took, earlier parts counted.
    psnr : validation PSNR of `weights` in dB; None without validation pictures.
    finished : whether its budget is spent.
    interrupted : whether the user ended it.
    """

    weights: Path | None
    checkpoint: Path
    steps: int
    minutes: float
    psnr: float | None
    finished: bool
    interrupted: bool
