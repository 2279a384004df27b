"""Quality against cost as a figure in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from srviewer.app.docks.metrics import CostAxis
from srviewer.app.model_facts import facts_of, family_title
from srviewer.session.entries import ImageEntry
from srviewer.session.session import Session

if TYPE_CHECKING:
    from srviewer.app.dialogs.export_figure import FigureAnswer
    from srviewer.report.scatter import Cost, ScatterPoint


def scatter_points(session: Session, current: ImageEntry, axis: CostAxis) -> tuple[ScatterPoint, ...]:
    """Return a point for each ticked network that was measured and whose cost is known."""
    from srviewer.analysis.metrics import Metrics
    from srviewer.report.scatter import ScatterPoint

    points = []
    for model in session.document.ticked:
        score = session.document.score(current.id, model)
        result = session.document.result(current.id, model)
        facts = next((row for row in session.models if row.reference == model), None) or facts_of(model)
        if not isinstance(score, Metrics) or result is None or facts is None or facts.family is None:
            continue
        cost: float | None
        match axis:
            case "parameters":
                cost = facts.parameters
            case "multi_adds":
                cost = facts.multi_adds_720p
            case "seconds":
                cost = result.facts.seconds * 1000
        if cost is not None:
            family = family_title(facts.family)
            points.append(ScatterPoint(session.title_of(model), family, float(cost), score.psnr_y))
    return tuple(points)


def write_scatter(points: tuple[ScatterPoint, ...], axis: CostAxis, image: str, answer: FigureAnswer) -> None:
    """Draw the points and write the figure.

    Raises
    ------
    srviewer.report.drawing.FigureError
        There is nothing to draw, or the file has another suffix.
    srviewer.imaging.faults.ImageFileError
        The file cannot be written.
    """
    from srviewer.report.drawing import save_figure
    from srviewer.report.scatter import scatter_figure

    costs: dict[CostAxis, Cost] = {
        "parameters": "params",
        "multi_adds": "multi_adds",
        "seconds": "runtime_ms",
    }
    figure = scatter_figure(points, costs[axis], title=image, width=answer.width, height=answer.width * 0.75)
    save_figure(figure, answer.path, overwrite=answer.overwrite)
