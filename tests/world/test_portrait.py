"""A portrait is its record: same record, same pixels; every attribute shows; words and masks agree with it."""

import numpy as np
import pytest

from spf_bench.world.portrait import ATTRIBUTES, PARTS, Portrait, mask, part_map, phrases, render

PLAIN = Portrait("woman", "tan", "long", "red", "sweater", "green", "mint green", "smiling", "open")


def test_same_record_same_pixels_at_any_size():
    assert np.array_equal(render(PLAIN), render(PLAIN.with_()))
    assert render(PLAIN).shape == (64, 64, 3)
    assert render(PLAIN, 48).shape == (48, 48, 3)


@pytest.mark.parametrize(
    ("attribute", "value"),
    [(a, v) for a, values in ATTRIBUTES.items() if a != "subject" for v in values if v != getattr(PLAIN, a)],
)
def test_every_value_of_every_attribute_changes_the_picture(attribute, value):
    assert (render(PLAIN.with_(**{attribute: value})) != render(PLAIN)).any()


def test_an_unknown_value_is_named():
    with pytest.raises(ValueError, match="hair_color='green'"):
        PLAIN.with_(hair_color="green")


def test_the_caption_names_what_is_there_and_leaves_out_what_is_asked():
    assert ", ".join(phrases(PLAIN)) == (
        "a woman with tan skin, long red hair, in a green sweater, mint green background, smiling"
    )
    assert phrases(PLAIN, without={"hair_color", "clothes"}) == (
        "a woman with tan skin",
        "long hair",
        "mint green background",
        "smiling",
    )
    assert "in denim overalls" in phrases(PLAIN.with_(clothes="overalls", clothes_color="denim"))


def test_masks_lie_where_the_attribute_is():
    rows = {name: np.nonzero(mask(PLAIN, name))[0].mean() for name in ("eyes", "expression", "clothes_color")}
    assert rows["eyes"] < rows["expression"] < rows["clothes_color"]
    worn = PLAIN.with_(glasses="sunglasses")
    changed = (render(worn).astype(int) != render(PLAIN)).any(axis=2)
    assert (mask(worn, "glasses") <= changed).all()
    assert mask(PLAIN, "glasses").sum() == 0
    assert mask(PLAIN, "style").all()


def test_part_maps_label_what_is_on_top():
    def share(portrait, part):
        return float((part_map(portrait) == PARTS.index(part)).mean())

    assert 0.2 < share(PLAIN, "background") < 0.7
    assert share(PLAIN, "headwear") == 0
    hatted = PLAIN.with_(headwear="straw hat")
    assert share(hatted, "headwear") > 0.05
    assert share(hatted, "hair") < share(PLAIN, "hair")
    assert np.array_equal(part_map(PLAIN.with_(style="sepia")), part_map(PLAIN))
