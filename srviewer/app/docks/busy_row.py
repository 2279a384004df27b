"""A row that tells how far a job is, and lets it be cancelled."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QToolButton, QWidget

from srviewer.app.theme import small_font
from srviewer.session.queue import Job

_STEPS = 1000


class BusyRow(QWidget):
    """Words, a bar and a button; hidden while there is no job.

    Signals
    -------
    cancel_wished : the button was pressed.
    """

    cancel_wished = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.words = QLabel()
        self.words.setProperty("role", "muted")
        self.words.setFont(small_font(self.font()))
        self.bar = QProgressBar()
        self.bar.setRange(0, _STEPS)
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName("Progress")
        self.cancel = QToolButton()
        self.cancel.setText("Cancel")
        self.cancel.setAccessibleName("Cancel this job")
        self.cancel.clicked.connect(lambda _=False: self.cancel_wished.emit())
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 0, 4, 0)
        row.setSpacing(8)
        row.addWidget(self.words)
        row.addWidget(self.bar, 1)
        row.addWidget(self.cancel)
        self.hide()

    def show_job(self, job: Job | None) -> None:
        """Tell how far a job is; None hides the row."""
        self.setVisible(job is not None)
        if job is None:
            return
        words = {"waiting": "Waiting", "paused": "Paused"}.get(job.state, "Running")
        self.words.setText("Stopping" if job.cancelling else words)
        self.bar.setValue(round(job.share * _STEPS))
        self.cancel.setEnabled(not job.cancelling)
