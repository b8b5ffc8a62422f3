"""What decides a training set, and where each stage of it lies: everything but who does the work."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from spf_bench.files.store import code_sha256
from spf_bench.trainset import captions as captioning
from spf_bench.trainset.card import About
from spf_bench.trainset.chunks import Stage
from spf_bench.trainset.filters import Filters, Rules
from spf_bench.trainset.grammars import Grammar
from spf_bench.trainset.paint import Canvas, Painting
from spf_bench.trainset.plan import Plan
from spf_bench.trainset.rows import Rows
from spf_bench.trainset.scores import Scores
from spf_bench.trainset.sources import Sources
from spf_bench.trainset.write import Format, Writer

SCORING_CODE = (
    "spf_bench.metrics.clip_encoder",
    "spf_bench.metrics.image_reward",
    "spf_bench.metrics.image_reward_model",
    "spf_bench.metrics.open_clip_encoder",
    "spf_bench.trainset.scores",
)
WRITING_CODE = ("spf_bench.trainset.filters", "spf_bench.trainset.sieve", "spf_bench.trainset.write")


@dataclass(frozen=True)
class Spec:
    """A training set as it is asked for."""

    to: Path
    """Folder of the set; it is there once it is whole, and grows in ``<to>.work`` until then."""
    grammar: Grammar
    """Where texts come from."""
    sources: Sources
    """The networks."""
    total: int
    """How many candidates are generated."""
    seed: int
    """Which ones."""
    canvas: Canvas
    """How they are painted."""
    rules: Rules
    """What the filters let pass."""
    format: Format
    """How the set is written."""
    device: str
    """Where the networks run."""
    precision: str = "float32"
    """What captioner and judges compute in."""

    @property
    def work(self) -> Path:
        """Folder of the stages, beside the set."""
        return self.to.with_name(f"{self.to.name}.work")

    @cached_property
    def plan_facts(self) -> dict[str, Any]:
        """Everything that decides the plan."""
        return self.grammar.facts(self.seed)

    @cached_property
    def plan(self) -> Plan:
        """The candidates."""
        return Plan(self._stage("plan", self.plan_facts), self.grammar, self.seed)

    @cached_property
    def paintings(self) -> list[Painting]:
        """Each checkpoint's part of the images."""
        models = self.sources.models
        return [
            Painting.of(self.work, self.plan, model.path, (i, len(models)), self.canvas, self.device)
            for i, model in enumerate(models)
        ]

    @cached_property
    def rows(self) -> Rows:
        """The candidates with their images and texts."""
        told = self._stage("captions", self.caption_facts) if self.sources.captioner else None
        return Rows(self.plan, self.paintings, told)

    @cached_property
    def caption_facts(self) -> dict[str, Any]:
        """Everything that decides captions; only where there is a captioner."""
        assert self.sources.captioner is not None
        return captioning.facts(_names(self.paintings), self.sources.captioner.sha256, self.precision)

    @cached_property
    def filters(self) -> Filters:
        """Who is kept."""
        return Filters(self.plan, {name: self._scores(name) for name, _ in self.rules.items()}, self.rules)

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Everything that decides the set."""
        how = {"format": self.format, "code": code_sha256(*WRITING_CODE)}
        return {"candidates": self.total, "rows": self._row_facts, **self.filters.facts(), **how}

    def writer(self) -> Writer:
        """Return what writes the set."""
        names = [model.asked for model in self.sources.models]
        return Writer(self.rows, self.filters, names, self._stage("set", self.facts), self.format)

    def about(self) -> About:
        """Return what the card says besides numbers."""
        captioner = self.sources.captioner
        return About(
            self.to.name,
            [model.asked for model in self.sources.models],
            self.canvas,
            self.grammar.name,
            self.seed,
            captioner.asked if captioner else None,
            {name: network.asked for name, network in self.sources.judges.items()},
            self.format,
        )

    @property
    def _row_facts(self) -> list[str]:
        """Names of the stages that decide images and texts."""
        captions = self.rows.captions
        return [*_names(self.paintings), *([captions.folder.name] if captions else [])]

    def _scores(self, name: str) -> Scores:
        facts = {
            "rows": self._row_facts,
            "network": self.sources.judges[name].sha256,
            "precision": self.precision,
            "device": self.device.split(":")[0],
            "code": code_sha256(*SCORING_CODE),
        }
        return Scores(self._stage(name, facts), facts)

    def _stage(self, name: str, facts: dict[str, Any]) -> Stage:
        return Stage.of(self.work, name, facts, self.total, self.grammar.size)


def _names(paintings: Sequence[Painting]) -> list[str]:
    return [painting.stage.folder.name for painting in paintings]
