"""A tally in print, and as JSON that ``spf-bench figure 8`` draws."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from spf_bench.study.bradley_terry import PRIOR
from spf_bench.study.model import Study
from spf_bench.study.outcome import Range, Tally
from spf_bench.table.layout import Format
from spf_bench.table.sheet import Sheet, render_sheet


def to_json(study: Study, made: Tally) -> dict[str, Any]:
    """Return a tally as plain JSON types."""
    facts = {"study": study.id, "suite": study.suite, "testset": study.testset, "testset_sha256": study.testset_sha256}
    methods = [asdict(method) for method in study.methods]
    counts = {"invited": made.invited, "answered": len(made.participants), "counted": len(made.counted)}
    return {**facts, "methods": methods, **counts, **asdict(made), "notes": list(made.notes)}


def render(study: Study, made: Tally, kind: Format) -> str:
    """Return a tally as text that ends in a newline."""
    if kind is Format.json:
        return json.dumps(to_json(study, made), indent=2, ensure_ascii=False) + "\n"
    makers: tuple[Callable[[Study, Tally], Sheet], ...] = (_votes, _strengths, _agreement, _participants)
    return "\n".join(render_sheet(make(study, made), kind) for make in makers)


def _votes(study: Study, made: Tally) -> Sheet:
    rows, data = [], []
    for key, pairs in made.questions.items():
        for pair in pairs:
            n = pair.votes_a + pair.votes_b + pair.ties
            ties, other = (f"{100 * votes / n:.1f}" if n else "–" for votes in (pair.ties, pair.votes_b))
            equal = [ties] if study.ties else []
            rows.append((key, pair.a, _number(pair.percent_a, 1), *equal, other, pair.b, str(n)))
            data.append({"question": key, **asdict(pair), "percent_a": pair.percent_a.value, **_ends(pair.percent_a)})
    title = f"Votes in %, {len(made.counted)} of {made.invited} invited participants counted"
    head = ("", "first", "% first [95 %]", *(["% equal"] if study.ties else []), "% second", "second", "votes")
    notes = [f"{q.key}: {q.title}" for q in study.questions]
    return Sheet("votes", title, head, tuple(rows), tuple(data), (*notes, *made.notes), left=2)


def _strengths(study: Study, made: Tally) -> Sheet:
    rows, data = [], []
    for method in study.methods:
        found = {key: strengths[method.label] for key, strengths in made.strengths.items()}
        rows.append((method.label, *(_number(one, 2, sign=True) for one in found.values())))
        data += [
            {"method": method.label, "question": key, "strength": one.value, **_ends(one)} for key, one in found.items()
        ]
    title = "Bradley-Terry strength (log, mean 0) with 95 % interval"
    note = (
        f"A difference of d is odds of e^d in a direct comparison. {PRIOR:g} tie is added to each pair compared, "
        "which keeps strengths finite. Intervals: bootstrap over participants."
    )
    return Sheet("strengths", title, ("method", *made.strengths), tuple(rows), tuple(data), (note,))


def _agreement(_: Study, made: Tally) -> Sheet:
    rows = tuple((key, _number(one.alpha, 2), str(one.units), str(one.ratings)) for key, one in made.agreement.items())
    data = tuple(
        {"question": key, "alpha": one.alpha.value, **_ends(one.alpha), "units": one.units, "ratings": one.ratings}
        for key, one in made.agreement.items()
    )
    note = "Over comparisons that several participants judged: 1 is perfect agreement, 0 a coin tossed for each answer."
    head = ("", "alpha [95 %]", "comparisons", "answers")
    return Sheet("agreement", "Krippendorff's alpha", head, rows, data, (note,))


def _participants(_: Study, made: Tally) -> Sheet:
    rows, data = [], []
    for one in made.participants:
        status = "; ".join(one.reasons) or "counted"
        left = "–" if one.left is None else f"{one.left:.0%}"
        done, right = f"{one.answered}/{one.of}", f"{one.right}/{one.checked}"
        rows.append((str(one.number), status, done, right, f"{one.seconds:.1f}", left))
        data.append({**asdict(one), "reasons": "; ".join(one.reasons)})
    excluded = len(made.participants) - len(made.counted)
    silent = made.invited - len(made.participants)
    title = f"Participants: {len(made.counted)} counted, {excluded} excluded, {silent} did not answer"
    head = ("no.", "counted, or why not", "answered", "checks right", "s/answer", "to the left")
    return Sheet("participants", title, head, tuple(rows), tuple(data), left=2)


def _number(one: Range, decimals: int, sign: bool = False) -> str:
    return " ".join(_parts(one, f"{'+' if sign else ''}.{decimals}f"))


def _parts(one: Range, form: str) -> Iterator[str]:
    yield "–" if one.value is None else format(one.value, form)
    if one.lo is not None and one.hi is not None:
        yield f"[{one.lo:{form}}, {one.hi:{form}}]"


def _ends(one: Range) -> dict[str, float | None]:
    return {"lo": one.lo, "hi": one.hi}
