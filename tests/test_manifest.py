"""The lists of weights: what a reference stands for, which weights are best, imports of the user's own."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from srviewer import paths
from srviewer.zoo import families, library, manifest
from srviewer.zoo.checkpoint import CheckpointError, read_checkpoint, read_metadata
from srviewer.zoo.download import file_sha256
from srviewer.zoo.errors import ManifestError, NotInstalledError, UnknownModelError
from srviewer.zoo.keys import SPELLINGS
from srviewer.zoo.spec import SPECS, SAFMNConfig, describe

SHIPPED = ("bsrn_s_x4", "fmen_s_x4", "maffsrn_x2", "maffsrn_x4", "safmn_x2", "safmn_x4")
OFFICIAL = ("fmen_s_x4", "bsrn_x2", "bsrn_x3", "bsrn_x4", "bsrn_s_x4")


def state_of(model: str) -> dict[str, Tensor]:
    torch.manual_seed(0)
    return dict(families.build(SPECS[model]).state_dict())


def checkpoint(path: Path, model: str = "bsrn_s_x4") -> Path:
    """Write a checkpoint as the authors would."""
    spelling = SPELLINGS[SPECS[model].family][0]
    state = {spelling.theirs(key) or key: value for key, value in state_of(model).items()}
    torch.save({"params": state}, path)
    return path


def entry(model: str, source: manifest.Source) -> manifest.Weights:
    return next(found for found in manifest.weights_of(model) if found.source == source)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of weights in place of the program's own."""
    place = tmp_path / "weights"
    place.mkdir()
    monkeypatch.setattr(paths, "weights_folder", lambda: place)
    yield place
    manifest._tables.cache_clear()


def write_list(folder: Path, *entries: str) -> None:
    (folder / "manifest.toml").write_text("\n".join(f"[[weights]]\n{text}" for text in entries))


def listed(model: str, source: str, score: float | None, file: str = "w.safetensors") -> str:
    place = f'urls = ["https://example.org/{file}"]' if source == "official" else f'file = "{file}"'
    scores = f"scores.Set5 = {{ psnr_y = {score}, ssim_y = 0.9 }}" if score is not None else ""
    spec = SPECS[model]
    return (
        f'id = "{model}"\nsource = "{source}"\n{place}\nsha256 = "{"0" * 64}"\n'
        f'family = "{spec.family}"\nscale = {spec.scale}\nlicence = "MIT"\n{scores}\n'
    )


# The program's own list


def test_the_program_lists_what_it_ships_and_what_authors_publish() -> None:
    by_source = {
        source: {found.id for found in manifest.catalogue() if found.source == source}
        for source in ("shipped", "official", "yours")
    }
    assert by_source == {"shipped": set(SHIPPED), "official": set(OFFICIAL), "yours": set()}
    for found in manifest.catalogue():
        assert found.id in SPECS
        assert (found.family, found.scale) == (SPECS[found.id].family, SPECS[found.id].scale)
        assert found.licence in {"Apache-2.0", "MIT"}


@pytest.mark.parametrize("model", SHIPPED)
def test_shipped_files_are_what_the_list_and_their_own_text_say(model: str) -> None:
    found = entry(model, "shipped")
    assert found.installed
    assert found.sha256 == file_sha256(found.path)
    assert found.size == found.path.stat().st_size
    assert families.detect(read_checkpoint(found.path)) is SPECS[model]
    told = read_metadata(found.path)
    assert (told["family"], told["scale"]) == (found.family, str(found.scale))
    for score in found.scores:
        assert told[f"{score.dataset.lower()}_psnr_ssim"] == f"{score.psnr_y:.3f}/{score.ssim_y:.4f}"
    assert {score.dataset for score in found.scores} == {"Set5", "Set14"}


def test_official_addresses_name_a_commit() -> None:
    for found in manifest.catalogue():
        if found.source == "official":
            host, owner, repository, raw, commit, _ = found.urls[0].removeprefix("https://").split("/", 5)
            assert (host, raw) == ("github.com", "raw")
            assert len(commit) == 40
            assert found.origin == f"official (github.com/{owner}/{repository})"


