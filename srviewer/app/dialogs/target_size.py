"""The dialog that asks for the size that results are saved in."""

from __future__ import annotations

from PySide6.QtWidgets import QDoubleSpinBox, QSpinBox, QWidget

from srviewer.app.dialogs.form import FormDialog, choice_box, remark
from srviewer.app.target_size import LARGEST_SIDE, TargetKind, TargetSize, TargetSizeError
from srviewer.session.geometry import Size

_KINDS: tuple[tuple[TargetKind, str], ...] = (
    ("network", "As the network gives it"),
    ("factor", "A factor"),
    ("long edge", "Pixels along the longer side"),
    ("print", "A size on paper"),
)


class TargetSizeDialog(FormDialog):
    """Asks for a factor, a long edge or a print size, and shows what comes of it."""

    def __init__(self, target: TargetSize, source: Size | None, parent: QWidget | None = None) -> None:
        super().__init__("Target size", "Use", parent)
        self._source = source
        self.kind = choice_box(
            "Size", [text for _, text in _KINDS], [kind for kind, _ in _KINDS].index(target.kind)
        )
        self.factor = _number(target.factor, 0.1, 64.0, "×")
        self.edge = QSpinBox()
        self.edge.setRange(1, LARGEST_SIDE)
        self.edge.setValue(target.long_edge)
        self.edge.setSuffix(" px")
        self.paper = _number(target.print_centimetres, 0.5, 1000.0, " cm")
        self.density = _number(target.dots_per_inch, 10.0, 2400.0, " dpi")
        for field, name in (
            (self.factor, "Factor"),
            (self.edge, "Longer side in pixels"),
            (self.paper, "Longer side in centimetres"),
            (self.density, "Dots per inch"),
        ):
            field.setAccessibleName(name)
        form = self.add_form()
        form.addRow("Size", self.kind)
        form.addRow("Times the input", self.factor)
        form.addRow("Longer side", self.edge)
        form.addRow("Longer side on paper", self.paper)
        form.addRow("Density", self.density)
        self.outcome = remark("")
        self.column.addWidget(self.outcome)
        self.column.addWidget(
            remark(
                "Networks give ×2, ×3 or ×4; results are resampled from there (bicubic) when they are saved."
            )
        )
        self.column.addStretch(1)
        self.kind.currentIndexChanged.connect(lambda _: self._settle())
        for field in (self.factor, self.edge, self.paper, self.density):
            field.valueChanged.connect(lambda _: self._settle())
        self._settle()

    @classmethod
    def ask(cls, target: TargetSize, source: Size | None, parent: QWidget | None = None) -> TargetSize | None:
        """Ask for a size, beginning with `target`; None if the user thought better of it.

        Parameters
        ----------
        target : what is chosen now.
        source : size of the shown image as the networks get it; None without one.
        parent : the window.
        """
        dialog = cls(target, source, parent)
        accepted = dialog.exec()
        answer = dialog.answer() if accepted else None
        dialog.deleteLater()
        return answer

    def answer(self) -> TargetSize:
        """Return what stands in the fields."""
        return TargetSize(
            _KINDS[self.kind.currentIndex()][0],
            self.factor.value(),
            self.edge.value(),
            self.paper.value(),
            self.density.value(),
        )

    def _settle(self) -> None:
        """Enable the fields that count, and show what comes of them."""
        kind = _KINDS[self.kind.currentIndex()][0]
        self.factor.setEnabled(kind == "factor")
        self.edge.setEnabled(kind == "long edge")
        self.paper.setEnabled(kind == "print")
        self.density.setEnabled(kind == "print")
        possible = True
        text = ""
        if self._source is not None and kind != "network":
            try:
                size = self.answer().size_for(self._source, 1)
                times = max(size.width, size.height) / max(self._source.width, self._source.height)
                text = f"The shown image: {self._source} becomes {size}, {times:.2f} times."
            except TargetSizeError as error:
                text, possible = f"{error}.", False
        self.outcome.setText(text[:1].upper() + text[1:])
        self.accept_button.setEnabled(possible)


def _number(value: float, low: float, high: float, suffix: str) -> QDoubleSpinBox:
    field = QDoubleSpinBox()
    field.setRange(low, high)
    field.setDecimals(2 if suffix == "×" else 1)
    field.setValue(value)
    field.setSuffix(suffix)
    return field
