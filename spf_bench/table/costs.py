"""What each stage of each run cost, in the shape of Table 2 of arXiv:2504.00396v2."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from spf_bench.record import RunRecord
from spf_bench.run.costs import MIB
from spf_bench.table.model import label
from spf_bench.table.notes import cautions
from spf_bench.table.sheet import Sheet

SAMPLING = "sampling"
HEAD = (
    "method", "stage", "precision", "updates", "samples", "trainable", "saved MiB", "peak MiB", "seconds", "s each",
)  # fmt: skip
NOTES = (
    "seconds: of the whole stage, over all interruptions; s each divides them by the updates, encoding included, or by "
    "the portraits made; a stage that two methods share was trained once and stands with both",
    "peak: allocated on the accelerator; on the CPU resident of the process, libraries included",
    "saved: what must be kept beside the original model: added weights, or the whole UNet",
)


@dataclass(frozen=True)
class Cost:
    """What one stage cost; None where it was not told, or where there is no such thing."""

    method: str
    """The run it belongs to, as a table calls it."""
    stage: str
    """A stage of training, or ``sampling``."""
    precision: str | None
    """``fp32``, ``fp16`` or ``bf16``."""
    updates: int | None
    """Steps of the optimiser."""
    samples: int | None
    """Samples seen in training, or portraits made."""
    trainable_parameters: int | None
    """Numbers that the stage trained."""
    checkpoint_bytes: int | None
    """Size of what must be kept of it."""
    peak_memory_mib: float | None
    """The most memory in use at once."""
    seconds: float | None
    """Over all interruptions."""


def costs(record: RunRecord, title: str) -> Iterator[Cost]:
    """Yield what every stage of a run cost, training first."""
    for name, told in record.training.items():
        steps, seen, trained, size = (
            _told(told.get(key), int) for key in ("steps", "samples_seen", "trainable_parameters", "checkpoint_bytes")
        )
        memory, seconds = (_told(told.get(key), int | float) for key in ("peak_memory_mib", "seconds"))
        yield Cost(title, name, _told(told.get("precision"), str), steps, seen, trained, size, memory, seconds)
    if not record.method.reference:
        made = max((s.n + s.missing for s in record.scores.get("all", {}).values()), default=record.n)
        precision = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}.get(record.sampling.dtype)
        seconds, memory = record.seconds.get("generate"), record.memory.get("generate")
        yield Cost(title, SAMPLING, precision, None, made, None, None, memory, seconds)


def sheet(records: Sequence[RunRecord]) -> Sheet:
    """Return the costs of runs that stand in one table."""
    named = [(label(record, records), record) for record in records]
    runs = [list(costs(record, title)) for title, record in named]
    found = [cost for run in runs for cost in run]
    rows = tuple(("" if i else cost.method, *_row(cost)) for run in runs for i, cost in enumerate(run))
    where = sorted({record.environment.device for record in records})
    title = f"Costs on {', '.join(where)}"
    notes = (*NOTES, *cautions(named))
    return Sheet("costs", title, HEAD, rows, tuple(map(asdict, found)), notes, breaks=(2, 7), left=3)


def _told(value: Any, kind: Any) -> Any:
    """Return what a record tells of a stage; None where it is of another kind, for those facts have no schema."""
    return value if isinstance(value, kind) and not isinstance(value, bool) else None


def _row(cost: Cost) -> tuple[str, ...]:
    size = None if cost.checkpoint_bytes is None else cost.checkpoint_bytes / MIB
    units = cost.samples if cost.stage == SAMPLING else cost.updates
    return (
        cost.stage, cost.precision or "–", _whole(cost.updates), _whole(cost.samples),
        _whole(cost.trainable_parameters), "–" if size is None else f"{size:.2f}",
        "–" if cost.peak_memory_mib is None else f"{cost.peak_memory_mib:.0f}",
        "–" if cost.seconds is None else f"{cost.seconds:.1f}",
        "–" if cost.seconds is None or not units else f"{cost.seconds / units:.3f}",
    )  # fmt: skip


def _whole(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
