"""Measures the stored pairs anew, and says which metric has drifted, in which of its parts, and what has changed.

The parts come one after another: weights, the resize that prepares an image, the tokens of a text, the network itself
(the backbone), and the distance computed from what it saw. The first that differs is the one that has drifted: all that
follow differ with it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from spf_bench.doctor.findings import Finding, State
from spf_bench.doctor.numbers import pairs
from spf_bench.doctor.numbers.measure import Sight, Values, measured, sight
from spf_bench.doctor.numbers.prints import apart
from spf_bench.doctor.numbers.stored import COMMAND, Known, Stored, versions
from spf_bench.doctor.numbers.subjects import Subject, subjects
from spf_bench.errors import UserError, installing
from spf_bench.metrics import precision
from spf_bench.metrics.base import Batch
from spf_bench.metrics.features import Encoder

PIXELS, OUTPUTS, MASKS = 2e-4, 2e-3, 2e-2
"""How far prints may lie apart: of images as they enter a network, of what comes out, and of masks cut from that."""
DISTANCE = "distance"
PARTS = {
    "weights": (),
    "resize": ("pillow", "torch", "torchvision", "numpy", "segment-anything", "transformers"),
    "tokens": ("tokenizers", "transformers", "open_clip_torch"),
    "backbone": ("torch", "transformers", "open_clip_torch", "segment-anything", "insightface", "onnxruntime"),
    DISTANCE: ("torch", "numpy", "scipy", "scikit-image"),
}
"""The parts in the order of work, with the packages that can move them."""
LEAST = 0.1  # the scale of a column of smaller values: rounding does not shrink with them


@dataclass
class Bench:
    """The pairs under the networks of one suite, each of which looks once."""

    suite: str
    batches: dict[int, Batch] = field(default_factory=dict)
    sights: dict[str, Sight] = field(default_factory=dict)

    def look(self, encoder: Encoder, size: int) -> Sight:
        """Return what a network does with the pairs of a size."""
        name = f"{self.suite}/{encoder.name}"
        if name not in self.sights:
            self.sights[name] = sight(encoder, self.batch(size), weights=self.suite == "world")
        return self.sights[name]

    def batch(self, size: int) -> Batch:
        """Return the pairs of a size."""
        return self.batches.setdefault(size, pairs.load(size).batch())

    def measure(self, subject: Subject) -> tuple[Values, list[str]]:
        """Return a metric's values and the names of its networks, which have looked before.

        Raises:
            ImportError, UserError: A package or weights are missing.
        """
        with precision.using(precision.EXACT):
            metric = subject.build()
            for encoder in metric.encoders:
                self.look(encoder, subject.size)
            found = measured(metric, self.batch(subject.size))
        return found, [f"{self.suite}/{encoder.name}" for encoder in metric.encoders]


def numbers_findings(suite: str, only: Sequence[str] = (), known: Stored | None = None) -> Iterator[Finding]:
    """Measure every metric of a suite, or those in ``only``, and compare with what is stored."""
    known = known or Stored.load()
    bench = Bench(suite)
    for subject in subjects(suite):
        if not only or subject.key in only:
            yield _finding(subject, bench, known)


def _finding(subject: Subject, bench: Bench, known: Stored) -> Finding:
    stored = known.metrics.get(f"{subject.suite}/{subject.key}")
    if stored is None:
        return Finding(subject.key, State.note, "nothing is stored to compare with", f"{COMMAND} {subject.key}")
    try:
        found, names = bench.measure(subject)
    except (ImportError, OSError, RuntimeError, UserError) as error:  # RuntimeError: a torchvision of another torch
        why = str(error.what if isinstance(error, UserError) else error).splitlines()[0]
        return Finding(subject.key, State.note, f"cannot be measured here: {why}", installing("paper"))
    part, drifted = next(_drifts(names, bench.sights, known), (DISTANCE, ""))
    wrong = next(_off(found, stored, subject.tolerance), "")
    if wrong or drifted:
        return _drifted(subject, part, drifted, wrong, _changed(known.packages))
    whose = ", ".join(dict.fromkeys(stored.sources.values()))
    return Finding(subject.key, State.ok, f"{_count(stored)} as stored; {whose}")


def _drifted(subject: Subject, part: str, drifted: str, wrong: str, changed: Mapping[str, tuple[str, str]]) -> Finding:
    """Return what is said of a metric that has drifted; a note where its values still are what they were."""
    near = {name: changed[name] for name in PARTS[part] if name in changed} or changed
    now = ", ".join(f"{name} {old} was stored, {new} is here" for name, (old, new) in near.items())
    where = f"drifted in the {part}: {drifted or 'what its networks saw is as stored, what is computed from it is not'}"
    said = wrong or f"its values still lie within {subject.tolerance:g} of the stored ones"
    detail = f"{where}; {said}; {now or 'no package has changed'}"
    return Finding(subject.key, State.blocks if wrong else State.note, detail, _fix(near))


def _drifts(names: Sequence[str], now: Mapping[str, Sight], known: Stored) -> Iterator[tuple[str, str]]:
    """Yield the parts of a metric's networks that differ from the stored ones in the order of work, and how."""
    for name in names:
        mine, theirs, short = now[name], known.networks[name], name.split("/")[1]
        if mine.weights != theirs.weights:
            yield "weights", f"{short} has sha256 {mine.weights[:12]}, stored {theirs.weights[:12]}"
        gap = 0.0 if theirs.pixels is None else apart(mine.pixels or [], theirs.pixels)
        if gap > PIXELS:
            yield "resize", f"pixels before {short} are off by {gap:.1g} of their size (allowed {PIXELS:g})"
        if mine.tokens != theirs.tokens:
            yield "tokens", f"texts have other ids in {short}"
        for output, theirs_seen in theirs.outputs.items():
            allowed = MASKS if output in ("masks", "regions") else OUTPUTS
            gap = apart(mine.outputs.get(output, []), theirs_seen) if theirs_seen else 0.0
            if gap > allowed:
                yield "backbone", f"{output} of {short} is off by {gap:.1g} of its size (allowed {allowed:g})"


def _off(found: Values, stored: Known, tolerance: float) -> Iterator[str]:
    """Yield what a column is where it is not as stored."""
    for column, theirs in stored.values.items():
        mine = found.get(column, [None] * len(theirs))
        scale = max([LEAST, *(abs(v) for v in theirs if v is not None)])
        for number, (a, b) in enumerate(zip(mine, theirs, strict=True)):
            same = a is None if b is None else a is not None and abs(a - b) <= tolerance * scale
            if not same:
                where = f" of pair {number}" if len(theirs) > 1 else ""
                yield f"{column}{where} is {_told(a)}, stored {_told(b)} ({stored.sources[column]})"
                break


def _changed(then: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    now = versions()
    return {name: (old, now.get(name, "none")) for name, old in then.items() if name in now and now[name] != old}


def _fix(changed: Mapping[str, tuple[str, str]]) -> str:
    if not changed:
        return "restore the code and weights of spf-bench, or if the change is meant: docs/reproducibility.md"
    return "pip install " + " ".join(f"{name}=={old}" for name, (old, _) in changed.items())


def _count(stored: Known) -> str:
    n = len(next(iter(stored.values.values())))
    return f"{len(stored.values)} column{'s' if len(stored.values) > 1 else ''}" + (f" of {n} pairs" if n > 1 else "")


def _told(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.5g}"
