"""The names that the networks' authors gave to parameters, beside ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from srviewer.zoo.spec import Family

_PLACE = re.compile(r"\{(\w)(\+1)?\}")


class Spelling:
    """One way to name a family's parameters, translated into ours and back.

    A row holds two templates, theirs and ours, for a parameter (``B{i+1}.cw``) or for a layer, whose last
    part (its ``.weight``, its ``.bias``) is kept. ``{i}`` is a number from 0, ``{i+1}`` the same number
    counted from 1.
    """

    def __init__(self, rows: Iterable[tuple[str, str]]) -> None:
        self._rows = tuple(
            (theirs, _pattern(theirs), ours, _pattern(ours))
            for theirs, ours in sorted(rows, key=lambda row: -len(row[0]))
        )

    def ours(self, key: str) -> str | None:
        """Return our name of the authors' parameter `key`, or None where it is not one of theirs."""
        for theirs, pattern, ours, _ in self._rows:
            if found := pattern.fullmatch(key):
                return _filled(ours, theirs, found)
        return None

    def theirs(self, key: str) -> str | None:
        """Return the authors' name of our parameter `key`, or None where they have none."""
        for theirs, _, ours, pattern in self._rows:
            if found := pattern.fullmatch(key):
                return _filled(theirs, ours, found)
        return None


def _pattern(template: str) -> re.Pattern[str]:
    """Turn a template into a pattern of whole keys; a layer's key has one part more."""
    parts = []
    end = 0
    for place in _PLACE.finditer(template):
        parts += [re.escape(template[end : place.start()]), f"(?P<{place[1]}>[0-9]{{1,6}})"]
        end = place.end()
    parts.append(re.escape(template[end:]))
    return re.compile("".join(parts) + r"(?P<_leaf>\.[^.]+)?")


def _filled(target: str, source: str, found: re.Match[str]) -> str:
    """Fill the places of `target` with the numbers found in `source`."""
    base = {place[1]: int(found[place[1]]) - bool(place[2]) for place in _PLACE.finditer(source)}
    filled = _PLACE.sub(lambda place: str(base[place[1]] + bool(place[2])), target)
    return filled + (found["_leaf"] or "")


def _with_weight_norm(rows: Iterable[tuple[str, str]], g: str, v: str) -> tuple[tuple[str, str], ...]:
    """Add the two halves of the weight of each weight-normed layer; the layer's own row serves its bias."""
    return tuple(
        pair
        for theirs, ours in rows
        for pair in ((f"{theirs}.{g}", f"{ours}.g"), (f"{theirs}.{v}", f"{ours}.v"), (theirs, ours))
    )


def _fmen(blocks: str, hfabs: str) -> Spelling:
    inside_hfab = (
        ("squeeze", "squeeze"),
        ("excitate", "excitate"),
        ("bn1", "bn1"),
        ("bn2", "bn2"),
        ("bn3", "bn3"),
        *((f"convs.{{j}}.{theirs}", f"blocks.{{j}}.{ours}") for theirs, ours in _ERB),
    )
    return Spelling(
        (
            ("head", "head"),
            ("warmup.0", "warmup_conv"),
            *((f"warmup.1.{theirs}", f"warmup_hfab.{ours}") for theirs, ours in inside_hfab),
            *((f"{blocks}.{{i}}.{theirs}", f"blocks.{{i}}.{ours}") for theirs, ours in _ERB),
            *((f"{hfabs}.{{i}}.{theirs}", f"hfabs.{{i}}.{ours}") for theirs, ours in inside_hfab),
            ("lr_conv", "lr_conv"),
            ("tail.0", "tail"),
        )
    )


_ERB = (
    *(
        (f"conv{i}.{theirs}", f"rrrb{i}.{ours}")
        for i in (1, 2)
        for theirs, ours in (
            ("rep_conv", "conv"),
            ("expand_conv", "expand"),
            ("fea_conv", "features"),
            ("reduce_conv", "reduce"),
        )
    ),
    # Residual blocks and plain convolutions, the paper's ablations.
    ("conv1", "conv1"),
    ("conv2", "conv2"),
)


