"""Whose signals reach whom: widgets' wishes go to the controller, its news go to the widgets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, QTimer
from PySide6.QtGui import QKeySequence, QShortcut

from srviewer.app.controller import Controller
from srviewer.app.docks.job_rows import JobEstimate
from srviewer.app.model_facts import is_checkpoint
from srviewer.app.theme import current_palette
from srviewer.engine.request import UpscaleOptions
from srviewer.session.comparison import Mode
from srviewer.session.entries import GivenReference, ImageId, MadeReference
from srviewer.session.events import JobChanged
from srviewer.session.geometry import Point
from srviewer.session.viewport import zoom_text

if TYPE_CHECKING:
    from srviewer.app.main_window import MainWindow


class WindowLinks(QObject):
    """Connects the window's widgets with the controller, and keeps titles, buttons and checks in line."""

    def __init__(self, window: MainWindow, controller: Controller) -> None:
        super().__init__(window)
        self._window = window
        self._controller = controller
        self._session = controller.session
        self._activities: dict[ImageId, str] = {}
        self._pointed: Point | None = None
        self._soon = QTimer(self, singleShot=True, interval=0)
        self._soon.timeout.connect(self.refresh_actions)
        self._link_canvas()
        self._link_docks()
        self._link_news()
        self._show_recent()
        self._show_options(controller.settings.options)
        window.canvas.set_theme(current_palette())
        window.canvas.set_comparison(self._session.comparison)

    # Wishes

    def _link_canvas(self) -> None:
        session, canvas, empty = self._session, self._window.canvas, self._window.empty
        canvas.viewport_wished.connect(session.look)
        canvas.comparison_wished.connect(session.compare)
        canvas.selection_wished.connect(session.select_region)
        canvas.pane_size_changed.connect(session.resize_panes)
        canvas.hovered.connect(self._show_values)
        canvas.pane_clicked.connect(lambda pane: session.compare(session.comparison.with_a(pane)))
        canvas.drag_out_wished.connect(
            lambda pane: self._controller.exports.drag_out(pane, self._window.canvas)
        )
        canvas.context_menu_wished.connect(lambda _, where: self._window.show_canvas_menu(where))
        files = self._window.commands.files
        delete = QShortcut(QKeySequence(Qt.Key.Key_Delete), canvas)
        delete.setContext(Qt.ShortcutContext.WidgetShortcut)
        delete.activated.connect(files.close_image)
        empty.open_wished.connect(files.open_files)
        empty.sample_wished.connect(files.open_sample)
        empty.paste_wished.connect(files.paste)

    def _link_docks(self) -> None:
        window, controller, session = self._window, self._controller, self._session
        document, queue, runs = session.document, session.queue, controller.runs
        images = window.images
        images.chosen.connect(document.select)
        images.close_wished.connect(self._close)
        images.ground_truth_wished.connect(controller.evaluate)
        images.truth_file_wished.connect(self._choose_truth)
        images.clear_truth_wished.connect(controller.clear_truth)
        images.reveal_wished.connect(window.reveal_image)
        images.move_wished.connect(document.move)
        images.open_wished.connect(window.commands.files.open_files)
        images.thumbnail_wished.connect(controller.loads.make_thumbnail)
        controller.loads.thumbnail_made.connect(images.set_thumbnail)
        models, weights = window.models, controller.weights
        models.tick_wished.connect(self._tick)
        models.get_wished.connect(weights.get)
        models.import_wished.connect(self._import)
        models.checkpoint_dropped.connect(weights.open_checkpoints)
        models.remove_wished.connect(weights.remove)
        weights.catalogue_changed.connect(models.refresh)
        weights.download_changed.connect(models.set_download)
        weights.checkpoint_known.connect(models.add_checkpoint)
        weights.checkpoint_known.connect(window.metrics.know_checkpoint)
        weights.checkpoint_gone.connect(models.forget_checkpoint)
        jobs = window.queue
        jobs.pause_wished.connect(queue.pause)
        jobs.resume_wished.connect(queue.resume)
        jobs.cancel_wished.connect(runs.cancel)
        jobs.retry_wished.connect(runs.retry)
        jobs.remove_wished.connect(runs.remove)
        jobs.move_wished.connect(runs.move)
        jobs.clear_wished.connect(queue.clear_finished)
        jobs.show_wished.connect(window.show_in_queue)
        metrics = window.metrics
        metrics.export_wished.connect(window.commands.files.export_metrics)
        metrics.scatter_export_wished.connect(window.commands.files.export_scatter)
        window.histogram.visibilityChanged.connect(controller.measuring.set_histograms_wanted)
        status = window.status
        status.devices_wished.connect(controller.worker.find_devices)
        status.device_wished.connect(controller.choose_device)
        status.precision_wished.connect(controller.choose_precision)

    def _close(self, images: tuple[ImageId, ...]) -> None:
        for image in images:
            self._session.close_image(image)

    def _tick(self, model: str, ticked: bool) -> None:
        if ticked and is_checkpoint(model):
            self._controller.weights.inspect(model)
        self._session.document.set_ticked(model, ticked)

    def _import(self) -> None:
        from srviewer.app.dialogs.files import FileDialogs

        self._controller.weights.import_files(FileDialogs.checkpoints(None, self._window))

    def _choose_truth(self, image: object) -> None:
        for entry in self._session.document.images:
            if entry.id == image:
                self._session.document.select(entry.id)
                self._window.commands.choose_truth()

    # News

    def _link_news(self) -> None:
        window, controller, bridge = self._window, self._controller, self._controller.bridge
        canvas = window.canvas
        controller.panes.changed.connect(canvas.set_panes)
        controller.panes.picture_changed.connect(canvas.picture_changed)
        controller.message.connect(window.show_message)
        controller.estimate_changed.connect(self._show_estimate)
        controller.options_changed.connect(self._show_options)
        controller.stopped.connect(window.close)
        controller.files_wished.connect(window.commands.runs.run_to_files)
        controller.panes.values_came.connect(lambda: self._show_values(self._pointed))
        controller.measuring.histograms_made.connect(window.histogram.set_histograms)
        controller.worker.worker.devices_known.connect(window.status.set_devices)
        bridge.viewport_changed.connect(lambda event: self._show_viewport())
        bridge.comparison_changed.connect(lambda event: canvas.set_comparison(event.comparison))
        bridge.selection_changed.connect(lambda _: self._show_selection())
        bridge.current_changed.connect(lambda _: self._show_current())
        bridge.images_changed.connect(lambda _: self._show_current())
        bridge.recent_changed.connect(lambda _: self._show_recent())
        bridge.job_changed.connect(self._show_job)
        for signal in (
            bridge.current_changed,
            bridge.images_changed,
            bridge.job_changed,
            bridge.results_changed,
            bridge.reference_changed,
            bridge.comparison_changed,
            bridge.selection_changed,
            bridge.ticked_changed,
            bridge.maps_changed,
        ):
            signal.connect(lambda _: self._soon.start())

    def _show_viewport(self) -> None:
        viewport = self._session.viewport
        self._window.canvas.set_viewport(viewport)
        text = "" if viewport is None else zoom_text(viewport.zoom)
        self._window.status.set_zoom(text)
        self._window.tools.set_zoom(text)

    def _show_selection(self) -> None:
        self._window.canvas.set_selection(self._session.selection)

    def _show_current(self) -> None:
        window, current = self._window, self._session.document.current
        window.canvas.set_input_size(None if current is None else current.input_size)
        self._show_viewport()
        self._show_selection()
        wanted = window.empty if current is None else window.canvas
        if window.centre.currentWidget() is not wanted:
            had_focus = window.focusWidget() in (
                None,
                window.empty,
                window.canvas,
            ) or window.empty.isAncestorOf(window.focusWidget() or window)
            window.centre.setCurrentWidget(wanted)
            if had_focus or current is not None:
                wanted.setFocus()
        window.setWindowTitle("SR Viewer" if current is None else f"{current.name} – SR Viewer")

    def _show_values(self, point: Point | None) -> None:
        self._pointed = point
        values = self._controller.panes.values_at(point)
        current = self._session.document.current
        if point is None or not values or current is None:
            self._window.status.set_values("")
            return
        where = ""
        if current.input_size is not None:
            size = current.input_size
            where = f"x {int(point.x * size.width)} y {int(point.y * size.height)}   "
        told = " · ".join(f"{title} {red} {green} {blue}" for title, (red, green, blue) in values)
        self._window.status.set_values(where + told)

    def _show_estimate(self, text: str, details: str) -> None:
        self._window.status.set_estimate(text)
        self._window.status.estimate.setToolTip(details)
        run = self._window.table["run"]
        tip = "Run the ticked networks on every image that lacks their result (F5)"
        run.setToolTip(f"{tip}\n{details}" if details else tip)

    def _show_options(self, options: UpscaleOptions) -> None:
        self._window.status.set_choice(options.device, options.precision)
        self._soon.start()

    def _show_activities(self) -> None:
        """Say in the rows of the images what is being done with them."""
        document, queue = self._session.document, self._session.queue
        words = {job.image: "queued" for job in queue.jobs if job.state == "waiting"}
        if queue.active is not None:
            words[queue.active.image] = queue.active.state
        for image in {*words, *self._activities}:
            if image in document and words.get(image, "") != self._activities.get(image, ""):
                self._window.images.set_activity(image, words.get(image, ""))
        self._activities = words

    def _show_job(self, event: JobChanged) -> None:
        """Say what a new job will cost."""
        if event.change != "added":
            return
        job = self._session.queue.job(event.job)
        if job.kind != "upscale":
            return
        found = self._session.estimate(job.image, job.model, job.options)
        if found is not None:
            memory = found.memory_bytes if job.output is None else found.file_memory_bytes
            self._window.queue.set_estimate(job.id, JobEstimate(found.seconds, memory))

    def _show_recent(self) -> None:
        menu = self._window.recent_menu
        menu.clear()
        for path in self._session.document.recent:
            action = menu.addAction(_short(path))
            action.setToolTip(str(path))
            action.triggered.connect(lambda _=False, chosen=path: self._controller.open([chosen]))
        menu.setEnabled(not menu.isEmpty())

    def refresh_actions(self) -> None:
        """Enable, check and name the actions as the session's state says."""
        self._soon.stop()
        self._show_activities()
        session, table = self._session, self._window.table
        document, queue, settings = session.document, session.queue, self._controller.settings
        current, active, comparison = document.current, queue.active, session.comparison
        has_image = current is not None
        results = current is not None and bool(document.results_of(current.id))
        reference = None if current is None else current.reference
        for name, enabled in (
            ("save_results", bool(self._controller.exports.savable())),
            ("export_figure", results),
            ("export_metrics", results),
            ("save_session", has_image),
            ("reveal", current is not None and current.path is not None),
            ("close_image", has_image),
            ("close_all", has_image),
            ("run", has_image),
            ("run_again", has_image),
            ("pause", active is not None and not active.cancelling),
            ("cancel", not queue.idle),
            ("evaluate", has_image),
            ("choose_truth", has_image),
            ("clear_truth", reference is not None),
            ("zoom_selection", session.selection is not None),
            ("open_region", session.selection is not None),
            ("check_seams", bool(self._controller.seams.checkable)),
            ("attribute", has_image),
            ("hide_maps", current is not None and bool(session.maps_of(current.id))),
        ):
            table[name].setEnabled(enabled)
        paused = active is not None and active.state == "paused"
        for name, checked in (
            ("pause", paused),
            ("self_ensemble", settings.options.self_ensemble),
            ("run_on_drop", settings.run_on_drop),
            (f"theme_{settings.theme}", True),
            *((f"mode_{mode.value}", comparison.mode is mode) for mode in Mode),
        ):
            table[name].setChecked(checked)
        table["pause"].setText("Resume" if paused else "Pause")
        match reference:
            case None:
                truth = ""
            case MadeReference(scale):
                truth = f"this image, ×{scale}"
            case GivenReference(scale=scale):
                truth = f"HR given, ×{scale}"
        self._window.tools.set_truth(truth)


def _short(path: Path) -> str:
    """Return a path for a menu: its name and its folder's."""
    return f"{path.name}  –  {path.parent.name}" if path.parent.name else path.name
