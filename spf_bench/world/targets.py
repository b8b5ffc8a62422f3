"""The target attributes of the world: what each is called, sets, contradicts and hides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from spf_bench.triple import Category
from spf_bench.world.portrait import ATTRIBUTES, Portrait

COLORS = frozenset({"skin", "hair_color", "clothes_color", "background", "cheeks"})


@dataclass(frozen=True)
class Target:
    """One attribute that a portrait can be given."""

    key: str
    """Short name, unique."""
    phrase: str
    """The target text."""
    category: Category
    """Which of the paper's five categories it belongs to."""
    sets: Mapping[str, str]
    """The attributes it sets, and to what."""
    contradicts: frozenset[str] = frozenset()
    """Attributes that a base text must not name beside it (a hair colour beside blonde hair)."""
    requires: Mapping[str, str] = field(default_factory=dict)
    """Attributes a portrait must already have (a beard is only drawn on a man)."""

    @property
    def hides(self) -> frozenset[str]:
        """Attributes that cannot be read from a portrait any more once it has the target."""
        return _hidden(self.sets)

    def fits(self, portrait: Portrait) -> bool:
        """Says whether the portrait has what the target requires."""
        return all(getattr(portrait, name) == value for name, value in self.requires.items())

    def apply(self, portrait: Portrait) -> Portrait:
        """The same portrait with the target attribute."""
        return portrait.with_(**self.sets)


def unreadable(portrait: Portrait) -> frozenset[str]:
    """Attributes that do not show in this portrait: hair under a hat, colours of a sketch, eyes behind glasses."""
    return _hidden({name: getattr(portrait, name) for name in ATTRIBUTES})


def unrelated(target: Target) -> tuple[str, ...]:
    """Attributes that the target neither sets, contradicts nor hides: those a pure method leaves alone."""
    related = target.hides | target.contradicts | set(target.sets)
    return tuple(name for name in ATTRIBUTES if name not in related)


def by_phrase(phrase: str) -> Target:
    """Finds a target by its text; raises KeyError where there is none."""
    return _BY_PHRASE[phrase]


def phrases_known(phrases: Iterable[str]) -> bool:
    """Says whether all of some texts are targets of the world."""
    return all(phrase in _BY_PHRASE for phrase in phrases)


def all_unrelated(targets: Iterable[Target]) -> tuple[str, ...]:
    """Attributes that none of several targets touches; every attribute where there are none."""
    left = [set(unrelated(target)) for target in targets]
    return tuple(name for name in ATTRIBUTES if all(name in names for names in left))


def go_together(phrases: Sequence[str], texts: Iterable[str]) -> bool:
    """Says whether targets, by their texts, may be asked of a base text, and all still be read from one portrait.

    Raises KeyError where a text is no target of the world.
    """
    base, chosen = f", {', '.join(phrases)},", [by_phrase(text) for text in texts]
    if any(_named(base, target) or not _has(base, target) for target in chosen):
        return False
    pairs = [(a, b) for a in chosen for b in chosen if a is not b]
    return not any((a.contradicts | a.hides | set(a.sets)) & set(b.sets) for a, b in pairs)


def _named(base: str, target: Target) -> bool:
    """Says whether a base text names an attribute that the target contradicts."""
    words = {
        "hair_color": [f" {value} hair," for value in ATTRIBUTES["hair_color"]],
        "hair_style": [f", {value} " for value in ATTRIBUTES["hair_style"]],
        "clothes": [f" {value}," for value in ATTRIBUTES["clothes"]],
    }
    return any(word in base for name in target.contradicts for word in words.get(name, []))


def _has(base: str, target: Target) -> bool:
    """Says whether a base text is of someone who may carry the target."""
    return all(f" {value} " in base for value in target.requires.values())


def _hidden(values: Mapping[str, str]) -> frozenset[str]:
    hidden: set[str] = set()
    if values.get("style", "none") != "none":
        hidden |= COLORS
    if values.get("glasses", "none") != "none":
        hidden |= {"eyes"}
    if values.get("headwear", "none") != "none":
        hidden |= {"hair_style", "hair_color", "subject"}  # the subject is told by the hair alone
    if values.get("hair_style") == "afro":
        hidden |= {"subject"}
    if values.get("hair_style") == "bald":
        hidden |= {"subject", "hair_color"}
    return frozenset(hidden)


_HAIR = frozenset({"hair_style", "hair_color"})
_CLOTHES = frozenset({"clothes", "clothes_color"})
_MAN = {"subject": "man"}

_FACIAL, _CLOTHING, _STYLE = Category.facial_attributes, Category.clothing, Category.image_style
_APPEARANCE, _ACCESSORIES = Category.appearance, Category.accessories


def _garment(key: str, phrase: str, clothes: str, color: str) -> Target:
    return Target(key, phrase, _CLOTHING, {"clothes": clothes, "clothes_color": color}, _CLOTHES)


_ALL = (
    Target("beard", "with a beard", _FACIAL, {"facial_hair": "beard"}, requires=_MAN),
    Target("moustache", "with a moustache", _FACIAL, {"facial_hair": "moustache"}, requires=_MAN),
    Target("rosy-cheeks", "with rosy cheeks", _FACIAL, {"cheeks": "rosy"}),
    Target("freckles", "with freckles", _FACIAL, {"cheeks": "freckled"}),
    _garment("blazer", "wearing a black blazer", "blazer", "black"),
    _garment("overalls", "wearing denim overalls", "overalls", "denim"),
    _garment("skull-shirt", "wearing a black skull shirt", "skull shirt", "black"),
    _garment("coat", "wearing a white coat", "coat", "white"),
    Target("sketch", "pencil sketch style", _STYLE, {"style": "pencil sketch"}),
    Target("sepia", "sepia style", _STYLE, {"style": "sepia"}),
    Target("blueprint", "blueprint style", _STYLE, {"style": "blueprint"}),
    Target("blonde", "with blonde hair", _APPEARANCE, {"hair_color": "blonde"}, frozenset({"hair_color"})),
    Target("pink", "with pink hair", _APPEARANCE, {"hair_color": "pink"}, frozenset({"hair_color"})),
    Target("afro", "with an afro", _APPEARANCE, {"hair_style": "afro"}, frozenset({"hair_style"})),
    Target("bald", "with a bald head", _APPEARANCE, {"hair_style": "bald"}, _HAIR),
    Target("sunglasses", "wearing sunglasses", _ACCESSORIES, {"glasses": "sunglasses"}),
    Target("round-glasses", "wearing round glasses", _ACCESSORIES, {"glasses": "round glasses"}),
    Target("eyepatch", "wearing an eyepatch", _ACCESSORIES, {"glasses": "eyepatch"}),
    Target("winter-hat", "wearing a red winter hat", _ACCESSORIES, {"headwear": "winter hat"}),
    Target("straw-hat", "wearing a straw hat", _ACCESSORIES, {"headwear": "straw hat"}),
)
TARGETS: dict[str, Target] = {target.key: target for target in _ALL}
"""Every target by its key."""
_BY_PHRASE = {target.phrase: target for target in _ALL}