def _maffsrn(g: str, v: str) -> Spelling:
    normed = (
        ("head.0", "head"),
        ("tail.tail_k3", "tail3"),
        ("tail.tail_k5", "tail5"),
        *((f"body.{{i}}.reduction{k}", f"ffgs.{{i}}.reduction{k}") for k in (1, 2, 3)),
    )
    inside_mab = (
        ("conv01.0", "conv1"),
        ("conv00.0", "conv2"),
        ("reduce_channels", "reduce"),
        ("reduce_spatial_size", "coarse.stride_conv"),
        ("conv1.0", "coarse.conv"),
        ("conv2.0", "coarse.dilated_conv"),
        ("increase_channels.0", "expand"),
        ("bottom11.0", "local_pointwise"),
        ("bottom11_dw.0", "local_depthwise"),
    )
    return Spelling(
        (
            *_with_weight_norm(normed, g, v),
            *(
                (f"body.{{i}}.b{{j}}.{theirs}", f"ffgs.{{i}}.mabs.{{j}}.{ours}")
                for theirs, ours in inside_mab
            ),
            ("body.{i}.res_scale.scale", "ffgs.{i}.residual_scale"),
            ("body.{i}.x_scale.scale", "ffgs.{i}.skip_scale"),
            ("tail.scale_k3.scale", "tail3_scale"),
            ("tail.scale_k5.scale", "tail5_scale"),
        )
    )


_SAFMN = Spelling(
    (
        ("to_feat", "to_feat"),
        ("feats.{i}.norm1", "blocks.{i}.norm1"),
        ("feats.{i}.norm2", "blocks.{i}.norm2"),
        ("feats.{i}.safm.mfr.{j}", "blocks.{i}.safm.scales.{j}.conv"),
        ("feats.{i}.safm.aggr", "blocks.{i}.safm.aggregation"),
        ("feats.{i}.ccm.ccm.0", "blocks.{i}.ccm.expand"),
        ("feats.{i}.ccm.ccm.2", "blocks.{i}.ccm.reduce"),
        ("to_img.0", "to_img"),
    )
)

_CONVS = (("pw1", "pointwise1"), ("pw2", "pointwise2"), ("pw", "pointwise"), ("dw", "depthwise"))
"""The stages of separable convolutions; a plain convolution has none."""


def _separable(theirs: str, ours: str) -> tuple[tuple[str, str], ...]:
    return ((theirs, ours), *((f"{theirs}.{stage}", f"{ours}.{own}") for stage, own in _CONVS))


_BSRN = Spelling(
    (
        *_separable("fea_conv", "shallow"),
        *((f"B{{i+1}}.c{k}_d", f"blocks.{{i}}.distill{k}") for k in (1, 2, 3)),
        *(row for k in (1, 2, 3) for row in _separable(f"B{{i+1}}.c{k}_r", f"blocks.{{i}}.refine{k}")),
        *_separable("B{i+1}.c4", "blocks.{i}.distill4"),
        ("B{i+1}.c5", "blocks.{i}.condense"),
        ("B{i+1}.esa.conv1", "blocks.{i}.esa.reduce"),
        *_separable("B{i+1}.esa.conv2", "blocks.{i}.esa.coarse.stride_conv"),
        *_separable("B{i+1}.esa.conv_max", "blocks.{i}.esa.coarse.conv1"),
        *_separable("B{i+1}.esa.conv3", "blocks.{i}.esa.coarse.conv2"),
        *_separable("B{i+1}.esa.conv3_", "blocks.{i}.esa.coarse.conv3"),
        ("B{i+1}.esa.conv_f", "blocks.{i}.esa.skip"),
        ("B{i+1}.esa.conv4", "blocks.{i}.esa.expand"),
        ("B{i+1}.cca.conv_du.0", "blocks.{i}.channel_attention.squeeze"),
        ("B{i+1}.cca.conv_du.2", "blocks.{i}.channel_attention.excite"),
        ("B{i+1}.cw", "blocks.{i}.channel_attention.weight"),
        ("B{i+1}.conv_out", "blocks.{i}.channel_attention.conv"),
        ("c1", "aggregation"),
        *_separable("c2", "smooth"),
        ("upsampler.upsampleOneStep.0", "upsample"),
    )
)

SPELLINGS: Mapping[Family, tuple[Spelling, ...]] = MappingProxyType(
    {
        "fmen": (_fmen("ERBs", "HFABs"), _fmen("basic_blocks", "hfabs")),
        "maffsrn": (
            _maffsrn("weight_g", "weight_v"),
            _maffsrn("parametrizations.weight.original0", "parametrizations.weight.original1"),
        ),
        "safmn": (_SAFMN,),
        "bsrn": (_BSRN,),
    }
)
"""The spellings met in checkpoints, by family; our own needs none."""
