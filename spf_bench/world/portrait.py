"""Portraits with exact attributes: a typed record, its picture, its words and its masks.

A `Portrait` is drawn with DiceBear's `avataaars` style ("Avataaars" by Pablo Stanley, free for personal and
commercial use) and rasterised by resvg. Two things are added to the style: cheeks (rosy, freckled) and hats worn
over the hair instead of in its place, so that a hat leaves the hair style in the picture.
"""

from __future__ import annotations

import copy
import functools
import io
import json
from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from typing import Any

import numpy as np
from PIL import Image, ImageFilter, ImageOps

SKIN = {"light": "#ffdbb4", "tan": "#dba06a", "brown": "#ae5d29", "dark": "#614335"}
HAIR_COLOR = {
    "black": "#2c1b18",
    "brown": "#84502b",
    "red": "#c93305",
    "grey": "#a3a3a8",
    "blonde": "#f2d16b",
    "pink": "#f678b4",
}
HAIR_STYLE = {
    "short": "shortFlat",
    "cropped": "theCaesar",
    "shaggy": "shaggy",
    "swept": "frizzle",
    "long": "straight02",
    "bobbed": "bob",
    "tied": "bun",
    "curly": "curly",
    "afro": "fro",
    "bald": None,
}
MEN_HAIR = ("short", "cropped", "shaggy", "swept")
WOMEN_HAIR = ("long", "bobbed", "tied", "curly")
CLOTHES = {
    "sweater": "collarAndSweater",
    "t-shirt": "shirtCrewNeck",
    "hoodie": "hoodie",
    "blazer": "blazerAndShirt",
    "overalls": "overall",
    "skull shirt": "graphicShirt",
    "coat": "blazerAndSweater",
}
CLOTHES_COLOR = {
    "red": "#e0433f",
    "blue": "#3f78d8",
    "green": "#3fae5a",
    "yellow": "#f2cf3f",
    "white": "#f7f7f7",
    "purple": "#8a4fbf",
    "black": "#262e33",
    "denim": "#5f86ad",
}
BACKGROUND = {
    "sky blue": "#a8dcf5",
    "mint green": "#b8eecb",
    "lavender": "#cdc2f5",
    "peach": "#ffc9b0",
    "cream": "#fbeec2",
    "grey": "#c9cdd2",
    "orange": "#ff8c2a",
    "teal": "#0f6a75",
    "navy": "#1f2d5c",
}
EXPRESSION = {"smiling": "smile", "serious": "serious", "sad": "sad", "surprised": "screamOpen"}
EYES = {"open": "default", "closed": "happy", "sideways": "squint"}
GLASSES = {"none": None, "sunglasses": "sunglasses", "round glasses": "round", "eyepatch": "eyepatch"}
HEADWEAR = {"none": None, "winter hat": "winterHat03", "straw hat": "hat"}
HEADWEAR_COLOR = {"winter hat": "#e0433f", "straw hat": "#e3c06a"}
FACIAL_HAIR = {"none": None, "beard": "beardMedium", "moustache": "moustacheMagnum"}
CHEEKS = ("none", "rosy", "freckled")
STYLE = ("none", "pencil sketch", "sepia", "blueprint")
FRAMING = {"medium": (1.1, 1.5), "close": (1.45, 9.0)}  # DiceBear scale, and shift down in percent of the height

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "subject": ("man", "woman"),
    "skin": tuple(SKIN),
    "hair_style": tuple(HAIR_STYLE),
    "hair_color": tuple(HAIR_COLOR),
    "clothes": tuple(CLOTHES),
    "clothes_color": tuple(CLOTHES_COLOR),
    "background": tuple(BACKGROUND),
    "expression": tuple(EXPRESSION),
    "eyes": tuple(EYES),
    "glasses": tuple(GLASSES),
    "headwear": tuple(HEADWEAR),
    "facial_hair": tuple(FACIAL_HAIR),
    "cheeks": CHEEKS,
    "style": STYLE,
    "framing": tuple(FRAMING),
}
"""Every attribute of a portrait with its possible values."""

PARTS = ("background", "skin", "clothes", "mouth", "eyes", "hair", "headwear", "facial_hair", "glasses")
"""Labels of a part map, in the order in which the parts are painted over each other."""

PART_GROUPS: dict[str, tuple[str, ...]] = {
    "background": ("background",),
    "body": ("clothes",),
    "face": ("skin", "mouth", "eyes", "facial_hair", "glasses"),
    "top": ("hair", "headwear"),
}
"""Parts joined into the coarser regions a segmenter may also answer with."""


