"""The maps that were sent to the canvas: features as pictures of the size of the network's input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QObject

from srviewer.app.background import Background, Urgency
from srviewer.app.bridge import Bridge
from srviewer.app.picture import ArrayPicture, Picture
from srviewer.imaging.image import Image
from srviewer.session.entries import ImageId
from srviewer.session.events import ImagesChanged, MapsChanged
from srviewer.session.geometry import PixelRect
from srviewer.session.session import Session

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DIMMED = 0.3  # of the input's brightness around a region


class FeatureMaps(QObject):
    """Holds the pictures of maps whose panes the session lists."""

    def __init__(
        self, session: Session, bridge: Bridge, background: Background, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._session = session
        self._background = background
        self._held: dict[tuple[ImageId, str], tuple[Image, Picture, tuple[str, ...]]] = {}
        bridge.maps_changed.connect(self._forget_hidden)
        bridge.images_changed.connect(self._forget_closed)

    def send(
        self,
        image: ImageId,
        name: str,
        plane: NDArray[np.float32],
        region: PixelRect,
        caption: tuple[str, ...],
    ) -> None:
        """Give a map a pane, stretched from black to white; around its region the input is shown dimmed.

        Parameters
        ----------
        image : whose features they are.
        name : tells maps apart; the same name again replaces the pane's picture.
        plane : height x width of `region`, any range.
        region : in pixels of the network's input.
        caption : the pane's title, and what stands below.
        """
        document = self._session.document
        if image not in document:
            return
        size = document.entry(image).input_size
        held = document.pixels(image, "input")
        if size is None or not region.within(size):
            return

        def work() -> tuple[Image, Picture]:
            from srviewer.analysis.features import screen_normalised
            from srviewer.imaging.colour import luma

            canvas = np.zeros((size.height, size.width), np.uint8)
            if held is not None and (held.width, held.height) == (size.width, size.height):
                whole = (region.width, region.height) == (size.width, size.height)
                if not whole:
                    canvas[:] = np.rint((luma(held.pixels) - 16) / 219 * 255 * _DIMMED).clip(0, 255)
            grey = np.rint(screen_normalised(plane) * 255).astype(np.uint8)
            if grey.shape != (region.height, region.width):  # averages of large regions are kept reduced
                import cv2

                size_wanted = region.width, region.height
                grey = cv2.resize(grey, size_wanted, interpolation=cv2.INTER_LINEAR).astype(np.uint8)
            canvas[region.y : region.bottom, region.x : region.right] = grey
            pixels = np.repeat(canvas[..., None], 3, axis=2)
            pixels.flags.writeable = False
            return Image(pixels, None, format="PNG"), ArrayPicture(pixels)

        def deliver(made: tuple[Image, Picture]) -> None:
            if image not in document or document.entry(image).input_size != size:
                return
            self._session.hide_maps(image, name)
            self._held[image, name] = (*made, caption)
            self._session.show_map(image, name)

        self._background.submit(work, deliver, urgency=Urgency.WISH)

    def shown(self, image: ImageId, name: str) -> tuple[Picture, tuple[str, ...]] | None:
        """Return a map's picture and its caption."""
        held = self._held.get((image, name))
        return None if held is None else (held[1], held[2])

    def image(self, image: ImageId, name: str) -> Image | None:
        """Return a map as it can be copied or saved."""
        held = self._held.get((image, name))
        return None if held is None else held[0]

    def _forget_hidden(self, event: MapsChanged) -> None:
        for key in tuple(self._held):
            if key[0] == event.image and key[1] not in event.maps:
                del self._held[key]

    def _forget_closed(self, event: ImagesChanged) -> None:
        if event.change == "removed":
            for key in tuple(self._held):
                if key[0] in event.images:
                    del self._held[key]
