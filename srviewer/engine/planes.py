"""Memory for features that wait for the next stage, in bands of rows that come and go."""

from __future__ import annotations

import mmap
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from srviewer.imaging.mapped import let_go, mapped_file
from srviewer.networks.whole_image import Area

# Bytes of files that are looked at before their pages leave the process's memory. The system would keep them
# for as long as nobody else wants memory, but they count as the process's, and a limit would not be kept.
_MOST_MAPPED = 128 << 20


@dataclass(eq=False)
class Storage:
    """Where bands of features lie. Given-back ones are used again: new memory costs time.

    Attributes
    ----------
    device : whose memory it is.
    folder : for files that stand in for memory; None for memory itself. Only with a CPU.
    peak_bytes : most that was held at a time, spare bands included.
    """

    device: torch.device
    folder: Path | None = None
    peak_bytes: int = 0
    _held: int = 0
    _files: list[mmap.mmap] = field(default_factory=list)
    _looked_at: int = 0
    _spare: dict[tuple[int, ...], list[Tensor]] = field(default_factory=dict)

    def take(self, like: Tensor, rows: int, columns: int) -> Tensor:
        """Return room for features as `like` (N x C x any) of so many rows and columns, channels last."""
        key = (like.shape[0], like.shape[1], rows, columns, like.element_size())
        spare = self._spare.get(key)
        if spare:
            return spare.pop().view(like.dtype)
        shape = like.shape[0], rows, columns, like.shape[1]
        self._held += int(np.prod(shape)) * like.element_size()
        self.peak_bytes = max(self.peak_bytes, self._held)
        flat = self._new(shape, like.dtype)
        return flat.permute(0, 3, 1, 2)

    def give_back(self, band: Tensor) -> None:
        """Take a band back that `take` gave."""
        key = (*(band.shape[i] for i in (0, 1, 2, 3)), band.element_size())
        self._spare.setdefault(key, []).append(band)

    def looked_at(self, size: int) -> None:
        """Count so many bytes of bands that were read or written."""
        self._looked_at += size
        if self._looked_at > _MOST_MAPPED:
            self._looked_at = 0
            for file in self._files:
                let_go(file)

    def _new(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        if self.folder is None:
            pinned = self.device.type == "cpu" and torch.cuda.is_available()
            return torch.empty(shape, dtype=dtype, device=self.device, pin_memory=pinned)
        handle, name = tempfile.mkstemp(dir=self.folder, prefix="srviewer-", suffix=".features")
        os.close(handle)
        size = int(np.prod(shape)) * torch.empty((), dtype=dtype).element_size()
        mapped = np.memmap(name, np.uint8, "w+", shape=(size,))
        file = mapped_file(mapped)
        assert file is not None
        self._files.append(file)
        return torch.from_numpy(mapped).view(dtype).view(shape)


class Plane:
    """A value of a network on a whole region, in bands of rows.

    Parameters
    ----------
    bands : first row, and first row behind the last, of each band, in the whole image's rows; a tile's rows
        lie in one band.
    region : all of it.
    storage : where the bands lie.
    """

    def __init__(self, bands: tuple[tuple[int, int], ...], region: Area, storage: Storage) -> None:
        self._spans = bands
        self._region = region
        self._storage = storage
        self._rows = max(stop - start for start, stop in bands)
        self._bands: dict[int, Tensor] = {}

    def put(self, part: Tensor, core: Area) -> None:
        """Write the value on `core`, N x C x core height x core width."""
        number = next(
            number for number, (start, stop) in enumerate(self._spans) if start <= core.rows.start < stop
        )
        if number not in self._bands:
            self._bands[number] = self._storage.take(part, self._rows, self._region.columns.size)
        top = core.rows.start - self._spans[number][0]
        left = core.columns.start - self._region.columns.start
        self._bands[number][:, :, top : top + core.rows.size, left : left + core.columns.size].copy_(part)
        self._storage.looked_at(part.nbytes)

    def cut(self, crop: Area) -> Tensor:
        """Return a copy of the value on `crop`, N x C x crop height x crop width, channels last."""
        left = crop.columns.start - self._region.columns.start
        pieces = []
        for number, (start, stop) in enumerate(self._spans):
            top, bottom = max(start, crop.rows.start), min(stop, crop.rows.stop)
            if top < bottom:
                pieces.append(
                    self._bands[number][:, :, top - start : bottom - start, left : left + crop.columns.size]
                )
        shape = *pieces[0].shape[:2], crop.rows.size, crop.columns.size
        result = torch.empty(
            shape, dtype=pieces[0].dtype, device=pieces[0].device, memory_format=torch.channels_last
        )
        row = 0
        for piece in pieces:
            result[:, :, row : row + piece.shape[2]].copy_(piece)
            row += piece.shape[2]
        self._storage.looked_at(result.nbytes)
        return result

    def drop_above(self, row: int) -> None:
        """Give back the bands that lie wholly above a row."""
        for number in [number for number in self._bands if self._spans[number][1] <= row]:
            self._storage.give_back(self._bands.pop(number))
