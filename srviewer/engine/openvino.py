"""Networks executed by OpenVINO on a CPU."""

from __future__ import annotations

import importlib.util
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import metadata
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, fx, nn

from srviewer.engine.backends import Backend, EagerTorch, Runner
from srviewer.engine.device import Device
from srviewer.engine.mixed import mixed
from srviewer.engine.openvino_graph import Forms, UntranslatableError, quiet_openvino, translated
from srviewer.engine.request import Precision
from srviewer.engine.staged_run import Program, run_stages
from srviewer.engine.stages import Stage, Staged, staged
from srviewer.engine.tiles import Box
from srviewer.engine.tracing import traced
from srviewer.zoo.model import LoadedModel

# Compiled graphs that a stage keeps: tiles of a plan have up to nine shapes, and two plans may alternate.
_MOST_SHAPES = 24
# Pixels from which a compiled graph gives its scratch memory back after each run: BSRN's takes 4 KB for each.
_LARGE_PIXELS = 1 << 17
# Larger than the smallest side of any network.
_EXAMPLE_SIDE = 48


@cache
def is_installed() -> bool:
    """Return whether OpenVINO is there. It is not loaded."""
    return importlib.util.find_spec("openvino") is not None


class OpenVINO:
    """Networks, or stages that they are cut into, compiled by OpenVINO.

    In bfloat16 the layers that feel it most stay in fp32, as with eager torch. What OpenVINO cannot run,
    `otherwise` runs: other devices than a CPU, fp16, and networks that cannot be cut.

    Parameters
    ----------
    otherwise : None means eager torch.
    """

    def __init__(self, otherwise: Backend | None = None) -> None:
        self._otherwise = otherwise or EagerTorch()
        self._ready: WeakKeyDictionary[LoadedModel, dict[tuple[Precision, int], _Ready | None]] = (
            WeakKeyDictionary()
        )

    @property
    def name(self) -> str:
        """The versions of OpenVINO, where it is installed, and of what stands in for it."""
        if not is_installed():
            return self._otherwise.name
        return f"openvino-{metadata.version('openvino')}-2, {self._otherwise.name}"

    def supports(self, model: LoadedModel, device: Device, precision: Precision) -> bool:
        """Return whether OpenVINO itself runs this."""
        return self._compiled(model, device, precision) is not None

    def prepare(self, model: LoadedModel, device: Device, precision: Precision) -> Runner:
        """Make `model` ready to run on a crop as a whole."""
        compiled = self._compiled(model, device, precision)
        if compiled is None:
            return self._otherwise.prepare(model, device, precision)
        whole = compiled.at_once
        return lambda crop: whole(crop)

    def program(self, model: LoadedModel, device: Device, precision: Precision) -> Program | None:
        """Make `model` ready to run in stages; None if it cannot be cut into such."""
        compiled = self._compiled(model, device, precision)
        return self._otherwise.program(model, device, precision) if compiled is None else compiled.program

    def at_once(self, model: LoadedModel, device: Device, precision: Precision, pixels: int) -> bool:
        """Return what stands in for it says: OpenVINO's own speed hardly depends on the size."""
        return self._otherwise.at_once(model, device, precision, pixels)

    def _compiled(self, model: LoadedModel, device: Device, precision: Precision) -> _Ready | None:
        if device.kind != "cpu" or not _runs(precision):
            return None
        threads = torch.get_num_threads()
        ready = self._ready.setdefault(model, {})
        if (precision, threads) not in ready:
            ready[precision, threads] = _made_ready(model, device, precision, threads)
        return ready[precision, threads]


@cache
def _runs(precision: Precision) -> bool:
    """Return whether OpenVINO can be loaded, and its CPU computes in a precision."""
    if precision == "fp16" or not is_installed():
        return False
    try:
        able = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except (ImportError, OSError, RuntimeError):  # a library is missing, or there is no plug-in for this CPU
        return False
    return ("BF16" if precision == "bf16" else "FP32") in able


@dataclass(frozen=True, eq=False)
class _Ready:
    """A network in both forms: whole, and in stages."""

    at_once: LoadedModel
    program: Program


def _made_ready(model: LoadedModel, device: Device, precision: Precision, threads: int) -> _Ready | None:
    """Return a network for OpenVINO to run, or None if it cannot."""
    exact = model.to(device=device.torch, memory_format=torch.channels_last)
    graph, value_range = traced(exact.network), model.spec.value_range
    if precision == "bf16":
        # The dtype of each value is in the graph, and OpenVINO keeps to it.
        graph, value_range = mixed(exact.network, exact.spec, torch.bfloat16, merge=False), 1.0
    stages = None if graph is None else staged(graph)
    if graph is None or stages is None:
        return None
    whole = CompiledStage(graph, threads)
    plain = Program(stages, model.scale, value_range, device.torch, torch.float32)
    compiled = tuple(CompiledStage(_graph(stage), threads) for stage in stages.stages)
    try:
        whole.check([torch.zeros(1, 3, _EXAMPLE_SIDE, _EXAMPLE_SIDE)])
        for stage, inputs in zip(compiled, _example_inputs(plain), strict=True):
            stage.check(inputs)
    except (UntranslatableError, RuntimeError):  # the latter is OpenVINO's
        return None
    parts = (replace(stage, module=one) for stage, one in zip(stages.stages, compiled, strict=True))
    program = replace(plain, staged=Staged(tuple(parts), stages.layers))
    spec = replace(model.spec, value_range=value_range)
    return _Ready(replace(model, network=_AtOnce(whole), spec=spec), program)