@dataclass(frozen=True)
class Portrait:
    """One portrait, wholly described; equal records give equal pixels. Values: `ATTRIBUTES`."""

    subject: str
    skin: str
    hair_style: str
    hair_color: str
    clothes: str
    clothes_color: str
    background: str
    expression: str
    eyes: str
    glasses: str = "none"
    headwear: str = "none"
    facial_hair: str = "none"
    cheeks: str = "none"
    style: str = "none"
    framing: str = "medium"

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value not in ATTRIBUTES[field.name]:
                raise ValueError(f"{field.name}={value!r} is none of {', '.join(ATTRIBUTES[field.name])}")

    def with_(self, **changes: str) -> Portrait:
        """The same portrait with some attributes changed."""
        return replace(self, **changes)


def render(portrait: Portrait, size: int = 64) -> np.ndarray:
    """Draws a portrait [size, size, 3], uint8 RGB; the same record always gives the same pixels."""
    return _styled(_draw(_options(portrait), size), portrait.style)


def tell(portrait: Portrait, without: Collection[str] = ()) -> dict[str, tuple[str, ...]]:
    """Says the base caption phrase by phrase: each phrase with the attributes it names, those in `without` left out.

    Eyes, framing and everything only a target adds are never named: a caption does not tell all.
    """
    words = {name: "" if name in without else getattr(portrait, name) for name in ATTRIBUTES}
    if words["hair_style"] == "bald":
        words["hair_style"] = words["hair_color"] = ""
    skin, garment, scene = words["skin"], words["clothes"], words["background"]
    hair = [words["hair_style"], words["hair_color"], "hair"]
    said = {
        f"a {portrait.subject}" + (f" with {skin} skin" if skin else ""): ("subject", "skin"),
        " ".join(filter(None, hair)) if any(hair[:2]) else "": ("hair_style", "hair_color"),
        _wearing(garment, words["clothes_color"]) if garment else "": ("clothes", "clothes_color"),
        f"{scene} background" if scene else "": ("background",),
        words["expression"]: ("expression",),
    }
    return {phrase: tuple(n for n in names if words[n]) for phrase, names in said.items() if phrase}


def phrases(portrait: Portrait, without: Collection[str] = ()) -> tuple[str, ...]:
    """The phrases of a portrait's base caption, without the attributes named in `without`."""
    return tuple(tell(portrait, without))


def _wearing(garment: str, dye: str) -> str:
    return " ".join(word for word in ("in", "" if garment == "overalls" else "a", dye, garment) if word)


def mask(portrait: Portrait, attribute: str, size: int = 64) -> np.ndarray:
    """Finds the region [size, size], bool, that an attribute governs, by drawing with and without it."""
    if attribute == "style":
        return np.ones((size, size), dtype=bool)
    if attribute == "framing":
        attribute = "background"
    plain = portrait.with_(style="none")
    return _region(_draw(_options(plain), size), plain, attribute)


def part_map(portrait: Portrait, size: int = 64) -> np.ndarray:
    """Labels every pixel [size, size], uint8, with the index in `PARTS` of what is painted there."""
    governs = {"skin": "skin", "clothes": "clothes", "mouth": "expression", "eyes": "eyes", "hair": "hair_style"}
    plain = portrait.with_(style="none")
    here = _draw(_options(plain), size)
    labels = np.zeros((size, size), dtype=np.uint8)
    for index, part in enumerate(PARTS[1:], start=1):
        attribute = governs.get(part, part)
        if getattr(plain, attribute) not in ("none", "bald"):
            labels[_region(here, plain, attribute)] = index
    return labels


def _region(here: np.ndarray, plain: Portrait, attribute: str) -> np.ndarray:
    others = (_draw(options, here.shape[0]) for options in _without(plain, attribute))
    return functools.reduce(np.logical_or, (_differs(here, other) for other in others))


def _options(portrait: Portrait) -> dict[str, Any]:
    scale, down = FRAMING[portrait.framing]
    options: dict[str, Any] = {
        "seed": "portrait",  # everything is set below; the seed decides nothing
        "scale": scale,
        "translateY": down,
        "skinColor": SKIN[portrait.skin],
        "hairColor": HAIR_COLOR[portrait.hair_color],
        "facialHairColor": HAIR_COLOR[portrait.hair_color],
        "clothesColor": CLOTHES_COLOR[portrait.clothes_color],
        "clothesVariant": CLOTHES[portrait.clothes],
        "clothesGraphicVariant": "skull",
        "backgroundColor": BACKGROUND[portrait.background],
        "mouthVariant": EXPRESSION[portrait.expression],
        "eyesVariant": EYES[portrait.eyes],
        "eyebrowsVariant": "default",
        "accessoriesColor": "#262e33",
        "hatColor": HEADWEAR_COLOR.get(portrait.headwear, "#ffffff"),
    }
    worn = {
        "top": HAIR_STYLE[portrait.hair_style],
        "accessories": GLASSES[portrait.glasses],
        "facialHair": FACIAL_HAIR[portrait.facial_hair],
        "headwear": HEADWEAR[portrait.headwear],
        "cheeks": None if portrait.cheeks == "none" else portrait.cheeks,
    }
    for component, variant in worn.items():
        options[f"{component}Probability"] = 0 if variant is None else 100
        if variant is not None:
            options[f"{component}Variant"] = variant
    return options


