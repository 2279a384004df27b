"""What the window says about a network: its title, its costs and the paper it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from srviewer.zoo.manifest import CHECKPOINT_SUFFIXES, Source, catalogue
from srviewer.zoo.spec import FAMILY_NAMES, SPECS, Family, ModelSpec


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a network without running it.

    Attributes
    ----------
    family, name : the family, and the network's name in its paper.
    scale : output pixels per input pixel, along each side.
    parameters : learnt numbers; None where they are not known.
    multi_adds_720p : multiply-accumulates for a 1280 x 720 result; None where they are not known.
    """

    family: Family
    name: str
    scale: int
    parameters: int | None = None
    multi_adds_720p: int | None = None

    @classmethod
    def of(cls, spec: ModelSpec) -> ModelFacts:
        """Return the facts in a specification."""
        return cls(spec.family, spec.name, spec.scale, spec.parameters, spec.multi_adds_720p)

    @property
    def title(self) -> str:
        """As panes and tables call it: ``"BSRN ×4"``."""
        return f"{self.name} ×{self.scale}"


CITATIONS: Mapping[Family, str] = MappingProxyType(
    {
        "bicubic": "R. Keys: Cubic convolution interpolation for digital image processing. "
        "IEEE Transactions on Acoustics, Speech, and Signal Processing, 1981",
        "fmen": "Z. Du et al.: Fast and Memory-Efficient Network Towards Efficient Image Super-Resolution. "
        "CVPR Workshops (NTIRE), 2022",
        "maffsrn": "A. Muqeet et al.: Multi-Attention Based Ultra Lightweight Image Super-Resolution. "
        "ECCV Workshops (AIM), 2020",
        "safmn": "L. Sun et al.: Spatially-Adaptive Feature Modulation for Efficient Image Super-Resolution. "
        "ICCV, 2023",
        "bsrn": "Z. Li et al.: Blueprint Separable Residual Network for Efficient Image Super-Resolution. "
        "CVPR Workshops (NTIRE), 2022",
    }
)
"""The papers, by family."""

SOURCE_WORDS: Mapping[Source, str] = MappingProxyType(
    {"shipped": "shipped with the program", "official": "the authors' own", "yours": "yours"}
)
"""Where weights come from, in words."""


def is_checkpoint(model: str) -> bool:
    """Tell whether a network's reference names a checkpoint file rather than an id."""
    return model not in SPECS and (
        "/" in model or "\\" in model or Path(model).suffix.lower() in CHECKPOINT_SUFFIXES
    )


def facts_of(model: str) -> ModelFacts | None:
    """Return the facts about a network by its reference; None for a checkpoint file, which must be read."""
    name = model.partition("@")[0]
    if name in SPECS:
        return ModelFacts.of(SPECS[name])
    if is_checkpoint(model):
        return None
    own = next((entry for entry in catalogue() if entry.id == name), None)
    return None if own is None else ModelFacts(own.family, own.id, own.scale, own.parameters)


def model_title(model: str) -> str:
    """Return what panes, tables and the queue call a network.

    ``"bsrn_x4"`` is "BSRN ×4", ``"bsrn_x4@official"`` is "BSRN ×4 (official)", a checkpoint's path is
    its stem.
    """
    name, _, source = model.partition("@")
    if name in SPECS:
        title = ModelFacts.of(SPECS[name]).title
        return f"{title} ({source})" if source else title
    return Path(model).stem if is_checkpoint(model) else name


def family_title(family: Family) -> str:
    """Return a family as its paper spells it."""
    return FAMILY_NAMES[family]
