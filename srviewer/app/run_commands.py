"""What the actions do that run networks: at once, into files, or to see how exact tiles are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QObject

from srviewer.app.controller import Controller
from srviewer.app.message_bar import Message
from srviewer.session.entries import ImageId

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget


class RunCommands(QObject):
    """Asks what has to be known before networks run, and hands the wish to the controller.

    Dialogs are imported when they are needed: the window's first paint does without them.
    """

    def __init__(self, window: QWidget, controller: Controller) -> None:
        super().__init__(window)
        self._window = window
        self._controller = controller
        self._session = controller.session

    def run(self) -> None:
        """Run the ticked networks wherever their results are missing."""
        document = self._session.document
        if not document.images:
            self._tell("Open an image first.")
        elif not document.ticked:
            self._tell("Tick a network first.")
        else:
            files = self._session.lacking_files()
            queued = self._controller.runs.run()
            if files:
                self.run_to_files(files)
            elif queued == 0 and self._session.queue.idle:
                self._tell("All ticked networks have run on every image. Shift+F5 runs them again.")

    def run_again(self) -> None:
        """Run the ticked networks on the shown image, also where results are there."""
        current = self._session.document.current
        if current is not None:
            files = self._session.lacking_files([current.id], again=True)
            self._controller.runs.run(again=True)
            if files:
                self.run_to_files(files)

    def run_to_files(self, wanted: Sequence[tuple[ImageId, str]]) -> None:
        """Ask where results go that are too large for memory, and queue what was chosen."""
        from srviewer.app.dialogs.run_to_files import FileRun, RunToFilesDialog
        from srviewer.imaging.streaming import estimated_bytes

        session, options = self._session, self._controller.settings.options
        runs: list[tuple[ImageId, FileRun]] = []
        networks = {image for image, model in wanted if not model.startswith("bicubic_")}
        for image, model in wanted:
            entry, estimate = session.document.entry(image), session.estimate(image, model, options)
            if estimate is None or entry.bits is None:
                continue
            output, file = estimate.output, session.document.region_file(image, "input")
            channels = 3 if file is None else (1 if file.grey else 3) + file.has_alpha
            bits: Literal[8, 16] = 8 if entry.bits == 8 else 16
            runs.append(
                (
                    image,
                    FileRun(
                        entry.stem,
                        model,
                        session.title_of(model),
                        output,
                        estimated_bytes(output.width, output.height, bits, channels, "TIFF"),
                        estimate.seconds,
                        estimate.file_memory_bytes,
                        not (model.startswith("bicubic_") and image in networks),
                    ),
                )
            )
        if not runs:
            self._tell("The network is not known yet: try again in a moment.")
            return
        beside = session.document.entry(runs[0][0]).path
        folder = None if beside is None else beside.parent
        taken = [job.output for job in session.queue.jobs if job.output is not None and not job.finished]
        answer = RunToFilesDialog.ask([run for _, run in runs], folder, self._window, taken=taken)
        for (image, run), path in zip(runs, answer or (), strict=answer is not None):
            if path is not None and image in session.document:
                session.run_to_file(image, run.model, options, path)

    def check_seams(self) -> None:
        """Compare the shown image's tiled results with untiled ones."""
        if self._controller.seams.run() == 0:
            tiled = bool(self._controller.seams.checkable)
            self._tell(
                "The seams are being checked already." if tiled else "No result of this image has tiles."
            )

    def toggle_ensemble(self) -> None:
        """Average over flips and turns from now on, or no more."""
        options = self._controller.settings.options
        self._controller.set_options(dataclasses.replace(options, self_ensemble=not options.self_ensemble))

    def toggle_run_on_drop(self) -> None:
        """Run networks as soon as images are opened, or only when asked to."""
        settings = self._controller.settings
        self._controller.settings = dataclasses.replace(settings, run_on_drop=not settings.run_on_drop)

    def target_size(self) -> None:
        """Ask for the size that results are saved in."""
        from srviewer.app.dialogs.target_size import TargetSizeDialog

        settings = self._controller.settings
        current = self._session.document.current
        size = None if current is None else current.input_size
        answer = TargetSizeDialog.ask(settings.target, size, self._window)
        if answer is not None:
            self._controller.settings = dataclasses.replace(settings, target=answer)
            self._tell(f"Results are saved {answer.text}.")

    def _tell(self, text: str) -> None:
        self._controller.message.emit(Message(text, "note"))
