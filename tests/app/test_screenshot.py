from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.conftest import ImageMaker
from srviewer.imaging.files import read_image
from srviewer.session.sessionfile import SavedImage, SessionRecord, save_session

ASK = "import sys\nfrom pathlib import Path\nfrom srviewer.app import GuiArguments, run\n"


def program(body: str, tmp_path: Path, *, wait: bool = True) -> subprocess.Popen[str]:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "SRVIEWER_CONFIG": str(tmp_path / "config")}
    process = subprocess.Popen(
        [sys.executable, "-c", ASK + body],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    if wait:
        process.wait(120)
    return process


def shot(tmp_path: Path, arguments: str) -> tuple[int, str, Path]:
    """Take a screenshot in another process; return exit status, standard error and the picture's path."""
    path = tmp_path / "shot.png"
    done = program(f"sys.exit(run(GuiArguments(screenshot=Path({str(path)!r}), {arguments})))", tmp_path)
    _, errors = done.communicate()
    return done.returncode, errors, path


def test_a_finished_comparison_is_photographed(make_image: ImageMaker, tmp_path: Path) -> None:
    image = make_image("photo.png", 48, 40)
    status, errors, path = shot(
        tmp_path,
        f"paths=(Path({str(image)!r}),), models=('safmn_x4', 'bicubic_x4'), size=(900, 600), theme='dark'",
    )
    assert (status, errors) == (0, "")
    picture = read_image(path)
    assert (picture.width, picture.height) == (900, 600)
    assert len({tuple(pixel) for pixel in picture.pixels[::7, ::7].reshape(-1, 3).tolist()}) > 100
    assert not (tmp_path / "config").exists()


def test_evaluating_and_selecting(make_image: ImageMaker, tmp_path: Path) -> None:
    image = make_image("photo.png", 64, 64)
    status, errors, path = shot(
        tmp_path,
        f"paths=(Path({str(image)!r}),), models=('bicubic_x2',), evaluate=True, select=(2, 2, 12, 12), "
        "mode='crops', theme='light', size=(900, 600)",
    )
    assert (status, errors) == (0, "")
    assert path.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("paths=(Path('/nowhere/a.png'),)", "/nowhere/a.png"),
        ("paths=(IMAGE,), models=('fmen_x2',)", "fmen_x2"),
        ("paths=(IMAGE,), models=('bicubic_x2',), select=(0, 0, 900, 900)", "--select"),
        ("paths=(IMAGE,), models=('safmn_x4',), timeout=0.05", "not done after"),
    ],
)
def test_what_went_wrong_is_one_clear_line(
    make_image: ImageMaker, tmp_path: Path, arguments: str, words: str
) -> None:
    image = make_image("photo.png", 40, 40)
    status, errors, path = shot(tmp_path, arguments.replace("IMAGE", f"Path({str(image)!r})"))
    assert status == 1
    (line,) = errors.splitlines()
    assert line.startswith("srviewer: ")
    assert words in line
    assert path.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_ctrl_c_ends_the_program_cleanly(tmp_path: Path) -> None:
    process = program(
        "import PySide6.QtCore as c\n"
        "from srviewer.app.application import Application\n"
        "application = Application(GuiArguments())\n"
        "application.window.painted.connect(lambda: print('up', flush=True))\n"
        "sys.exit(application.run())",
        tmp_path,
        wait=False,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")
    assert time.monotonic() - begun < 10
    assert (tmp_path / "config" / "settings.ini").exists()


def test_the_window_stands_before_torch(tmp_path: Path) -> None:
    process = program(
        "from srviewer.app.application import Application\n"
        "application = Application(GuiArguments())\n"
        "heavy = {'torch', 'matplotlib', 'cv2', 'tifffile', 'pyqtgraph', 'PIL'}\n"
        "application.window.painted.connect(lambda: print(sorted(heavy & set(sys.modules))))\n"
        "application.window.painted.connect(application.window.leave)\n"
        "sys.exit(application.run())",
        tmp_path,
    )
    output, errors = process.communicate()
    assert (process.returncode, output, errors) == (0, "[]\n", "")


def test_a_session_is_photographed(make_image: ImageMaker, tmp_path: Path) -> None:
    image = make_image("photo.png", 24, 20)
    session = tmp_path / "work.srsession"
    save_session(SessionRecord(images=(SavedImage(image),), current=0, ticked=("bicubic_x2",)), session)
    status, errors, path = shot(
        tmp_path, f"paths=(Path({str(session)!r}),), select=(2, 2, 12, 12), timeout=60.0"
    )
    assert (status, errors) == (0, "")
    assert path.exists()


def test_a_session_that_cannot_be_opened_is_not_waited_for(tmp_path: Path) -> None:
    broken = tmp_path / "broken.srsession"
    broken.write_text("{")
    status, errors, _ = shot(tmp_path, f"paths=(Path({str(broken)!r}),), timeout=60.0")
    assert status == 1
    (line,) = errors.splitlines()
    assert "broken.srsession" in line


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_an_interrupted_screenshot_is_no_success(make_image: ImageMaker, tmp_path: Path) -> None:
    image, path = make_image("photo.png", 600, 600), tmp_path / "shot.png"
    process = program(
        "from srviewer.app.application import Application\n"
        f"application = Application(GuiArguments(screenshot=Path({str(path)!r}),"
        f" paths=(Path({str(image)!r}),), models=('safmn_x4',)))\n"
        "application.controller.bridge.job_changed.connect(lambda _: print('up', flush=True))\n"
        "sys.exit(application.run())",
        tmp_path,
        wait=False,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    (line,) = errors.splitlines()
    assert line.startswith("srviewer: ")
    assert not path.exists()


def test_the_window_itself_evaluates_and_selects_as_asked(make_image: ImageMaker, tmp_path: Path) -> None:
    image = make_image("photo.png", 64, 64)
    process = program(
        "from PySide6.QtCore import QTimer\n"
        "from srviewer.app.application import Application\n"
        f"application = Application(GuiArguments(paths=(Path({str(image)!r}),), models=('bicubic_x2',),"
        " evaluate=True, select=(2, 2, 12, 12), histogram=True))\n"
        "controller, window = application.controller, application.window\n"
        "session, timer = controller.session, QTimer(interval=20)\n"
        "def look():\n"
        "    if session.document.images and session.queue.jobs and controller.is_idle:\n"
        "        timer.stop()\n"
        "        (entry,) = session.document.images\n"
        "        print(entry.reference, [job.state for job in session.queue.jobs])\n"
        "        print(session.selection.pixels.as_tuple(), controller.remembered().run_on_drop)\n"
        "        print(window.histogram.visibleRegion().isEmpty())\n"
        "        window.leave()\n"
        "timer.timeout.connect(look)\n"
        "timer.start()\n"
        "sys.exit(application.run())",
        tmp_path,
    )
    output, errors = process.communicate()
    assert (process.returncode, errors) == (0, "")
    assert output.splitlines() == ["MadeReference(scale=2) ['done']", "(2, 2, 12, 12) True", "False"]
