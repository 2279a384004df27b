"""Names of results."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from srviewer.session.naming import (
    DEFAULT_TEMPLATE,
    NamingError,
    ResultNaming,
    check_template,
    free_path,
    numbered,
    result_name,
    safe_model,
    unique_names,
)

PHOTO = ResultNaming("photo", "bsrn_x4@official", 4, "bsrn", 7)


@pytest.mark.parametrize(
    ("model", "safe"),
    [
        ("bsrn_x4", "bsrn_x4"),
        ("bsrn_x4@official", "bsrn_x4-official"),
        ("/home/me/weights/net_g_5000.pth", "net_g_5000"),
        ("weights/mine.safetensors", "mine"),
        ("mine.PT", "mine"),
        (r"C:\weights\mine.v2.pth", "mine.v2"),
        ("./weights/epoch=3.ckpt", "epoch=3"),
        ("a/b.c", "b.c"),
        ("what?:me", "what--me"),
    ],
)
def test_models_as_parts_of_names(model: str, safe: str) -> None:
    assert safe_model(model) == safe


@pytest.mark.parametrize(
    ("template", "name"),
    [
        (DEFAULT_TEMPLATE, "photo_bsrn_x4-official"),
        ("{stem}_x{scale}", "photo_x4"),
        ("{index:03d}_{family}", "007_bsrn"),
        ("{{{stem}}}", "{photo}"),
        ("{stem}: {index:2}", "photo-  7"),
        ("con", "_con"),
        ("{stem}.", "photo"),
    ],
)
def test_templates(template: str, name: str) -> None:
    assert result_name(template, PHOTO) == name


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{name}", r"names \{name\}: it may name \{stem\}"),
        ("{}", "names"),
        ("{0}", "names"),
        ("{stem.__class__}", "names"),
        ("{stem[0]}", "names"),
        ("{stem!r}", "formats"),
        ("{stem:>9}", "formats"),
        ("{index:{scale}}", "formats"),
        ("{index:999999999d}", "formats"),
        ("{index:x}", "formats"),
        ("{stem", "not well-formed"),
        ("stem}", "not well-formed"),
        ("out/{stem}", "path separator"),
        ("", "no name"),
        ("..", "no name"),
        ("___", "no name"),
    ],
)
def test_templates_that_cannot_be_used(template: str, reason: str) -> None:
    with pytest.raises(NamingError, match=reason):
        check_template(template)


@given(st.text(min_size=1), st.text(min_size=1), st.integers(1, 10**6))
@example("a" * 500, "m", 1)
@example("ä" * 200, "m", 1)
@example("../../etc/passwd", "m", 1)
@example("COM1", ".pth", 1)
def test_any_name_is_one_file_in_its_folder(stem: str, model: str, index: int) -> None:
    name = result_name("{stem}_{model}_{index}", ResultNaming(stem, model, 4, "bsrn", index))
    assert name
    assert not set(name) & set('<>:"/\\|?*\0')
    assert name == name.strip().rstrip(".")
    assert len(name.encode("utf-8", "surrogatepass")) <= 201
    assert Path("folder", name).name == name


def test_collisions_are_numbered() -> None:
    assert numbered("a.png", {"a.png", "a_2.png"}.__contains__) == "a_3.png"
    assert unique_names(["a.png", "A.png", "b", "a.png", "b"]) == ("a.png", "A_2.png", "b", "a_3.png", "b_2")


def test_a_free_path(tmp_path: Path) -> None:
    assert free_path(tmp_path, "a.png") == tmp_path / "a.png"
    (tmp_path / "a.png").touch()
    assert free_path(tmp_path, "a.png") == tmp_path / "a_2.png"


@given(st.lists(st.sampled_from(["a", "A", "a_2", "a.png", "a_2.png"])))
def test_unique_names_are_unique_whatever_the_case(names: list[str]) -> None:
    unique = unique_names(names)
    assert len({name.casefold() for name in unique}) == len(names)
