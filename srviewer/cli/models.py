"""``srviewer models``: what can run, and from which weights."""

from __future__ import annotations

from typing import Annotated

import typer

from srviewer.cli import console, options
from srviewer.session.wording import count_text

_HOW = {
    "built in": "built in",
    "shipped": "shipped",
    "official": "official",
    "yours": "yours",
    "gettable": "missing (weights get)",
    "by hand": "missing (weights import)",
}


def models(
    json_output: options.Json = False,
    search: Annotated[str, typer.Argument(metavar="[SEARCH]", help="Only ids that contain this.")] = "",
) -> None:
    """List the networks: scale, parameters, Multi-Adds for a 1280x720 output, and where their weights are."""
    from srviewer.zoo.manifest import availability, catalogue, weights_of
    from srviewer.zoo.spec import SPECS

    own = {entry.id: entry for entry in catalogue() if entry.id not in SPECS}
    rows = []
    records = []
    for model, spec in SPECS.items():
        if search.lower() not in model:
            continue
        listed = weights_of(model)
        records.append(
            {
                "id": model,
                "family": spec.family,
                "scale": spec.scale,
                "params": spec.parameters,
                "multi_adds_720p": spec.multi_adds_720p,
                "weights": [
                    {"source": entry.source, "installed": entry.installed, "licence": entry.licence}
                    for entry in listed
                ],
            }
        )
        rows.append(
            [
                model,
                f"{spec.name} ×{spec.scale}",
                count_text(spec.parameters),
                count_text(spec.multi_adds_720p),
                _HOW[availability(model)],
            ]
        )
    for model, entry in own.items():
        if search.lower() not in model:
            continue
        records.append(
            {
                "id": model,
                "family": entry.family,
                "scale": entry.scale,
                "params": entry.parameters,
                "multi_adds_720p": None,
                "weights": [{"source": entry.source, "installed": entry.installed, "licence": entry.licence}],
            }
        )
        rows.append([model, f"{entry.family} ×{entry.scale}", count_text(entry.parameters), "-", "yours"])
    if json_output:
        console.print_json({"models": records})
        return
    console.print_table(
        ["id", "network", "parameters", "Multi-Adds", "weights"], rows, right=frozenset({2, 3})
    )