@pytest.mark.parametrize("model", ["bsrn_x4", "bsrn_s_x4", "fmen_s_x4"])
def test_official_hashes_are_those_of_the_authors_files(reference: Path, model: str) -> None:
    found = entry(model, "official")
    path = reference / "weights" / f"{model}{found.path.suffix}"
    assert (found.sha256, found.size) == (file_sha256(path), path.stat().st_size)


def test_the_model_card_names_every_shipped_file_and_its_score() -> None:
    card = (paths.weights_folder() / "README.md").read_text()
    for model in SHIPPED:
        found = entry(model, "shipped")
        row = next(line for line in card.splitlines() if f"`{found.path.name}`" in line)
        for score in found.scores:
            assert f"{score.psnr_y:.3f} / {score.ssim_y:.4f}" in row


# References


@pytest.mark.parametrize("model", sorted(SPECS))
def test_every_model_resolves_or_says_what_to_do(model: str) -> None:
    state = manifest.availability(model)
    if state in {"gettable", "by hand"}:
        with pytest.raises(NotInstalledError) as caught:
            manifest.resolve(model)
        text = str(caught.value)
        assert text.startswith(f"{model}: no weights installed; ")
        assert f"srviewer weights {f'get {model}' if state == 'gettable' else 'import FILE'}" in text
    else:
        found = manifest.resolve(model)
        assert (found.id, found.model, found.reference) == (model, model, model)
        assert (found.path is None) == (state == "built in")
    assert (state == "built in") == model.startswith("bicubic")
    assert (state == "shipped") == (model in SHIPPED)
    assert (state == "gettable") == (model in OFFICIAL and model not in SHIPPED)


def test_a_source_can_be_asked_for() -> None:
    found = manifest.resolve("safmn_x4@shipped")
    assert found.id == "safmn_x4@shipped"
    assert found.model == "safmn_x4"
    assert found.text == "shipped"
    with pytest.raises(
        NotInstalledError, match=r"safmn_x4@official: no weights installed; safmn_x4@shipped can be used"
    ):
        manifest.resolve("safmn_x4@official")


@pytest.mark.parametrize(
    ("reference", "hint"),
    [
        ("bsrn_x5", "did you mean bsrn_x4"),
        ("BSRN_X4", "did you mean bsrn_x4"),
        ("fmens_x4", "did you mean fmen_s_x4"),
        ("safmn_x4@author", "weights are never 'author'; did you mean safmn_x4@shipped"),
        ("safmn_x4@", "no source after @"),
        ("bicubic_x2@official", "bicubic has no weights"),
        ("entirely else", "no model and no file of that name"),
        ("", "no model and no file of that name"),
    ],
)
def test_unknown_references_are_answered_with_close_ones(reference: str, hint: str) -> None:
    with pytest.raises(UnknownModelError) as caught:
        manifest.resolve(reference)
    assert str(caught.value).startswith(f"{reference}: ")
    assert hint in str(caught.value)


def test_paths_are_taken_by_their_ending_their_slash_or_their_being_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain").write_bytes(b"x")
    (tmp_path / "bsrn_x4").write_bytes(b"x")
    for reference, stem in (
        ("net.v2.pth", "net.v2"),
        ("sub/net", "net"),
        ("a@b.PTH", "a@b"),
        ("plain", "plain"),
    ):
        found = manifest.resolve(reference)
        assert (found.id, found.model, found.path) == (stem, None, Path(reference))
        assert found.text == reference
    with pytest.raises(NotInstalledError):
        manifest.resolve("bsrn_x4")  # an id means the model, whatever lies around
    monkeypatch.setenv("HOME", str(tmp_path))
    assert manifest.resolve("~/net.pth").path == tmp_path / "net.pth"


# Which weights are best


