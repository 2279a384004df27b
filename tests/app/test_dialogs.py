from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QFileDialog, QLabel, QWidget
from pytestqt.qtbot import QtBot

from srviewer import __version__
from srviewer.app.dialogs.about import AboutDialog, libraries, networks_text
from srviewer.app.dialogs.export_figure import ExportFigureDialog, FigureAnswer, FigurePane
from srviewer.app.dialogs.files import FileDialogs
from srviewer.app.dialogs.output import OutputChoice, OutputItem, losses, planned_paths
from srviewer.app.dialogs.preferences import DeviceChoice, Preferences, PreferencesDialog
from srviewer.app.dialogs.save_results import SaveAnswer, SaveResultsDialog
from srviewer.app.dialogs.shortcuts import ShortcutRow, ShortcutsDialog
from srviewer.engine.request import UpscaleOptions
from srviewer.session.naming import NamingError, ResultNaming


def item(
    stem: str, model: str = "bsrn_x4", suffix: str = ".png", bits: int = 8, alpha: bool = False
) -> OutputItem:
    return OutputItem(ResultNaming(stem, model, 4, "bsrn"), suffix, bits, alpha)


Dialog = TypeVar("Dialog", bound=QDialog)

PANES = (
    FigurePane("truth", "Ground truth"),
    FigurePane("bicubic_x4", "Bicubic ×4"),
    FigurePane("bsrn_x4", "BSRN ×4"),
)
DEVICES = (DeviceChoice("cuda:0", "NVIDIA H200"), DeviceChoice("cpu", "AMD EPYC 9554, 64 threads"))


def no_label_is_cut(dialog: QDialog) -> None:
    for label in dialog.findChildren(QLabel):
        if label.isVisible() and not label.wordWrap():
            assert label.width() >= label.sizeHint().width() - 1, label.text()


def answering(kind: type[Dialog], act: Callable[[Dialog], None]) -> None:
    """Let `act` use the dialog that is about to be asked."""

    def use() -> None:
        dialog = QApplication.activeModalWidget()
        assert isinstance(dialog, kind)
        try:
            act(dialog)
        finally:
            dialog.close()  # else a failed assertion would leave the test inside the dialog

    QTimer.singleShot(0, use)


# Planned names


def test_names_keep_the_inputs_format_and_never_collide(tmp_path: Path) -> None:
    (tmp_path / "a_bsrn_x4.PNG").touch()
    (tmp_path / "a_bsrn_x4.png").touch()
    paths = planned_paths(
        [item("a"), item("a"), item("b", suffix=".TIF"), item("c", suffix=""), item("d", suffix=".gif")],
        OutputChoice(tmp_path),
    )
    assert [path.name for path in paths] == [
        "a_bsrn_x4_2.png",
        "a_bsrn_x4_3.png",
        "b_bsrn_x4.tif",
        "c_bsrn_x4.png",
        "d_bsrn_x4.png",
    ]


def test_names_that_exist_are_kept_where_they_are_to_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "a_bsrn_x4.png").touch()
    paths = planned_paths([item("a"), item("a")], OutputChoice(tmp_path, replace=True))
    assert [path.name for path in paths] == ["a_bsrn_x4.png", "a_bsrn_x4_2.png"]


def test_a_chosen_format_and_template_are_followed(tmp_path: Path) -> None:
    choice = OutputChoice(tmp_path, "{model}_{stem}_{index:02d}", "JPEG")
    paths = planned_paths([item("a", "bsrn_x4@official", ".tif")], choice)
    assert [path.name for path in paths] == ["bsrn_x4-official_a_01.jpg"]
    with pytest.raises(NamingError):
        planned_paths([item("a")], OutputChoice(tmp_path, "{nonsense}"))


def test_what_a_format_cannot_hold_is_said() -> None:
    items = [item("a", bits=16, alpha=True)]
    assert losses(items, OutputChoice()) == ()
    told = losses(items, OutputChoice(form="JPEG"))
    assert len(told) == 2
    assert "8 bits" in told[0]
    assert "opacity" in told[1]


# Save results


def test_save_dialog_answers_what_it_shows(qtbot: QtBot, tmp_path: Path) -> None:
    answers: list[SaveAnswer | None] = []

    def use(dialog: SaveResultsDialog) -> None:
        dialog.template.clear()
        QTest.keyClicks(dialog.template, "{stem}-up")
        dialog.format.setCurrentText("JPEG")
        dialog.quality.setValue(88)
        no_label_is_cut(dialog)
        assert dialog.preview.toPlainText() == "a-up.jpg\nb-up.jpg"
        QTest.mouseClick(dialog.accept_button, Qt.MouseButton.LeftButton)

    answering(SaveResultsDialog, use)
    answers.append(SaveResultsDialog.ask([item("a"), item("b")], OutputChoice(tmp_path)))
    answer = answers[0]
    assert answer is not None
    assert answer.paths == (tmp_path / "a-up.jpg", tmp_path / "b-up.jpg")
    assert answer.choice == OutputChoice(tmp_path, "{stem}-up", "JPEG", 88)
    assert answer.choice.write_options().jpeg_quality == 88


