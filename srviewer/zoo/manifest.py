"""The lists of weights: those that come with the program, the authors' own, and the user's."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Literal, cast, get_args
from urllib.parse import urlsplit

from srviewer import paths
from srviewer.zoo.errors import ManifestError, NotInstalledError, UnknownModelError
from srviewer.zoo.spec import FAMILY_NAMES, SPECS, Family

Source = Literal["shipped", "official", "yours"]
"""Where weights come from: with the program, from the networks' authors, or from the user."""

Availability = Literal["built in", "shipped", "official", "yours", "gettable", "by hand"]
"""How a model can run: without weights, from the best installed source, after a download, after an import."""

CHECKPOINT_SUFFIXES = frozenset({".pt", ".pth", ".safetensors", ".ckpt", ".bin"})
"""Endings by which a reference is taken for a file even where none lies there."""

_SOURCE_RANK: Mapping[Source, int] = {"official": 2, "yours": 1, "shipped": 0}
_OWN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Score:
    """Quality on a test set as measured by us with the protocol of the papers.

    Attributes
    ----------
    dataset : ``"Set5"``, ``"Set14"``, ...
    psnr_y : dB, on Y of YCbCr, `scale` pixels shaved from every border, results rounded to 8 bits, mean
        over the images.
    ssim_y : the same for SSIM (11 x 11 Gaussian window of sigma 1.5).
    """

    dataset: str
    psnr_y: float
    ssim_y: float


@dataclass(frozen=True)
class Weights:
    """One set of weights that is here or that can be had.

    Attributes
    ----------
    id : the model that it makes; one of ``SPECS``, or for the user's own any name.
    source : where it comes from.
    path : where the file lies, or would lie once it is downloaded.
    sha256 : of the file, 64 hexadecimal digits.
    family, scale : of the network inside.
    licence : SPDX name, or what its owner said.
    urls : where it can be downloaded, best first; empty where it cannot.
    size : bytes, where known.
    scores : as measured by us; empty where it was not.
    recipe, data : how and on what it was trained, in words; may be empty.
    parameters : of the network inside, where it is not one of ``SPECS``.
    """

    id: str
    source: Source
    path: Path
    sha256: str
    family: Family
    scale: int
    licence: str
    urls: tuple[str, ...] = ()
    size: int | None = None
    scores: tuple[Score, ...] = ()
    recipe: str = ""
    data: str = ""
    parameters: int | None = None

    @property
    def installed(self) -> bool:
        """Whether the file is on this machine (its content is another matter: see ``verify``)."""
        return self.path.is_file()

    @property
    def set5_psnr(self) -> float | None:
        """Our measured PSNR on Set5 in dB, or None."""
        return next((score.psnr_y for score in self.scores if score.dataset == "Set5"), None)

    @property
    def origin(self) -> str:
        """A few words for the user: the source, and where it was published."""
        if self.source != "official" or not self.urls:
            return self.source
        address = urlsplit(self.urls[0])
        return f"official ({address.netloc}{'/'.join(address.path.split('/')[:3])})"


@dataclass(frozen=True)
class Resolved:
    """What a reference to a model stands for.

    Attributes
    ----------
    reference : as it was given.
    id : what files and tables call it: the reference itself, or the stem of a checkpoint's path.
    model : the id without its source; None for a path.
    path : the file of weights; None for bicubic.
    weights : the entry of the list; None for a path and for bicubic.
    """

    reference: str
    id: str
    model: str | None
    path: Path | None
    weights: Weights | None

    @property
    def text(self) -> str:
        """Where the weights come from, in a few words."""
        if self.weights is not None:
            return self.weights.origin
        return "none needed" if self.path is None else str(self.path)


def official_folder() -> Path:
    """Return the folder of downloaded weights; it may not exist yet."""
    return paths.user_data_folder() / "weights" / "official"


def yours_folder() -> Path:
    """Return the folder of imported weights, each with its entry beside it; it may not exist yet."""
    return paths.user_data_folder() / "weights" / "yours"


def catalogue() -> tuple[Weights, ...]:
    """Return all weights that are listed: shipped, official, then the user's.

    Raises
    ------
    ManifestError
        If the program's own list is broken. A broken entry of the user's is left out (`broken_entries`
        tells).
    """
    listed = [
        _from_table(table) for table in _tables(str(paths.weights_folder() / "manifest.toml"))["weights"]
    ]
    return (*listed, *(entry for _, entry in _own_entries() if isinstance(entry, Weights)))


def broken_entries() -> tuple[tuple[Path, str], ...]:
    """Return those entries of the user's that cannot be read, each with one sentence that says why."""
    return tuple((path, str(entry)) for path, entry in _own_entries() if isinstance(entry, ManifestError))


