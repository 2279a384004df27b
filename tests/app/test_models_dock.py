from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMainWindow
from pytestqt.qtbot import QtBot

from srviewer import paths
from srviewer.app.bridge import Bridge
from srviewer.app.docks.models import ModelFacts, ModelsDock
from srviewer.app.theme import apply_theme
from srviewer.session.document import Document
from srviewer.zoo.manifest import Weights, write_own_entry, yours_folder
from srviewer.zoo.spec import SPECS

LEFT = Qt.MouseButton.LeftButton

MANIFEST = """
[[weights]]
id = "fmen_s_x4"
source = "official"
urls = ["https://github.com/NJU-Jet/FMEN/raw/x/test_weights.pt"]
sha256 = "{sha}"
bytes = 1_390_163
family = "fmen"
scale = 4
licence = "Apache-2.0"
scores.Set5 = {{ psnr_y = 32.12, ssim_y = 0.8949 }}

[[weights]]
id = "safmn_x4"
source = "shipped"
file = "safmn_x4.safetensors"
sha256 = "{sha}"
family = "safmn"
scale = 4
licence = "Apache-2.0"
data = "photographs"
"""


@dataclass
class Session:
    bridge: Bridge
    document: Document
    folder: Path


@pytest.fixture
def session(qapp: QApplication, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "manifest.toml").write_text(MANIFEST.format(sha="0" * 64), "utf-8")
    (folder / "safmn_x4.safetensors").touch()
    monkeypatch.setattr(paths, "weights_folder", lambda: folder)
    apply_theme(qapp, "dark")
    bridge = Bridge()
    yield Session(bridge, Document(bridge.listener), folder)
    qapp.setStyleSheet("")


@pytest.fixture
def models(qtbot: QtBot, session: Session) -> Iterator[ModelsDock]:
    dock = ModelsDock(session.document, session.bridge)
    window = QMainWindow()
    qtbot.addWidget(window)
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, dock)
    window.resize(240, 900)
    window.show()
    qtbot.waitExposed(window)
    dock.tick_wished.connect(session.document.set_ticked)
    yield dock
    window.close()


def ticked(session: Session) -> tuple[str, ...]:
    return session.document.ticked


def shown(dock: ModelsDock) -> list[str]:
    return [row.model for row in dock.rows.models]


def click(dock: ModelsDock, model: str) -> None:
    index = dock.rows.index_of(model)
    dock.view.scrollTo(index)
    QTest.mouseClick(dock.view.viewport(), LEFT, pos=dock.view.visualRect(index).center())


def badge(dock: ModelsDock, model: str) -> str:
    row = dock.rows.row(dock.rows.index_of(model))
    assert row is not None
    return row.badge


def own(model: str) -> Weights:
    path = yours_folder() / f"{model}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    weights = Weights(model, "yours", path, "1" * 64, "safmn", 4, "mine", parameters=240_000)
    write_own_entry(weights)
    return weights


def drop(dock: ModelsDock, names: list[str]) -> bool:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(name) for name in names])
    action, none = Qt.DropAction.CopyAction, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(QPoint(40, 200), action, data, LEFT, none)
    QApplication.sendEvent(dock, enter)
    if not enter.isAccepted():
        return False
    QApplication.sendEvent(dock, QDropEvent(QPointF(40, 200), action, data, LEFT, none))
    return True


def test_every_network_has_a_row_under_its_family(models: ModelsDock) -> None:
    assert shown(models) == list(SPECS)
    texts = [models.rows.index(place).data() for place in range(models.rows.rowCount())]
    assert texts.index("SAFMN") < texts.index("SAFMN ×2") < texts.index("BSRN") < texts.index("BSRN-S ×4")
    row = models.rows.row(models.rows.index_of("bsrn_x4"))
    assert row is not None
    assert row.detail == "352 K · 19.2 G Multi-Adds"


def test_badges_say_where_weights_come_from(models: ModelsDock, session: Session) -> None:
    assert badge(models, "bicubic_x4") == ""
    assert badge(models, "safmn_x4") == "shipped"
    assert badge(models, "fmen_s_x4") == "Get"
    assert badge(models, "maffsrn_x4") == "by hand"
    own("maffsrn_x4")
    own("my_net")
    models.refresh()
    assert badge(models, "my_net") == "yours"
    row = models.rows.row(models.rows.index_of("my_net"))
    assert row is not None
    assert (row.title, row.detail, row.group) == ("my_net ×4", "240 K · SAFMN", "Your models")


def test_a_click_ticks_and_unticks(models: ModelsDock, session: Session) -> None:
    click(models, "safmn_x4")
    assert ticked(session) == ("safmn_x4",)
    assert models.title_row.count.text() == "1 ticked"
    click(models, "bicubic_x4")
    assert ticked(session) == ("safmn_x4", "bicubic_x4")
    click(models, "safmn_x4")
    assert ticked(session) == ("bicubic_x4",)


def test_space_ticks_and_arrows_pass_over_headings(models: ModelsDock, session: Session) -> None:
    models.view.setFocus()
    models.view.setCurrentIndex(models.rows.index_of("bicubic_x4"))
    QTest.keyClick(models.view, Qt.Key.Key_Space)
    assert ticked(session) == ("bicubic_x4",)
    current = models.rows.row(models.view.currentIndex())
    assert current is not None
    assert current.model == "bicubic_x4"
    QTest.keyClick(models.view, Qt.Key.Key_Down)
    below = models.rows.row(models.view.currentIndex())
    assert below is not None
    assert below.model == "fmen_x2"