def test_save_dialog_can_be_left(qtbot: QtBot, tmp_path: Path) -> None:
    answering(SaveResultsDialog, lambda dialog: QTest.keyClick(dialog, Qt.Key.Key_Escape))
    assert SaveResultsDialog.ask([item("a")], OutputChoice(tmp_path)) is None


def test_save_dialog_refuses_what_cannot_be_done(qtbot: QtBot, tmp_path: Path) -> None:
    dialog = SaveResultsDialog([item("a")], OutputChoice(None))
    qtbot.addWidget(dialog)
    assert not dialog.accept_button.isEnabled()
    assert dialog.remark.text() == "Choose a folder."
    dialog.folder.edit.setText(str(tmp_path))
    assert dialog.accept_button.isEnabled()
    dialog.template.setText("{stem}/{model}")
    assert not dialog.accept_button.isEnabled()
    assert "path separator" in dialog.remark.text()
    assert dialog.template.property("invalid") is True
    dialog.template.setText("{stem}")
    assert dialog.template.property("invalid") is False
    (tmp_path / "file").touch()
    dialog.folder.edit.setText(str(tmp_path / "file"))
    assert not dialog.accept_button.isEnabled()


def test_save_dialog_says_what_will_be_replaced(qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "a_bsrn_x4.png").touch()
    dialog = SaveResultsDialog([item("a"), item("b")], OutputChoice(tmp_path))
    qtbot.addWidget(dialog)
    assert dialog.remark.text() == ""
    dialog.existing.setCurrentIndex(1)
    assert dialog.remark.text() == "1 file will be replaced."
    assert dialog.answer().choice.replace


def test_quality_belongs_to_lossy_formats(qtbot: QtBot, tmp_path: Path) -> None:
    dialog = SaveResultsDialog([item("a")], OutputChoice(tmp_path))
    qtbot.addWidget(dialog)
    assert not dialog.quality.isEnabled()
    dialog.format.setCurrentText("WebP")
    assert dialog.quality.isEnabled()
    assert not dialog.subsampling.isEnabled()
    dialog.format.setCurrentText("JPEG")
    assert dialog.subsampling.isEnabled()


# Export figure


def test_figure_dialog_answers_ticked_panes_in_order(qtbot: QtBot, tmp_path: Path) -> None:
    def use(dialog: ExportFigureDialog) -> None:
        second = dialog.panes.item(1)
        assert second is not None
        second.setCheckState(Qt.CheckState.Unchecked)
        dialog.format.setCurrentText("PDF")
        dialog.preset.setCurrentIndex(1)
        no_label_is_cut(dialog)
        QTest.mouseClick(dialog.accept_button, Qt.MouseButton.LeftButton)

    answering(ExportFigureDialog, use)
    answer = ExportFigureDialog.ask(tmp_path / "fig.png", PANES, "img_019")
    assert answer == FigureAnswer(tmp_path / "fig.pdf", ("truth", "bsrn_x4"), "img_019", 3.5, overwrite=False)


def test_figure_dialog_asks_before_it_replaces(qtbot: QtBot, tmp_path: Path) -> None:
    (tmp_path / "fig.svg").touch()
    dialog = ExportFigureDialog(tmp_path / "fig.svg")
    qtbot.addWidget(dialog)
    dialog.show()
    assert dialog.replace.isVisible()
    assert not dialog.accept_button.isEnabled()
    dialog.replace.setChecked(True)
    assert dialog.accept_button.isEnabled()
    answer = dialog.answer()
    assert answer is not None
    assert answer.overwrite
    dialog.file.edit.setText(str(tmp_path / "other.svg"))
    assert dialog.answer() == FigureAnswer(tmp_path / "other.svg", (), "", 7.16, overwrite=False)


def test_figure_dialog_refuses_what_cannot_be_done(qtbot: QtBot, tmp_path: Path) -> None:
    dialog = ExportFigureDialog(tmp_path / "fig.png", PANES)
    qtbot.addWidget(dialog)
    assert dialog.accept_button.isEnabled()
    for text, reason in (
        ("", "Choose a file"),
        (str(tmp_path / "fig.gif"), "has to end in"),
        (str(tmp_path / "none" / "fig.png"), "does not exist"),
    ):
        dialog.file.edit.setText(text)
        assert not dialog.accept_button.isEnabled()
        assert reason in dialog.remark.text()
    dialog.file.edit.setText(str(tmp_path / "fig.svg"))
    assert dialog.format.currentText() == "SVG"
    for place in range(3):
        one = dialog.panes.item(place)
        assert one is not None
        one.setCheckState(Qt.CheckState.Unchecked)
    assert not dialog.accept_button.isEnabled()