@pytest.mark.parametrize(
    ("shipped", "official", "best"),
    [(32.0, 32.5, "official"), (32.5, 32.0, "shipped"), (32.5, None, "official"), (None, None, "official")],
)
def test_the_measured_score_decides_where_all_have_one(
    folder: Path, shipped: float | None, official: float | None, best: str
) -> None:
    write_list(
        folder, listed("bsrn_x4", "shipped", shipped), listed("bsrn_x4", "official", official, "w.pth")
    )
    assert manifest.availability("bsrn_x4") == "gettable"
    (folder / "w.safetensors").write_bytes(b"x")
    assert manifest.resolve("bsrn_x4").text == "shipped"
    assert manifest.availability("bsrn_x4") == "shipped"
    manifest.official_folder().mkdir(parents=True)
    (manifest.official_folder() / "bsrn_x4.pth").write_bytes(b"x")
    chosen = manifest.resolve("bsrn_x4").weights
    assert chosen is not None
    assert chosen.source == best == manifest.availability("bsrn_x4")


def test_imported_weights_come_before_shipped_ones(tmp_path: Path) -> None:
    library.import_weights(checkpoint(tmp_path / "SAFMN_x4.pth", "safmn_x4"))
    assert manifest.availability("safmn_x4") == "yours"
    assert manifest.resolve("safmn_x4").text == "yours"
    assert manifest.resolve("safmn_x4@shipped").text == "shipped"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[weights]]\n", "id is missing"),
        ("[[weights", "cannot be read"),
        (f"[[weights]]\n{listed('bsrn_x4', 'shipped', 1.0).replace('0' * 64, 'abc')}", "sha256"),
        (f"[[weights]]\n{listed('bsrn_x4', 'shipped', 1.0, '../w')}", "no plain file name"),
        (f"[[weights]]\n{listed('bsrn_x4', 'shipped', 1.0).replace('scale = 4', '')}", "scale"),
        (f"[[weights]]\n{listed('bsrn_x4', 'shipped', 1.0).replace('psnr_y', 'p')}", "scores"),
        (f"[[weights]]\n{listed('bsrn_x4', 'official', 1.0).replace('urls', 'links')}", "need urls"),
        (f"[[weights]]\n{listed('bsrn_x4', 'stolen', 1.0)}", "source 'stolen'"),
    ],
)
def test_a_broken_list_says_where(folder: Path, text: str, reason: str) -> None:
    (folder / "manifest.toml").write_text(text)
    with pytest.raises(ManifestError, match=reason):
        manifest.catalogue()


# The user's own


def test_an_import_is_found_loads_and_says_what_it_is(tmp_path: Path) -> None:
    added = library.import_weights(checkpoint(tmp_path / "net_g.pth"))
    assert (added.id, added.source, added.family, added.scale) == ("bsrn_s_x4", "yours", "bsrn", 4)
    assert added.path == manifest.yours_folder() / "bsrn_s_x4.safetensors"
    listed = manifest.weights_of("bsrn_s_x4")
    assert [one.source for one in listed] == ["official", "yours", "shipped"]  # its score is not known
    assert listed[1] == added
    assert manifest.resolve("bsrn_s_x4@yours").path == added.path
    stored = read_checkpoint(added.path)
    expected = state_of("bsrn_s_x4")
    assert stored.keys() == expected.keys()
    assert all(torch.equal(stored[key], value) for key, value in expected.items())
    (tmp_path / "net_g.pth").unlink()  # the copy stands by itself
    assert [verdict.fault for verdict in library.verify_weights() if verdict.weights == added] == [None]


def test_an_import_keeps_what_its_file_told(tmp_path: Path) -> None:
    save_file(state_of("safmn_x3"), tmp_path / "w.safetensors", {"licence": "CC0-1.0", "recipe": "long"})
    added = library.import_weights(tmp_path / "w.safetensors")
    assert (added.licence, added.recipe) == ("CC0-1.0", "long")
    assert read_metadata(added.path)["licence"] == "CC0-1.0"


def test_an_import_under_a_name_of_ones_own(tmp_path: Path) -> None:
    added = library.import_weights(checkpoint(tmp_path / "n.pth"), model="sharp.v2")
    assert manifest.resolve("sharp.v2").weights == added
    assert manifest.resolve("sharp.v2@yours").id == "sharp.v2@yours"
    assert manifest.availability("sharp.v2") == "yours"
    with pytest.raises(UnknownModelError, match=r"did you mean sharp\.v2"):
        manifest.resolve("sharp.v3")


