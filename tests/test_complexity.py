from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from srviewer.analysis.complexity import Complexity, complexity
from srviewer.networks import BSRN, FMEN, MAFFSRN, SAFMN, Bicubic
from srviewer.zoo.spec import SPECS


@pytest.mark.parametrize(
    ("model", "params", "giga"),
    [
        ("fmen_x2", 747_756, 171.9),
        ("fmen_x3", 756_411, 77.3),
        ("fmen_x4", 768_528, 44.2),
        ("fmen_s_x4", 341_066, 19.58),
        ("bsrn_x2", 331_628, 71.9),
        ("bsrn_x3", 340_283, 32.9),
        ("bsrn_x4", 352_400, 19.2),
        ("bsrn_s_x4", 156_288, 8.3),
        ("safmn_x2", 227_820, 51.5),
        ("safmn_x3", 232_695, 23.4),
        ("safmn_x4", 239_520, 13.56),
        ("maffsrn_x2", 402_394, 86.1),
        ("maffsrn_x3", 418_774, 40.0),
        ("maffsrn_x4", 441_706, 23.8),
        ("maffsrn_l_x2", 790_754, 168.9),
        ("maffsrn_l_x3", 807_134, 76.8),
        ("maffsrn_l_x4", 830_066, 44.5),
        ("bicubic_x4", 0, 0.0),
    ],
)
def test_ids_count_as_the_papers_print(model: str, params: int, giga: float) -> None:
    counted = complexity(SPECS[model])
    assert counted.params == params
    assert counted.multi_adds / 1e9 == pytest.approx(giga, rel=0.005)
    assert counted.size == (1280, 720)


def test_every_spec_states_what_is_counted() -> None:
    for spec in SPECS.values():
        counted = complexity(spec)
        assert (counted.params, counted.multi_adds) == (spec.parameters, spec.multi_adds_720p), spec.id


def test_fmen_s_at_256_x_256() -> None:
    counted = complexity(SPECS["fmen_s_x4"], input_size=(256, 256))
    assert counted.convs == 34
    assert counted.activations / 1e6 == pytest.approx(72.09, abs=0.005)
    assert counted.multi_adds / 1e9 == pytest.approx(22.28, rel=0.005)
    assert counted.size == (1024, 1024)


def test_bsrn_s_at_256_x_256() -> None:
    assert complexity(SPECS["bsrn_s_x4"], input_size=(256, 256)).multi_adds / 1e9 == pytest.approx(
        9.45, rel=0.005
    )


def test_safmn_at_320_x_180() -> None:
    counted = complexity(SPECS["safmn_x4"], input_size=(320, 180))
    assert counted.convs == 58
    assert counted.activations / 1e6 == pytest.approx(76.70, abs=0.005)
    assert counted.multi_adds / 1e9 == pytest.approx(13.56, rel=0.005)
    assert counted == complexity(SPECS["safmn_x4"])


@pytest.mark.parametrize(("blocks", "kilo"), [(4, 128.06), (6, 183.79), (8, 239.52), (12, 350.97)])
def test_safmn_of_any_depth(blocks: int, kilo: float) -> None:
    # The table cuts after the second decimal place: 350,976 is printed as 350.97K.
    assert complexity(SAFMN(scale=4, blocks=blocks)).params // 10 / 100 == kilo


def test_bsrn_without_attention() -> None:
    assert round(complexity(BSRN(scale=4, esa=False)).params / 1e3) == 320
    assert round(complexity(BSRN(scale=4, channel_attention="none")).params / 1e3) == 348
    assert complexity(BSRN(scale=4, channels=48)).params == 208_632


def test_modules_count_in_the_form_they_have() -> None:
    training, merged = complexity(FMEN(scale=4)), complexity(FMEN(scale=4).fuse())
    assert merged == complexity(SPECS["fmen_s_x4"])
    assert training.convs > merged.convs
    normed = MAFFSRN(scale=4)
    assert complexity(normed) == complexity(SPECS["maffsrn_x4"])
    assert complexity(normed.fuse()).convs < complexity(normed).convs


def test_frozen_low_precision_modules_count_the_same() -> None:
    frozen = BSRN(scale=4, blocks=1).to(torch.bfloat16).requires_grad_(False)
    assert complexity(frozen) == complexity(BSRN(scale=4, blocks=1))
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    assert frozen.upsample.weight.dtype == torch.bfloat16


def test_functional_and_linear_layers_count_by_hand() -> None:
    class Hand(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = 2
            self.weight = nn.Parameter(torch.zeros(6, 1, 3, 3))
            self.linear = nn.Linear(6, 12)
            self.register_buffer("blur", torch.ones(3, 1, 5, 5))

        def forward(self, image: Tensor) -> Tensor:
            x = F.conv2d(image, self.get_buffer("blur"), padding=2, groups=3)  # fixed: not counted
            x = F.conv2d(x, weight=2 * self.weight, padding=1, groups=3)
            return F.pixel_shuffle(self.linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), 2)

    pixels = 10 * 7
    assert complexity(Hand(), (20, 14)) == Complexity(
        params=54 + 84, multi_adds=pixels * (54 + 72), activations=pixels * (6 + 12), convs=2, size=(20, 14)
    )


def test_sizes_without_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="below"):
        complexity(SPECS["bsrn_x4"], (40, 40))
    with pytest.raises(ValueError, match="below"):
        complexity(Bicubic(scale=4), (0, 4))
    with pytest.raises(TypeError, match="scale"):
        complexity(nn.Conv2d(3, 3, 1))
