"""The named places inside each network at which its features can be looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from srviewer.zoo.spec import (
    BicubicConfig,
    BSRNConfig,
    FMENConfig,
    MAFFSRNConfig,
    ModelSpec,
    SAFMNConfig,
)

if TYPE_CHECKING:
    from srviewer.zoo.model import LoadedModel

TapKind = Literal["features", "attention", "channel_weights"]
"""What a tap gives: features, a map that multiplies features, or one number per channel (C x 1 x 1)."""

Side = Literal["input", "output"]
"""Which side of a submodule is looked at."""


@dataclass(frozen=True)
class Tap:
    """One place inside a network.

    The names are part of the interface: they stay, whatever becomes of the submodules. Numbers count from 1;
    FMEN's HFAB 0 is the warm-up's, so that HFAB i follows ERB i.

    ========  =====================================================================================
    family    names
    ========  =====================================================================================
    FMEN      ``shallow``; ``hfab0..4`` with ``.input .attention .output``; ``erb1..4.output``; ``deep``
    BSRN      ``shallow``; ``esdb1..n`` with ``.input``, ``.esa.input .esa.attention .esa.output``,
              ``.cca.input .cca.weights .cca.output`` (BSRN-S: ``.channel_weight.input .output``) and
              ``.output``; ``fusion`` (of all blocks' outputs); ``deep``
    SAFMN     ``shallow``; ``fmm1..n`` with ``.safm.input``, ``.safm.scale0..3`` (C / 4 channels each),
              ``.safm.aggregated`` (before its GELU), ``.safm.attention`` (after it), ``.safm.output``,
              ``.ccm.output``, ``.output``
    MAFFSRN   ``shallow``; ``ffg1..n`` with ``.input``, ``.mab1..4`` with ``.input``, ``.features`` (before
              both attentions), ``.attention .local_attention .output``, and ``.output``
    bicubic   none
    ========  =====================================================================================

    Attributes
    ----------
    name : stable identification (``"hfab2.attention"``).
    label : for the screen (``"HFAB 2 attention map"``).
    block : the block that it belongs to (``"HFAB 2"``), for trees; ``"network"`` outside blocks.
    kind : what it gives. All but ``"channel_weights"`` have the input's height and width.
    module : path of the submodule in the network.
    side : which side of the submodule.
    """

    name: str
    label: str
    block: str
    kind: TapKind
    module: str
    side: Side


@dataclass(frozen=True)
class AttentionBlock:
    """A block that multiplies features by an attention map or by weights.

    Attributes
    ----------
    name : stable identification (``"hfab2"``, ``"esdb1.esa"``).
    label : for the screen.
    before, after : taps of the features that are multiplied, and of the product.
    attention : taps of what they are multiplied by.
    """

    name: str
    label: str
    before: Tap
    after: Tap
    attention: tuple[Tap, ...]


def taps(model: ModelSpec | LoadedModel) -> tuple[Tap, ...]:
    """Return the taps of a network in the order in which their features come about; none for bicubic."""
    return _layout(model).taps


def attention_blocks(model: ModelSpec | LoadedModel) -> tuple[AttentionBlock, ...]:
    """Return the blocks with attention (HFAB, ESA, CCA, SAFM, MAB) from first to last; maybe none."""
    return _layout(model).attention


def find_taps(model: ModelSpec | LoadedModel, name: str) -> tuple[Tap, ...]:
    """Return the tap of a name, or all taps of a block (``"hfab2"``, ``"esdb1.esa"``).

    Raises
    ------
    ValueError
        If there is none; the message lists what there is.
    """
    there = taps(model)
    found = tuple(tap for tap in there if tap.name == name or tap.name.startswith(f"{name}."))
    if found:
        return found
    known = ", ".join(dict.fromkeys(tap.name.split(".")[0] for tap in there)) or "none"
    raise ValueError(f"{_spec(model).id} has no tap {name!r}; it has {known} (and what lies inside these)")


def missing(model: ModelSpec | LoadedModel) -> tuple[str, ...]:
    """Return sentences that say which features or attention, usual in its family, a network does not have."""
    spec = _spec(model)
    match spec.config:
        case BicubicConfig():
            return (f"{spec.id} interpolates: it has neither features nor attention",)
        case SAFMNConfig() as safmn:
            told = []
            if not safmn.modulation:
                told.append(f"{spec.id} does not modulate: its aggregated map takes the features' place")
            if not safmn.multi_scale:
                told.append(f"{spec.id} has one scale only: the four maps of SAFM are all at full size")
            return tuple(told)
        case BSRNConfig() as bsrn:
            told = []
            if not bsrn.esa:
                told.append(f"{spec.id} has no spatial attention (ESA)")
            if bsrn.channel_attention == "weight":
                told.append(
                    f"{spec.id} has no channel attention (CCA): a learnt weight per channel, the same for "
                    "every picture, stands in its place"
                )
            elif bsrn.channel_attention == "none":
                told.append(f"{spec.id} has no channel attention (CCA)")
            return tuple(told)
        case FMENConfig() | MAFFSRNConfig():
            return ()


@dataclass(frozen=True)
class _Layout:
    taps: tuple[Tap, ...]
    attention: tuple[AttentionBlock, ...] = ()


class _Drawing:
    """Collects taps and attention blocks in order."""

    def __init__(self) -> None:
        self.taps: list[Tap] = []
        self.attention: list[AttentionBlock] = []

    def tap(
        self,
        name: str,
        words: str,
        module: str,
        side: Side = "output",
        *,
        block: str = "network",
        kind: TapKind = "features",
    ) -> Tap:
        label = words if block == "network" else f"{block} {words}"
        made = Tap(name, label, block, kind, module, side)
        self.taps.append(made)
        return made

    def pair(self, name: str, label: str, before: Tap, after: Tap, *attention: Tap) -> None:
        self.attention.append(AttentionBlock(name, label, before, after, attention))

    def layout(self) -> _Layout:
        return _Layout(tuple(self.taps), tuple(self.attention))


def _spec(model: ModelSpec | LoadedModel) -> ModelSpec:
    return model if isinstance(model, ModelSpec) else model.spec


def _layout(model: ModelSpec | LoadedModel) -> _Layout:
    match _spec(model).config:
        case BicubicConfig():
            return _Layout(())
        case FMENConfig() as config:
            return _fmen(config)
        case BSRNConfig() as config:
            return _bsrn(config)
        case SAFMNConfig() as config:
            return _safmn(config)
        case MAFFSRNConfig() as config:
            return _maffsrn(config)


def _fmen(config: FMENConfig) -> _Layout:
    drawing = _Drawing()
    drawing.tap("shallow", "Shallow features", "head")
    for number in range(len(config.attention_depths)):
        if number:
            drawing.tap(f"erb{number}.output", "output", f"blocks.{number - 1}", block=f"ERB {number}")
        module = f"hfabs.{number - 1}" if number else "warmup_hfab"
        name, block = f"hfab{number}", f"HFAB {number}" if number else "HFAB 0 (warm-up)"
        before = drawing.tap(f"{name}.input", "input", module, "input", block=block)
        attention = drawing.tap(
            f"{name}.attention", "attention map", f"{module}.attention", block=block, kind="attention"
        )
        after = drawing.tap(f"{name}.output", "output", module, block=block)
        drawing.pair(name, block, before, after, attention)
    drawing.tap("deep", "Deep features", "lr_conv")
    return drawing.layout()


def _bsrn(config: BSRNConfig) -> _Layout:
    drawing = _Drawing()
    drawing.tap("shallow", "Shallow features", "shallow")
    for number in range(1, config.blocks + 1):
        name, module, block = f"esdb{number}", f"blocks.{number - 1}", f"ESDB {number}"
        drawing.tap(f"{name}.input", "input", module, "input", block=block)
        if config.esa:
            before = drawing.tap(f"{name}.esa.input", "ESA input", f"{module}.esa", "input", block=block)
            attention = drawing.tap(
                f"{name}.esa.attention",
                "ESA attention map",
                f"{module}.esa.attention",
                block=block,
                kind="attention",
            )
            after = drawing.tap(f"{name}.esa.output", "ESA output", f"{module}.esa", block=block)
            drawing.pair(f"{name}.esa", f"{block} ESA", before, after, attention)
        last = f"{module}.channel_attention"
        if config.channel_attention == "cca":
            before = drawing.tap(f"{name}.cca.input", "CCA input", last, "input", block=block)
            weights = drawing.tap(
                f"{name}.cca.weights", "CCA weights", f"{last}.attention", block=block, kind="channel_weights"
            )
            after = drawing.tap(f"{name}.cca.output", "CCA output", last, block=block)
            drawing.pair(f"{name}.cca", f"{block} CCA", before, after, weights)
        elif config.channel_attention == "weight":
            drawing.tap(f"{name}.channel_weight.input", "channel weight input", last, "input", block=block)
            drawing.tap(f"{name}.channel_weight.output", "channel weight output", last, block=block)
        drawing.tap(f"{name}.output", "output", module, block=block)
    drawing.tap("fusion", "Fusion of all blocks", "aggregation")
    drawing.tap("deep", "Deep features", "smooth")
    return drawing.layout()


def _safmn(config: SAFMNConfig) -> _Layout:
    drawing = _Drawing()
    drawing.tap("shallow", "Shallow features", "to_feat")
    for number in range(1, config.blocks + 1):
        name, module, block = f"fmm{number}", f"blocks.{number - 1}", f"FMM {number}"
        safm = f"{module}.safm"
        before = drawing.tap(f"{name}.safm.input", "SAFM input", safm, "input", block=block)
        for level in range(4):
            divisor = f"1/{2**level}" if config.multi_scale and level else "1"
            drawing.tap(
                f"{name}.safm.scale{level}",
                f"SAFM map at scale {divisor}",
                f"{safm}.scales.{level}",
                block=block,
            )
        drawing.tap(f"{name}.safm.aggregated", "SAFM aggregated map", f"{safm}.aggregation", block=block)
        attention = drawing.tap(
            f"{name}.safm.attention",
            "SAFM modulation map",
            f"{safm}.activation",
            block=block,
            kind="attention",
        )
        after = drawing.tap(f"{name}.safm.output", "SAFM output", safm, block=block)
        if config.modulation:
            drawing.pair(f"{name}.safm", f"{block} SAFM", before, after, attention)
        drawing.tap(f"{name}.ccm.output", "CCM output", f"{module}.ccm", block=block)
        drawing.tap(f"{name}.output", "output", module, block=block)
    return drawing.layout()


def _maffsrn(config: MAFFSRNConfig) -> _Layout:
    drawing = _Drawing()
    drawing.tap("shallow", "Shallow features", "head")
    for group in range(1, config.blocks + 1):
        name, module, block = f"ffg{group}", f"ffgs.{group - 1}", f"FFG {group}"
        drawing.tap(f"{name}.input", "input", module, "input", block=block)
        for number in range(1, 5):
            mab, inner, words = f"{name}.mab{number}", f"{module}.mabs.{number - 1}", f"MAB {number}"
            drawing.tap(f"{mab}.input", f"{words} input", inner, "input", block=block)
            before = drawing.tap(f"{mab}.features", f"{words} features", f"{inner}.conv2", block=block)
            maps = [
                drawing.tap(
                    f"{mab}.{part}", f"{words} {said}", f"{inner}.{part}", block=block, kind="attention"
                )
                for part, said in (
                    ("attention", "attention map"),
                    ("local_attention", "local attention map"),
                )
            ]
            after = drawing.tap(f"{mab}.output", f"{words} output", inner, block=block)
            drawing.pair(mab, f"{block} {words}", before, after, *maps)
        drawing.tap(f"{name}.output", "output", module, block=block)
    return drawing.layout()
