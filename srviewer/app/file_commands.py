"""What the actions on files do: open, save, export."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QMimeData, QObject, QUrl
from PySide6.QtGui import QGuiApplication, QImage

from srviewer.app.controller import Controller
from srviewer.app.desktop import reveal
from srviewer.app.message_bar import Message
from srviewer.app.metric_tables import MetricsForm, MetricsSheet, rendered
from srviewer.app.scene import central_region
from srviewer.session.entries import ImageEntry
from srviewer.session.regions import STAYS_IN_FILE

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from srviewer.app.docks.metrics import CostAxis


class FileCommands(QObject):
    """Asks for files, and hands them to the controller.

    Dialogs are imported when they are needed: the window's first paint does without them.
    """

    def __init__(self, window: QWidget, controller: Controller) -> None:
        super().__init__(window)
        self._window = window
        self._controller = controller
        self._session = controller.session

    def open_files(self) -> None:
        """Ask for files and open them."""
        from srviewer.app.dialogs.files import FileDialogs

        self._open(FileDialogs.images(self._folder(), self._window))

    def open_folder(self) -> None:
        """Ask for a folder and open its images."""
        from srviewer.app.dialogs.files import FileDialogs

        folder = FileDialogs.folder(self._folder(), self._window)
        self._open(() if folder is None else (folder,))

    def open_sample(self) -> None:
        """Open the photograph that comes with the program."""
        from srviewer.paths import resources_folder

        samples = resources_folder() / "samples"
        self._controller.open([samples / "chelsea.png"])

    def paste(self) -> None:
        """Open what the clipboard holds: files or a picture."""
        self.take_data(QGuiApplication.clipboard().mimeData())

    def take_data(self, data: QMimeData) -> bool:
        """Open what was dropped or pasted, local files or a picture; return whether there was any."""
        from srviewer.session.dropping import local_paths

        paths, others = local_paths(
            url.toString(QUrl.ComponentFormattingOption.FullyEncoded) for url in data.urls()
        )
        if paths:
            self._controller.open(paths)
            return True
        image = data.imageData() if data.hasImage() else None
        if isinstance(image, QImage) and not image.isNull():
            self._controller.paste(image)
            return True
        if others:
            self._tell(f"Only files of this machine can be opened, not {others[0]}.")
        elif data.hasText() and (named := _file_named(data.text())) is not None:
            self._controller.open([named])
            return True
        else:
            self._tell("There is neither an image nor a file in the clipboard.")
        return False

    def _open(self, paths: tuple[Path, ...]) -> None:
        if paths:
            self._controller.settings = dataclasses.replace(
                self._controller.settings, open_folder=str(paths[0].parent)
            )
            self._controller.open(paths)

    def _folder(self) -> Path | None:
        named = self._controller.settings.open_folder
        return Path(named) if named and Path(named).is_dir() else None

    def save_session(self) -> None:
        """Ask where to, and write a session file."""
        from srviewer.app.dialogs.files import FileDialogs
        from srviewer.session.sessionfile import SESSION_SUFFIX

        current = self._session.document.current
        stem = "comparison" if current is None else current.stem
        folder = self._folder() or Path.home()
        path = FileDialogs.session_to_save(folder / f"{stem}{SESSION_SUFFIX}", self._window)
        if path is not None:
            self._controller.exports.save_session(path)

    def save_results(self) -> None:
        """Ask where and how, and write the results."""
        from srviewer.app.dialogs.save_results import SaveResultsDialog

        results = self._controller.exports.savable()
        if not results:
            current = self._session.document.current
            made = () if current is None else self._session.document.results_of(current.id)
            files = [str(one.saved) for one in made if one.streamed]
            if files:
                self._tell(f"Already in {'a file' if len(files) == 1 else 'files'}: {', '.join(files)}.")
            else:
                self._tell("There is no result to save yet: tick networks and run them.")
            return
        settings = self._controller.settings
        begin = settings.output
        if begin.folder is None or not begin.folder.is_dir():
            begin = dataclasses.replace(begin, folder=self._folder() or Path.home())
        answer = SaveResultsDialog.ask([result.item for result in results], begin, self._window)
        if answer is not None:
            self._controller.settings = dataclasses.replace(settings, output=answer.choice)
            self._controller.exports.save(results, answer, settings.target)

    def export_figure(self) -> None:
        """Ask how, and write the crops figure."""
        from srviewer.app.dialogs.export_figure import ExportFigureDialog

        current = self._session.document.current
        panes = self._controller.exports.figure_panes()
        if current is not None and current.by_region:
            self._tell(f"{current.name}: {STAYS_IN_FILE}.")
            return
        if current is None or current.input_size is None or not panes:
            self._tell("There is no result to draw yet: tick networks and run them.")
            return
        region = self._session.selection or central_region(current.input_size)
        suggested = (self.output_folder() / f"{current.stem}_crops").with_suffix(".png")
        answer = ExportFigureDialog.ask(suggested, panes, current.stem, self._window)
        if answer is not None:
            self._controller.exports.export_figure(answer, region.pixels)

    def export_metrics(self, form: MetricsForm) -> None:
        """Ask where to, and write the table of metrics."""
        from srviewer.app.dialogs.files import FileDialogs

        current = self._session.document.current
        if current is None or not self._session.document.results_of(current.id):
            self._tell("There are no numbers yet: tick networks and run them.")
            return
        suggested = self.output_folder() / f"{current.stem}_metrics"
        path = FileDialogs.table(suggested, form, self._window)
        if path is None:
            return
        sheet = self._sheet(current)

        def work() -> None:
            from srviewer.imaging.atomic import whole_file

            with whole_file(path, overwrite=True) as stream:
                stream.write(rendered(sheet, form).encode())

        self._controller.exports.write(work, path)

    def export_scatter(self, axis: CostAxis) -> None:
        """Ask where to, and write the plot of quality against cost."""
        from srviewer.app.dialogs.export_figure import ExportFigureDialog
        from srviewer.app.scatter_export import scatter_points, write_scatter

        current = self._session.document.current
        points = () if current is None else scatter_points(self._session, current, axis)
        if current is None or not points:
            self._tell("Run networks on an image that has a ground truth first.")
            return
        suggested = (self.output_folder() / f"{current.stem}_{axis}").with_suffix(".png")
        answer = ExportFigureDialog.ask(suggested, (), current.stem, self._window)
        if answer is not None:
            self._controller.exports.write(
                lambda: write_scatter(points, axis, current.name, answer), answer.path
            )

    def output_folder(self) -> Path:
        """Return where files are written unless somebody says otherwise."""
        folder = self._controller.settings.output.folder
        return folder if folder is not None and folder.is_dir() else self._folder() or Path.home()

    def _sheet(self, current: ImageEntry) -> MetricsSheet:
        """Return the numbers of an image."""
        from srviewer.analysis.metrics import Metrics

        document = self._session.document
        models = document.ticked
        base = self._session.base_line(current.id)
        selection = self._session.selection
        region = None if selection is None or current.reference is None else selection.pixels
        scores = [document.score(current.id, model) for model in models]
        protocols = dict.fromkeys(score.protocol for score in scores if isinstance(score, Metrics))
        devices = dict.fromkeys(entry.facts.device for entry in document.results_of(current.id))
        return MetricsSheet(
            current.name,
            document.score_rows(current.id, models, base),
            tuple(self._session.title_of(model) for model in models),
            () if region is None else document.score_rows(current.id, models, base, region),
            None if region is None else region.as_tuple(),
            "; ".join(protocols),
            "; ".join(devices),
        )

    def reveal(self) -> None:
        """Show the image's file in its folder."""
        current = self._session.document.current
        if current is not None and current.path is not None:
            reveal(current.path)

    def close_image(self) -> None:
        """Close the image that is shown."""
        current = self._session.document.current
        if current is not None:
            self._session.close_image(current.id)

    def close_all(self) -> None:
        """Close every image."""
        for entry in self._session.document.images:
            self._session.close_image(entry.id)

    def _tell(self, text: str) -> None:
        self._controller.message.emit(Message(text, "note"))


def _file_named(text: str) -> Path | None:
    """Return the file whose path a copied text is, if it is one."""
    path = Path(text.strip().strip("'\""))
    try:
        return path if path.is_file() else None
    except OSError:  # longer than any path
        return None
