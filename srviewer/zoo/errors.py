"""What can go wrong between the name of a model and a network that runs.

ZooError                 one clear sentence for the user, whatever the reason
├── UnknownModelError    no network and no file of that name
├── NotInstalledError    the network is known, its weights are not here
├── ManifestError        a list of weights cannot be read or written
├── CheckpointError      a file of weights is unsafe, broken, or of another network
└── DownloadError        the weights did not arrive whole
"""

from __future__ import annotations

from pathlib import Path


class ZooError(Exception):
    """One sentence that names the model or the file and the reason."""


class UnknownModelError(ZooError):
    """No network of that name is known, and no file lies there.

    Attributes
    ----------
    reference : what was asked for.
    closest : ids that look like it, best first; may be empty.
    """

    def __init__(
        self, reference: str, closest: tuple[str, ...] = (), reason: str = "no model of that name"
    ) -> None:
        self.reference = reference
        self.closest = closest
        hint = f"; did you mean {' or '.join(closest)}?" if closest else ""
        super().__init__(f"{reference}: {reason}{hint}")


class NotInstalledError(ZooError):
    """The network is known, but none of its weights is on this machine.

    Attributes
    ----------
    reference : what was asked for.
    remedy : how the user gets them.
    """

    def __init__(self, reference: str, remedy: str) -> None:
        self.reference = reference
        self.remedy = remedy
        super().__init__(f"{reference}: no weights installed; {remedy}")


class ManifestError(ZooError):
    """A list of weights cannot be read or written, or asks for something impossible."""


class CheckpointError(ZooError):
    """A file of weights cannot be used.

    Attributes
    ----------
    path : the file.
    reason : why, without the file's name.
    """

    def __init__(self, path: Path | str, reason: str) -> None:
        self.path = Path(path)
        self.reason = reason
        super().__init__(f"{path}: {reason}")


class DownloadError(ZooError):
    """The weights did not arrive whole; what did arrive may be continued later."""
