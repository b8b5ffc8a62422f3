"""What the record of a run says, once all that it tells of is there."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spf_bench import record as records
from spf_bench.environment import describe
from spf_bench.errors import UserError
from spf_bench.files.artifacts import Artifacts
from spf_bench.files.store import folder_sha256
from spf_bench.memory import FOLDER, noted
from spf_bench.originals.about import About
from spf_bench.run.costs import Meter
from spf_bench.run.given import content_sha256
from spf_bench.run.measure import Measured
from spf_bench.run.plan import Run
from spf_bench.scoring.fingerprint import code


@dataclass(frozen=True)
class Images:
    """Hashes of what was sampled."""

    originals_sha256: str
    """Of the original portraits."""
    images_sha256: str
    """Of the method's portraits."""
    facts: dict[str, Any]
    """What the method tells of these triples."""


def recorded(
    run: Run,
    scoring: str,
    artifacts: Artifacts,
    meter: Meter,
    checkpoint: Path | None,
    made: Images,
    measured: Measured,
) -> records.RunRecord:
    """Return the record of a run.

    Raises:
        UserError: Weights are absent.
    """
    seconds = {f"train {name}": facts["seconds"] for name, facts in artifacts.used.items()} | meter.seconds
    memory = {f"train {name}": facts["peak_memory_mib"] for name, facts in artifacts.used.items()} | meter.memory
    folders = {"pipeline": run.suite.pipeline, "clip": run.suite.clip}
    return records.RunRecord(
        schema=records.SCHEMA,
        run=run.folder.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        **_asked(run),
        **vars(made),
        **vars(measured),
        scoring=scoring,
        scoring_code=code(run.suite),
        training=artifacts.used,
        weights=_weights(folders)
        | ({"checkpoint": content_sha256(checkpoint)} if checkpoint else {})
        | run.suite.digests
        | run.suite.digests_on_request,
        seconds={name: round(value, 3) for name, value in seconds.items()},
        memory={name: round(value, 1) for name, value in memory.items() if value is not None},
        halved=_halved(run),
        environment=describe(run.device),
    )


def _halved(run: Run) -> dict[str, int]:
    """Return what did not fit the device: in this run, and when its originals were made, in whichever run that was."""
    about = About.load(run.originals)
    before = {"originals": about.halved} if about is not None and about.halved else {}
    return before | noted(run.folder / FOLDER)


def _asked(run: Run) -> dict[str, Any]:
    """Return the record's fields that were known before the run."""
    method, testset, trains = run.method, run.testset, run.trains
    config = {"checkpoint": run.given.sha256} if run.given else method.config(run.preset)
    return {
        "command": run.command,
        "method": records.MethodFacts(
            method.name, method.title, method.source, config, trains, method.reference, run.changes
        ),
        "suite": run.suite.name,
        "testset": records.TestSetFacts(testset.name, testset.sha256, len(testset.triples)),
        "track": run.track.value,
        "n": len(run.triples),
        "limit": None if len(run.triples) == len(testset.triples) else run.limit,
        "preset": run.preset.name if trains else None,
        "seed": run.seed if trains else None,
        "sampling": run.suite.sampling,
        "batch": run.batch,
    }


def _weights(folders: dict[str, Path]) -> dict[str, str]:
    missing = [str(folder) for folder in folders.values() if not folder.exists()]
    if missing:
        raise UserError("weights are absent", ", ".join(missing), "spf-bench doctor")
    return {name: folder_sha256(folder) for name, folder in folders.items()}
