"""Which images belong together, and which cannot be scored."""

import struct
import warnings
import zlib

import pytest
from PIL import Image, PngImagePlugin

from spf_bench.errors import UserError
from spf_bench.files.pictures import lossy as lost
from spf_bench.scoring.match import match
from spf_bench.scoring.one_batch import read_rgb


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


PROFILE = bytes(2000)


@pytest.mark.parametrize(
    ("suffix", "how", "lossy"),
    [
        ("jpg", {}, 1),
        ("jpg", {"format": "MPO", "save_all": True, "append_images": [Image.new("RGB", (64, 64))]}, 1),
        ("webp", {}, 1),
        ("webp", {"icc_profile": PROFILE}, 1),
        ("webp", {"mode": "RGBA"}, 1),
        ("webp", {"lossless": True}, 0),
        ("webp", {"lossless": True, "icc_profile": PROFILE}, 0),
        ("tiff", {"compression": "jpeg"}, 1),
        ("tiff", {"compression": "tiff_lzw"}, 0),
    ],
)
def test_what_a_format_loses_is_seen(theirs, suffix, how, lossy):
    path = theirs.images / f"{theirs.triples[0].id}.png"
    settings = dict(how)
    picture = Image.open(path).convert(settings.pop("mode", "RGB"))
    if picture.mode == "RGBA":
        picture.putpixel((0, 0), (1, 2, 3, 254))  # alpha is written where it says something, and then refused below
    picture.save(path.with_suffix(f".{suffix}"), **settings)
    path.unlink()
    with Image.open(path.with_suffix(f".{suffix}")) as saved:
        assert bool(lost(saved, path.with_suffix(f".{suffix}"))) == bool(lossy)
    if picture.mode == "RGB":
        assert len(found(theirs).lossy) == lossy
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            read_rgb(path.with_suffix(f".{suffix}"))
        assert len(said) == lossy


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize("hidden", [True, False])
def test_hidden_colours_are_refused_and_opaque_ones_read(theirs, mode, hidden):
    path = theirs.images / f"{theirs.triples[0].id}.png"
    picture = Image.open(path).convert(mode)
    if mode == "P":
        picture.save(path, **({"transparency": picture.getpixel((3, 4))} if hidden else {}))
    else:
        picture.putalpha(255)
        if hidden:
            picture.putpixel((3, 4), (*picture.getpixel((3, 4))[:-1], 254))
        picture.save(path)
    if not hidden:
        assert found(theirs).lossy == ()
        return
    with pytest.raises(UserError) as caught:
        found(theirs)
    assert [problem.why for problem in caught.value.problems] == [
        "has transparent pixels, whose hidden colours would be scored"
    ]


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (6, 4)])
def test_sixteen_bits_per_channel_are_refused(theirs, colour, channels):
    path = theirs.images / f"{theirs.triples[0].id}.png"
    rows = zlib.compress((b"\0" + bytes(64 * channels * 2)) * 64)
    with path.open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        PngImagePlugin.putchunk(file, b"IHDR", struct.pack(">2I5B", 64, 64, 16, colour, 0, 0, 0))
        PngImagePlugin.putchunk(file, b"IDAT", rows)
        PngImagePlugin.putchunk(file, b"IEND", b"")
    assert Image.open(path).mode.startswith("RGB")  # PIL drops half of the bits
    with pytest.raises(UserError) as caught:
        found(theirs)
    assert caught.value.problems[0].why == "is no 8-bit RGB: it has 16 bits per channel"
