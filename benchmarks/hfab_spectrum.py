"""High frequencies in FMEN's features before and after each HFAB, as the network really has them.

    python benchmarks/hfab_spectrum.py MODEL --images FOLDER

prints, as a Markdown table, for each attention block the share of the radial density above the cut-off before
and after it, mean over the images, and on how many of the images the block raised it. The features are means
over channels, without a window and with frequency zero (FMEN, section 4.3). The second table leaves frequency
zero out: the mean of the map is most of its power and says nothing of detail.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from srviewer.analysis.features import Plane, record
from srviewer.analysis.spectrum import CUT_OFF, spectrum
from srviewer.analysis.taps import attention_blocks
from srviewer.imaging.files import read_image
from srviewer.zoo.model import load_model


def shares(plane: Plane, cut_off: float) -> tuple[float, float]:
    """Return the percentage above the cut-off, with and without frequency zero."""
    whole, detail = spectrum(plane), spectrum(plane.astype(np.float64) - plane.mean(dtype=np.float64))
    return whole.high_frequency_share(cut_off), detail.high_frequency_share(cut_off)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="MODEL", help="an id or a checkpoint file")
    parser.add_argument("--images", type=Path, required=True, help="a folder of low-resolution images")
    parser.add_argument("--pattern", default="*_LR.png", help="which files in it (default %(default)s)")
    parser.add_argument(
        "--cut-off", type=float, default=CUT_OFF, help="cycles per pixel (default %(default)s)"
    )
    options = parser.parse_args()
    paths = sorted(options.images.glob(options.pattern))
    if not paths:
        parser.error(f"{options.images} holds no {options.pattern}")
    model = load_model(options.model)
    blocks = attention_blocks(model)
    if not blocks:
        parser.error(f"{model.id} has no attention")
    wanted = [tap for block in blocks for tap in (block.before, block.after)]
    # images x blocks x (before, after) x (with, without frequency zero)
    found = np.zeros((len(paths), len(blocks), 2, 2))
    for index, path in enumerate(paths):
        features = record(read_image(path).pixels, model, wanted, channels=())
        for number, block in enumerate(blocks):
            for side, tap in enumerate((block.before, block.after)):
                found[index, number, side] = shares(features.at(tap).average, options.cut_off)
    for part, title in enumerate(("with frequency zero", "without frequency zero")):
        print(f"\n{model.id}, {len(paths)} images, share above {options.cut_off:g} cycles/px [%], {title}\n")
        print("| block | before | after | after / before | raised on |")
        print("|---|---:|---:|---:|---:|")
        for number, block in enumerate(blocks):
            before, after = found[:, number, 0, part], found[:, number, 1, part]
            ratio = after.mean() / before.mean() if before.mean() > 0 else float("nan")
            raised = f"{int((after > before).sum())} of {len(paths)}"
            print(f"| {block.label} | {before.mean():.4g} | {after.mean():.4g} | {ratio:.3g} | {raised} |")


if __name__ == "__main__":
    main()
