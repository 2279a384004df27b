"""The paths along which attribution maps integrate: from a picture without detail to the picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from srviewer.engine.tiles import Box
from srviewer.imaging.image import Pixels

PathKind = Literal["blur", "linear"]
"""From a blurred picture, or from black by brightness."""

KERNEL_SIDE = 9
"""Side of the Gaussian kernel in pixels."""

_RADIUS = KERNEL_SIDE // 2
_EPSILON = 1e-5  # keeps the kernel of sigma 0 finite: it is the identity


@dataclass(frozen=True, eq=False)
class PathStep:
    """One point of a path.

    Attributes
    ----------
    point : H x W x 3, float64, 0..1: the picture there.
    derivative : H x W x 3, float64: how it changes with the path's parameter, which runs from 0 to 1.
    """

    point: NDArray[np.float64]
    derivative: NDArray[np.float64]


class AttributionPath:
    """A path from a baseline to a picture, in equal steps, computed one after the other.

    J. Gu, C. Dong, "Interpreting Super-Resolution Networks with Local Attribution Maps", CVPR 2021,
    equations 4 to 6: the blur path's baseline has lost the picture's high frequencies.

    Parameters
    ----------
    pixels : H x W x 3, uint8 or uint16.
    kind : ``"blur"`` from a Gaussian blur of `sigma` pixels to none, or ``"linear"`` from black.
    steps : points on the path; the last one is the picture itself.
    sigma : standard deviation of the widest blur in pixels.
    box : the part of the picture that is wanted; None for all of it.
    """

    def __init__(
        self, pixels: Pixels, *, kind: PathKind, steps: int, sigma: float, box: Box | None = None
    ) -> None:
        height, width = pixels.shape[:2]
        box = box or Box(0, 0, width, height)
        # The filter's surroundings, so that its reflections at borders are those of the whole picture.
        top, left = max(0, box.y - _RADIUS), max(0, box.x - _RADIUS)
        around = pixels[top : box.bottom + _RADIUS, left : box.right + _RADIUS]
        self.box = box
        self.steps = steps
        self._kind = kind
        self._around = around / np.float64(np.iinfo(pixels.dtype).max)
        self._inner = (
            slice(box.y - top, box.y - top + box.height),
            slice(box.x - left, box.x - left + box.width),
        )
        self._sigmas = np.linspace(sigma, 0, steps + 1)

    def __iter__(self) -> Iterator[PathStep]:
        """Yield the points from the one after the baseline to the picture."""
        if self._kind == "linear":
            picture = self._around[self._inner]
            for index in range(self.steps):
                yield PathStep(picture * ((index + 1) / self.steps), picture)
            return
        before = self._blurred(self._sigmas[0])
        for sigma in self._sigmas[1:]:
            here = self._blurred(sigma)
            # By linearity this is the picture filtered with the difference of both kernels.
            yield PathStep(here, (here - before) * self.steps)
            before = here

    def _blurred(self, sigma: float) -> NDArray[np.float64]:
        kernel = gaussian_kernel(sigma)
        filtered: NDArray[Any] = cv2.sepFilter2D(
            self._around, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101
        )
        inner: NDArray[np.float64] = filtered[self._inner]
        return inner


def gaussian_kernel(sigma: float) -> NDArray[np.float64]:
    """Return the Gaussian kernel of `sigma` pixels along one axis: 9 values, sum 1; for 0 the identity.

    The isotropic 9 x 9 kernel is its product with itself.
    """
    axis = np.arange(-_RADIUS, _RADIUS + 1, dtype=np.float64)
    kernel: NDArray[np.float64] = np.exp(-(axis**2) / (2 * (sigma + _EPSILON) ** 2))
    kernel /= kernel.sum()
    return kernel
