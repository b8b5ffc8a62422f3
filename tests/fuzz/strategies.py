"""Inputs as users, other programs and broken disks make them: hostile texts, JSON gone wrong, damaged bytes."""

import copy
import json
from typing import Any

from hypothesis import strategies as st

PROMPTS = (
    "", " ", ",", ",,,,", ", a woman", "a woman,, ,red hair,", "a" * 10_000, "a, " * 4_000, "smile " * 3_000,
    "امرأة ذات شعر أحمر, مبتسمة", "אישה, שיער אדום", "\u202ea woman\u202c, red hair", "👩‍👩‍👧‍👦 with 🕶️, 🏳️‍🌈", "ﷺ, ﷽",
    "e\u0301\u0302" * 200, "\u200b\u200d\ufeff", "\x00", "a\nb\rc\u2028d", "\ud800", "\U0010ffff",
    "<|endoftext|>, <|startoftext|>",
    "<script>alert(1)</script>", "\\input{/etc/passwd}$^_#&%{}", "=cmd|' /C calc'!A0", "../../../etc/passwd",
    "/etc/passwd",
    "C:\\x", "{{7*7}}{0}%s%n", "$(touch x);`touch y`", "null", "-1e999", "a woman's, 'photo', \"of\"", "ǅ ß İ ı",
)  # fmt: skip
"""Texts that broke one program or another."""

texts = st.one_of(st.sampled_from(PROMPTS), st.text(st.characters(), max_size=40))
plain_texts = texts.filter(lambda text: not any(0xD800 <= ord(char) < 0xE000 for char in text))
"""Texts that can be written as UTF-8."""
numbers = st.one_of(
    st.integers(-5, 5), st.sampled_from((2**31, 2**63, -(2**63), 10**400)), st.floats(), st.booleans(), st.none()
)
values = st.recursive(
    st.one_of(numbers, texts),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
"""Anything that JSON can hold, NaN and infinities included."""


@st.composite
def mutated(draw: st.DrawFn, valid: Any) -> Any:
    """Return JSON data with one to three of its parts replaced, taken away, or joined by strangers."""
    data = copy.deepcopy(valid)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(data))
        if not places:
            return draw(values)
        around, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(("replace", "replace", "remove", "add"))):
            case "replace":
                around[key] = draw(values)
            case "remove":
                del around[key]
            case _ if isinstance(around, dict):
                around[draw(texts)] = draw(values)
            case _:
                around.insert(key, draw(values))
    return data


def _places(data: Any) -> Any:
    if isinstance(data, dict | list):
        for key in list(data) if isinstance(data, dict) else range(len(data)):
            yield data, key
            yield from _places(data[key])


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Return bytes cut short, overwritten in places, lengthened, or replaced by others."""
    kind = draw(st.sampled_from(("cut", "overwrite", "overwrite", "insert", "append", "other")))
    if kind == "other":
        return draw(st.binary(max_size=64))
    place = draw(st.integers(0, max(len(whole) - 1, 0)))
    some = draw(st.binary(min_size=1, max_size=12))
    match kind:
        case "cut":
            return whole[:place]
        case "overwrite":
            return whole[:place] + some + whole[place + len(some) :]
        case "insert":
            return whole[:place] + some + whole[place:]
    return whole + some


def as_json(data: Any) -> bytes:
    """Return data as JSON in UTF-8; what UTF-8 cannot hold is escaped, as ill-meaning programs do."""
    return json.dumps(data).encode()


def as_lines(rows: Any) -> bytes:
    """Return JSON data as lines, one for each item of a list."""
    return b"\n".join(map(as_json, rows if isinstance(rows, list) else [rows]))
