"""The networks of the papers as plain PyTorch modules."""

from __future__ import annotations

from srviewer.networks.bicubic import Bicubic
from srviewer.networks.bsrn import BSRN
from srviewer.networks.fmen import FMEN
from srviewer.networks.fusion import fused
from srviewer.networks.maffsrn import MAFFSRN
from srviewer.networks.safmn import SAFMN

__all__ = ["BSRN", "FMEN", "MAFFSRN", "SAFMN", "Bicubic", "fused"]
