"""Trains one network after the other within a budget of time, and gathers weights, scores and their list.

    python benchmarks/campaign.py --data DIR --output DIR --minutes TOTAL --minutes-each M [--reference DIR]

The next network is always the one that needs it most: those without any weights first, in the order of
`ORDER`, then those farthest below `TARGETS`. Each begins from its best weights so far, those that come with
SR Viewer among them, or from the trunk of its x4 form. A training that was cut short, by Ctrl-C or the end
of --minutes, is gone on with by the same command; one that is finished is followed by another.

The output folder holds the best file of each network, with its scores inside, and `manifest.toml`, their
entries. There, and against what is shipped, a file is only ever followed by a better one: by the mean PSNR
over the test sets in --reference (folders `Set5` and `Set14` as `srviewer benchmark` takes them), which
choose nothing else: within a training the best weights are chosen on pictures that were set aside.
Checkpoints and logs lie in --runs.

Needs torch, lightning and the repository. A network whose recipe lacks a package is passed over.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from srviewer.engine.request import UpscaleError, UpscaleOptions
from srviewer.report.benchmark import benchmark
from srviewer.report.datasets import DatasetError, find_dataset
from srviewer.training.errors import TrainingError
from srviewer.training.loop import train
from srviewer.training.publishing import entry, publish, scores_in
from srviewer.training.recipes import RECIPES
from srviewer.training.request import DeviceChoice, TrainingOptions
from srviewer.training.telling import LineTeller
from srviewer.zoo.errors import ZooError
from srviewer.zoo.manifest import Score, weights_of
from srviewer.zoo.model import load_model
from srviewer.zoo.spec import SPECS

ORDER = (
    *("fmen_s_x4", "bsrn_s_x4", "safmn_x4", "maffsrn_x4", "bsrn_x4", "fmen_x4"),
    *("safmn_x2", "bsrn_x2", "maffsrn_x2", "fmen_x2"),
    *("safmn_x3", "bsrn_x3", "maffsrn_x3", "fmen_x3"),
    *("maffsrn_l_x4", "maffsrn_l_x2", "maffsrn_l_x3"),
)

TARGETS: Mapping[int, Mapping[str, float]] = {
    2: {"Set5": 37.7, "Set14": 33.2},
    3: {"Set5": 34.0, "Set14": 30.1},
    4: {"Set5": 31.9, "Set14": 28.4},
}
"""PSNR on Y in dB, by scale and test set, that a network should reach at least."""

DATASETS = ("Set5", "Set14")

_SMALLEST_SHARE = 0.25  # of --minutes-each: with less left, no further training is begun


@dataclass(frozen=True)
class Standing:
    """How well a network stands.

    Attributes
    ----------
    model : its id.
    file : the best weights so far, or None.
    scores : what they reach; empty where nothing was measured.
    """

    model: str
    file: Path | None = None
    scores: tuple[Score, ...] = ()

    @property
    def mean(self) -> float:
        """The mean PSNR over the test sets; minus infinity without any."""
        if not self.scores:
            return -math.inf
        return math.fsum(score.psnr_y for score in self.scores) / len(self.scores)

    @property
    def margin(self) -> float:
        """By how much the worse of the test sets exceeds its target; negative below it."""
        targets = TARGETS[SPECS[self.model].scale]
        return min((score.psnr_y - targets[score.dataset] for score in self.scores), default=-math.inf)

    @property
    def need(self) -> tuple[bool, float]:
        """Sort key: those in greatest need first."""
        return self.file is not None, self.margin


class Campaign:
    """Trainings into one output folder."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments = arguments
        self._runs: Path = arguments.runs or arguments.output / "runs"
        self._end: float = time.monotonic() + arguments.minutes * 60
        self._passed_over: dict[str, str] = {}

    def run(self) -> int:
        """Train until the budget is spent; return the exit status."""
        self._arguments.output.mkdir(parents=True, exist_ok=True)
        done: set[str] = set()
        while (left := self._left()) >= _SMALLEST_SHARE * self._arguments.minutes_each:
            model = self._next(done)
            if model is None:
                break
            done.add(model)
            if self._train(model, left):
                print("interrupted; go on by the same command", flush=True)
                return 130
        for model, reason in self._passed_over.items():
            print(f"{model}: {reason}", flush=True)
        return 0 if done - set(self._passed_over) else 1

    def _left(self) -> float:
        return (self._end - time.monotonic()) / 60

    def _next(self, done: set[str]) -> str | None:
        """Return the network in greatest need that this call has not trained yet; unfinished ones first."""
        waiting: list[str] = [model for model in self._arguments.recipes if model not in done]
        if not waiting:
            return None
        begun = [model for model in waiting if self._unfinished(model) is not None]
        return min(begun or waiting, key=lambda model: self._standing(model).need)

    def _standing(self, model: str) -> Standing:
        """Return the best weights there are: of this campaign, or shipped."""
        best = Standing(model)
        shipped = next((one for one in weights_of(model) if one.source == "shipped" and one.installed), None)
        if shipped is not None:
            scores = tuple(score for score in shipped.scores if score.dataset in DATASETS)
            best = Standing(model, shipped.path, scores)
        ours = self._file(model)
        if ours.is_file():
            made = Standing(model, ours, scores_in(ours, DATASETS))
            if best.file is None or made.mean > best.mean:
                best = made
        return best

    def _file(self, model: str) -> Path:
        output: Path = self._arguments.output
        return output / f"{model}.safetensors"

    def _unfinished(self, model: str) -> Path | None:
        """Return the folder of a training that was begun and not finished."""
        folders = sorted(self._runs.glob(f"{model}-[0-9][0-9]"))
        return folders[-1] if folders and not (folders[-1] / "done").exists() else None

    def _train(self, model: str, left: float) -> bool:
        """Train one network and keep what is better; return whether the user interrupted it."""
        folder = self._unfinished(model)
        resume = folder is not None and (folder / "last.ckpt").is_file()
        if folder is None:
            folder = self._runs / f"{model}-{len(list(self._runs.glob(f'{model}-[0-9][0-9]'))) + 1:02d}"
        start = self._start(model)
        options = TrainingOptions(
            recipe=model,
            data=self._arguments.data,
            output=folder,
            minutes=self._planned(folder, min(self._arguments.minutes_each, left)),
            part_minutes=left,
            start=None if start is None else str(start),
            resume=resume,
            seed=self._arguments.seed,
            device=self._arguments.device,
            threads=self._arguments.threads,
            compile=self._arguments.compile,
        )
        beginning = "going on" if resume else f"from {start}" if start else "from fresh weights"
        print(f"{model}: {options.minutes:.1f} minutes, {beginning}", flush=True)
        try:
            result = train(options, progress=LineTeller(lambda line: print(f"  {line}", flush=True)))
        except (TrainingError, ZooError) as error:
            self._passed_over[model] = str(error)
            return False
        except RuntimeError as error:  # what torch raises where memory, or a kernel, is lacking
            self._passed_over[model] = f"{type(error).__name__}: {str(error).splitlines()[0]}"
            return False
        if result.weights is not None:
            self._keep(model, result.weights)
        if result.finished:
            (folder / "done").touch()
        return result.interrupted

    def _planned(self, folder: Path, minutes: float) -> float:
        """Return the whole time of a training as planned when it began: its learning rate needs it."""
        plan = folder / "minutes"
        if plan.is_file():
            return float(plan.read_text("utf-8"))
        folder.mkdir(parents=True, exist_ok=True)
        plan.write_text(f"{minutes}\n", "utf-8")
        return minutes

    def _start(self, model: str) -> Path | None:
        """Return the weights to begin from: the network's own, or of its form at x4 or another scale."""
        own = self._standing(model).file
        if own is not None:
            return own
        stem = model.rpartition("_x")[0]
        others = (
            self._standing(other).file for scale in (4, 2, 3) if (other := f"{stem}_x{scale}") in RECIPES
        )
        return next((file for file in others if file is not None), None)

    def _keep(self, model: str, file: Path) -> None:
        """Score new weights and put them in place if they are the best."""
        best = self._standing(model)
        made = Standing(model, file, self._scored(file, model))
        told = ", ".join(f"{score.dataset} {score.psnr_y:.3f} dB" for score in made.scores) or "not scored"
        if best.file is not None and made.mean <= best.mean:
            print(f"{model}: {told}: not better than {best.file}", flush=True)
            return
        publish(file, self._file(model), made.scores, licence="Apache-2.0", data=self._arguments.data_text)
        self._write_list()
        print(f"{model}: {told}: kept", flush=True)

    def _scored(self, file: Path, model: str) -> tuple[Score, ...]:
        """Run the test sets, in single precision; nothing where there are none."""
        if self._arguments.reference is None:
            return ()
        scale = SPECS[model].scale
        try:
            found = [find_dataset(self._arguments.reference / name, scale) for name in DATASETS]
            device = self._arguments.device
            measured = benchmark(
                [load_model(str(file))], found, options=UpscaleOptions(device, "fp32", tile="off")
            )
        except (DatasetError, UpscaleError, ZooError) as error:
            print(f"{model}: not scored: {error}", flush=True)
            return ()
        for failure in measured.failures:
            print(f"{failure.subject}: {failure.reason}", flush=True)
        return tuple(
            Score(row.dataset, row.psnr_y, row.ssim_y) for row in measured.rows if row.ssim_y is not None
        )

    def _write_list(self) -> None:
        """Write the entries of what this campaign has made, with remarks on those below their targets."""
        entries = []
        for model in ORDER:
            file = self._file(model)
            if file.is_file():
                made = Standing(model, file, scores_in(file, DATASETS))
                short = f"{-made.margin:.3f} dB below its target" if made.scores else "not scored"
                entries.append(("" if made.margin >= 0 else f"# {short}\n") + entry(file, made.scores))
        (self._arguments.output / "manifest.toml").write_text("\n".join(entries), "utf-8")


def _recipes(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in RECIPES:
            raise argparse.ArgumentTypeError(f"no recipe {name!r}; there are {', '.join(ORDER)}")
    return names


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="training pictures")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="where results go")
    parser.add_argument("--data-text", metavar="TEXT", help="what the pictures are, for the files' metadata")
    parser.add_argument("--runs", type=Path, metavar="DIR", help="where checkpoints and logs go instead")
    parser.add_argument("--minutes", type=float, required=True, metavar="M", help="budget of this call")
    parser.add_argument("--minutes-each", type=float, required=True, metavar="M", help="of each training")
    parser.add_argument("--reference", type=Path, metavar="DIR", help="folder of Set5 and Set14")
    parser.add_argument(
        "--recipes", type=_recipes, default=ORDER, metavar="ID,...", help="the networks; by default all"
    )
    devices: tuple[DeviceChoice, ...] = ("auto", "cpu", "cuda")
    parser.add_argument("--device", choices=devices, default="auto")
    parser.add_argument("--threads", type=int, metavar="N", help="of the CPU")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Run a campaign."""
    parsed = _parsed(arguments)
    if parsed.threads is not None:
        torch.set_num_threads(parsed.threads)
    return Campaign(parsed).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
