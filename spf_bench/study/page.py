"""The ballot as HTML: one page for the server and for the file that needs none."""

import base64
import hashlib
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spf_bench.study.model import IMAGES, Ballot, Study
from spf_bench.study.pictures import data_url

HERE = Path(__file__).parent
Locate = Callable[[str, str], Any]
"""From a file's name and what it is (the item's key with o, l or r) to what the browser finds it by."""


def served_ballot() -> str:
    """Return the page of the server; what it shows it asks the server for."""
    return _page("served.js", None, "img-src 'self' data:; connect-src 'self'")


def static_ballot(study: Study, folder: Path) -> str:
    """Return the page of all participants that needs no server; the code in its address says whose ballot it is.

    Args:
        study: What is asked.
        folder: Where its images lie, in ``images``.
    """
    files = sorted({name for one in study.units for name in (one.original, *one.images)})
    random.Random(study.id).shuffle(files)
    places = {name: place for place, name in enumerate(files)}
    data = {
        "study": study.id,
        "images": [data_url(folder / IMAGES / name) for name in files],
        "ballots": {
            f"{ballot.number:02}": {"check": fnv(ballot.code), **content(study, ballot, lambda name, _: places[name])}
            for ballot in study.ballots
        },
    }
    return _page("file.js", data, "img-src data:")


def content(study: Study, ballot: Ballot, locate: Locate) -> dict[str, Any]:
    """Return what the browser is told of a ballot: texts, two sides, and nothing of who made them."""
    items = []
    for item in ballot.items:
        one = study.units[item.unit]
        left, right = one.images[::-1] if item.flipped else one.images
        items.append({
            "key": item.key,
            "base": one.base,
            "target": one.target,
            "original": locate(one.original, f"{item.key}-o"),
            "left": locate(left, f"{item.key}-l"),
            "right": locate(right, f"{item.key}-r"),
        })  # fmt: skip
    questions = [{"key": q.key, "step": q.step, "text": q.text, "hint": q.hint} for q in study.questions]
    return {"minutes": study.minutes, "ties": study.ties, "questions": questions, "items": items}


def fnv(text: str) -> int:
    """Return 16 bits of FNV-1a: enough to notice a mistyped code, too little to find one."""
    value = 2166136261
    for byte in text.encode():
        value = (value ^ byte) * 16777619 % 2**32
    return value & 0xFFFF


def door(message: str = "") -> str:
    """Return the page that asks for the code of an invitation."""
    style = _asset("ballot.css")
    return _template("door.html.j2").render(style=style, style_hash=_hash(style), message=message)


def _page(store: str, data: Any, sources: str) -> str:
    style, script = _asset("ballot.css"), "\n".join(map(_asset, ("dom.js", store, "ballot.js")))
    return _template("ballot.html.j2").render(
        style=style, script=script, style_hash=_hash(style), script_hash=_hash(script), sources=sources, data=data
    )


def _template(name: str) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(HERE / "templates")
    return Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).get_template(name)


def _asset(name: str) -> str:
    return (HERE / "assets" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return what a content security policy calls a script or style: nothing else may run in the page."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
