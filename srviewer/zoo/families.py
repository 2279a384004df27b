"""The families of networks: how each is detected in a checkpoint, translated into our names, and built."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import torch
from torch import Tensor, nn

from srviewer import networks
from srviewer.zoo.errors import CheckpointError
from srviewer.zoo.keys import SPELLINGS, Spelling
from srviewer.zoo.spec import (
    FAMILY_NAMES,
    BicubicConfig,
    BSRNConfig,
    Config,
    Family,
    FMENConfig,
    MAFFSRNConfig,
    ModelSpec,
    SAFMNConfig,
    describe,
    known_spec,
)

_SHOWN = 3
"""Keys of a kind that an error names before it counts the rest."""

_LARGEST_SCALE = 16


@dataclass(frozen=True, eq=False)
class Recognised:
    """A checkpoint whose network is known.

    Attributes
    ----------
    path : the file, for errors.
    spec : the network inside.
    fused : whether the weights are those of the fused form.
    state : float tensors under our names.
    original : the file's own name of each key of `state`.
    spelling : the authors' names, where the file uses them.
    """

    path: Path
    spec: ModelSpec
    fused: bool
    state: Mapping[str, Tensor]
    original: Mapping[str, str]
    spelling: Spelling | None


@dataclass(frozen=True)
class _FamilyRow:
    """What detection knows of a family: telling parameters (our names), and how shapes show its config."""

    marks: tuple[str, ...]
    upsampler: tuple[str, ...]
    config: Callable[[_Shapes], Config]
    fused: Callable[[_Shapes], bool]


class _Shapes:
    """The shapes of a state dictionary under our names; what is missing is an error for the user."""

    def __init__(
        self, state: Mapping[str, Tensor], theirs: Callable[[str], str], path: Path, name: str
    ) -> None:
        self._state = state
        self._theirs = theirs
        self._path = path
        self._name = name

    def __contains__(self, key: str) -> bool:
        return key in self._state

    def any(self, part: str) -> bool:
        """Tell whether a key holds `part`."""
        return any(part in key for key in self._state)

    def size(self, key: str, axis: int = 0) -> int:
        """Return one side of the tensor `key`."""
        if key not in self._state:
            raise CheckpointError(
                self._path, f"holds {self._name} weights, but {self._theirs(key)} is missing"
            )
        shape = self._state[key].shape
        if axis >= len(shape):
            raise self.error(f"{self._theirs(key)} has the shape {_shape(self._state[key])}")
        return int(shape[axis])

    def count(self, prefix: str) -> int:
        """Count the blocks ``prefix.0``, ``prefix.1``, ... up to the last one that is there."""
        pattern = re.compile(re.escape(prefix) + r"\.([0-9]{1,6})\.")
        highest = max((int(found[1]) for key in self._state if (found := pattern.match(key))), default=-1)
        if highest >= len(self._state):
            raise self.error(f"its blocks are numbered up to {highest}")
        return highest + 1

    def error(self, reason: str) -> CheckpointError:
        """Return an error about this checkpoint."""
        return CheckpointError(self._path, f"holds {self._name} weights that do not fit: {reason}")


def _fmen_config(shapes: _Shapes) -> Config:
    depths = [
        shapes.count("warmup_hfab.blocks"),
        *(shapes.count(f"hfabs.{i}.blocks") for i in range(shapes.count("hfabs"))),
    ]
    if len(depths) != 5:
        raise shapes.error(f"{len(depths) - 1} pairs of blocks in the trunk, where FMEN has 4")
    first, second, third, fourth, fifth = depths
    return FMENConfig(
        channels=shapes.size("head.weight"),
        attention_channels=shapes.size("hfabs.0.squeeze.weight"),
        warmup_attention_channels=shapes.size("warmup_hfab.squeeze.weight"),
        attention_depths=(first, second, third, fourth, fifth),
        # Plain convolutions have the same keys as residual blocks, whose skip leaves no trace.
        block="erb" if shapes.any(".rrrb") else "rb",
    )


def _maffsrn_config(shapes: _Shapes) -> Config:
    return MAFFSRNConfig(channels=shapes.size("ffgs.0.mabs.0.conv1.weight"), blocks=shapes.count("ffgs"))


def _safmn_config(shapes: _Shapes) -> Config:
    channels, hidden = shapes.size("to_feat.weight"), shapes.size("blocks.0.ccm.expand.weight")
    expansion = hidden / channels
    if int(channels * expansion) != hidden:  # the quotient was rounded down
        expansion = (hidden + 0.5) / channels
    # Modulation, pooling and instance norm leave no trace: where a checkpoint cannot tell, it is the paper's.
    norm: Literal["layer", "batch", "none"]
    if "blocks.0.norm1.running_mean" in shapes:
        norm = "batch"
    else:
        norm = "layer" if shapes.any(".norm1.") or shapes.any(".norm2.") else "none"
    return SAFMNConfig(
        channels=channels,
        blocks=shapes.count("blocks"),
        expansion=expansion,
        aggregation=shapes.any(".safm.aggregation."),
        norm=norm,
    )


def _bsrn_config(shapes: _Shapes) -> Config:
    conv: Literal["bsconv", "bsconv_s", "dsconv", "conv"]
    if shapes.any("shallow.pointwise1."):
        conv, first = "bsconv_s", "pointwise1"
    elif "shallow.weight" in shapes:
        conv, first = "conv", ""
    elif "blocks.0.distill4.depthwise.weight" in shapes and (
        shapes.size("blocks.0.distill4.depthwise.weight") == shapes.size("aggregation.weight")
    ):
        # The depthwise stage comes first: it sees all channels, where it would see the distilled half.
        conv, first = "dsconv", "depthwise"
    else:
        conv, first = "bsconv", "pointwise"
    plain_stride = conv != "conv" and shapes.any(".esa.coarse.stride_conv.weight")
    attention: Literal["cca", "weight", "none"]
    if shapes.any(".channel_attention.squeeze."):
        attention = "cca"
    else:
        attention = "weight" if shapes.any(".channel_attention.") else "none"
    return BSRNConfig(
        channels=shapes.size("aggregation.weight"),
        blocks=shapes.count("blocks"),
        conv=conv,
        esa=shapes.any(".esa."),
        channel_attention=attention,
        pointwise_bias=f"shallow.{first}.bias" in shapes,
        esa_stride_conv="conv" if plain_stride else "bsconv",
    )


_FAMILIES: Mapping[Family, _FamilyRow] = MappingProxyType(
    {
        "fmen": _FamilyRow(
            marks=(
                "head.weight",
                "warmup_conv.weight",
                "warmup_hfab.squeeze.weight",
                "hfabs.0.squeeze.weight",
                "lr_conv.weight",
            ),
            upsampler=("tail.weight",),
            config=_fmen_config,
            fused=lambda shapes: not (shapes.any(".bn1.") or shapes.any(".expand.")),
        ),
        "maffsrn": _FamilyRow(
            marks=(
                "head.v",  # only where weight norm is not folded, but there it tells its spellings apart
                "head.bias",
                "ffgs.0.mabs.0.conv1.weight",
                "ffgs.0.mabs.0.coarse.stride_conv.weight",
                "ffgs.0.skip_scale",
            ),
            upsampler=("tail5.v", "tail.weight"),
            config=_maffsrn_config,
            fused=lambda shapes: "tail.weight" in shapes,
        ),
        "safmn": _FamilyRow(
            marks=(
                "to_feat.weight",
                "blocks.0.safm.scales.0.conv.weight",
                "blocks.0.ccm.expand.weight",
                "to_img.weight",
            ),
            upsampler=("to_img.weight",),
            config=_safmn_config,
            fused=lambda _: True,
        ),
        "bsrn": _FamilyRow(
            marks=(
                "blocks.0.distill1.weight",
                "blocks.0.condense.weight",
                "aggregation.weight",
                "upsample.weight",
            ),
            upsampler=("upsample.weight",),
            config=_bsrn_config,
            fused=lambda _: True,
        ),
    }
)


def detect(state: Mapping[str, Tensor], path: Path | str = "the checkpoint") -> ModelSpec:
    """Tell which network a state dictionary belongs to, from its keys and shapes.

    Parameters
    ----------
    state : tensors under our names or the authors', in the training or the fused form.
    path : where they come from, for errors.

    Returns
    -------
    The entry of ``SPECS``, or the specification of a variant of width, depth or the papers' ablations.

    Raises
    ------
    CheckpointError
        If it is no network known here.
    """
    return recognise(state, path).spec


def translate(state: Mapping[str, Tensor], path: Path | str = "the checkpoint") -> dict[str, Tensor]:
    """Return a state dictionary under our names, its tensors in our shapes; parameters as in `detect`."""
    return dict(recognise(state, path).state)


def recognise(state: Mapping[str, Tensor], path: Path | str = "the checkpoint") -> Recognised:
    """Detect the network in a state dictionary and translate it; parameters and errors as in `detect`."""
    path = Path(path)
    family, spelling = _family(state, path)
    original: dict[str, str] = {}
    translated: dict[str, Tensor] = {}
    for key, value in state.items():
        name = (spelling.ours(key) if spelling is not None else None) or key
        if name in original:
            raise CheckpointError(path, f"holds {key} twice, also as {original[name]}")
        original[name], translated[name] = key, value
    row = _FAMILIES[family]
    shapes = _Shapes(translated, lambda key: _theirs(spelling, key), path, FAMILY_NAMES[family])
    scale = _scale(shapes, row.upsampler)
    config = row.config(shapes)
    fused = row.fused(shapes)
    try:
        expected = _on_meta(scale, config, fused=fused).state_dict()
        spec = known_spec(family, scale, config) or _variant(family, scale, config)
    except (ValueError, RuntimeError, ZeroDivisionError) as error:
        raise shapes.error(str(error).splitlines()[0]) from error
    fitted = {key: _fitted(value, expected.get(key)) for key, value in translated.items()}
    return Recognised(path, spec, fused, MappingProxyType(fitted), MappingProxyType(original), spelling)


def network(recognised: Recognised) -> nn.Module:
    """Build the network of a checkpoint with its weights, in the form that the file holds.

    Raises
    ------
    CheckpointError
        If parameters are missing, unexpected or of another shape: it names some of each and counts the rest.
    """
    built = _on_meta(recognised.spec.scale, recognised.spec.config, fused=recognised.fused)
    expected = built.state_dict()
    state = dict(recognised.state)
    for key, value in expected.items():
        if key.endswith("num_batches_tracked"):  # a counter of training, which reading leaves out
            state.setdefault(key, torch.zeros_like(value, device="cpu"))
    faults = (
        _listed("missing", [_theirs(recognised.spelling, key) for key in expected if key not in state]),
        _listed("unexpected", [recognised.original.get(key, key) for key in state if key not in expected]),
        _listed(
            "of another shape",
            [
                f"{recognised.original.get(key, key)} ({_shape(value)} instead of {_shape(expected[key])})"
                for key, value in state.items()
                if key in expected and value.shape != expected[key].shape
            ],
        ),
    )
    if any(faults):
        found = "; ".join(fault for fault in faults if fault)
        raise CheckpointError(
            recognised.path, f"does not fit {recognised.spec.name} x{recognised.spec.scale}: {found}"
        )
    built.load_state_dict(state, strict=True, assign=True)
    return built.eval()


def fused_network(recognised: Recognised) -> nn.Module:
    """Build the fused network of a checkpoint of either form; errors as in `network`."""
    return networks.fused(network(recognised))


def build(spec: ModelSpec, *, fused: bool = False) -> nn.Module:
    """Build the network of a specification with fresh random weights, in the training or the fused form."""
    return _construct(spec.scale, spec.config, fused=fused)


def _family(state: Mapping[str, Tensor], path: Path) -> tuple[Family, Spelling | None]:
    """Choose the family, and its spelling, of which the most telling parameters are there."""
    best: tuple[float, Family, Spelling | None] | None = None
    for family, row in _FAMILIES.items():
        for spelling in (*SPELLINGS[family], None):
            share = sum(_theirs(spelling, mark) in state for mark in row.marks) / len(row.marks)
            if share > (best[0] if best else 0):
                best = (share, family, spelling)
    if best is None or best[0] < 0.5:
        keys = list(state)
        seen = ", ".join(f"{key} ({_shape(state[key])})" for key in keys[:_SHOWN])
        more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
        known = ", ".join(name for family, name in FAMILY_NAMES.items() if family in _FAMILIES)
        raise CheckpointError(
            path, f"holds a network that is not known here ({known} are); it begins with {seen}{more}"
        )
    return best[1], best[2]


def _theirs(spelling: Spelling | None, key: str) -> str:
    """Return the file's name of our parameter `key`."""
    return (spelling.theirs(key) if spelling is not None else None) or key


