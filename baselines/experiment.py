"""Several runs that differ in settings and seeds alone: what ablation, sweep and search are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from baselines.records import same_run
from spf_bench.cli.options import DEFAULT_RUNS
from spf_bench.errors import UserError
from spf_bench.method import get_method
from spf_bench.progress import Bars
from spf_bench.run.execute import execute
from spf_bench.run.plan import Run
from spf_bench.suite import Preset, Suite
from spf_bench.table.model import Entry, collect
from spf_bench.testset import TestSet, load
from spf_train.errors import NonFiniteLossError


@dataclass(frozen=True)
class Experiment:
    """What all its runs have in common."""

    suite: Suite
    """Base model, training images and judges."""
    testset: TestSet
    """Where the triples come from."""
    limit: int | None
    """Use only the first triples; None is all."""
    preset: Preset
    """Training budget before any change."""
    device: str
    """Where the networks run."""
    changes: tuple[str, ...] = ()
    """Settings changed in every run that trains, as ``name=value``."""
    runs: Path = DEFAULT_RUNS
    """Folder of runs and their cache: a stage that two runs share is trained once."""
    records: tuple[Entry, ...] = ()
    """Finished runs from elsewhere that count as done."""

    @classmethod
    def of(
        cls,
        suite: str,
        testset: str | None,
        limit: int | None,
        preset: str,
        device: str | None,
        threads: int | None,
        changes: Sequence[str] | None,
        runs: Path,
        records: Sequence[Path] | None = None,
    ) -> "Experiment":
        """Return the experiment a command line asks for; the test set is the suite's where none is named.

        Raises:
            UserError: A name nobody knows, or a device that is not there.
        """
        from spf_bench.environment import pick_device, set_threads
        from spf_bench.originals.built import as_built
        from spf_bench.suite import get_suite

        chosen = get_suite(suite)
        frozen, where = load(testset or chosen.testset), pick_device(device)
        chosen = as_built(chosen, frozen)
        set_threads(threads)
        done = tuple(collect(*records)) if records else ()
        return cls(chosen, frozen, limit, chosen.preset(preset), where, tuple(changes or ()), runs, done)

    def run(self, method: str, changes: Sequence[str] = (), seed: int = 0) -> Run:
        """Return one run; settings that cannot be are refused here, before anything is trained.

        Raises:
            UserError: Naming every setting that is wrong, or what the method lacks in the suite.
        """
        found = get_method(method)
        if found.configurable:
            found = found.with_changes([*self.changes, *changes])
        found.config(self.preset)
        found.preflight(self.suite, self.preset)
        return Run(method, found, self.suite, self.testset, self.limit, self.preset, seed, self.runs, self.device)

    def finish(self, run: Run, title: str, console: Console) -> Entry:
        """Do what is not done yet of a run, its progress under a title."""
        if (known := same_run(run, self.records)) is not None:
            return known
        console.rule(title, align="left")
        with Bars(console) as bars:
            return Entry(execute(run, bars), run.folder)


def diverged(error: UserError) -> bool:
    """Say whether a run failed because its losses became infinite, which is a result and no mistake."""
    return isinstance(error.__cause__, NonFiniteLossError)
