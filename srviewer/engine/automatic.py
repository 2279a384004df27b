"""The choice between the ways to execute a network, where none is asked for."""

from __future__ import annotations

from torch import Tensor

from srviewer.engine.backends import Backend, EagerTorch, Runner
from srviewer.engine.device import Device
from srviewer.engine.openvino import OpenVINO, is_installed
from srviewer.engine.request import Precision
from srviewer.engine.staged_run import Program
from srviewer.zoo.model import LoadedModel

# Input pixels between which OpenVINO is faster than torch: below, compiling costs more than it gains; above,
# it takes gigabytes, and tiles, which torch runs as fast, take little (benchmarks/backends.md).
_COMPILED = range(128 * 128, (1 << 18) + 1)


class Automatic:
    """OpenVINO for images of moderate size on a CPU, where it is installed; eager torch for all else."""

    def __init__(self) -> None:
        self._eager = EagerTorch()
        self._openvino = OpenVINO(self._eager)

    @property
    def name(self) -> str:
        """The versions of both."""
        return f"automatic-1, {self._openvino.name}"

    @property
    def candidates(self) -> tuple[Backend, ...]:
        """The backends that a large job may choose between, the one to start from first."""
        return (self._eager, self._openvino) if is_installed() else (self._eager,)

    def prepare(self, model: LoadedModel, device: Device, precision: Precision) -> Runner:
        """Make `model` ready to run on a crop as a whole."""
        eager = self._eager.prepare(model, device, precision)
        if not self._compiles(model, device, precision):
            return eager

        def run(crop: Tensor) -> Tensor:
            if crop.shape[2] * crop.shape[3] not in _COMPILED:
                return eager(crop)
            return self._openvino.prepare(model, device, precision)(crop)

        return run

    def program(self, model: LoadedModel, device: Device, precision: Precision) -> Program | None:
        """Make `model` ready to run in stages; None if it cannot be cut into such."""
        return self._eager.program(model, device, precision)

    def at_once(self, model: LoadedModel, device: Device, precision: Precision, pixels: int) -> bool:
        """Return whether an image of so many input pixels is faster as a whole than in stages over tiles."""
        if pixels < _COMPILED.stop and self._compiles(model, device, precision):  # asking loads OpenVINO
            return True
        return self._eager.at_once(model, device, precision, pixels)

    def _compiles(self, model: LoadedModel, device: Device, precision: Precision) -> bool:
        """Tell whether OpenVINO is the faster one.

        In bfloat16 it is not for FMEN, where torch's merged convolutions are as fast, and need no compiling.
        """
        wanted = model.spec.family != "bicubic" and (model.spec.family != "fmen" or precision == "fp32")
        return wanted and self._openvino.supports(model, device, precision)


def without_compiling(backend: Backend) -> Backend:
    """Return a backend that compiles nothing unasked: the first that an automatic one chooses between."""
    return backend.candidates[0] if isinstance(backend, Automatic) else backend
