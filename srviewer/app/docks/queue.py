"""The Queue dock: the jobs, how far they are, and what can be done with them."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QItemSelectionModel, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QLabel, QMenu, QWidget

from srviewer.app.bridge import Bridge
from srviewer.app.docks.dock import Dock
from srviewer.app.docks.job_painting import JobDelegate, JobList
from srviewer.app.docks.job_rows import JobAct, JobEstimate, JobRow, JobRows
from srviewer.app.docks.row_painting import Index
from srviewer.app.theme import numbers_font
from srviewer.session.document import Document
from srviewer.session.events import JobChanged, JobId
from srviewer.session.queue import Queue
from srviewer.session.wording import bytes_text

if TYPE_CHECKING:
    from srviewer.app.docks.plots import MemorySparkline

_REMEMBERED = 240  # samples of memory; two a second show two minutes

_TOOLS: tuple[tuple[JobAct, str, str], ...] = (
    ("Pause", "pause", "Pause the running job"),
    ("Resume", "play", "Resume the paused job"),
    ("Cancel", "cancel", "Cancel the job"),
    ("Retry", "retry", "Try the job again"),
    ("Show", "show", "Show the job's image"),
    ("Remove", "remove", "Remove the job from the queue"),
)


class QueueDock(Dock):
    """The list of jobs, with tools that act on the chosen one.

    Signals
    -------
    pause_wished, resume_wished : pause the running job, or let the paused one go on.
    cancel_wished, retry_wished, remove_wished, show_wished : what to do with a job (`JobId`).
    move_wished : let a waiting job go one place up (-1) or down (1); once for each place.
    clear_wished : take finished jobs out.
    """

    pause_wished = Signal()
    resume_wished = Signal()
    cancel_wished = Signal(object)
    retry_wished = Signal(object)
    remove_wished = Signal(object)
    move_wished = Signal(object, int)
    clear_wished = Signal()
    show_wished = Signal(object)

    def __init__(
        self, queue: Queue, document: Document, bridge: Bridge, parent: QWidget | None = None
    ) -> None:
        super().__init__("queue", "Queue", parent)
        self._queue = queue
        self.rows = JobRows(queue, document, self)
        self.view = JobList(self)
        self.view.setModel(self.rows)
        self.view.setItemDelegate(JobDelegate(self.view))
        self.setWidget(self.view)
        self._samples: deque[tuple[float, int]] = deque(maxlen=_REMEMBERED)
        self._sparkline: MemorySparkline | None = None
        self._shown_active: JobId | None = None
        self._memory = QLabel()
        self._memory.setProperty("role", "muted")
        self._memory.setFont(numbers_font(self.font()))
        self._memory.setToolTip("Memory that the program uses now")
        self.title_row.add_widget(self._memory)
        self.tools: dict[JobAct, QAction] = {}
        for act, icon, text in _TOOLS:
            action = QAction(text, self)
            action.triggered.connect(lambda _=False, chosen=act: self._use_tool(chosen))
            self.tools[act] = action
            self.title_row.add_action(action, icon)
        self.clear_action = QAction("Clear finished jobs", self)
        self.clear_action.triggered.connect(lambda _=False: self.clear_wished.emit())
        self.title_row.add_action(self.clear_action, "clear")
        self.view.selectionModel().currentChanged.connect(lambda *_: self._settle())
        self.view.act_clicked.connect(self._act_on)
        self.view.move_pressed.connect(self._move_current)
        self.view.remove_pressed.connect(lambda: self._use_tool("Remove"))
        self.view.show_pressed.connect(lambda: self._use_tool("Show"))
        self.view.pause_pressed.connect(self._toggle_pause)
        self.view.doubleClicked.connect(lambda _: self._use_tool("Show"))
        self.view.customContextMenuRequested.connect(self._show_menu)
        self.rows.moved.connect(self._move)
        bridge.job_changed.connect(self._take)
        self._settle()

    def set_estimate(self, job: JobId, estimate: JobEstimate) -> None:
        """Say in a waiting job's row what it will probably cost."""
        self.rows.set_estimate(job, estimate)

    def add_memory_sample(self, seconds: float, memory_bytes: int) -> None:
        """Draw what the program takes at a time (any clock, rising)."""
        self._samples.append((seconds, memory_bytes))
        self._memory.setText(bytes_text(memory_bytes))
        if not self.isVisible():
            return
        if self._sparkline is None:
            # Drawing plots needs a third of a second of imports, which the window's first paint does without.
            from srviewer.app.docks.plots import MemorySparkline

            self._sparkline = MemorySparkline()
            self.title_row.add_widget(self._sparkline, after=self._memory)
        self._sparkline.show_samples(self._samples)

    def menu_of(self, row: JobRow) -> QMenu:
        """Return the menu of a job's row."""
        menu = QMenu(self)
        for act in row.acts:
            menu.addAction(act, partial(self._perform, act, row))
        if row.state == "waiting":
            menu.addAction("Cancel", lambda: self.cancel_wished.emit(row.id))
            menu.addSeparator()
            for text, step in (("Move up", -1), ("Move down", 1)):
                action = menu.addAction(text, partial(self.move_wished.emit, row.id, step))
                action.setShortcut(f"Alt+{'Up' if step < 0 else 'Down'}")
        if row.state != "done":
            menu.addAction("Show image", lambda: self.show_wished.emit(row.id))
        menu.addSeparator()
        menu.addAction(self.clear_action)
        return menu

    def _current(self) -> JobRow | None:
        return self.rows.row(self.view.currentIndex())

    def _target(self, act: JobAct) -> JobRow | None:
        """Return the row that a tool acts on: the chosen one, or the one that runs."""
        active = self._queue.active
        running = None if active is None else self.rows.row(self.rows.index_of(active.id))
        if act in ("Pause", "Resume"):
            chosen = running
        else:
            chosen = self._current() or (running if act == "Cancel" else None)
        if chosen is None:
            return None
        if act == "Show" or (act == "Cancel" and chosen.state == "waiting"):
            return chosen
        return chosen if act in chosen.acts else None

    def _use_tool(self, act: JobAct) -> None:
        row = self._target(act)
        if row is not None:
            self._perform(act, row)

    def _act_on(self, index: Index, act: str) -> None:
        row = self.rows.row(index)
        if row is not None and act in row.acts:
            self._perform(act, row)

    def _perform(self, act: JobAct, row: JobRow) -> None:
        match act:
            case "Pause":
                self.pause_wished.emit()
            case "Resume":
                self.resume_wished.emit()
            case "Cancel":
                self.cancel_wished.emit(row.id)
            case "Retry":
                self.retry_wished.emit(row.id)
            case "Show":
                self.show_wished.emit(row.id)
            case "Remove":
                self.remove_wished.emit(row.id)

    def _toggle_pause(self) -> None:
        self._use_tool("Pause" if self._target("Pause") is not None else "Resume")

    def _move_current(self, step: int) -> None:
        row = self._current()
        if row is not None and row.state == "waiting":
            self.move_wished.emit(row.id, step)

    def _move(self, job: JobId, places: int) -> None:
        for _ in range(abs(places)):
            self.move_wished.emit(job, 1 if places > 0 else -1)

    def _take(self, event: JobChanged) -> None:
        current = self._current()
        if self.rows.take(event) and current is not None:
            index = self.rows.index_of(current.id)
            if index.isValid():
                flag = QItemSelectionModel.SelectionFlag.ClearAndSelect
                self.view.selectionModel().setCurrentIndex(index, flag)
        self._follow_active()
        self._settle()

    def _follow_active(self) -> None:
        """Bring the row of a job that begins into view, unless the user is about the list."""
        active = self._queue.active
        begun = None if active is None else active.id
        if begun != self._shown_active:
            self._shown_active = begun
            if begun is not None and not self.view.hasFocus() and not self.view.underMouse():
                self.view.scrollTo(self.rows.index_of(begun))

    def _settle(self) -> None:
        """Enable what can be done, and count."""
        for act, action in self.tools.items():
            action.setEnabled(self._target(act) is not None)
        jobs = self._queue.jobs
        self.clear_action.setEnabled(any(job.finished for job in jobs))
        waiting = sum(job.state == "waiting" for job in jobs)
        active = self._queue.active
        failed = len(self._queue.failed)
        parts = [
            "" if active is None else "1 paused" if active.state == "paused" else "1 running",
            f"{waiting} waiting" if waiting else "",
            f"{failed} failed" if failed else "",
        ]
        self.title_row.count.setText(" · ".join(part for part in parts if part))

    def _show_menu(self, at: QPoint) -> None:
        row = self.rows.row(self.view.indexAt(at))
        if row is not None:
            menu = self.menu_of(row)
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(self.view.viewport().mapToGlobal(at))

    def theme_changed(self) -> None:  # noqa: D102 -- told by Dock
        if self._sparkline is not None:
            self._sparkline.refresh()

    def sizeHint(self) -> QSize:  # noqa: D102, N802 -- Qt's name
        return QSize(640, 140)