def test_a_variant_is_imported_under_its_files_stem(tmp_path: Path) -> None:
    spec = describe("safmn", 2, SAFMNConfig(channels=8, blocks=1), parameters=0)
    torch.save(families.build(spec).state_dict(), tmp_path / "my small net!.pth")
    added = library.import_weights(tmp_path / "my small net!.pth")
    assert added.id == "my_small_net_"
    assert added.parameters == sum(value.numel() for value in families.build(spec).parameters())
    assert manifest.resolve("my_small_net_").path == added.path


def test_an_import_replaces_only_when_told_to(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "n.pth")
    first = library.import_weights(path)
    with pytest.raises(ManifestError, match="imported weights of that id already"):
        library.import_weights(path)
    assert library.import_weights(path, overwrite=True).path == first.path


@pytest.mark.parametrize(
    "name", ["a/b", "../up", "a@official", "", ".hidden", "net.pth", "a b", "x" * 65, "bicubic_x2"]
)
def test_impossible_ids_are_refused(tmp_path: Path, name: str) -> None:
    path = checkpoint(tmp_path / "n.pth")
    with pytest.raises(ManifestError):
        library.import_weights(path, model=name)
    assert not manifest.yours_folder().exists()


def test_an_import_must_hold_what_its_id_says(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="holds bsrn_s_x4, not bsrn_x4"):
        library.import_weights(checkpoint(tmp_path / "n.pth"), model="bsrn_x4")


def test_an_import_of_what_does_not_load_leaves_nothing(tmp_path: Path) -> None:
    state = state_of("safmn_x2")
    del state["blocks.3.ccm.reduce.weight"]
    torch.save(state, tmp_path / "n.pth")
    with pytest.raises(CheckpointError, match=r"missing blocks\.3\.ccm\.reduce\.weight"):
        library.import_weights(tmp_path / "n.pth")
    assert not manifest.yours_folder().exists()


def test_one_broken_entry_of_the_users_hurts_nothing_else(tmp_path: Path) -> None:
    added = library.import_weights(checkpoint(tmp_path / "n.pth"))
    (manifest.yours_folder() / "bad.json").write_text("{ not json")
    (manifest.yours_folder() / "empty.json").write_text("[]")
    assert added in manifest.catalogue()
    broken = dict(manifest.broken_entries())
    assert {path.name for path in broken} == {"bad.json", "empty.json"}
    faults = {verdict.path.name: verdict.fault for verdict in library.verify_weights()}
    assert "cannot be read" in str(faults["bad.json"])
    assert faults[added.path.name] is None


# Verifying


def test_everything_shipped_verifies() -> None:
    verdicts = library.verify_weights()
    assert {verdict.path.stem for verdict in verdicts} == set(SHIPPED)
    assert [verdict.fault for verdict in verdicts] == [None] * len(SHIPPED)


def test_verifying_finds_what_is_wrong(tmp_path: Path) -> None:
    added = library.import_weights(checkpoint(tmp_path / "n.pth"))
    whole = added.path.read_bytes()

    def fault() -> str:
        return next(str(verdict.fault) for verdict in library.verify_weights() if verdict.path == added.path)

    added.path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "its sha256 is" in fault()
    added.path.write_bytes(whole[:-9])
    entry_path = manifest.own_entry_path(added.id)
    table = json.loads(entry_path.read_text())
    entry_path.write_text(json.dumps({**table, "sha256": file_sha256(added.path)}))
    assert "it does not load" in fault()
    added.path.write_bytes(whole)
    entry_path.write_text(json.dumps({**table, "scale": 2}))
    assert "it holds bsrn_s_x4" in fault()
    added.path.unlink()
    assert "cannot be read" in fault()


def test_the_list_is_plain_toml_that_others_can_read() -> None:
    content = tomllib.loads((paths.weights_folder() / "manifest.toml").read_text())
    assert {page["family"] for page in content["pages"]} == {"safmn", "maffsrn"}
