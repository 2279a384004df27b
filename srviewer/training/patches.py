"""The bank of training pictures, and the cutting of random patches from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_PATCH_STEP = 8  # the coarsest pooling of these networks, SAFMN's
_ORIENTATIONS = 8  # the flips and quarter turns of a square


@dataclass(frozen=True, eq=False)
class PicturePair:
    """One picture and its reduction.

    Attributes
    ----------
    name : the file's stem.
    lr : H x W x 3, uint8, R, G, B.
    hr : (H * scale) x (W * scale) x 3, uint8, R, G, B.
    """

    name: str
    lr: NDArray[np.uint8]
    hr: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Draw:
    """What a batch shows, before any pixel is read.

    Attributes
    ----------
    image : N, int64, numbers of pictures.
    row, column : N, int64, the patches' top left corners, in pixels of the reduced pictures.
    orientation : N, int64, 0..7: bit 0 flips left and right, bit 1 top and bottom, bit 2 then transposes.
    """

    image: Tensor
    row: Tensor
    column: Tensor
    orientation: Tensor


class PatchBank:
    """Pictures and their reductions as 8-bit pixels in two long tensors, on any device.

    Attributes
    ----------
    scale : pixels of a picture per pixel of its reduction, along each side.
    names : the pictures' names, in the order of their numbers.
    """

    def __init__(self, pairs: Sequence[PicturePair], scale: int) -> None:
        """Copy the pixels of `pairs` (at least one) together.

        Raises
        ------
        ValueError
            If there are no pictures, or a picture is not `scale` times its reduction.
        """
        if not pairs:
            raise ValueError("a bank of patches needs at least one picture")
        for pair in pairs:
            height, width = pair.lr.shape[:2]
            if pair.hr.shape != (height * scale, width * scale, 3) or pair.lr.shape[2:] != (3,):
                raise ValueError(f"{pair.name}: {pair.hr.shape} is not {scale} times {pair.lr.shape}")
        self.scale = scale
        self.names = tuple(pair.name for pair in pairs)
        sizes = torch.tensor([pair.lr.shape[:2] for pair in pairs], dtype=torch.int64)
        self._heights, self._widths = sizes[:, 0], sizes[:, 1]
        areas = self._heights * self._widths
        self._starts = areas.cumsum(0) - areas
        self._lr = _joined([pair.lr for pair in pairs])
        self._hr = _joined([pair.hr for pair in pairs])

    def __len__(self) -> int:
        return len(self.names)

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels."""
        return self._lr.numel() + self._hr.numel()

    def to(self, device: torch.device) -> PatchBank:
        """Return this bank with its pixels on `device`; the same where they are there already."""
        if self._hr.device == device:
            return self
        moved = object.__new__(PatchBank)
        moved.scale, moved.names = self.scale, self.names
        moved._heights, moved._widths, moved._starts = self._heights, self._widths, self._starts
        moved._lr, moved._hr = self._lr.to(device), self._hr.to(device)
        return moved

    def positions(self, patch: int) -> Tensor:
        """Return how many places each picture has for a patch of `patch` reduced pixels: int64."""
        return (self._heights - patch + 1).clamp_min(0) * (self._widths - patch + 1).clamp_min(0)

    def fitting(self, patch: int) -> int:
        """Return the side of patches that some picture has room for: `patch`, or less by multiples of 8."""
        while patch > _PATCH_STEP and not bool(self.positions(patch).any()):
            patch -= _PATCH_STEP
        return patch

    def choose(self, batch: int, patch: int, generator: torch.Generator) -> Draw:
        """Draw places, all equally likely, and orientations, from a generator on the CPU.

        Raises
        ------
        ValueError
            If no picture is large enough.
        """
        positions = self.positions(patch)
        ends = positions.cumsum(0)
        if int(ends[-1]) == 0:
            raise ValueError(f"no picture is large enough for patches of {patch} pixels at x{self.scale}")
        place = torch.randint(int(ends[-1]), (batch,), generator=generator)
        image = torch.searchsorted(ends, place, right=True)
        inside = place - (ends - positions)[image]
        across = self._widths[image] - patch + 1
        orientation = torch.randint(_ORIENTATIONS, (batch,), generator=generator)
        return Draw(image, inside // across, inside % across, orientation)

    def cut(self, draw: Draw, patch: int) -> tuple[Tensor, Tensor]:
        """Return the patches of a draw.

        Returns
        -------
        lr, hr : Tensor
            N x 3 x patch x patch and N x 3 x (patch * scale) x (patch * scale), float32, 0..1, R, G, B, in
            channels_last memory on the bank's device.
        """
        scale, start = self.scale, self._starts[draw.image]
        width = self._widths[draw.image]
        lr = _gather(self._lr, start, width, draw, patch, 1)
        hr = _gather(self._hr, start * scale**2, width * scale, draw, patch, scale)
        return lr, hr

    def draw(self, batch: int, patch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Cut random patches: `choose`, then `cut`."""
        return self.cut(self.choose(batch, patch, generator), patch)


def _joined(pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
    """Copy pictures into one tensor of pixels: total x 3, uint8."""
    joined = torch.empty(
        (sum(picture.shape[0] * picture.shape[1] for picture in pictures), 3), dtype=torch.uint8
    )
    start = 0
    for picture in pictures:
        count = picture.shape[0] * picture.shape[1]
        joined[start : start + count] = torch.from_numpy(np.array(picture).reshape(count, 3))
        start += count
    return joined


def _gather(pixels: Tensor, start: Tensor, width: Tensor, draw: Draw, patch: int, scale: int) -> Tensor:
    """Read square patches from the pixels of one resolution, turned by the arithmetic of their indices."""
    device, side = pixels.device, patch * scale
    flip_columns = (draw.orientation & 1).bool()[:, None]
    flip_rows = (draw.orientation & 2).bool()[:, None]
    turned = (draw.orientation & 4).bool()[:, None, None]
    along = torch.arange(side)[None]
    rows = torch.where(flip_rows, side - 1 - along, along) + draw.row[:, None] * scale
    columns = torch.where(flip_columns, side - 1 - along, along) + draw.column[:, None] * scale
    lines = (start[:, None] + rows * width[:, None]).to(device)
    index = lines[:, :, None] + columns.to(device)[:, None, :]
    index = torch.where(turned.to(device), index.transpose(1, 2), index)
    taken = pixels.index_select(0, index.flatten()).view(*index.shape, 3)
    return taken.permute(0, 3, 1, 2).float().div_(255)
