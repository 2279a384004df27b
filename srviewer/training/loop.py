"""Running a training from its request to its result."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader, IterableDataset

from srviewer.engine.device import Device, choose_device, free_memory, native_bf16
from srviewer.engine.request import UpscaleError
from srviewer.training.budget import Budget
from srviewer.training.data import TrainingData, load
from srviewer.training.errors import TrainingError
from srviewer.training.keeper import Keeper
from srviewer.training.module import Saved, TrainingModule, read_saved
from srviewer.training.output import OutputFiles, output_files, prepare
from srviewer.training.recipes import RECIPES, Recipe
from srviewer.training.request import TrainingOptions, TrainingProgress, TrainingResult
from srviewer.training.start import starting_network
from srviewer.zoo.spec import SPECS, ModelSpec

_Handler = Callable[[int, FrameType | None], Any] | int | None

_MEMORY_SHARE = 0.6
"""Of the free memory that pictures may take: the network's features need the rest."""

_INTERVAL = 120.0
"""Seconds between checkpoints, unless the budget is short."""


class _Steps(IterableDataset[int]):
    """Numbers without end: what a step sees is drawn in the step itself."""

    def __iter__(self) -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1


def train(
    options: TrainingOptions,
    *,
    loading: Callable[[int, int], None] | None = None,
    loaded: Callable[[TrainingData], None] | None = None,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> TrainingResult:
    """Train a network by its recipe until the budget is spent or the user interrupts.

    Ctrl-C or a request to terminate ends it after the present step, with a checkpoint.

    Parameters
    ----------
    options : what to do.
    loading : told the pictures read and their number.
    loaded : told what was read.
    progress : told after every step.

    Raises
    ------
    TrainingError
        If it cannot begin or go on.
    CheckpointError, UnknownModelError, NotInstalledError
        If the weights to begin from cannot be used.
    """
    recipe, spec, device = _checked(options)
    files = output_files(options.output, options.recipe)
    first = is_first_rank()
    if first:
        prepare(files, resume=options.resume)
    saved = read_saved(files.checkpoint, recipe.model) if options.resume else None
    budget = Budget(None if options.minutes is None else options.minutes * 60, options.steps)
    if saved is not None:
        budget.spent = saved.seconds
        if budget.used(saved.step) >= 1:  # nothing is left to do, and that is no fault
            return _result(files, budget, saved.step, saved.best, interrupted=False)
    else:
        saved = Saved(recipe.model, 0, 0.0, None, options.seed, _origin(options.start))
    with _threads(options.threads), _quiet():
        data = load(
            options.data,
            spec.scale,
            validation=options.validation,
            threads=torch.get_num_threads(),
            max_bytes=_memory(device),
            seed=saved.seed,
            progress=loading if first else None,
        )
        if loaded is not None and first:
            loaded(data)
        torch.manual_seed(saved.seed)
        start = None if options.resume else options.start
        module = TrainingModule(
            starting_network(spec, start, data.bank, recipe.first_weights),
            recipe,
            spec,
            data.bank,
            budget,
            saved,
            bf16=_bf16(options, device),
            cpu=device.kind == "cpu",
            compiled=options.compile and device.kind == "cuda",
        )
        keeper = Keeper(
            files, data, interval=_interval(options), part=options.part_minutes, progress=progress
        )
        trainer = _trainer(options, device, recipe, keeper)
        with _interruptible(keeper):
            trainer.fit(
                module,
                DataLoader(_Steps(), batch_size=None),
                ckpt_path=str(files.checkpoint) if options.resume else None,
            )
    return _result(files, budget, trainer.global_step, module.best, interrupted=keeper.interrupted)


def is_first_rank() -> bool:
    """Tell whether this process speaks for all: launchers number the others before anything else runs."""
    numbers = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    return int(next((number for number in numbers if number is not None), 0)) == 0


def _checked(options: TrainingOptions) -> tuple[Recipe, ModelSpec, Device]:
    """See that the request makes sense before anything is read."""
    if options.recipe not in RECIPES:
        raise TrainingError(f"no recipe {options.recipe!r}; there are {', '.join(RECIPES)}")
    if (options.minutes is None) == (options.steps is None):
        raise TrainingError("a training needs either minutes or steps")
    recipe = RECIPES[options.recipe]
    if recipe.optimiser == "adamp" and importlib.util.find_spec("adamp") is None:
        raise TrainingError(
            f"{recipe.model}: its optimiser is in the package adamp, which is not installed; "
            "get it with: pip install 'srviewer[train]'"
        )
    wanted: str = options.device
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return recipe, SPECS[options.recipe], choose_device(wanted)
    except UpscaleError as error:
        raise TrainingError(str(error)) from error


def _memory(device: Device) -> int:
    """Return the bytes that pictures may take."""
    free = min(free_memory(choose_device("cpu")), free_memory(device))
    return int(_MEMORY_SHARE * free)


def _result(
    files: OutputFiles, budget: Budget, steps: int, best: float | None, *, interrupted: bool
) -> TrainingResult:
    weights = files.weights if files.weights.is_file() else None
    return TrainingResult(
        weights,
        files.checkpoint,
        steps,
        budget.elapsed / 60,
        best,
        finished=budget.used(steps) >= 1,
        interrupted=interrupted,
    )


def _bf16(options: TrainingOptions, device: Device) -> bool:
    if options.precision != "auto":
        return options.precision == "bf16"
    if device.kind == "cpu":
        return native_bf16()
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def _interval(options: TrainingOptions) -> float:
    """Return the seconds between checkpoints."""
    if options.interval is not None:
        return options.interval
    return _INTERVAL if options.minutes is None else min(_INTERVAL, options.minutes * 60 / 10)


def _origin(start: str | None) -> str:
    """Say what the first weights are, without where they lie on this machine."""
    return "" if start is None else Path(start).stem


def _trainer(options: TrainingOptions, device: Device, recipe: Recipe, keeper: Keeper) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu" if device.kind == "cpu" else "cuda",
        devices=options.devices,
        num_nodes=options.nodes,
        precision="32-true",  # autocast is the module's own affair
        logger=False,
        callbacks=[keeper],
        max_epochs=-1,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        gradient_clip_val=recipe.clip,
        use_distributed_sampler=False,
        benchmark=device.kind == "cuda",
    )


@contextlib.contextmanager
def _threads(number: int | None) -> Iterator[None]:
    """Let torch use this many threads of the CPU for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's advice to programmers off the user's terminal."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextlib.contextmanager
def _interruptible(keeper: Keeper) -> Iterator[None]:
    """Let the first Ctrl-C, or request to terminate, end the training in order, and the second at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, _: FrameType | None) -> None:
        keeper.interrupted = True
        signal.signal(number, before[number])

    wanted = (signal.SIGINT, signal.SIGTERM)
    before: dict[int, _Handler] = {number: signal.getsignal(number) for number in wanted}
    for number in wanted:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for changed, handler in before.items():
            signal.signal(changed, handler)