def weights_of(model: str) -> tuple[Weights, ...]:
    """Return the weights listed for the id `model`, best first, installed or not."""
    return _ranked(entry for entry in catalogue() if entry.id == model)


def availability(model: str) -> Availability:
    """Return how the id `model` can run at this moment."""
    if model in SPECS and SPECS[model].family == "bicubic":
        return "built in"
    listed = weights_of(model)
    installed = _ranked(entry for entry in listed if entry.installed)
    if installed:
        return installed[0].source
    return "gettable" if any(entry.urls for entry in listed) else "by hand"


def remedy(model: str) -> str:
    """Return the sentence part that tells how to get weights for the id `model`."""
    if any(entry.urls for entry in weights_of(model)):
        return f"get them with: srviewer weights get {model}"
    if model not in SPECS:
        return "import its file again with: srviewer weights import FILE"
    family = SPECS[model].family
    page = next(
        (
            str(table["page"])
            for table in _tables(str(paths.weights_folder() / "manifest.toml"))["pages"]
            if table["family"] == family
        ),
        None,
    )
    published = f"the authors' are at {page}; " if page else ""
    return f"{published}add a file of {FAMILY_NAMES[family]} weights with: srviewer weights import FILE"


def resolve(reference: str) -> Resolved:
    """Find what a reference to a model stands for.

    Parameters
    ----------
    reference : ``"bsrn_x4"`` (the best installed weights), ``"bsrn_x4@official"``, ``"@shipped"`` or
        ``"@yours"`` likewise, ``"bicubic_x3"``, or the path of a checkpoint.

    Raises
    ------
    UnknownModelError
        If it names neither a known model nor a file.
    NotInstalledError
        If the model is known, but not the weights asked for.
    """
    own_ids = {entry.id for _, entry in _own_entries() if isinstance(entry, Weights)}
    model, at, source = reference.partition("@")
    known = model in SPECS or model in own_ids
    if known and not at:
        return _best(reference, model, None)
    if known and source in get_args(Source):
        if model in SPECS and SPECS[model].family == "bicubic":
            raise UnknownModelError(reference, (model,), "bicubic has no weights")
        return _best(reference, model, cast("Source", source))
    path = Path(reference).expanduser()
    named_as_path = path.suffix.lower() in CHECKPOINT_SUFFIXES or any(
        mark in reference for mark in {"/", os.sep, os.altsep or "/"}
    )
    if reference and (named_as_path or path.is_file()):
        return Resolved(reference, path.stem, None, path, None)
    if known:
        choices = tuple(f"{model}@{choice}" for choice in get_args(Source))
        raise UnknownModelError(
            reference, choices, f"weights are never {source!r}" if source else "no source after @"
        )
    close = difflib.get_close_matches(model.lower(), sorted({*SPECS, *own_ids}), n=3, cutoff=0.6)
    raise UnknownModelError(reference, tuple(close), "no model and no file of that name")


def own_entry_path(model: str) -> Path:
    """Return where the entry of the user's weights called `model` lies or would lie.

    Raises
    ------
    ManifestError
        If `model` cannot be the name of the user's weights.
    """
    if not _OWN_ID.fullmatch(model) or Path(model).suffix.lower() in CHECKPOINT_SUFFIXES:
        raise ManifestError(
            f"{model!r} cannot be an id: letters, digits, '_', '-' and '.' only, and no file's ending"
        )
    if model in SPECS and SPECS[model].family == "bicubic":
        raise ManifestError(f"{model} needs no weights")
    return yours_folder() / f"{model}.json"


def write_own_entry(weights: Weights) -> None:
    """Write the entry of the user's `weights` beside their file, whole or not at all.

    Raises
    ------
    ManifestError
        If it cannot be written.
    """
    target = own_entry_path(weights.id)
    table = {
        "id": weights.id,
        "file": weights.path.name,
        "sha256": weights.sha256,
        "bytes": weights.size,
        "family": weights.family,
        "scale": weights.scale,
        "licence": weights.licence,
        "recipe": weights.recipe,
        "data": weights.data,
        "parameters": weights.parameters,
        "scores": {s.dataset: {"psnr_y": s.psnr_y, "ssim_y": s.ssim_y} for s in weights.scores},
    }
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")
        temporary.replace(target)
    except OSError as error:
        raise ManifestError(f"{target}: cannot be written ({error.strerror or error})") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _best(reference: str, model: str, source: Source | None) -> Resolved:
    """Choose the best installed weights of a model, of one source or of any."""
    if model in SPECS and SPECS[model].family == "bicubic":
        return Resolved(reference, reference, model, None, None)
    installed = _ranked(entry for entry in weights_of(model) if entry.installed)
    chosen = next((entry for entry in installed if source in {None, entry.source}), None)
    if chosen is not None:
        return Resolved(reference, reference, model, chosen.path, chosen)
    if installed:
        others = " and ".join(f"{model}@{entry.source}" for entry in installed)
        raise NotInstalledError(reference, f"{others} can be used")
    raise NotInstalledError(reference, remedy(model))


