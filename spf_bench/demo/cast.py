"""Who is shown: methods trained now, weights from a folder, or what finished runs left in their cache."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spf_bench.errors import UserError
from spf_bench.files.artifacts import Artifacts
from spf_bench.files.store import folder_sha256
from spf_bench.method import Method, get_method
from spf_bench.progress import Progress
from spf_bench.record import RECORD, RunRecord
from spf_bench.run.execute import train
from spf_bench.run.given import Given, content_sha256
from spf_bench.run.plan import Run
from spf_bench.suite import Preset, Suite
from spf_bench.table.model import label
from spf_bench.testset import TestSet
from spf_bench.tracks import Track

TRIPLES = Track.triples.value
UNTOUCHED = "prompt_only"
ROOM = 60  # characters
STAGES = ("stage2", "stage1")
"""Where a training's output keeps its weights, the last stage first."""


@dataclass(frozen=True)
class Actor:
    """One method as the page offers it."""

    label: str
    """Its name there; unique."""
    run: Run
    """The method with its settings."""
    checkpoint: Path | None
    """Its weights; None where it has none."""


@dataclass(frozen=True)
class Cast:
    """What all that are shown have in common."""

    suite: Suite
    testset: TestSet
    preset: Preset
    """Training budget of methods that are not trained yet."""
    seed: int
    runs: Path
    """Folder of runs and their cache."""
    device: str

    def run(self, address: str, method: Method, preset: Preset | None = None, seed: int | None = None) -> Run:
        """Return the run that a method is, or would be."""
        budget, chosen = preset or self.preset, self.seed if seed is None else seed
        return Run(address, method, self.suite, self.testset, None, budget, chosen, self.runs, self.device)

    def asked(self, addresses: Sequence[str], changes: Sequence[str], progress: Progress) -> list[Actor]:
        """Return methods by name or ``path.py:Class``, trained as ``spf-bench run`` would where they are not yet.

        Raises:
            UserError: Nobody knows a method, it has no such settings, or it cannot be trained here.
        """
        methods = [(address, get_method(address)) for address in dict.fromkeys(addresses)]
        changed = [(address, m.with_changes(changes) if m.configurable else m) for address, m in methods]
        runs = [self.run(address, method) for address, method in changed if not method.reference]
        for run in runs:
            run.method.config(run.preset)  # settings that cannot be are refused before anything trains
        return [Actor(run.method.title, run, train(run, self._artifacts(run), progress)) for run in runs]

    def given(self, word: str) -> Actor:
        """Return the weights that ``DIR`` or ``METHOD=DIR`` names; without a method they are a UNet's.

        Raises:
            UserError: There is no such folder, nobody knows the method, or it is no checkpoint of that method.
        """
        name, _, place = word.rpartition("=") if not Path(word).exists() else ("", "", word)
        folder = Path(place)
        if not folder.is_dir():
            why = "--checkpoint takes DIR, or METHOD=DIR"
            raise UserError(f"no such folder: {place}", why, "name what `spf-bench train --out` wrote")
        method = get_method(name) if name else Weights()
        where = Given.of(folder, method, self.suite).folder if name else _stage(folder)
        title = f"{method.title} ({folder.resolve().name})" if name else folder.resolve().name
        return Actor(title, self.run(name or method.name, method), where)

    def recorded(self, say: Callable[[str], None]) -> list[Actor]:
        """Return the untouched model, and every finished run whose weights are still there as they were.

        Args:
            say: Told of runs that are left out, and why.
        """
        kept = {_kind(record): record for record in self._records()}
        actors = [Actor("Prompt only", self.run(UNTOUCHED, get_method(UNTOUCHED)), None)]
        for record in kept.values():
            try:
                actors.append(self._of(record, list(kept.values())))
            except UserError as error:
                say(f"{_called(record, list(kept.values()))} is not shown: {error.what}")
        return actors

    def _records(self) -> list[RunRecord]:
        found = map(RunRecord.load, sorted(self.runs.rglob(RECORD)))
        mine = folder_sha256(self.suite.pipeline)
        fit = [r for r in found if (r.suite, r.track, r.weights.get("pipeline")) == (self.suite.name, TRIPLES, mine)]
        shown = [r for r in fit if not r.method.reference and r.method.name != UNTOUCHED and "made" not in r.facts]
        return sorted(shown, key=lambda record: record.created)

    def _of(self, record: RunRecord, others: Sequence[RunRecord]) -> Actor:
        method = get_method(record.method.name).with_changes(record.method.changes)
        preset = self.suite.preset(record.preset) if record.preset else None
        run = self.run(record.method.name, method, preset, record.seed)
        return Actor(_called(record, others), run, self._weights(record))

    def _weights(self, record: RunRecord) -> Path | None:
        wanted = record.weights.get("checkpoint")
        if wanted is None:
            return None
        cache = self.runs / "cache" / "checkpoints"
        folders = [cache / str(stage["folder"]) for stage in record.training.values() if "folder" in stage]
        for folder in reversed(folders):
            if folder.is_dir() and content_sha256(folder) == wanted:
                return folder
        raise UserError("its weights are no longer in the cache", f"below {cache}", record.command)

    def _artifacts(self, run: Run) -> Artifacts:
        return Artifacts(run.cache / "checkpoints", run.training if run.method.trains else {}, self.device)


class Weights(Method):
    """A UNet out of any folder in diffusers' layout: a training's, a pipeline's, or its own."""

    name = "weights"
    title = "Weights"
    source = "a folder named by the user"


def _stage(folder: Path) -> Path:
    return next((folder / stage for stage in STAGES if (folder / stage).is_dir()), folder)


def _kind(record: RunRecord) -> tuple[object, ...]:
    return (record.method.name, record.preset, record.seed, *record.method.changes)


def _called(record: RunRecord, others: Sequence[RunRecord]) -> str:
    """Return a run's name in tables, or, where its settings make that longer than a page has room for, its folder's."""
    name = label(record, others)
    return name if len(name) <= ROOM else f"{record.method.title} ({record.run})"
