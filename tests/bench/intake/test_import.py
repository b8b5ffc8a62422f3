"""Importing captions: what is right becomes a test set; what is wrong is all named at once, and nothing is written."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from spf_bench import testset
from spf_bench.errors import UserError
from spf_bench.files.pickles import refuse_pickles
from spf_bench.intake.write import import_captions
from spf_bench.study.model import Study
from spf_bench.triple import Category
from spf_bench.world.testset import noise_seed

GOOD = {"base": "a woman, red hair", "target": "wearing a hat", "category": "accessories"}


def jsonl(path: Path, *rows: object) -> Path:
    """Write rows as JSON lines; text is written as it is."""
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def refused(tmp_path: Path, source: Path, images: Path | None = None) -> str:
    """What the report says; nothing may have been written."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError) as caught:
        import_captions(source, tmp_path / "mine", images)
    assert sorted(tmp_path.rglob("*")) == before
    return str(caught.value)


def test_csv_becomes_a_test_set(tmp_path: Path) -> None:
    source = tmp_path / "captions.csv"
    text = '\ufeffBase,target,category,seed,id,notes\n"a woman, red hair",with a beard,Facial attributes,7,one,x\n'
    source.write_text(text + '"a man, smiling",wearing a hat,accessories,,,\n', encoding="utf-8")
    told: list[str] = []
    assert import_captions(source, tmp_path / "mine", say=told.append) == 2
    first, second = testset.load(str(tmp_path / "mine")).triples
    assert (first.id, first.seed, first.category) == ("one", 7, Category.facial_attributes)
    assert first.phrases == ("a woman", "red hair") and first.prompt == "a woman, red hair, with a beard"
    assert (second.id, second.seed) == ("mine-0002", noise_seed("mine-0002"))
    assert told == ["columns not used: 'notes'"]