def _ranked(entries: Iterable[Weights]) -> tuple[Weights, ...]:
    """Sort best first: by our Set5 score where all have one, else official before yours before shipped."""
    found = list(entries)
    by_source = sorted(found, key=lambda entry: _SOURCE_RANK[entry.source], reverse=True)
    scores = {id(entry): entry.set5_psnr for entry in found}
    if any(score is None for score in scores.values()):
        return tuple(by_source)
    return tuple(sorted(by_source, key=lambda entry: scores[id(entry)] or 0.0, reverse=True))


@lru_cache(maxsize=4)
def _tables(manifest: str) -> Mapping[str, list[Mapping[str, object]]]:
    """Read the program's list; the key is a string so that the cache tells folders apart."""
    try:
        content = tomllib.loads(Path(manifest).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"{manifest}: the list of weights cannot be read ({error})") from error
    return {"weights": content.get("weights", []), "pages": content.get("pages", [])}


def _own_entries() -> list[tuple[Path, Weights | ManifestError]]:
    """Read the user's entries, each in its own file so that a broken one hurts nothing else."""
    folder = yours_folder()
    if not folder.is_dir():
        return []
    found: list[tuple[Path, Weights | ManifestError]] = []
    for path in sorted(folder.glob("*.json")):
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            entry = _from_table({**(table if isinstance(table, dict) else {}), "source": "yours"})
            if path != own_entry_path(entry.id):
                raise ManifestError(f"it calls itself {entry.id}")  # noqa: TRY301 (gathered with the rest)
            found.append((path, entry))
        except ManifestError as error:
            found.append((path, ManifestError(f"{path}: the entry is broken ({error})")))
        except (OSError, ValueError) as error:
            found.append((path, ManifestError(f"{path}: the entry cannot be read ({error})")))
    return found


def _from_table(table: Mapping[str, object]) -> Weights:
    """Check one entry of a list and give it its place on this machine."""
    name = _text(table, "id")
    source, family = _text(table, "source"), _text(table, "family")
    sha256 = _text(table, "sha256").lower()
    scale, size, parameters = table.get("scale"), table.get("bytes"), table.get("parameters")
    if source not in get_args(Source) or family not in FAMILY_NAMES:
        raise ManifestError(f"{name}: source {source!r} or family {family!r} is unknown")
    if not _SHA256.fullmatch(sha256):
        raise ManifestError(f"{name}: sha256 is not 64 hexadecimal digits")
    if not isinstance(scale, int):
        raise ManifestError(f"{name}: scale is no whole number")
    urls = table.get("urls", [])
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise ManifestError(f"{name}: urls is no list of addresses")
    if source == "official":
        if not urls:
            raise ManifestError(f"{name}: official weights need urls")
        path = official_folder() / f"{name}{PurePosixPath(urlsplit(urls[0]).path).suffix}"
    else:
        file = _text(table, "file")
        if Path(file).name != file:
            raise ManifestError(f"{name}: {file!r} is no plain file name")
        path = (paths.weights_folder() if source == "shipped" else yours_folder()) / file
    return Weights(
        id=name,
        source=cast("Source", source),
        path=path,
        sha256=sha256,
        family=cast("Family", family),
        scale=scale,
        licence=_text(table, "licence"),
        urls=tuple(urls),
        size=size if isinstance(size, int) else None,
        scores=_scores(name, table.get("scores", {})),
        recipe=str(table.get("recipe", "")),
        data=str(table.get("data", "")),
        parameters=parameters if isinstance(parameters, int) else None,
    )


def _scores(name: str, table: object) -> tuple[Score, ...]:
    """Check the measured scores of one entry."""
    try:
        rows = cast("Mapping[str, Mapping[str, float]]", table).items()
        return tuple(Score(dataset, float(row["psnr_y"]), float(row["ssim_y"])) for dataset, row in rows)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ManifestError(f"{name}: scores are no tables of psnr_y and ssim_y") from error


def _text(table: Mapping[str, object], key: str) -> str:
    """Return a value that must be there and be text."""
    value = table.get(key)
    if not isinstance(value, str) or not value:
        raise ManifestError(f"{table.get('id', 'an entry')}: {key} is missing")
    return value
