"""``srviewer complexity``: parameters, Multi-Adds, activations and convolutions of a network."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from srviewer.cli import console, options
from srviewer.session.wording import count_text


def complexity(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A network's id or a checkpoint file.")],
    size: Annotated[str, typer.Option("--size", metavar="WxH", help="Size of the output.")] = "1280x720",
    input_size: Annotated[
        str | None, typer.Option("--input-size", metavar="WxH", help="Size of the input instead.")
    ] = None,
    json_output: options.Json = False,
) -> None:
    """Count a network's parameters, Multi-Adds, activations and convolutions.

    Multi-Adds are those of convolution and linear weights; activations are the elements of all convolutions'
    outputs.
    """
    from srviewer.analysis.complexity import complexity as count
    from srviewer.cli.loading import check_models
    from srviewer.zoo.errors import ZooError
    from srviewer.zoo.model import load_model
    from srviewer.zoo.spec import SPECS

    output = options.parse_size(size)
    given = None if input_size is None else options.parse_size(input_size)
    try:
        if model in SPECS:  # needs no weights
            counts = count(SPECS[model], output, input_size=given)
        else:
            check_models([model])
            counts = count(load_model(model), output, input_size=given)
    except (ZooError, ValueError) as error:
        console.complain(f"{model}: {error}" if isinstance(error, ValueError) else str(error))
        raise typer.Exit(1) from None
    if json_output:
        console.print_json(dataclasses.asdict(counts))
        return
    typer.echo(f"parameters   {counts.params:,}")
    typer.echo(f"Multi-Adds   {counts.multi_adds:,} ({count_text(counts.multi_adds)})")
    typer.echo(f"activations  {counts.activations:,} ({count_text(counts.activations)})")
    typer.echo(f"convolutions {counts.convs}")
    typer.echo(f"for a result of {counts.size[0]}x{counts.size[1]}")