def test_jsonl_with_images_becomes_a_test_set(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    (tmp_path / "photos").mkdir()
    Image.fromarray(pixels).save(tmp_path / "photos" / "a b.png")
    rows = [{**GOOD, "image": "a b.png", "phrases": ["a woman", "red hair"]}, {**GOOD, "base": "a man"}]
    import_captions(jsonl(tmp_path / "c.jsonl", *rows, ""), tmp_path / "mine", tmp_path / "photos")
    first, second = testset.load(str(tmp_path / "mine")).triples
    assert first.original == "originals/mine-0001.png" and second.original is None
    assert np.array_equal(Image.open(tmp_path / "mine" / str(first.original)), pixels)


def test_every_problem_is_named_by_its_line(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32)).save(tmp_path / "fit.png")
    Image.new("RGB", (32, 16)).save(tmp_path / "wide.png")
    Image.new("RGB", (16, 16)).save(tmp_path / "small.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "fit.png").read_bytes()[:60])
    (tmp_path / "fake.png").write_text("no image")
    (tmp_path / "out.png").symlink_to("/etc/hostname")
    rows = {
        "{broken": "is no JSON: ",
        '{"base": 1, "base": 2}': "'base' stands there twice",
        "[" * 60_000: "is no JSON that can be read",
        "[1]": "[1] is no object",
        '{"base": "' + "x" * 10_000_000 + '"}': "has 10,000,012 bytes",
        json.dumps({**GOOD, "id": "../../etc/passwd"}): "'../../etc/passwd' is no id",
        json.dumps({**GOOD, "id": "/abs"}): "'/abs' is no id",
        json.dumps({**GOOD, "id": "a\0b"}): "is no id",
        json.dumps({**GOOD, "id": ".hidden"}): "is no id",
        json.dumps({**GOOD, "id": "x" * 101}): "is no id",
        json.dumps({**GOOD, "id": "é"}): "is no id",
        json.dumps({**GOOD, "base": "a\0b"}): "U+0000",
        json.dumps({**GOOD, "base": "a\nb"}): "U+000A",
        '{"base": "\\ud800", "target": "x", "category": "clothing"}': "U+D800",
        json.dumps({**GOOD, "base": "x" * 5000}): "has 5,000 characters",
        json.dumps({**GOOD, "base": "w, " * 60}): "CLIP reads 77",
        json.dumps({**GOOD, "base": " "}): "base is empty",
        json.dumps({"base": "a", "category": "clothing"}): "target is missing",
        json.dumps({**GOOD, "category": "hats"}): "'hats' is none of facial_attributes",
        json.dumps({**GOOD, "seed": -1}): "seed -1 is no whole number",
        json.dumps({**GOOD, "seed": True}): "seed True is no whole number",
        json.dumps({**GOOD, "seed": 2**70}): "is no whole number",
        json.dumps({**GOOD, "phrases": ["a", 3]}): "phrases 3 is no text",
        json.dumps({**GOOD, "phrases": ["a woman", "blue hair"]}): "phrase 'blue hair' is not in base",
        json.dumps({**GOOD, "image": "../secret.png"}): "leads out of its folder",
        json.dumps({**GOOD, "image": "/etc/passwd"}): "leads out of its folder",
        json.dumps({**GOOD, "image": "C:\\x.png"}): "leads out of its folder",
        json.dumps({**GOOD, "image": "a\0.png"}): "is no file name",
        json.dumps({**GOOD, "image": "out.png", "base": "1"}): "is no file in",
        json.dumps({**GOOD, "image": "x" * 900, "base": "2"}): "is no file in",
        json.dumps({**GOOD, "image": "fit.png", "base": "3", "id": "twice"}): "",
        json.dumps({**GOOD, "image": "wide.png", "base": "4"}): "32 x 16 pixels, not square",
        json.dumps({**GOOD, "image": "small.png", "base": "5"}): "16 pixels wide, that of line 31 is 32",
        json.dumps({**GOOD, "image": "cut.png", "base": "6"}): "is broken",
        json.dumps({**GOOD, "image": "fake.png", "base": "7"}): "is none of PNG",
        json.dumps({**GOOD, "base": "8", "id": "TWICE"}): "is that of line 31",
        json.dumps({**GOOD, "base": "3"}): "says the same as line 31",
        json.dumps({**GOOD, "file_name": "a.png", "image": "b.png"}): "by two names",
    }
    source = jsonl(tmp_path / "c.jsonl", *rows)
    source.write_bytes(source.read_bytes() + b'{"base": "caf\xe9"}\n')
    said = refused(tmp_path, source)
    for number, expected in enumerate([*rows.values(), "is no UTF-8: byte 0xe9"], start=1):
        lines = [line for line in said.splitlines() if line.split()[:2] == ["line", str(number)]]
        assert any(expected in line for line in lines) if expected else not lines, (number, expected, lines)
    assert "nothing was written" in said and len(said) < 10_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "holds no captions"),
        (b"base,target\n", "holds no captions"),
        (b"a;b\n1;2\n", "no header that names base and target"),
        (b"base,target,base\n", "names columns twice"),
        ("base,target\n".encode("utf-16"), "looks like UTF-16"),
        (b"PK\x03\x04", "a zip or a spreadsheet"),
        (b"\xe9base,target\na,b\n", "is no UTF-8"),
        (b"base,target,category\na,b\n", "has 2 cells, the header has 3"),
        (b'base,target,category\n"a,b,clothing\n', "is no CSV: unexpected end"),
        (b'base,target,category\n"a"b,c,clothing\n', "is no CSV"),
        (b'base,target,category\n"a\nb",c,clothing\n', "U+000A"),
        (b"base,target,category\n" + b"x" * 10_000_000 + b",b,clothing\n", "10,000,011 bytes"),
        (b'base,target,category\n"' + b"x" * 60_000 + b"\n" * 90_000 + b'",b,clothing\n', "field larger"),
        (b"base,target,category\na,b,clothing\nA,B,clothing\n", "says the same as line 2"),
        (b"base,target,category,seed\na,b,clothing,1e3\n", "seed '1e3' is no whole number"),
        (b"base,target,category\na,b,clothing\x00\n", "is none of"),
    ],
)
def test_csv_that_is_none(tmp_path: Path, text: bytes, expected: str) -> None:
    source = tmp_path / "c.csv"
    source.write_bytes(text)
    assert expected in refused(tmp_path, source)


