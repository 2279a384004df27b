"""The style sheet of the window, a template over the colours of a theme."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template


def style_sheet(colours: Mapping[str, str], icons: Path) -> str:
    """Return the style sheet in the given colours.

    Parameters
    ----------
    colours : ``#rrggbb`` by the names of the palette's attributes.
    icons : the folder of icons, for arrows and check marks.
    """
    return _TEMPLATE.substitute(colours, icons=(icons / "actions").as_posix())


_TEMPLATE = Template("""
QToolTip {
    background: $raised; color: $text; border: 1px solid $outline; padding: 4px 6px;
}

QMainWindow, QDialog, QWidget#empty_state { background: $window; }
QMainWindow::separator { background: $window; width: 4px; height: 4px; }
QMainWindow::separator:hover { background: $accent; }

QMenuBar { background: $bar; padding: 2px 4px; }
QMenuBar::item { background: transparent; padding: 4px 8px; border-radius: 4px; }
QMenuBar::item:selected { background: $raised; }
QMenu { background: $surface; border: 1px solid $outline; padding: 4px; }
QMenu::item { padding: 4px 24px 4px 8px; border-radius: 4px; }
QMenu::item:selected { background: $accent; color: $on_accent; }
QMenu::item:disabled { color: $faint; background: transparent; }
QMenu::separator { height: 1px; background: $outline; margin: 4px 8px; }
QMenu::icon { padding-left: 8px; }

QToolBar { background: $bar; border: none; padding: 4px; spacing: 4px; }
QToolBar::separator { background: $outline; width: 1px; margin: 4px; }
QStatusBar { background: $bar; color: $muted; }
QStatusBar::item { border: none; }

QToolButton {
    background: transparent; color: $text; border: 1px solid transparent; border-radius: 4px;
    padding: 3px 6px;
}
QToolBar > QToolButton { background: $raised; padding: 4px 8px; }
QToolBar > QToolButton#qt_toolbar_ext_button { background: transparent; padding: 0px; border: none; }
QToolButton:hover, QToolBar > QToolButton:hover { background: $hover; border-color: $outline; }
QToolButton:pressed { background: $outline; }
QToolButton:checked, QToolBar > QToolButton:checked {
    background: $accent; color: $on_accent; border-color: $accent;
}
QToolButton:focus { border-color: $accent; }
QToolButton:checked:focus { border-color: $text; }
QToolButton:disabled { color: $faint; }
QToolButton[role="tool"] { padding: 3px; }
QToolButton[role="segment"] { padding: 3px 0; background: $raised; color: $muted; }
QToolButton[role="segment"]:hover { color: $text; }
QToolButton[role="segment"]:checked { background: $accent; color: $on_accent; }
QToolButton::menu-indicator { image: none; }

QPushButton {
    background: $raised; color: $text; border: 1px solid $outline; border-radius: 4px; padding: 4px 12px;
    min-height: 16px;
}
QPushButton:hover { background: $hover; }
QPushButton:pressed { background: $outline; }
QPushButton:focus { border-color: $accent; }
QPushButton:default { background: $accent; color: $on_accent; border-color: $accent; }
QPushButton:default:focus { border-color: $text; }
QPushButton:disabled { background: $window; color: $faint; border-color: $outline; }

QLineEdit, QSpinBox, QDoubleSpinBox, QComboBox, QPlainTextEdit, QTextBrowser {
    background: $surface; color: $text; border: 1px solid $outline; border-radius: 4px;
    padding: 3px 6px; min-height: 16px; selection-background-color: $accent; selection-color: $on_accent;
}
QDockWidget QLineEdit, QDockWidget QComboBox { background: $raised; border-color: $raised; }
QLineEdit:hover, QSpinBox:hover, QDoubleSpinBox:hover, QComboBox:hover { border-color: $muted; }
QLineEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus, QComboBox:focus, QPlainTextEdit:focus,
QDockWidget QLineEdit:focus, QDockWidget QComboBox:focus { border-color: $accent; }
QLineEdit:disabled, QSpinBox:disabled, QDoubleSpinBox:disabled, QComboBox:disabled {
    background: $window; color: $faint;
}
QLineEdit[invalid="true"] { border-color: $error; }
QAbstractSpinBox QLineEdit, QComboBox QLineEdit, QDockWidget QAbstractSpinBox QLineEdit {
    background: transparent; border: none; border-radius: 0; padding: 0;
}
QComboBox::drop-down { border: none; width: 20px; }
QComboBox::down-arrow { image: url("$icons/chevron-down.svg"); width: 12px; height: 12px; }
QComboBox QAbstractItemView {
    background: $surface; border: 1px solid $outline; padding: 2px; outline: 0;
    selection-background-color: $accent; selection-color: $on_accent;
}
QSpinBox::up-button, QSpinBox::down-button, QDoubleSpinBox::up-button, QDoubleSpinBox::down-button {
    border: none; width: 16px; background: transparent;
}
QSpinBox::up-arrow, QDoubleSpinBox::up-arrow {
    image: url("$icons/chevron-up.svg"); width: 10px; height: 10px;
}
QSpinBox::down-arrow, QDoubleSpinBox::down-arrow {
    image: url("$icons/chevron-down.svg"); width: 10px; height: 10px;
}

