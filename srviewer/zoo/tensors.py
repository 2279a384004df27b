"""The only doorway between pictures (H x W x C numpy arrays) and batches (N x C x H x W tensors)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Tensor

_LEVELS = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}


def to_tensor(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> Tensor:
    """Turn a picture, or a crop of one, into a batch of one.

    Parameters
    ----------
    pixels : H x W x 3, uint8 (0..255) or uint16 (0..65535), R, G, B; views and read-only arrays are fine.

    Returns
    -------
    1 x 3 x H x W, float32, 0..1, contiguous, on the CPU; memory of its own.

    Raises
    ------
    ValueError
        If `pixels` has another shape or dtype.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype not in _LEVELS:
        raise ValueError(f"pixels must be H x W x 3 of uint8 or uint16, not {pixels.shape} of {pixels.dtype}")
    height, width, _ = pixels.shape
    planes = np.empty((1, 3, height, width), np.float32)
    planes[0] = pixels.transpose(2, 0, 1)
    return torch.from_numpy(planes).div_(_LEVELS[pixels.dtype])


def to_pixels(batch: Tensor, dtype: DTypeLike = np.uint8) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Turn a batch of one back into a picture: clipped, then rounded to the nearest level (halves to even).

    Parameters
    ----------
    batch : 1 x 3 x H x W or 3 x H x W, any floating dtype, nominally 0..1, any device.
    dtype : uint8 or uint16.

    Returns
    -------
    H x W x 3 of `dtype`, contiguous, memory of its own.

    Raises
    ------
    ValueError
        If the shape or a dtype is another, or if a value is NaN.
    """
    target = np.dtype(dtype)
    if target not in _LEVELS:
        raise ValueError(f"pixels are uint8 or uint16, not {target}")
    planes = batch[0] if batch.ndim == 4 and batch.shape[0] == 1 else batch
    if planes.ndim != 3 or planes.shape[0] != 3 or not planes.is_floating_point():
        raise ValueError(
            f"a batch must be 1 x 3 x H x W of floats, not {tuple(batch.shape)} of {batch.dtype}"
        )
    # 16-bit floats cannot tell 255 levels apart; float64 has its own reasons to be kept.
    given = planes.detach()
    exact = given.to(torch.promote_types(planes.dtype, torch.float32))
    levels = exact.clamp(0, 1) if exact is given else exact.clamp_(0, 1)
    levels.mul_(_LEVELS[target]).round_()
    # One scalar decides: a NaN survives clamping, and its conversion to an integer means nothing.
    if bool(levels.sum().isnan()):
        raise ValueError("the batch holds NaN")
    # uint8 is what crosses from a GPU; torch's uint16 has too few operations, so int32 does.
    small = levels.to(torch.uint8 if target == np.uint8 else torch.int32)
    if small.device.type == "cpu" and small.stride(0) != 1:
        pixels: NDArray[Any] = cv2.merge([plane.numpy() for plane in small])  # eight times as fast as torch
    else:
        pixels = small.permute(1, 2, 0).contiguous().cpu().numpy()
    return np.ascontiguousarray(pixels, dtype=target)
