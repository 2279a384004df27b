"""Running a network stage by stage over tiles, so that the outcome is that of the whole image at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from srviewer.engine.planes import Plane, Storage
from srviewer.engine.stages import IMAGE, Stage, Staged
from srviewer.engine.tiles import Box, plan
from srviewer.networks.whole_image import Area, Span

GRID = 8
"""Tiles begin at multiples of this: cells of pooling grids then lie inside one tile, mostly."""


@dataclass(frozen=True, eq=False)
class Program:
    """A network made ready to run in stages.

    Attributes
    ----------
    staged : its stages, on `device`.
    scale : output pixels per input pixel, along each side.
    value_range : what full white is inside the network.
    device, dtype : where it computes, and what the image is given as.
    """

    staged: Staged
    scale: int
    value_range: float
    device: torch.device
    dtype: torch.dtype


def area_of(box: Box, whole: Box) -> Area:
    """Return a rectangle of the image `whole` as the networks count it."""
    return Area(Span(box.y, box.bottom, whole.height), Span(box.x, box.right, whole.width))


def box_of(area: Area) -> Box:
    """Return an area as a rectangle of the image."""
    return Box(area.columns.start, area.rows.start, area.columns.size, area.rows.size)


def tiles_of(region: Box, side: int) -> tuple[Box, ...]:
    """Cut a region into tiles of at most `side`, in reading order; they begin at multiples of `GRID`."""
    cut = plan(region.width, region.height, side=side, overlap=0, align=GRID)
    return tuple(
        Box(region.x + tile.core.x, region.y + tile.core.y, tile.core.width, tile.core.height) for tile in cut
    )


def run_stages(
    program: Program,
    read: Callable[[Box], Tensor],
    whole: Box,
    tiles: Sequence[Box],
    *,
    region: Box | None = None,
    order: Sequence[Box] | None = None,
    storage: Storage | None = None,
    tick: Callable[[Box], None],
    emit: Callable[[Box, Tensor], None],
) -> None:
    """Run a network over an image, or over a window of it.

    Parameters
    ----------
    program : the network.
    read : returns a rectangle of the image, 1 x 3 x H x W, float32, 0..1, on the CPU.
    whole : the image.
    tiles : cover `region` once, in reading order.
    region : what stands for the whole image; None means all of it.
    order : the rectangles that the last stage is to make, in this order; None means `tiles`.
    storage : where features wait for the next stage; None means on the device.
    tick : called after each stage of each tile; may raise to end the run.
    emit : gets each finished rectangle of the input, H x W, and its output: 1 x 3 x scale H x scale W,
        nominally 0..1.
    """
    _Run(program, read, whole, region or whole, storage or Storage(program.device), tick, emit).run(
        tiles, order
    )


class _Run:
    """One network over one region."""

    def __init__(
        self,
        program: Program,
        read: Callable[[Box], Tensor],
        whole: Box,
        region: Box,
        storage: Storage,
        tick: Callable[[Box], None],
        emit: Callable[[Box, Tensor], None],
    ) -> None:
        self.program = program
        self.staged = program.staged
        self.read = read
        self.whole = whole
        self.region = area_of(region, whole)
        self.storage = storage
        self.tick = tick
        self.emit = emit
        self.kept: dict[str, Plane] = {}
        self.joined: dict[str, Tensor] = {}
        self.dtypes: dict[str, torch.dtype] = {}

    def run(self, tiles: Sequence[Box], order: Sequence[Box] | None) -> None:
        """Go through all stages."""
        last = len(self.staged.stages) - 1
        bands = tuple(sorted({(tile.y, tile.bottom) for tile in tiles}))
        for number, stage in enumerate(self.staged.stages):
            shared: dict[str, Tensor] = {}
            dying = [name for name in stage.crops if name != IMAGE and self.staged.last_use(name) == number]
            for name in stage.keeps:
                self.kept[name] = Plane(bands, self.region, self.storage)
            ordered = tiles if number < last or order is None else order
            for tile in ordered:
                self._tile(stage, area_of(tile, self.whole), shared, final=number == last)
                if ordered is tiles:
                    for name in dying:
                        self.kept[name].drop_above(tile.y - stage.reach)
                self.tick(tile)
            for name in dying:
                self.kept.pop(name).drop_above(self.region.rows.stop)
            for name, gathered in shared.items():
                self.joined[name] = self.staged.layers[name].join(gathered, self.region).to(self.dtypes[name])
            for name in [name for name in self.joined if self.staged.last_use(name) <= number]:
                del self.joined[name]

    def _tile(self, stage: Stage, core: Area, shared: dict[str, Tensor], *, final: bool) -> None:
        """Run one stage on one tile."""
        program = self.program
        crop = core.grown(stage.reach, self.region)
        inputs = [
            self._image(crop) if name == IMAGE else self.kept[name].cut(crop).to(program.device)
            for name in stage.crops
        ]
        inputs += [
            self.staged.layers[name].spread(self.joined[name], crop, self.region) for name in stage.spreads
        ]
        outputs = list(stage.module(*inputs))
        for name in stage.keeps:
            self.kept[name].put(crop.cut(outputs.pop(0), core), core)
        for name in stage.gathers:
            layer, features = self.staged.layers[name], outputs.pop(0)
            seen = core.grown(layer.margin, self.region)
            if name not in shared:
                shared[name] = layer.begin(self.region, features)
                self.dtypes[name] = features.dtype
            layer.gather(shared[name], crop.cut(features, seen), seen, core, self.region)
        if final:
            result = crop.cut(outputs.pop(0), core, program.scale)
            self.emit(box_of(core), result / program.value_range if program.value_range != 1 else result)

    def _image(self, crop: Area) -> Tensor:
        """Return the network's input on `crop`."""
        program = self.program
        image = self.read(box_of(crop))
        if program.value_range != 1:
            image = image * program.value_range
        return image.to(device=program.device, dtype=program.dtype, memory_format=torch.channels_last)
