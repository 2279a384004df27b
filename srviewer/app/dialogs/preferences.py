"""The dialog for what the program keeps to: how networks run, how the window looks, how results are saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from PySide6.QtWidgets import (
    QCheckBox,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QGroupBox,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from srviewer.app.dialogs.form import FormDialog, choice_box, mark_invalid, remark
from srviewer.app.dialogs.output import FORMS, OutputChoice
from srviewer.app.theme import ThemeChoice
from srviewer.engine.request import SMALLEST_TILE, PrecisionChoice, TileChoice, UpscaleOptions
from srviewer.session.naming import NamingError, check_template

_PRECISIONS: tuple[tuple[PrecisionChoice, str], ...] = (
    ("auto", "Automatic"),
    ("fp32", "fp32 (exact)"),
    ("bf16", "bf16"),
    ("fp16", "fp16"),
)
_TILES = ("Automatic", "Whole image at once", "Fixed size")
_THEMES: tuple[tuple[ThemeChoice, str], ...] = (
    ("system", "As the system"),
    ("light", "Light"),
    ("dark", "Dark"),
)
_GIGABYTE = 1 << 30


@dataclass(frozen=True, slots=True)
class DeviceChoice:
    """A device that networks can run on: its id, and its name for people."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the user prefers.

    Attributes
    ----------
    options : how networks run.
    theme : how the window looks.
    output : how results are saved, unless told otherwise; its folder is not asked for here.
    run_on_drop : whether new images are run at once.
    """

    options: UpscaleOptions = field(default_factory=UpscaleOptions)
    theme: ThemeChoice = "system"
    output: OutputChoice = field(default_factory=OutputChoice)
    run_on_drop: bool = True


class PreferencesDialog(FormDialog):
    """Asks for all preferences on one page."""

    def __init__(
        self, preferences: Preferences, devices: Sequence[DeviceChoice] = (), parent: QWidget | None = None
    ) -> None:
        super().__init__("Preferences", "Save", parent)
        self._begun_with = preferences
        options, output = preferences.options, preferences.output
        known = [DeviceChoice("auto", "Automatic (the fastest)"), *devices]
        if options.device not in [device.id for device in known]:
            known.append(DeviceChoice(options.device, f"{options.device} (not there now)"))
        self._devices = tuple(known)
        self.device = choice_box(
            "Device",
            [device.name for device in known],
            [device.id for device in known].index(options.device),
        )
        self.precision = choice_box(
            "Precision",
            [text for _, text in _PRECISIONS],
            [one for one, _ in _PRECISIONS].index(options.precision),
        )
        self.tile = choice_box("Tiles", _TILES, _tile_place(options.tile))
        self.tile_side = QSpinBox()
        self.tile_side.setRange(SMALLEST_TILE, 4096)
        self.tile_side.setSingleStep(16)
        self.tile_side.setSuffix(" px")
        self.tile_side.setValue(options.tile if isinstance(options.tile, int) else 128)
        self.tile_side.setAccessibleName("Side of a tile in input pixels")
        self.limited = QCheckBox("Use at most")
        self.limited.setChecked(options.max_memory is not None)
        self.memory = QDoubleSpinBox()
        self.memory.setRange(0.1, 4096)
        self.memory.setDecimals(1)
        self.memory.setSuffix(" GB")
        self.memory.setValue(4.0 if options.max_memory is None else options.max_memory / _GIGABYTE)
        self.memory.setAccessibleName("Most memory for a network")
        self.ensemble = QCheckBox("Self-ensemble: average over all eight flips and turns (8 times slower)")
        self.ensemble.setChecked(options.self_ensemble)
        self.run_on_drop = QCheckBox("Run the ticked networks on new images at once")
        self.run_on_drop.setChecked(preferences.run_on_drop)
        running = self._group("Running networks")
        running.addRow("Device", self.device)
        running.addRow("Precision", self.precision)
        running.addRow("Tiles", self.tile)
        running.addRow("Side of a tile", self.tile_side)
        running.addRow(self.limited, self.memory)
        running.addRow(self.ensemble)
        running.addRow(self.run_on_drop)
        self.theme = choice_box(
            "Theme", [text for _, text in _THEMES], [one for one, _ in _THEMES].index(preferences.theme)
        )
        window = self._group("Window")
        window.addRow("Theme", self.theme)
        self.template = QLineEdit(output.template)
        self.template.setAccessibleName("Name template")
        self.format = choice_box("Format", tuple(FORMS.values()), tuple(FORMS).index(output.form))
        self.quality = QSpinBox()
        self.quality.setRange(1, 100)
        self.quality.setValue(output.quality)
        self.quality.setAccessibleName("Quality of JPEG, WebP and AVIF")
        self.remark = remark("", "warning")
        saving = self._group("Saving results")
        saving.addRow("Names", self.template)
        saving.addRow("Format", self.format)
        saving.addRow("Quality", self.quality)
        self.column.addWidget(self.remark)
        self.column.addStretch(1)
        reset: QPushButton = self.buttons.addButton("Restore defaults", QDialogButtonBox.ButtonRole.ResetRole)
        reset.setAutoDefault(False)
        reset.clicked.connect(lambda _=False: self._show(Preferences()))
        self.tile.currentIndexChanged.connect(lambda _: self._settle())
        self.limited.toggled.connect(lambda _: self._settle())
        self.template.textChanged.connect(lambda _: self._settle())
        self._settle()

    @classmethod
    def ask(
        cls, preferences: Preferences, devices: Sequence[DeviceChoice] = (), parent: QWidget | None = None
    ) -> Preferences | None:
        """Ask for all preferences, beginning with `preferences`; None if the user thought better of it.

        Parameters
        ----------
        preferences : those in force.
        devices : those of this machine, the fastest first; may be empty while they are not known.
        parent : the window.
        """
        dialog = cls(preferences, devices, parent)
        accepted = dialog.exec()
        answer = dialog.answer() if accepted else None
        dialog.deleteLater()
        return answer

    def answer(self) -> Preferences:
        """Return what stands in the fields."""
        tiles: tuple[TileChoice, ...] = ("auto", "off", self.tile_side.value())
        memory = round(self.memory.value() * _GIGABYTE) if self.limited.isChecked() else None
        before = self._begun_with.options.max_memory
        if memory is not None and before is not None and abs(memory - before) < _GIGABYTE / 20:
            memory = before  # the field shows tenths of a gigabyte; what was not touched stays as it was
        return Preferences(
            UpscaleOptions(
                self._devices[self.device.currentIndex()].id,
                _PRECISIONS[self.precision.currentIndex()][0],
                tiles[self.tile.currentIndex()],
                memory,
                self.ensemble.isChecked(),
            ),
            _THEMES[self.theme.currentIndex()][0],
            replace(
                self._begun_with.output,
                template=self.template.text(),
                form=tuple(FORMS)[self.format.currentIndex()],
                quality=self.quality.value(),
            ),
            self.run_on_drop.isChecked(),
        )

    def _group(self, title: str) -> QFormLayout:
        box = QGroupBox(title)
        form = QFormLayout()
        form.setHorizontalSpacing(12)
        form.setVerticalSpacing(8)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        inner = QVBoxLayout(box)
        inner.setContentsMargins(8, 8, 8, 8)
        inner.addLayout(form)
        self.column.addWidget(box)
        return form

    def _show(self, preferences: Preferences) -> None:
        """Put preferences into the fields."""
        options, output = preferences.options, preferences.output
        self.device.setCurrentIndex(0)
        self.precision.setCurrentIndex([one for one, _ in _PRECISIONS].index(options.precision))
        self.tile.setCurrentIndex(_tile_place(options.tile))
        self.limited.setChecked(options.max_memory is not None)
        self.ensemble.setChecked(options.self_ensemble)
        self.run_on_drop.setChecked(preferences.run_on_drop)
        self.theme.setCurrentIndex([one for one, _ in _THEMES].index(preferences.theme))
        self.template.setText(output.template)
        self.format.setCurrentIndex(tuple(FORMS).index(output.form))
        self.quality.setValue(output.quality)

    def _settle(self) -> None:
        self.tile_side.setEnabled(self.tile.currentIndex() == _TILES.index("Fixed size"))
        self.memory.setEnabled(self.limited.isChecked())
        fault = ""
        try:
            check_template(self.template.text())
        except NamingError as error:
            fault = f"{error}."
        mark_invalid(self.template, bool(fault))
        self.remark.setText(fault[:1].upper() + fault[1:])
        self.remark.setVisible(bool(fault))
        self.accept_button.setEnabled(not fault)


def _tile_place(tile: TileChoice) -> int:
    return 0 if tile == "auto" else 1 if tile == "off" else 2