def _scale(shapes: _Shapes, keys: tuple[str, ...]) -> int:
    """Read the scale from the channels of the last convolution: three colours times the scale's square."""
    channels = shapes.size(next((key for key in keys if key in shapes), keys[0]))
    scale = math.isqrt(channels // 3)
    if channels != 3 * scale**2 or not 1 <= scale <= _LARGEST_SCALE:
        raise shapes.error(f"{channels} channels before the pixel shuffle make no picture of three colours")
    return scale


def _variant(family: Family, scale: int, config: Config) -> ModelSpec:
    """Describe a network that is in no table; its parameters are counted in the papers' form."""
    counted = _on_meta(scale, config, fused=family == "fmen")
    return describe(family, scale, config, parameters=sum(value.numel() for value in counted.parameters()))


def _fitted(value: Tensor, expected: Tensor | None) -> Tensor:
    """Bring a tensor that lacks only sides of 1 into shape: linear layers hold 1x1 convolutions so."""
    if expected is None or value.ndim == expected.ndim:
        return value
    sides, wanted = ([side for side in tensor.shape if side != 1] for tensor in (value, expected))
    return value.reshape(expected.shape) if sides == wanted else value


def _on_meta(scale: int, config: Config, *, fused: bool) -> nn.Module:
    """Build a network that takes no memory, so that a file's claims can be checked before they cost any."""
    with torch.device("meta"):
        return _construct(scale, config, fused=fused)


def _construct(scale: int, config: Config, *, fused: bool) -> nn.Module:
    match config:
        case BicubicConfig():
            return networks.Bicubic(scale=scale)
        case FMENConfig():
            return networks.FMEN(
                scale=scale,
                channels=config.channels,
                attention_channels=config.attention_channels,
                warmup_attention_channels=config.warmup_attention_channels,
                attention_depths=config.attention_depths,
                block=config.block,
                fused=fused,
            )
        case MAFFSRNConfig():
            return networks.MAFFSRN(scale=scale, channels=config.channels, blocks=config.blocks, fused=fused)
        case SAFMNConfig():
            return networks.SAFMN(
                scale=scale,
                channels=config.channels,
                blocks=config.blocks,
                expansion=config.expansion,
                modulation=config.modulation,
                multi_scale=config.multi_scale,
                aggregation=config.aggregation,
                norm=config.norm,
            )
        case BSRNConfig():
            return networks.BSRN(
                scale=scale,
                channels=config.channels,
                blocks=config.blocks,
                conv=config.conv,
                esa=config.esa,
                channel_attention=config.channel_attention,
                pointwise_bias=config.pointwise_bias,
                esa_stride_conv=config.esa_stride_conv,
            )


def _listed(kind: str, names: list[str]) -> str:
    """Name the first few and count the rest; empty where there are none."""
    if not names:
        return ""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{kind} {', '.join(names[:_SHOWN])}{more}"


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "a single number"
