"""May images from outside stand in the table of a run? What can be checked is; the rest is somebody's word."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spf_bench.errors import Problem, UserError
from spf_bench.record import RECORD, RunRecord
from spf_bench.suite import Sampling

if TYPE_CHECKING:
    from spf_bench.scoring.job import Job


@dataclass(frozen=True)
class Conditions:
    """Under which a run was sampled, and these images are said to have been."""

    run: str
    """Its folder."""
    sampling: Sampling
    pipeline: str
    """SHA-256 of the base model."""
    batch: int
    """Images sampled together."""


def beside(folder: Path, job: "Job") -> Conditions:
    """Return the conditions of a finished run, of whose originals and triples the images are.

    Args:
        folder: The run's, or its record.
        job: The scoring that wants to stand beside it.

    Raises:
        UserError: There is no such run, or its texts, originals or metrics are others; all differences are named.
    """
    path = folder if folder.is_file() else folder / RECORD
    if not path.is_file():
        raise UserError(f"there is no finished run in {folder}", "it has no record", "name the folder of a run")
    record = RunRecord.load(path)
    problems = list(_differences(record, job))
    if problems:
        raise UserError(f"these images cannot stand beside {record.run}", "nothing was scored", problems=problems)
    return Conditions(str(folder), record.sampling, record.weights.get("pipeline", ""), record.batch)


def _differences(record: RunRecord, job: "Job") -> Iterator[Problem]:
    setting = job.setting
    compared: dict[str, tuple[Any, Any, str]] = {
        "suite": (record.suite, setting.suite.name, f"--suite {record.suite}"),
        "track": (record.track, "triples", "name a run of single triples"),
        "triples": (record.testset.sha256[:12], setting.captions.sha256[:12], f"those of {record.testset.name}"),
        "n": (record.n, len(job.pairs), f"--limit {record.n}"),
        "originals": (record.originals_sha256[:12], job.originals_sha256[:12], "name the run's own files"),
        "metrics": (record.scoring, setting.scoring, f"score the run again: {record.command}"),
    }
    for what, (theirs, ours, fix) in compared.items():
        if theirs != ours:
            yield Problem(what, f"the run has {theirs}, these images {ours}", fix)