def test_missing_weights_are_wished_for_instead_of_ticked(
    models: ModelsDock, session: Session, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(models.get_wished, check_params_cb=lambda model: model == "fmen_s_x4"):
        click(models, "fmen_s_x4")
    models.set_download("fmen_s_x4", 0.4, "0.5 of 1.3 MB")
    with qtbot.assertNotEmitted(models.get_wished):
        click(models, "fmen_s_x4")
    models.set_download("fmen_s_x4", None, "")
    assert models.rows.download("fmen_s_x4") is None
    with qtbot.waitSignal(models.import_wished):
        click(models, "maffsrn_x2")
    assert ticked(session) == ()


def test_a_search_finds_by_name_family_and_source(models: ModelsDock, qtbot: QtBot) -> None:
    models.search_field.setFocus()
    QTest.keyClicks(models.search_field, "bsrn x4")
    assert shown(models) == ["bsrn_x4", "bsrn_s_x4"]
    models.search_field.clear()
    QTest.keyClicks(models.search_field, "shipped")
    assert shown(models) == ["safmn_x4"]
    models.search_field.clear()
    QTest.keyClicks(models.search_field, "nothing of the kind")
    assert shown(models) == []
    models.search_field.clear()
    assert shown(models) == list(SPECS)


def test_one_scale_can_be_shown_alone(models: ModelsDock) -> None:
    QTest.mouseClick(models.scale_buttons.button(3), LEFT)
    assert {SPECS[model].scale for model in shown(models)} == {3}
    QTest.mouseClick(models.scale_buttons.button(0), LEFT)
    assert shown(models) == list(SPECS)


def test_down_goes_from_the_search_into_the_list(models: ModelsDock, session: Session, qtbot: QtBot) -> None:
    models.search_field.setFocus()
    QTest.keyClicks(models.search_field, "safmn x4")
    QTest.keyClick(models.search_field, Qt.Key.Key_Down)
    qtbot.waitUntil(models.view.hasFocus)
    QTest.keyClick(models.view, Qt.Key.Key_Space)
    assert ticked(session) == ("safmn_x4",)


def test_refreshing_keeps_the_place(models: ModelsDock) -> None:
    models.view.setCurrentIndex(models.rows.index_of("safmn_x4"))
    models.refresh()
    assert models.view.currentIndex() == models.rows.index_of("safmn_x4")


def test_only_checkpoints_are_taken_by_a_drop(models: ModelsDock, qtbot: QtBot) -> None:
    with qtbot.waitSignal(models.checkpoint_dropped) as told:
        assert drop(models, ["/w/a.pth", "/w/b.SAFETENSORS"])
    assert told.args == [[Path("/w/a.pth"), Path("/w/b.SAFETENSORS")]]
    assert not drop(models, ["/p/a.png"])
    assert not drop(models, ["/w/a.pth", "/p/a.png"])


def test_a_checkpoint_gets_a_row_that_can_go(models: ModelsDock, session: Session, qtbot: QtBot) -> None:
    path = Path("/w/mine.pth")
    models.add_checkpoint(path, ModelFacts("bsrn", "BSRN variant", 3, 123_456))
    row = models.rows.row(models.rows.index_of(str(path)))
    assert row is not None
    assert (row.title, row.badge, row.scale) == ("mine ×3", "file", 3)
    click(models, str(path))
    assert ticked(session) == (str(path),)
    remove = next(one for one in models.menu_of(row).actions() if one.text() == "Remove from the list")
    with qtbot.waitSignal(models.remove_wished, check_params_cb=lambda model: model == str(path)):
        remove.trigger()
    session.document.tick([])
    models.forget_checkpoint(path)
    assert not models.rows.index_of(str(path)).isValid()


def test_a_ticked_reference_to_other_weights_gets_a_row(models: ModelsDock, session: Session) -> None:
    session.document.tick(["safmn_x4@shipped", "/w/unread.pth"])
    row = models.rows.row(models.rows.index_of("safmn_x4@shipped"))
    assert row is not None
    assert (row.title, row.badge, row.state) == ("SAFMN ×4 (shipped)", "shipped", "ready")
    assert models.rows.index_of("/w/unread.pth").isValid()


def test_the_menu_offers_each_source_of_weights(models: ModelsDock, session: Session, qtbot: QtBot) -> None:
    own("safmn_x4")
    models.refresh()
    row = models.rows.row(models.rows.index_of("safmn_x4"))
    assert row is not None
    actions = {one.text(): one for one in models.menu_of(row).actions()}
    assert actions["Tick yours weights"].isCheckable()
    actions["Tick shipped weights"].trigger()
    assert ticked(session) == ("safmn_x4@shipped",)
    assert "Remove your weights…" in actions


def test_tips_tell_paper_source_licence_and_scores(models: ModelsDock) -> None:
    tip = models.rows.index_of("fmen_s_x4").data(Qt.ItemDataRole.ToolTipRole)
    for words in (
        "Fast and Memory-Efficient",
        "Apache-2.0",
        "Set5: 32.12 dB / 0.8949",
        "341,066",
        "not installed",
    ):
        assert words in tip


def test_rows_are_told_to_screen_readers(models: ModelsDock, session: Session) -> None:
    session.document.tick(["safmn_x4"])
    told = models.rows.index_of("safmn_x4").data(Qt.ItemDataRole.AccessibleTextRole)
    assert told == "SAFMN ×4, 240 K · 13.5 G Multi-Adds, shipped, ticked"
    assert models.view.accessibleName() == "Models"


def test_a_broken_list_of_weights_is_said(
    models: ModelsDock, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = session.folder / "broken"
    broken.mkdir()
    (broken / "manifest.toml").write_text("[[weights]", "utf-8")
    monkeypatch.setattr(paths, "weights_folder", lambda: broken)
    models.refresh()
    assert "cannot be read" in models.rows.fault
    assert shown(models) == ["bicubic_x2", "bicubic_x3", "bicubic_x4"]
