"""Fig. 13: FID, and every other score, over the weight of each loss."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import inf
from pathlib import Path

from baselines.ablation import REFERENCES, Results
from baselines.experiment import Experiment
from baselines.plot import Panel, Point, plot
from baselines.training import config_of
from baselines.variants import LAMBDAS, Ablation, Variant
from spf_bench.errors import UserError, unknown
from spf_bench.files.store import write_json
from spf_bench.record import Score
from spf_bench.table.notes import cautions
from spf_bench.table.seeds import merge

FACTORS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Multiples of the preset's own weight that are tried where no values are given."""
NO_MAP = Variant("no_sfcm", "w/o SFCM", ("spf.use_sfcm=false",))
"""The dashed line of Fig. 13."""


@dataclass(frozen=True)
class Sweep:
    """The values of one weight, and the variants that they are."""

    name: str
    """The weight by the paper's name."""
    variants: dict[float, Variant]
    """By value, from the smallest to the largest."""


def plan(
    experiment: Experiment, names: Sequence[str], values: Sequence[float] = (), factors: Sequence[float] = ()
) -> list[Sweep]:
    """Return what is to be tried; the preset's own weight is always among it.

    Args:
        experiment: What all runs have in common.
        names: Weights by the paper's names.
        values: What each of them is set to.
        factors: Multiples of the preset's own weight, where no values are given; `FACTORS` if neither is.

    Raises:
        UserError: A name is none of the weights, a value is negative or no number, or both kinds are given.
    """
    for name in names:
        if name not in LAMBDAS:
            raise unknown("loss weight", name, LAMBDAS, "spf-bench sweep --help")
    if values and factors:
        raise UserError("--values and --factors both say what to try", "one is enough", "leave one out")
    if wrong := [value for value in (*values, *factors) if not 0 <= value < inf]:
        raise UserError(
            f"a loss weight of {wrong[0]:g} cannot be", "weights are finite and not negative", "leave it out"
        )
    spf = config_of(experiment.preset, experiment.changes).spf
    sweeps = []
    for name in names:
        setting = LAMBDAS[name]
        own = float(getattr(spf, setting.removeprefix("spf.")))
        tried = sorted({own, *(values or (factor * own for factor in factors or FACTORS))})
        variants = {v: Variant(f"{name}={v:g}", f"λ_{name} = {v:g}", (f"{setting}={v!r}",)) for v in tried}
        sweeps.append(Sweep(name, variants))
    return sweeps


def as_ablation(sweeps: Sequence[Sweep]) -> Ablation:
    """Return a sweep as variants, the method without its control map beside them."""
    variants = (variant for sweep in sweeps for variant in sweep.variants.values())
    return Ablation("Fig. 13: weights of the losses", (*variants, NO_MAP))


def curve(results: Results, sweep: Sweep, seeds: int, key: str = "fid") -> list[Point]:
    """Return (value, score, half its interval) of a sweep; a value whose training diverged is left out."""
    points = []
    for value, variant in sweep.variants.items():
        score = _score(results, variant, seeds, key)
        if score is not None and score.mean is not None:
            half = None if score.lo is None or score.hi is None else (score.hi - score.lo) / 2
            points.append((value, score.mean, half))
    return points


def save(results: Results, sweeps: Sequence[Sweep], seeds: int, to: Path) -> Path:
    """Write sweep.json, every score of every value, and sweep.png, FID over the weights; return the picture."""
    names = [*REFERENCES, *results.variants]
    entries = {**{e.record.method.name: [e] for e in results.references}, **results.variants}
    whole = [name for name in names if name in REFERENCES or len(entries[name]) == seeds]
    merged = {name: merge(entries[name], name).record for name in whole}
    scores = {name: {key: asdict(s) for key, s in record.scores["all"].items()} for name, record in merged.items()}
    notes = list(cautions(list(merged.items())))
    write_json(to / "sweep.json", {"seeds": seeds, "scores": scores, "diverged": results.diverged, "notes": notes})
    without = _score(results, NO_MAP, seeds, "fid")
    level = ("w/o SFCM", without.mean) if without is not None and without.mean is not None else None
    curves = {sweep.name: curve(results, sweep, seeds) for sweep in sweeps}
    drawn = [Panel("FID", f"weight of L_{name}", {"": points}, level) for name, points in curves.items() if points]
    return plot(drawn, to / "sweep.png", notes) if drawn else to / "sweep.json"


def _score(results: Results, variant: Variant, seeds: int, key: str) -> Score | None:
    entries = results.variants.get(variant.name, [])
    return merge(entries, variant.title).record.scores["all"].get(key) if len(entries) == seeds else None
