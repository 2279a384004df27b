"""Downloads from a server on this machine: whole, resumed, broken off, refused, and of the wrong content."""

from __future__ import annotations

import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from srviewer import paths
from srviewer.zoo import families, library, manifest
from srviewer.zoo.download import DownloadError, DownloadProgress, download, file_sha256
from srviewer.zoo.errors import CheckpointError, NotInstalledError, UnknownModelError
from srviewer.zoo.spec import SPECS

CONTENT = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Site:
    """What the server gives, and what it was asked.

    Attributes
    ----------
    files : by path.
    breaks : after so many bytes of each of the next answers the connection is cut.
    ranges : whether it knows HTTP ranges.
    asked : the range that each request asked for, or "".
    """

    files: dict[str, bytes] = field(default_factory=lambda: {"/net.pth": CONTENT})
    breaks: list[int] = field(default_factory=list)
    ranges: bool = True
    asked: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/net.pth"


class Handler(http.server.BaseHTTPRequestHandler):
    site: ClassVar[Site]

    def do_GET(self) -> None:
        site = self.site
        asked = self.headers.get("Range", "")
        site.asked.append(asked)
        body = site.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and site.ranges else 0
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        sent = body[start : start + site.breaks.pop(0)] if site.breaks else body[start:]
        self.wfile.write(sent)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the library's name)
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[Site]:
    state = Site()
    handler = type("SiteHandler", (Handler,), {"site": state})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        state.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        server.shutdown()
        thread.join()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_with_progress(site: Site, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "net.pth"
    told: list[DownloadProgress] = []
    download([site.url], target, sha256=SHA256.upper(), progress=told.append)
    assert target.read_bytes() == CONTENT
    assert names(target.parent) == ["net.pth"]
    assert told[0] == DownloadProgress(0, len(CONTENT))
    assert told[-1] == DownloadProgress(len(CONTENT), len(CONTENT))
    assert [step.received for step in told] == sorted(step.received for step in told)
    assert file_sha256(target) == SHA256


def test_a_dropped_connection_is_continued_at_once(site: Site, tmp_path: Path) -> None:
    site.breaks = [100_000, 150_000]
    download([site.url], tmp_path / "net.pth", sha256=SHA256)
    assert (tmp_path / "net.pth").read_bytes() == CONTENT
    assert site.asked == ["", "bytes=100000-", "bytes=250000-"]


def test_what_arrived_is_kept_and_continued_later(site: Site, tmp_path: Path) -> None:
    site.breaks = [1000] * 4
    with pytest.raises(DownloadError, match=r"broke off after 4,000 of 512,000 bytes; try again to continue"):
        download([site.url], tmp_path / "net.pth", sha256=SHA256)
    assert names(tmp_path) == [".net.pth.part"]
    site.asked.clear()
    download([site.url], tmp_path / "net.pth", sha256=SHA256)
    assert site.asked == ["bytes=4000-"]
    assert names(tmp_path) == ["net.pth"]


def test_a_server_without_ranges_starts_again(site: Site, tmp_path: Path) -> None:
    site.ranges = False
    (tmp_path / ".net.pth.part").write_bytes(CONTENT[:5000])
    download([site.url], tmp_path / "net.pth", sha256=SHA256)
    assert (tmp_path / "net.pth").read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"another file" * 100, CONTENT + b"too much", b"x" * len(CONTENT)])
def test_a_beginning_of_another_file_is_thrown_away(site: Site, tmp_path: Path, left: bytes) -> None:
    (tmp_path / ".net.pth.part").write_bytes(left)
    download([site.url], tmp_path / "net.pth", sha256=SHA256)
    assert (tmp_path / "net.pth").read_bytes() == CONTENT


def test_a_finished_part_needs_no_bytes(site: Site, tmp_path: Path) -> None:
    (tmp_path / ".net.pth.part").write_bytes(CONTENT)
    download([site.url], tmp_path / "net.pth", sha256=SHA256)
    assert site.asked == [f"bytes={len(CONTENT)}-"]
    assert names(tmp_path) == ["net.pth"]


def test_wrong_content_is_removed_and_an_earlier_file_kept(site: Site, tmp_path: Path) -> None:
    site.files["/net.pth"] = b"<html>not found</html>"
    (tmp_path / "net.pth").write_bytes(b"earlier")
    with pytest.raises(DownloadError) as caught:
        download([site.url], tmp_path / "net.pth", sha256=SHA256)
    assert f"instead of {SHA256[:12]}" in str(caught.value)
    assert names(tmp_path) == ["net.pth"]
    assert (tmp_path / "net.pth").read_bytes() == b"earlier"


