"""Tracks: what is asked of a method on each triple, beside the one target that the triple names.

`triples`    the complete text: base and target
`retention`  the base text alone, after fine-tuning: is the original still there? (Fig. 9 of arXiv:2504.00396v2)
`sequence`   the target replaced twice, and two more added, on the same base text and noise (Fig. 16 there)

Every portrait is compared with the original portrait of its triple, whatever the track.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum

from spf_bench.errors import UserError
from spf_bench.triple import Category, Triple

Fits = Callable[[Sequence[str], Sequence[str]], bool]
"""Says whether the phrases of a base text and some targets make one caption without a contradiction."""


class Track(StrEnum):
    """What ``--track`` can be."""

    triples = "triples"
    retention = "retention"
    sequence = "sequence"

    @property
    def about(self) -> str:
        """What its texts are, for the heading of a table; empty for the triples as they are."""
        return {"retention": "base texts alone", "sequence": "targets replaced and added"}.get(self.value, "")


class Place(StrEnum):
    """The steps of a sequence, in their order."""

    start = "start"
    replaced_once = "replaced_once"
    replaced_twice = "replaced_twice"
    added_once = "added_once"
    added_twice = "added_twice"

    @property
    def label(self) -> str:
        """The step in words."""
        return self.value.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Step(Triple):
    """One step of a sequence: a triple of its own, on the base text and noise of another."""

    of: str = ""
    """The id of that other triple, whose original portrait it is compared with."""
    place: Place = Place.start
    """Which step it is."""
    wanted: tuple[str, ...] = ()
    """The targets asked for, in their order; ``target`` is all of them in one text."""

    @property
    def targets(self) -> tuple[str, ...]:
        """The attributes asked for, each by itself."""
        return self.wanted

    @property
    def origin(self) -> str:
        """The id of the triple whose original portrait this one is compared with."""
        return self.of

    @property
    def part(self) -> str:
        """Which part of a run's scores it belongs to: its step."""
        return self.place.value


PARTS = (*Category, *Place)
"""Every part that scores are split by, in the order of print."""


def cases(track: Track, triples: Sequence[Triple], pool: Sequence[Triple], fits: Fits) -> tuple[Triple, ...]:
    """Return what is asked of a method, in the order of ``triples``.

    Args:
        track: Which track.
        triples: Those of the run.
        pool: All triples of the test set: their targets are what a sequence may ask for.
        fits: Whether targets may be asked of a base text.

    Raises:
        UserError: No triple finds two others to replace its target, and two to stand beside it.
    """
    if track is Track.triples:
        return tuple(triples)
    if track is Track.retention:
        return tuple(replace(triple, target="") for triple in triples)
    known = list({triple.target: triple.category for triple in pool if triple.target}.items())
    found = tuple(step for triple in triples for step in _sequence(triple, known, fits))
    if not found:
        why = f"no base text finds two other targets that fit it, of {len(known)} in all"
        raise UserError("this test set has no sequences", why, "use a test set with more targets, or another track")
    return found


def _sequence(triple: Triple, known: Sequence[tuple[str, Category]], fits: Fits) -> Iterator[Step]:
    """Yield the steps of one triple, the same for the same triple and targets; none where targets are too few."""
    order = random.Random(triple.id).sample(known, len(known))
    others = [(text, category) for text, category in order if text != triple.target]
    alike = sorted(others, key=lambda entry: entry[1] != triple.category)  # a blazer is best replaced by a coat
    replaced = _first(2, [text for text, _ in alike], (), triple, fits)
    unlike = sorted(others, key=lambda entry: entry[1] == triple.category or entry[0] in replaced)
    added = _first(2, [text for text, _ in unlike], (triple.target,), triple, fits)
    if len(replaced) == len(added) == 2:
        first = triple.target
        texts = ((first,), replaced[:1], replaced[1:], (first, *added[:1]), (first, *added))
        yield from (_step(triple, place, wanted) for place, wanted in zip(Place, texts, strict=True))


def _first(n: int, texts: Sequence[str], kept: tuple[str, ...], triple: Triple, fits: Fits) -> tuple[str, ...]:
    """Return the first ``n`` texts that fit the base text: beside ``kept`` and each other, or each alone."""
    found: tuple[str, ...] = ()
    for text in texts:
        if len(found) < n and fits(triple.phrases, (*kept, *found, text) if kept else (text,)):
            found = (*found, text)
    return found


def _step(triple: Triple, place: Place, wanted: tuple[str, ...]) -> Step:
    same = {field.name: getattr(triple, field.name) for field in fields(Triple)}
    changed = {"id": f"{triple.id}-{place.value.replace('_', '-')}", "target": ", ".join(wanted)}
    return Step(**{**same, **changed}, of=triple.id, place=place, wanted=wanted)