# Preferences


def test_preferences_come_back_as_they_went_in(qtbot: QtBot, tmp_path: Path) -> None:
    for preferences in (
        Preferences(),
        Preferences(
            UpscaleOptions("cpu", "bf16", 192, 3_000_000_000, self_ensemble=True),
            "light",
            OutputChoice(tmp_path, "{stem}_{scale}", "WEBP", 70, "4:2:0", replace=True),
            run_on_drop=False,
        ),
        Preferences(UpscaleOptions("cuda:7", tile="off")),
    ):
        dialog = PreferencesDialog(preferences, DEVICES)
        qtbot.addWidget(dialog)
        assert dialog.answer() == preferences


def test_preferences_are_changed(qtbot: QtBot) -> None:
    def use(dialog: PreferencesDialog) -> None:
        no_label_is_cut(dialog)
        dialog.device.setCurrentText("NVIDIA H200")
        dialog.tile.setCurrentText("Fixed size")
        dialog.tile_side.setValue(96)
        dialog.limited.setChecked(True)
        dialog.memory.setValue(2.5)
        dialog.theme.setCurrentText("Dark")
        QTest.mouseClick(dialog.accept_button, Qt.MouseButton.LeftButton)

    answering(PreferencesDialog, use)
    answer = PreferencesDialog.ask(Preferences(), DEVICES)
    assert answer == Preferences(UpscaleOptions("cuda:0", tile=96, max_memory=5 << 29), "dark")


def test_preferences_refuse_a_broken_template_and_can_be_reset(qtbot: QtBot) -> None:
    dialog = PreferencesDialog(Preferences(UpscaleOptions("cpu", "fp32"), "light"), DEVICES)
    qtbot.addWidget(dialog)
    dialog.template.setText("{what}")
    assert not dialog.accept_button.isEnabled()
    assert "{what}" in dialog.remark.text()
    reset = next(button for button in dialog.buttons.buttons() if button.text() == "Restore defaults")
    reset.click()
    assert dialog.accept_button.isEnabled()
    assert dialog.answer() == Preferences()


# Shortcuts, about, files


def test_shortcuts_are_found(qtbot: QtBot) -> None:
    rows = [
        ShortcutRow("File", "Open…", "Ctrl+O"),
        ShortcutRow("View", "Grid", "G"),
        ShortcutRow("View", "Fit", "F"),
    ]
    dialog = ShortcutsDialog.show_rows(rows)
    qtbot.addWidget(dialog)
    QTest.keyClicks(dialog.search, "grid")
    headings = [dialog.tree.topLevelItem(place) for place in range(2)]
    assert [heading.isHidden() for heading in headings if heading is not None] == [True, False]
    view = headings[1]
    assert view is not None
    children = [view.child(place) for place in range(2)]
    assert [child.isHidden() for child in children if child is not None] == [False, True]
    with qtbot.waitSignal(dialog.destroyed):
        dialog.close()


def test_about_names_libraries_and_licences(qtbot: QtBot) -> None:
    found = {library.name: library for library in libraries()}
    assert "LGPL" in found["PySide6-Essentials"].licence
    assert found["numpy"].version[0].isdigit()
    assert all(library.licence for library in found.values())
    text = networks_text()
    assert all(word in text for word in ("BSRN", "SAFMN", "MAFFSRN", "FMEN", "Apache-2.0", "MIT"))
    parent = QWidget()
    qtbot.addWidget(parent)
    dialog = AboutDialog.show_it(parent)
    assert any(__version__ in label.text() for label in dialog.findChildren(QLabel))
    with qtbot.waitSignal(dialog.destroyed):
        dialog.close()


def test_a_file_dialog_gives_the_suffix_of_the_form(
    qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The system's own file dialog cannot be driven by a test.
    asked: list[str] = []

    def accept(dialog: QFileDialog) -> int:
        asked.append(Path(dialog.selectedFiles()[0]).name)
        return QDialog.DialogCode.Accepted.value

    monkeypatch.setattr(QFileDialog, "exec", accept)
    for form, suffix in (("csv", ".csv"), ("latex", ".tex"), ("markdown", ".md"), ("json", ".json")):
        chosen = FileDialogs.table(tmp_path / "metrics.txt", form)  # type: ignore[arg-type]  # strings of a loop
        assert chosen == tmp_path / f"metrics{suffix}"
    assert asked == ["metrics.csv", "metrics.tex", "metrics.md", "metrics.json"]