def _without(portrait: Portrait, attribute: str) -> list[dict[str, Any]]:
    """The drawings a portrait is compared with to see where `attribute` shows."""
    options = _options(portrait)
    absent = {
        "hair_style": "top",
        "glasses": "accessories",
        "facial_hair": "facialHair",
        "headwear": "headwear",
        "cheeks": "cheeks",
        "clothes": "clothes",
        "expression": "mouth",
    }
    # Each colour lies far from every colour the attribute can have.
    recoloured = {
        "skin": {"skinColor": "#00ff00"},
        "clothes_color": {"clothesColor": "#00ffff"},
        "background": {"backgroundColor": "#ff00ff"},
        "hair_color": {"hairColor": "#00ff00", "facialHairColor": "#00ff00"},
    }
    if attribute in recoloured:
        return [options | recoloured[attribute]]
    if attribute == "eyes":
        return [options | {"eyesProbability": 0, "eyebrowsProbability": 0}]
    if attribute == "subject":
        return [options | {"topProbability": 0}]
    without = [options | {f"{absent[attribute]}Probability": 0}]
    return without + (_without(portrait, "clothes_color") if attribute == "clothes" else [])


def _differs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.abs(a.astype(np.int16) - b).max(axis=2) > 24


def _draw(options: dict[str, Any], size: int) -> np.ndarray:
    import resvg_py
    from dicebear import Avatar

    svg = Avatar(_style_definition(), options).to_string()
    png = bytes(resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size, skip_system_fonts=True))
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


@functools.cache
def _style_definition() -> Any:
    """The avataaars style with cheeks, and with hats as a component of their own above the hair."""
    from dicebear import Style

    definition = copy.deepcopy(json.loads(files("dicebear_styles").joinpath("avataaars.json").read_text("utf-8")))
    components, elements = definition["components"], definition["canvas"]["elements"]
    top = components["top"]
    hats = {name: top["variants"][name] for name in HEADWEAR.values() if name}
    components["headwear"] = {**top, "variants": hats, "probability": 0}
    components["cheeks"] = {"width": 120, "height": 40, "probability": 0, "variants": _cheeks()}
    for part in ("clothes", "mouth", "eyes", "eyebrows"):
        components[part]["probability"] = 100  # so that masks can be made by leaving the part out
    place = [element.get("name") for element in elements]
    elements.insert(place.index("top") + 1, _component("headwear", "translate(8)"))
    elements.insert(place.index("mouth"), _component("cheeks", "translate(80 122)"))
    return Style(definition)


def _component(name: str, transform: str) -> dict[str, Any]:
    return {"name": name, "type": "component", "attributes": {"transform": transform}}


def _cheeks() -> dict[str, Any]:
    def dot(x: float, y: float, radius: float, fill: str, opacity: str) -> dict[str, Any]:
        attributes = {"cx": str(x), "cy": str(y), "r": str(radius), "fill": fill, "fill-opacity": opacity}
        return {"name": "circle", "type": "element", "attributes": attributes}

    rosy = [dot(x, 14, 11, "#ff3355", ".62") for x in (24, 96)]
    freckles = [
        dot(x + dx, y, 3.3, "#4a1a0a", ".9") for x in (24, 96) for dx, y in ((-9, 8), (0, 6), (9, 8), (-5, 15), (5, 15))
    ]
    return {"rosy": {"elements": rosy}, "freckled": {"elements": freckles}}


def _styled(image: np.ndarray, style: str) -> np.ndarray:
    if style == "none":
        return image
    grey = Image.fromarray(image).convert("L")
    if style == "sepia":
        return np.asarray(ImageOps.colorize(grey, black="#2a1606", mid="#a8793f", white="#fff1d2"))
    # A pencil line stays where a pixel is darker than its neighbourhood (the "dodge" of photo editors).
    blurred = np.asarray(grey.filter(ImageFilter.GaussianBlur(image.shape[0] / 32)), dtype=np.float32)
    paper = np.clip(np.asarray(grey, dtype=np.float32) / np.maximum(blurred, 1) * 250, 0, 255)
    lines = np.clip(255 - (255 - paper) * 1.6, 0, 255).astype(np.uint8)
    if style == "pencil sketch":
        return np.repeat(lines[:, :, None], 3, axis=2)
    return np.asarray(ImageOps.colorize(Image.fromarray(255 - lines), black="#123a8c", white="#ffffff"))
