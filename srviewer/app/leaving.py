"""Whether the window may close: it asks while jobs run, and before results are lost that took long."""

from __future__ import annotations

from collections.abc import Callable

from srviewer.app.controller import Controller
from srviewer.app.message_bar import Message, MessageAction
from srviewer.session.wording import duration_text, plural

WORTH_ASKING_SECONDS = 60.0
"""Of work on unsaved results from which closing asks: less is made again while one would read the question,
and a viewer that asks each time is in the way.
"""

_KEY = "closing"


class Leaving:
    """Answers the window's wish to close, by a message with buttons in place of a box.

    Parameters
    ----------
    controller : whose jobs and results they are.
    save : what saves results.
    """

    def __init__(self, controller: Controller, save: Callable[[], object]) -> None:
        self._controller = controller
        self._save = save
        self._is_leaving = False
        self._asked_about: frozenset[int] = frozenset()  # revisions of results

    def leave(self) -> None:
        """Stop what runs and close, without asking."""
        self._is_leaving = True
        self._controller.cancel_and_stop()

    def may_close(self) -> bool:
        """Return whether nothing stands against closing now; otherwise the user has been asked."""
        if self._controller.is_busy:
            if not self._is_leaving:
                self._ask_about_jobs()
            return False
        document = self._controller.session.document
        unsaved = document.unsaved()
        revisions = frozenset(entry.revision for entry in unsaved)
        seconds = sum(entry.facts.seconds for entry in unsaved)
        if self._is_leaving or seconds < WORTH_ASKING_SECONDS or revisions <= self._asked_about:
            return True
        self._asked_about = revisions  # closing once more is an answer as well
        what = "A result is" if len(unsaved) == 1 else f"{len(unsaved)} results are"
        self._tell(
            f"{what} not saved; that took {duration_text(seconds)} to make.",
            MessageAction("Save…", self._save),
            MessageAction("Close without saving", self.leave),
        )
        return False

    def _ask_about_jobs(self) -> None:
        jobs = [job for job in self._controller.session.queue.jobs if not job.finished]
        self._tell(
            f"{plural(len(jobs), 'job')} not finished. Results that are not saved are lost.",
            MessageAction("Stop and close", self.leave),
            MessageAction("Keep running", lambda: None),
        )

    def _tell(self, text: str, *actions: MessageAction) -> None:
        self._controller.message.emit(Message(text, "warning", actions, key=_KEY))
