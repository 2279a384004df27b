"""The specifications of the networks: what is known of each before any weights are read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Family = Literal["bicubic", "fmen", "maffsrn", "safmn", "bsrn"]
"""The families of networks that are known here."""

FAMILY_NAMES: Mapping[Family, str] = MappingProxyType(
    {"bicubic": "Bicubic", "fmen": "FMEN", "maffsrn": "MAFFSRN", "safmn": "SAFMN", "bsrn": "BSRN"}
)
"""The families as their papers spell them."""


@dataclass(frozen=True)
class BicubicConfig:
    """Bicubic interpolation has nothing to choose but the scale."""


@dataclass(frozen=True)
class FMENConfig:
    """Hyper-parameters of FMEN ("Fast and Memory-Efficient Network", NTIRE 2022); the defaults are FMEN-S.

    Attributes
    ----------
    channels : width of the trunk.
    attention_channels : width inside the attention blocks (HFAB).
    warmup_attention_channels : the same for the first HFAB.
    attention_depths : residual blocks inside each HFAB, the warm-up's first.
    block : what the trunk is made of: ERB, plain residual blocks, or two convolutions.
    """

    channels: int = 50
    attention_channels: int = 16
    warmup_attention_channels: int = 12
    attention_depths: tuple[int, int, int, int, int] = (2, 1, 1, 1, 1)
    block: Literal["erb", "rb", "conv"] = "erb"


@dataclass(frozen=True)
class MAFFSRNConfig:
    """Hyper-parameters of MAFFSRN ("Ultra Lightweight Image Super-Resolution with Multi-Attention Layers").

    Attributes
    ----------
    channels : width of the trunk.
    blocks : feature fusion groups (FFG): 4, or 8 in MAFFSRN-L.
    """

    channels: int = 32
    blocks: int = 4


@dataclass(frozen=True)
class SAFMNConfig:
    """Hyper-parameters of SAFMN ("Spatially-Adaptive Feature Modulation", ICCV 2023).

    Attributes
    ----------
    channels : width of the trunk.
    blocks : feature mixing modules.
    expansion : hidden width of the convolutional channel mixer (CCM) over the trunk's.
    modulation, multi_scale, aggregation, norm : the paper's ablation switches.
    """

    channels: int = 36
    blocks: int = 8
    expansion: float = 2.0
    modulation: bool = True
    multi_scale: bool = True
    aggregation: bool = True
    norm: Literal["layer", "batch", "instance", "none"] = "layer"


@dataclass(frozen=True)
class BSRNConfig:
    """Hyper-parameters of BSRN ("Blueprint Separable Residual Network", NTIRE 2022).

    Attributes
    ----------
    channels : width of the trunk.
    blocks : distillation blocks (ESDB).
    conv : the kind of convolution in place of a plain 3x3.
    esa : whether the blocks have enhanced spatial attention.
    channel_attention : contrast-aware attention, BSRN-S's learnt weight per channel, or none.
    pointwise_bias : whether the pointwise convolutions of BSConv have a bias (BSRN-S).
    esa_stride_conv : the convolution of stride 2 inside ESA: BSConv, or plain 3x3 (BSRN-S).
    """

    channels: int = 64
    blocks: int = 8
    conv: Literal["bsconv", "bsconv_s", "dsconv", "conv"] = "bsconv"
    esa: bool = True
    channel_attention: Literal["cca", "weight", "none"] = "cca"
    pointwise_bias: bool = False
    esa_stride_conv: Literal["bsconv", "conv"] = "bsconv"


Config = BicubicConfig | FMENConfig | MAFFSRNConfig | SAFMNConfig | BSRNConfig
"""The hyper-parameters of any family."""


@dataclass(frozen=True)
class ModelSpec:
    """What is known of a network without its weights.

    Attributes
    ----------
    id : how users name it (``"bsrn_x4"``).
    family, name : the family, and the network's name in its paper.
    scale : output pixels per input pixel, along each side.
    config : its hyper-parameters.
    value_range : what full white is inside the network: 1 or 255.
    smallest_side : pixels; smaller pictures must be continued to this side.
    reach : input pixels, in each direction, beyond which nothing influences an output pixel; None where
        some layer looks at the whole picture.
    overlap : input pixels that tiles should see beyond their own border.
    parameters : learnt numbers as the papers count them: FMEN's fused, MAFFSRN's with weight norm's lengths.
    multi_adds_720p : multiply-accumulates of convolution weights for a 1280 x 720 result, in the same form;
        None for networks outside the papers' tables.
    """

    id: str
    family: Family
    name: str
    scale: int
    config: Config
    value_range: float
    smallest_side: int
    reach: int | None
    overlap: int
    parameters: int
    multi_adds_720p: int | None


_WHOLE_IMAGE_OVERLAP = 32
_FELT_REACH = 16 / 34
"""Influence fades long before FMEN's reach ends: of FMEN-S's 34 pixels 14 keep tiles within one level and
60 dB of the whole image (benchmarks/overlap.py); this is with a margin.
"""


def describe(
    family: Family,
    scale: int,
    config: Config,
    *,
    parameters: int,
    multi_adds_720p: int | None = None,
    id: str | None = None,  # noqa: A002 (the field's name)
    name: str | None = None,
) -> ModelSpec:
    """Return the specification of any network of a family; without an id it gets that of a variant."""
    reach = _reach(config)
    return ModelSpec(
        id=id or f"{family}_variant_x{scale}",
        family=family,
        name=name or f"{FAMILY_NAMES[family]} variant",
        scale=scale,
        config=config,
        value_range=255.0 if family == "fmen" else 1.0,
        smallest_side=_smallest_side(config),
        reach=reach,
        overlap=_overlap(family, reach),
        parameters=parameters,
        multi_adds_720p=multi_adds_720p,
    )


def _overlap(family: Family, reach: int | None) -> int:
    """Return the pixels that a tile must see around its core; bicubic needs all that it reaches."""
    if reach is None:
        return _WHOLE_IMAGE_OVERLAP
    return math.ceil(reach * _FELT_REACH) if family == "fmen" else reach


def known_spec(family: Family, scale: int, config: Config) -> ModelSpec | None:
    """Return the entry of ``SPECS`` with these hyper-parameters, or None."""
    return next((s for s in SPECS.values() if (s.family, s.scale, s.config) == (family, scale, config)), None)


def _reach(config: Config) -> int | None:
    """Add up how far the 3x3 convolutions see, unless a layer sees everything."""
    match config:
        case BicubicConfig():
            return 2
        case FMENConfig():
            attention = sum(2 + 2 * depth for depth in config.attention_depths)
            return 2 + attention + 2 * (len(config.attention_depths) - 1) + 2
        case SAFMNConfig():
            pooled = config.multi_scale or config.norm == "instance"
            return None if pooled else 1 + 2 * config.blocks + 1
        case BSRNConfig():
            pooled = config.esa or config.channel_attention == "cca"
            return None if pooled else 1 + 4 * config.blocks + 2
        case MAFFSRNConfig():
            return None


def _smallest_side(config: Config) -> int:
    """Return below which side a pooling window finds no pixel."""
    match config:
        case SAFMNConfig():
            return 8 if config.multi_scale else 1
        case BSRNConfig():
            return 15 if config.esa else 1
        case MAFFSRNConfig():
            return 13
        case BicubicConfig() | FMENConfig():
            return 1


_FMEN = FMENConfig(64, 32, 32, (2, 2, 2, 2, 2))
_BSRN_S = BSRNConfig(48, 5, channel_attention="weight", pointwise_bias=True, esa_stride_conv="conv")

_TABLE: tuple[tuple[str, Family, str, int, Config, int, int], ...] = (
    # id, family, name, scale, hyper-parameters, parameters, multi-adds
    ("bicubic_x2", "bicubic", "Bicubic", 2, BicubicConfig(), 0, 0),
    ("bicubic_x3", "bicubic", "Bicubic", 3, BicubicConfig(), 0, 0),
    ("bicubic_x4", "bicubic", "Bicubic", 4, BicubicConfig(), 0, 0),
    ("fmen_x2", "fmen", "FMEN", 2, _FMEN, 747_756, 171_859_968_000),
    ("fmen_x3", "fmen", "FMEN", 3, _FMEN, 756_411, 77_327_308_800),
    ("fmen_x4", "fmen", "FMEN", 4, _FMEN, 768_528, 44_159_385_600),
    ("fmen_s_x4", "fmen", "FMEN-S", 4, FMENConfig(), 341_066, 19_582_041_600),
    ("maffsrn_x2", "maffsrn", "MAFFSRN", 2, MAFFSRNConfig(), 402_394, 86_071_726_080),
    ("maffsrn_x3", "maffsrn", "MAFFSRN", 3, MAFFSRNConfig(), 418_774, 39_956_113_920),
    ("maffsrn_x4", "maffsrn", "MAFFSRN", 4, MAFFSRNConfig(), 441_706, 23_772_782_592),
    ("maffsrn_l_x2", "maffsrn", "MAFFSRN-L", 2, MAFFSRNConfig(blocks=8), 790_754, 168_936_284_160),
    ("maffsrn_l_x3", "maffsrn", "MAFFSRN-L", 3, MAFFSRNConfig(blocks=8), 807_134, 76_813_232_640),
    ("maffsrn_l_x4", "maffsrn", "MAFFSRN-L", 4, MAFFSRNConfig(blocks=8), 830_066, 44_487_696_384),
    ("safmn_x2", "safmn", "SAFMN", 2, SAFMNConfig(), 227_820, 51_482_563_200),
    ("safmn_x3", "safmn", "SAFMN", 3, SAFMNConfig(), 232_695, 23_396_992_560),
    ("safmn_x4", "safmn", "SAFMN", 4, SAFMNConfig(), 239_520, 13_542_474_240),
    ("bsrn_x2", "bsrn", "BSRN", 2, BSRNConfig(), 331_628, 71_935_320_448),
    ("bsrn_x3", "bsrn", "BSRN", 3, BSRNConfig(), 340_283, 32_880_768_640),
    ("bsrn_x4", "bsrn", "BSRN", 4, BSRNConfig(), 352_400, 19_177_176_448),
    ("bsrn_s_x4", "bsrn", "BSRN-S", 4, _BSRN_S, 156_288, 8_287_816_320),
)

SPECS: Mapping[str, ModelSpec] = MappingProxyType(
    {
        row_id: describe(
            family, scale, config, parameters=parameters, multi_adds_720p=multi_adds, id=row_id, name=name
        )
        for row_id, family, name, scale, config, parameters, multi_adds in _TABLE
    }
)
"""The models that the program offers, by id, in the order in which they are shown."""
