"""The objectives whose causes attribution maps look for: what is to be explained of a result's window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Objective = Literal["gradient", "intensity"]
"""How much edge there is in the window, or how bright it is."""


@dataclass(frozen=True)
class Window:
    """A rectangle of the result, in its pixels, named by its top left corner.

    Attributes
    ----------
    row, col : the top left corner.
    height, width : its sides.
    """

    row: int
    col: int
    height: int = 16
    width: int = 16


def objective_of(result: Tensor, window: Window, kind: Objective) -> Tensor:
    """Return the objective of each result of a batch, added up: its gradients are those of each alone.

    The gradient is sqrt(dx^2 + dy^2) of forward differences, per channel, at each pixel of the window. A
    pixel in the last row or column of the result has no forward differences and counts nothing. Where both
    differences are zero, the derivative is taken as 0.

    Parameters
    ----------
    result : N x 3 x H x W, floating, nominally 0..1, not clamped.
    window : lies inside H x W.
    kind : what is added up over the window and the channels.

    Returns
    -------
    One number.
    """
    top, left = window.row, window.col
    part = result[..., top : top + window.height + 1, left : left + window.width + 1]
    if kind == "intensity":
        return part[..., : window.height, : window.width].sum()
    corner = part[..., :-1, :-1]
    across = part[..., :-1, 1:] - corner
    down = part[..., 1:, :-1] - corner
    square = across.square() + down.square()
    steep = square > 0
    # The square root's derivative at 0 is infinite; both branches of `where` are differentiated.
    length: Tensor = torch.where(steep, square, 1).sqrt() * steep
    return length.sum()
