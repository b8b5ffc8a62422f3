"""Finished runs from elsewhere that count as done: what ablation and sweep need not train again."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spf_bench.files.store import folder_sha256
from spf_bench.run.plan import Run
from spf_bench.scoring.fingerprint import fingerprint
from spf_bench.table.model import Entry


def same_run(run: Run, entries: Sequence[Entry]) -> Entry | None:
    """Return the newest finished run that asked for what ``run`` asks for and was scored as it would be, or None.

    The code of method and trainer may be another version's: its commit stands in the record.
    """
    if not entries:
        return None
    asked, scoring = _asked(run), fingerprint(run.suite)
    fits = [e for e in entries if _told(e) == asked and e.record.scoring == scoring and _same_settings(run, e)]
    return max(fits, key=lambda entry: entry.record.created, default=None)


def _asked(run: Run) -> tuple[Any, ...]:
    budget = (run.preset.name, run.seed) if run.trains else (None, None)
    what = (run.method.name, run.suite.name, run.testset.sha256, len(run.triples), run.track.value, run.suite.sampling)
    return (*what, folder_sha256(run.suite.pipeline), *budget)


def _told(entry: Entry) -> tuple[Any, ...]:
    r = entry.record
    what = (r.method.name, r.suite, r.testset.sha256, r.n, r.track, r.sampling)
    return (*what, r.weights.get("pipeline"), r.preset, r.seed)


def _same_settings(run: Run, entry: Entry) -> bool:
    """Say whether settings are equal; one that the record's version did not know yet counts as the preset has it."""
    asked = dict(_flat(json.loads(json.dumps(run.method.config(run.preset)))))
    own = dict(_flat(json.loads(json.dumps(type(run.method)().config(run.preset)))))
    told = dict(_flat(entry.record.method.config))
    return told.keys() <= asked.keys() and all(told.get(key, own.get(key)) == value for key, value in asked.items())


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the single settings by their dotted names."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield above + name, value