QCheckBox, QRadioButton { spacing: 8px; }
QCheckBox:disabled, QRadioButton:disabled { color: $faint; }
QCheckBox::indicator, QRadioButton::indicator, QAbstractItemView::indicator {
    width: 14px; height: 14px; background: $surface; border: 1px solid $muted;
}
QCheckBox::indicator, QAbstractItemView::indicator { border-radius: 3px; }
QRadioButton::indicator { border-radius: 8px; }
QCheckBox::indicator:hover, QRadioButton::indicator:hover { border-color: $text; }
QCheckBox::indicator:focus, QRadioButton::indicator:focus { border-color: $link; }
QCheckBox::indicator:checked, QAbstractItemView::indicator:checked {
    background: $accent; border-color: $accent; image: url("$icons/check.svg"); }
QCheckBox::indicator:checked:focus, QRadioButton::indicator:checked:focus { border-color: $text; }
QRadioButton::indicator:checked { background: $accent; border-color: $accent; image: url("$icons/dot.svg"); }
QCheckBox::indicator:disabled, QRadioButton::indicator:disabled { border-color: $faint; background: $window; }

QTabBar { background: $bar; }
QTabBar::tab {
    background: transparent; color: $muted; padding: 5px 10px; border: none;
    border-bottom: 2px solid transparent;
}
QTabBar::tab:hover { color: $text; background: $hover; }
QTabBar::tab:selected { color: $text; border-bottom-color: $accent; }
QTabBar::tab:focus { color: $link; }
QTabBar::tab:disabled { color: $faint; }
QTabWidget::pane { border: 1px solid $outline; border-radius: 4px; top: -1px; }

QDockWidget { color: $muted; }
QDockWidget > QWidget { background: $surface; }
QDockWidget QScrollArea, QDockWidget QScrollArea > QWidget > QWidget { background: $surface; }
QDockWidget::title { background: $bar; padding: 4px 8px; }

QAbstractItemView { background: $surface; border: none; outline: 0; }
QDialog QAbstractItemView { border: 1px solid $outline; border-radius: 4px; }
QDialog QListView::item, QDialog QTreeView::item { padding: 3px 4px; min-height: 16px; }
QDialog QListView::item:selected, QDialog QTreeView::item:selected { background: $selection; color: $text; }
QDialog QListView::item:hover:!selected, QDialog QTreeView::item:hover:!selected { background: $hover; }
QDockWidget QTreeWidget::item { padding: 2px 0; }
QDockWidget QTableWidget::item { padding: 1px 4px; }
QTableView { gridline-color: $outline; selection-background-color: $selection; selection-color: $text; }
QHeaderView { background: $surface; border: none; }
QHeaderView::section {
    background: $surface; color: $muted; border: none; border-bottom: 1px solid $outline; padding: 4px 5px;
}
QHeaderView::section:hover { color: $text; background: $hover; }
QTableCornerButton::section { background: $surface; border: none; }

QScrollBar { background: transparent; border: none; margin: 0; }
QScrollBar:vertical { width: 10px; }
QScrollBar:horizontal { height: 10px; }
QScrollBar::handle { background: $outline; border-radius: 3px; margin: 2px; }
QScrollBar::handle:vertical { min-height: 24px; }
QScrollBar::handle:horizontal { min-width: 24px; }
QScrollBar::handle:hover { background: $faint; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }

QProgressBar {
    background: $track; color: $text; border: none; border-radius: 3px; max-height: 6px; text-align: center;
}
QProgressBar::chunk { background: $accent; border-radius: 3px; }

QSlider::groove:horizontal { height: 4px; background: $track; border-radius: 2px; }
QSlider::sub-page:horizontal { background: $accent; border-radius: 2px; }
QSlider::handle:horizontal { width: 14px; margin: -5px 0; border-radius: 7px; background: $text; }
QSlider::handle:horizontal:focus { background: $link; }

QGroupBox { border: 1px solid $outline; border-radius: 4px; margin-top: 16px; padding: 8px; }
QGroupBox::title { subcontrol-origin: margin; left: 4px; color: $muted; }

QLabel[role="muted"] { color: $muted; }
QLabel[role="error"] { color: $error; }
QLabel[role="warning"] { color: $warning; }
QLabel[role="title"] { font-weight: 600; }
QFrame[role="line"] { background: $outline; max-height: 1px; border: none; }
""")
