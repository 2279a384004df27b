"""Bicubic upscaling as MATLAB's `imresize` does it, as a module without parameters."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_REACH = 2  # input pixels to either side of the one an output pixel lies in


class Bicubic(nn.Module):
    """Upscaling by a whole factor with the cubic kernel of a = -1/2, indices clamped at the border.

    Maps N x C x H x W of any range to N x C x scale H x scale W, overshoot kept, any floating dtype; sums are
    taken in float32 at least. Keys, "Cubic convolution interpolation for digital image processing", 1981.
    """

    def __init__(self, *, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, image: Tensor) -> Tensor:
        """Upscale N x C x H x W to N x C x scale H x scale W."""
        count, channels, height, width = image.shape
        wide = image if image.dtype in (torch.float32, torch.float64) else image.float()
        planes = F.pad(wide, (_REACH, _REACH, _REACH, _REACH), mode="replicate")
        planes = planes.reshape(count * channels, 1, height + 2 * _REACH, width + 2 * _REACH)
        # The weights are no buffer, for a cast of the module to bfloat16 would round them.
        phases = torch.tensor(_phases(self.scale), dtype=wide.dtype, device=wide.device)
        kernels = phases[:, None, :, None] * phases[None, :, None, :]
        upscaled = F.pixel_shuffle(F.conv2d(planes, kernels.flatten(0, 1).unsqueeze(1)), self.scale)
        return upscaled.reshape(count, channels, self.scale * height, self.scale * width).to(image.dtype)


@cache
def _phases(scale: int) -> tuple[tuple[float, ...], ...]:
    """Return the five weights of each of the `scale` output pixels that lie in one input pixel."""
    phases = []
    for phase in range(scale):
        centre = (phase + 0.5) / scale - 0.5
        weights = [_cubic(tap - centre) for tap in range(-_REACH, _REACH + 1)]
        phases.append(tuple(weight / sum(weights) for weight in weights))
    return tuple(phases)


def _cubic(distance: float) -> float:
    x = abs(distance)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    if x < 2:
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return 0.0
