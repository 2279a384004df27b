"""Making the pictures that the session lacks: pure work on frozen orders, for any thread."""

from __future__ import annotations

from dataclasses import replace

from srviewer.imaging.files import read_image
from srviewer.imaging.image import Image
from srviewer.imaging.resize import downscale
from srviewer.session.orders import LoadOrder
from srviewer.session.regions import RegionFile, free_memory, open_file


class LoadError(Exception):
    """A picture cannot be made of its file. The message is one sentence for the user."""


def load(order: LoadOrder) -> Image | RegionFile:
    """Read and make the picture that `order` asks for, or open its file.

    Returns
    -------
    The open file for ``"by region"``; else an Image with H x W x 3 pixels of the file's depth. ``"reduced"``
    is the MATLAB-style bicubic reduction (with antialiasing) of the file's picture cut to a multiple of the
    scale, as the papers' tables take it.

    Raises
    ------
    LoadError
        If the picture's size does not allow what is asked, or its file cannot be read by region.
    srviewer.imaging.files.ImageFileError
        If the file cannot be read.
    """
    if order.making == "by region":
        if order.path is None:
            raise LoadError("this picture is in no file")
        opened = open_file(order.path)
        if opened is None:
            raise LoadError(
                f"{order.path.name} cannot be read by region: save it as a tiled TIFF to look at it here"
            )
        return opened
    if order.source is not None:
        source = order.source
    elif order.path is not None:
        source = read_image(order.path, max_memory=free_memory())
    else:
        raise LoadError("this picture is neither in memory nor in a file")
    if order.making == "as it is":
        return source
    truth = cut_to_multiple(source, order.scale) if order.target is None else _cut_to(source, order)
    return reduced(truth, order.scale) if order.making == "reduced" else truth


def cut_to_multiple(image: Image, scale: int) -> Image:
    """Return `image` without the columns on the right and rows at the bottom beyond a multiple of `scale`.

    Raises
    ------
    LoadError
        If a side is shorter than `scale`.
    """
    width, height = image.width // scale * scale, image.height // scale * scale
    if width == 0 or height == 0:
        raise LoadError(f"{_called(image)} is {_size(image)}: too small for a ground truth at ×{scale}")
    return _first(image, width, height)


def reduced(image: Image, scale: int) -> Image:
    """Return the MATLAB-style bicubic reduction of `image` by `scale`, whose sides must be multiples of it.

    Opacity is left out: networks and metrics judge the colours.
    """
    return replace(image, pixels=downscale(image.pixels, scale), alpha=None, exif=None)


def _cut_to(image: Image, order: LoadOrder) -> Image:
    """Return `image` cut to the order's target: less than one LR pixel may go, as papers cut the ground
    truth.
    """
    target = order.target
    assert target is not None
    spare_width, spare_height = image.width - target.width, image.height - target.height
    if not (0 <= spare_width < order.scale and 0 <= spare_height < order.scale):
        raise LoadError(
            f"{_called(image)} is {_size(image)}: as ground truth at ×{order.scale} "
            f"it would have to be {target}"
        )
    return _first(image, target.width, target.height)


def _first(image: Image, width: int, height: int) -> Image:
    """Return the top left `width` x `height` pixels; a copy, so that the whole picture need not stay in
    memory.
    """
    if (image.width, image.height) == (width, height):
        return image
    alpha = None if image.alpha is None else image.alpha[:height, :width].copy()
    return replace(image, pixels=image.pixels[:height, :width].copy(), alpha=alpha)


def _called(image: Image) -> str:
    return image.path.name if image.path is not None else "the image"


def _size(image: Image) -> str:
    return f"{image.width} × {image.height}"