def test_one_bad_row_spoils_no_other(tmp_path: Path) -> None:
    source = tmp_path / "c.csv"
    source.write_text('base,target,category\n"a"b,c,clothing\nd,e,clothing\nf,g,shoes\n')
    said = refused(tmp_path, source)
    assert "2 problems" in said and "line 2" in said and "line 4" in said and "line 3" not in said


def test_where_it_goes_must_be_free_and_well_named(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "c.jsonl", GOOD)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name, expected in (
        ("taken", "there already"),
        ("link", "there already"),
        ("my set ä", "my set ä is no id: ASCII letters"),
        ("..", "is no"),
    ):
        with pytest.raises(UserError, match=expected):
            import_captions(source, tmp_path / name)
    (tmp_path / "empty").mkdir()
    assert import_captions(source, tmp_path / "empty") == 1
    with pytest.raises(UserError, match="no file"):
        import_captions(tmp_path / "none.csv", tmp_path / "mine")
    with pytest.raises(UserError, match="cannot tell what"):
        import_captions(jsonl(tmp_path / "c.txt", GOOD), tmp_path / "mine")


def test_a_failure_on_the_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = jsonl(tmp_path / "c.jsonl", GOOD)

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(testset, "seal", full)
    with pytest.raises(OSError, match="no space"):
        import_captions(source, tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["c.jsonl"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=200), name=st.sampled_from(["c.csv", "c.jsonl"]))
def test_no_bytes_make_a_traceback(tmp_path: Path, raw: bytes, name: str) -> None:
    header = b"base,target,category\n" if name == "c.csv" else b""
    (tmp_path / name).write_bytes(header + raw)
    with pytest.raises(UserError) as caught:
        import_captions(tmp_path / name, tmp_path / "mine")
    assert str(caught.value).isascii() and not (tmp_path / "mine").exists()


def test_the_command_says_what_to_do_next(tmp_path: Path, cli: Callable) -> None:
    said = cli("testset", "import", jsonl(tmp_path / "c.jsonl", GOOD), "--to", tmp_path / "mine")
    assert said.exit_code == 0 and "1 triple into" in said.output and "spf-bench run --testset" in said.output
    again = cli("testset", "import", tmp_path / "c.jsonl", "--to", tmp_path / "mine")
    assert again.exit_code == 2 and "there already" in again.output
    plain = {key: value for key, value in GOOD.items() if key != "category"}
    source = jsonl(tmp_path / "d.jsonl", plain)
    assert "category is missing" in cli("testset", "import", source, "--to", tmp_path / "e").output
    assert cli("testset", "import", source, "--to", tmp_path / "e", "--category", "clothing").exit_code == 0


def test_commands_to_go_on_with_quote_a_path_with_a_space(tmp_path: Path, cli: Callable) -> None:
    folder = tmp_path / "my sets"
    said = cli("testset", "import", jsonl(tmp_path / "c.jsonl", GOOD), "--to", folder / "mine")
    assert f"spf-bench run --testset '{folder / 'mine'}'\n" in said.stdout
    with pytest.raises(UserError) as study:
        Study.load(folder)
    assert study.value.fix == f"spf-bench study make --to '{folder}'"
    (folder / "model.ckpt").write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(UserError) as pickled:
        refuse_pickles(folder / "model.ckpt")
    assert f"convert '{folder / 'model.ckpt'}' '{folder / 'model.safetensors'}'," in pickled.value.fix