def test_a_missing_file_is_told_as_the_server_does(site: Site, tmp_path: Path) -> None:
    site.files.clear()
    with pytest.raises(DownloadError, match=r"the server answers 404 Not Found$"):
        download([site.url], tmp_path / "net.pth", sha256=SHA256)
    assert names(tmp_path) == []


def test_the_next_address_is_tried(site: Site, tmp_path: Path) -> None:
    gone = site.url.replace("net.pth", "gone.pth")
    download([gone, site.url], tmp_path / "net.pth", sha256=SHA256)
    assert (tmp_path / "net.pth").read_bytes() == CONTENT


def test_nobody_there_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/net.pth"
        with pytest.raises(DownloadError) as caught:
            download([url], tmp_path / "net.pth", sha256=SHA256)
    assert str(caught.value) == f"{url}: cannot be reached (Connection refused)"


def test_a_silent_server_is_left(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/net.pth"
        with pytest.raises(DownloadError, match=r"silent|reached"):
            download([url], tmp_path / "net.pth", sha256=SHA256, timeout=0.05)


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "net.pth"])
def test_other_schemes_are_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(DownloadError, match="only https and http"):
        download([url], tmp_path / "net.pth", sha256=SHA256)


def test_no_address_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match="no address"):
        download([], tmp_path / "net.pth", sha256=SHA256)


def test_cancelling_keeps_what_arrived(site: Site, tmp_path: Path) -> None:
    received: list[int] = []
    with pytest.raises(DownloadError, match="cancelled after"):
        download(
            [site.url, site.url],
            tmp_path / "net.pth",
            sha256=SHA256,
            progress=lambda step: received.append(step.received),
            cancelled=lambda: bool(received) and received[-1] > 0,
        )
    assert len(site.asked) == 1
    part = (tmp_path / ".net.pth.part").read_bytes()
    assert 0 < len(part) < len(CONTENT)
    assert CONTENT.startswith(part)
    download([site.url], tmp_path / "net.pth", sha256=SHA256)
    assert (tmp_path / "net.pth").read_bytes() == CONTENT


def test_a_folder_that_cannot_be_made(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match="cannot be made"):
        download([site.url], tmp_path / "file" / "net.pth", sha256=SHA256)
    (tmp_path / ".net.pth.part").mkdir()
    with pytest.raises(DownloadError, match="cannot be"):
        download([site.url], tmp_path / "net.pth", sha256=SHA256)


# The same for a model's weights


def published(site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Let the program's list name the server's file as the official weights of safmn_x3."""
    site.files["/net.pth"] = content
    folder.mkdir()
    (folder / "manifest.toml").write_text(
        f'[[weights]]\nid = "safmn_x3"\nsource = "official"\nurls = ["{site.url}"]\n'
        f'sha256 = "{hashlib.sha256(content).hexdigest()}"\nfamily = "safmn"\nscale = 3\nlicence = "MIT"\n'
    )
    monkeypatch.setattr(paths, "weights_folder", lambda: folder)


def saved(model: str, path: Path) -> bytes:
    torch.save(families.build(SPECS[model]).state_dict(), path)
    return path.read_bytes()


def test_official_weights_are_fetched_once_and_load(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(site, tmp_path / "weights", monkeypatch, saved("safmn_x3", tmp_path / "net.pth"))
    got = library.get_weights("safmn_x3@official")
    assert got.path == manifest.official_folder() / "safmn_x3.pth"
    assert manifest.resolve("safmn_x3").weights == got
    assert manifest.availability("safmn_x3") == "official"
    assert library.get_weights("safmn_x3") == got
    assert len(site.asked) == 1
    assert [verdict.fault for verdict in library.verify_weights()] == [None]
    got.path.write_bytes(b"damaged")
    library.get_weights("safmn_x3")
    assert len(site.asked) == 2
    assert [verdict.fault for verdict in library.verify_weights()] == [None]


@pytest.mark.parametrize("kind", ["text", "another network"])
def test_official_weights_that_do_not_load_are_removed(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    content = b"no checkpoint" if kind == "text" else saved("safmn_x2", tmp_path / "net.pth")
    published(site, tmp_path / "weights", monkeypatch, content)
    with pytest.raises(CheckpointError, match="was downloaded, but it"):
        library.get_weights("safmn_x3")
    assert names(manifest.official_folder()) == []


def test_weights_that_cannot_be_fetched_say_what_to_do() -> None:
    with pytest.raises(NotInstalledError, match="srviewer weights import FILE"):
        library.get_weights("maffsrn_x4")
    with pytest.raises(NotInstalledError, match="huggingface"):
        library.get_weights("safmn_x4")
    with pytest.raises(UnknownModelError, match="did you mean bsrn_x4"):
        library.get_weights("bsrn_x5")
