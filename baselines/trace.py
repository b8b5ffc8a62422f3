"""Fig. 5: what a model in training makes of validation triples, every so many steps."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from baselines.plot import Panel, Point, plot
from spf_bench.files.store import write_text
from spf_bench.method import Method
from spf_bench.models.backbone import Backbone
from spf_bench.originals.make import make_originals
from spf_bench.progress import Progress, Silent
from spf_bench.run.generate import generate
from spf_bench.suite import Suite
from spf_bench.testset import TestSet
from spf_bench.triple import image

KEYS = ("clip_t", "hps", "hit_rate", "kept")
"""What is traced, as far as the suite has it: response, preference, and the world's own readings."""


@dataclass
class Trace:
    """Samples and scores snapshots of a training, and keeps the scores in trace.jsonl and trace.png."""

    folder: Path
    """Where the trace and its portraits go."""
    suite: Suite
    """Base model and judges."""
    testset: TestSet
    """Validation triples."""
    limit: int
    """How many of them."""
    device: str
    """Where the networks run."""
    method: Method
    """How a snapshot is sampled."""
    progress: Progress = field(default_factory=Silent)
    """Where to say what was measured."""

    def add(self, stage: str, step: int, snapshot: Path) -> None:
        """Measure a snapshot unless that was done before the training was last interrupted."""
        rows = self.rows()
        if any((row["stage"], row["step"]) == (stage, step) for row in rows):
            return
        rows.append({"stage": stage, "step": step, **self._measure(self.folder / f"{stage}-{step:06}", snapshot)})
        rows.sort(key=lambda row: (row["stage"], row["step"]))
        write_text(self.folder / "trace.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
        self.draw(rows)
        found = next(row for row in rows if (row["stage"], row["step"]) == (stage, step))
        said = ", ".join(f"{metric.title} {found[metric.key]:.{metric.decimals}f}" for metric in self._metrics)
        self.progress.note(f"{stage}, step {step}: {said}")

    def rows(self) -> list[dict[str, Any]]:
        """Return what was measured so far, by stage and step."""
        path = self.folder / "trace.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []

    def draw(self, rows: list[dict[str, Any]]) -> Path:
        """Plot every score over the steps, one curve a stage."""
        panels, stages = [], list(dict.fromkeys(row["stage"] for row in rows))
        for metric in self._metrics:
            points = {stage: [row for row in rows if row["stage"] == stage] for stage in stages}
            curves: dict[str, Sequence[Point]] = {
                stage: [(row["step"], row[metric.key], row[f"{metric.key}_half"]) for row in found]
                for stage, found in points.items()
            }
            panels.append(Panel(metric.title, "steps", curves))
        part = {f"{row['n']} of {row['of']}" for row in rows if row.get("of") and row["n"] < row["of"]}
        notes = [f"measured on {', '.join(sorted(part))} triples of {self.testset.name}"] if part else []
        return plot(panels, self.folder / "trace.png", notes)

    @cached_property
    def _backbone(self) -> Backbone:
        return Backbone.from_folder(self.suite.pipeline, self.suite.sampling, self.device)

    @cached_property
    def _metrics(self) -> list[Any]:
        return [metric for metric in self.suite.metrics(self.device) if metric.key in KEYS]

    def _measure(self, images: Path, snapshot: Path) -> dict[str, float | None]:
        """Return mean and half the 95 % interval of every traced score."""
        from spf_bench.metrics.summary import ALL, summarise
        from spf_bench.scoring.one_batch import Pair
        from spf_bench.scoring.one_pass import score

        originals, triples = self.folder / "originals", self.testset.head(self.limit)
        make_originals(self._backbone, self.testset, len(triples), originals, Silent())
        generate(self.method, snapshot, self._backbone, triples, originals, images, Silent())
        pairs = [Pair(triple, image(originals, triple), image(images, triple)) for triple in triples]
        found: dict[str, float | None] = {"n": len(triples), "of": len(self.testset.triples)}
        for line in summarise(score(pairs, self._metrics), self._metrics):
            if line.category == ALL and line.column in KEYS:
                known = line.low is not None and line.high is not None
                found[line.column] = line.value
                found[f"{line.column}_half"] = (line.high - line.low) / 2 if known else None  # type: ignore[operator]
        return found