def _graph(stage: Stage) -> fx.GraphModule:
    assert isinstance(stage.module, fx.GraphModule)
    return stage.module


def _example_inputs(program: Program) -> list[tuple[Tensor, ...]]:
    """Return what each stage is given when a small image runs in torch."""
    seen: list[tuple[Tensor, ...]] = []

    def noting(stage: Stage) -> Callable[..., Sequence[Tensor]]:
        def run(*inputs: Tensor) -> Sequence[Tensor]:
            seen.append(inputs)
            return stage.module(*inputs)

        return run

    stages = tuple(replace(stage, module=noting(stage)) for stage in program.staged.stages)
    watched = replace(program, staged=Staged(stages, program.staged.layers))
    blank, whole = torch.zeros(1, 3, _EXAMPLE_SIDE, _EXAMPLE_SIDE), Box(0, 0, _EXAMPLE_SIDE, _EXAMPLE_SIDE)
    with torch.inference_mode():
        run_stages(watched, lambda _: blank, whole, (whole,), tick=lambda _: None, emit=lambda *_: None)
    return seen


class _AtOnce(nn.Module):
    """A network as one graph."""

    def __init__(self, graph: CompiledStage) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, x: Tensor) -> Tensor:
        """Map 1 x 3 x H x W to 1 x 3 x scale H x scale W."""
        return self.graph(x)[0]


@dataclass(eq=False)
class CompiledStage:
    """The graph of a stage, or of a whole network, compiled for the shapes that it meets.

    A graph that fits any height and width takes 1.1 to 1.4 times as long as one made for a single shape, so
    each shape gets its own: tiles have few shapes. Making one costs some 40 ms of a core, of which OpenVINO's
    cache on disk (``CACHE_DIR``) spares a tenth, so none is kept.

    Attributes
    ----------
    graph : as for `translated`.
    threads : that it may use.
    """

    graph: fx.GraphModule
    threads: int
    _compiled: OrderedDict[Forms, _Compiled] = field(default_factory=OrderedDict)

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Map tensors 1 x C x H x W, float32 or bfloat16, to such: new ones, channels last."""
        forms = _forms(inputs)
        compiled = self._compiled.get(forms)
        if compiled is None:
            compiled = self._compiled[forms] = _Compiled(self.graph, forms, self.threads)
            if len(self._compiled) > _MOST_SHAPES:
                self._compiled.popitem(last=False)
        self._compiled.move_to_end(forms)
        return compiled(inputs)

    def check(self, inputs: Sequence[Tensor]) -> None:
        """Raise `UntranslatableError` or RuntimeError if OpenVINO does not know the graph's operations."""
        translated(self.graph, _forms(inputs))


def _forms(tensors: Sequence[Tensor]) -> Forms:
    return tuple((one.shape, one.dtype) for one in tensors)


class _Compiled:
    """A graph compiled for inputs of certain shapes."""

    def __init__(self, graph: fx.GraphModule, forms: Forms, threads: int) -> None:
        model = translated(graph, forms)
        settings = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
        }
        self._model = _core().compile_model(model, "CPU", settings)
        self._request = self._model.create_infer_request()
        self._is_large = max(shape[2] * shape[3] for shape, _ in forms) > _LARGE_PIXELS
        self._outputs = [
            (tuple(output.shape), _DTYPES[output.element_type.to_string()]) for output in model.outputs
        ]

    def __call__(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map tensors to new ones."""
        # OpenVINO reads and writes this memory; the names keep it alive meanwhile.
        read = [one.permute(0, 2, 3, 1).contiguous() for one in inputs]
        written = [torch.empty(shape, dtype=dtype) for shape, dtype in self._outputs]
        for number, tensor in enumerate(read):
            self._request.set_input_tensor(number, _shared(tensor))
        for number, tensor in enumerate(written):
            self._request.set_output_tensor(number, _shared(tensor))
        self._request.infer()
        if self._is_large:
            self._model.release_memory()
        return tuple(tensor.permute(0, 3, 1, 2) for tensor in written)


_DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def _shared(tensor: Tensor) -> Any:
    """Return a contiguous tensor's memory as OpenVINO's."""
    openvino = quiet_openvino()

    if tensor.dtype == torch.float32:
        return openvino.Tensor(tensor.numpy(), shared_memory=True)
    # Numpy knows no bfloat16.
    bits = tensor.view(torch.int16).numpy()
    return openvino.Tensor(bits, openvino.Shape(list(tensor.shape)), openvino.Type.bf16)


@cache
def _core() -> Any:
    openvino = quiet_openvino()

    return openvino.Core()
