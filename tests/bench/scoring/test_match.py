"""Which images belong together, and which cannot be scored."""

import pytest
from PIL import Image

from spf_bench.errors import UserError
from spf_bench.scoring.match import match


def found(theirs, n=6):
    ids = [triple.id for triple in theirs.triples]
    return match(theirs.triples[:n], ids, theirs.originals, theirs.images)


def test_images_are_paired_by_id(theirs):
    matched = found(theirs)
    assert [p.triple.id for p in matched.pairs] == [p.original.stem for p in matched.pairs]
    assert [p.original.name for p in matched.pairs] == [p.custom.name for p in matched.pairs]
    assert (matched.size, matched.extra, matched.lossy) == ((64, 64), (), ())


def test_everything_wrong_is_named_at_once(theirs):
    a, b, c, d, e, f = (theirs.images / f"{triple.id}.png" for triple in theirs.triples)
    a.unlink()
    b.write_bytes(b.read_bytes()[:500])
    c.write_text("no image")
    Image.open(d).resize((80, 64)).save(d)
    Image.open(e).save(e.with_suffix(".bmp"))
    Image.new("I;16", (64, 64)).save(f)
    with pytest.raises(UserError, match="6 problems with the images") as caught:
        found(theirs)
    told = {problem.subject.split("/")[1].split(".")[0]: problem.why for problem in caught.value.problems}
    reasons = ["is missing", "is broken", "is no image", "is 80 x 64 pixels", "is there twice", "is no 8-bit RGB"]
    for path, reason in zip((a, b, c, d, e, f), reasons, strict=True):
        assert told[path.stem].startswith(reason)


def test_a_missing_folder_is_said_once(theirs, tmp_path):
    theirs.originals = tmp_path / "nowhere"
    with pytest.raises(UserError) as caught:
        found(theirs)
    assert [problem.subject for problem in caught.value.problems] == ["--originals"]


def test_the_size_of_one_side_must_be_that_of_the_other(theirs):
    for path in theirs.images.iterdir():
        Image.open(path).resize((32, 32)).save(path)
    with pytest.raises(UserError) as caught:
        found(theirs)
    assert len(caught.value.problems) == 6


def test_what_nobody_asked_for_is_extra_and_rows_beyond_the_limit_are_not(theirs):
    Image.new("RGB", (8, 8)).save(theirs.images / "other.png")
    (theirs.images / "notes.txt").write_text("not an image")
    assert found(theirs, n=2).extra == ("customised/other.png",)


def test_a_wrong_name_is_told_with_what_is_missing_for_it(theirs):
    first = theirs.images / f"{theirs.triples[0].id}.png"
    first.rename(theirs.images / "wrong.png")
    with pytest.raises(UserError, match=r"nothing was scored; no row asks for 'customised/wrong\.png'") as caught:
        found(theirs)
    assert [problem.why for problem in caught.value.problems] == ["is missing"]
    for i in range(4):
        Image.new("RGB", (8, 8)).save(theirs.images / f"other{i}.png")
    with pytest.raises(UserError, match=r"for 'customised/other0\.png', .*other2\.png' and 2 more"):
        found(theirs)


@pytest.mark.parametrize(("suffix", "how", "lossy"), [("jpg", {}, 1), ("webp", {}, 1), ("webp", {"lossless": True}, 0)])
def test_what_a_format_loses_is_seen(theirs, suffix, how, lossy):
    path = theirs.images / f"{theirs.triples[0].id}.png"
    Image.open(path).save(path.with_suffix(f".{suffix}"), **how)
    path.unlink()
    assert len(found(theirs).lossy) == lossy
