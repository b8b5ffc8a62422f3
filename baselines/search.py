"""A search for settings on validation triples; every trial is one JSON line, and the lines are all it remembers."""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from baselines.experiment import Experiment, diverged
from baselines.search_space import SearchConfig, Settings, propose
from baselines.training import for_users
from spf_bench.environment import git_state
from spf_bench.errors import UserError
from spf_bench.files.store import write_text
from spf_bench.suite import get_suite
from spf_bench.table.model import ALL, Entry
from spf_bench.table.seeds import merge

SCORE = (
    "harmonic mean of response = (hit - hit of the original portraits) / (100 - hit of the original portraits), "
    "not below 0, and preservation = kept / 100; `relative` divides it by the untouched model's (prompt_only)"
)
RATED_BY = ("hit_rate", "kept")
"""What the score is made of."""
MORE = "choose more triples: a larger limit in the file of the search"
REFERENCES = ("original", "prompt_only", "naive")


@dataclass(frozen=True)
class Search:
    """A search and the file of its trials."""

    config: SearchConfig
    """What is tried, and how much."""
    experiment: Experiment
    """What all trials have in common; its test set is the suite's validation set."""
    path: Path
    """The JSON lines: what is searched, the references, the trials."""

    @classmethod
    def open(
        cls, config: SearchConfig, folder: Path, runs: Path, device: str | None = None, threads: int | None = None
    ) -> "Search":
        """Return a new search, or the one that its file in ``folder`` holds, to be gone on with.

        Raises:
            UserError: It asks for another test set than the suite's validation set, its suite does not measure what
                the score is made of, or the file holds another search.
        """
        suite = get_suite(config.suite)
        validation = suite.validation
        if validation is None or config.testset not in (None, validation):
            fix = f"leave testset out, or write {validation}" if validation else "use another suite"
            why = "settings are chosen on the suite's validation triples alone"
            raise UserError(f"cannot search on {config.testset or 'this suite'}", why, fix)
        if missing := suite.lacking(RATED_BY):
            why = f"trials are compared by {' and '.join(missing)}, which the suite {suite.name!r} does not measure"
            raise UserError("trials cannot be compared", why, "suite: world, or settings of your own choice for `run`")
        asked = (config.suite, validation, config.limit, config.preset, device, threads, (), runs)
        search = cls(config, Experiment.of(*asked), folder / f"{config.name}.jsonl")
        search.experiment.testset.head(config.limit)  # a limit that does not fit is refused before anything is trained
        head = json.loads(json.dumps(search._head()))
        lines = search.lines()
        if lines and lines[0] != head:
            differing = sorted(
                key for key in head["search"] if lines[0].get("search", {}).get(key) != head["search"][key]
            )
            why = f"it differs in {', '.join(differing) or 'its score'}"
            raise UserError(f"{search.path} holds another search", why, "give this one another name")
        if not lines:
            search._append(head)
        return search

    def lines(self) -> list[dict[str, Any]]:
        """Return every whole line; the torn last one of a killed search is dropped."""
        if not self.path.is_file():
            return []
        text = self.path.read_text(encoding="utf-8")
        if not text.endswith("\n"):
            write_text(self.path, text[: text.rfind("\n") + 1])
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]

    def trials(self) -> list[dict[str, Any]]:
        """Return the trials so far, in their order."""
        return [line for line in self.lines() if "trial" in line]

    def _head(self) -> dict[str, Any]:
        asked = {key: value for key, value in asdict(self.config).items() if key != "trials"}
        return {"search": asked, "testset": self.experiment.testset.name, "score": SCORE}

    def _append(self, line: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")

    def carry_on(self, total: int, console: Console) -> Iterator[dict[str, Any]]:
        """Make trials until there are ``total``, and yield each as it is written down."""
        scores = {name: self._reference(name, console) for name in REFERENCES}
        floor = score_of(scores["prompt_only"], scores["original"])
        while (number := len(done := self.trials())) < total:
            with for_users():
                chosen = propose(self.config, number, [(trial["settings"], trial["score"]) for trial in done])
            line = {"trial": number, **self._try(chosen, number, console)}
            score = score_of(line["scores"], scores["original"]) if line["scores"] else None
            relative = None if score is None or not floor else score / floor
            self._append({**line, "score": score, "relative": relative})
            yield self.trials()[-1]

    def _reference(self, name: str, console: Console) -> dict[str, Any]:
        """Return a reference's scores, written down the first time."""
        known = [line for line in self.lines() if line.get("reference") == name]
        if not known:
            trains = name == "naive"
            seeds = range(self.config.seeds if trains else 1)
            fixed = [f"{key}={_word(value)}" for key, value in self.config.fixed.items() if key.startswith("stage1.")]
            runs = [self.experiment.run(name, fixed if trains else (), seed) for seed in seeds]
            entries = [self.experiment.finish(run, name, console) for run in runs]
            known = [{"reference": name, "scores": _scores(entries), "runs": [entry.record.run for entry in entries]}]
            self._append(known[0])
        return dict(known[0]["scores"])

    def _try(self, chosen: Settings, number: int, console: Console) -> dict[str, Any]:
        """Train and score one trial; settings that cannot be, and a divergence, are results too."""
        changes = [f"{key}={_word(value)}" for key, value in {**self.config.fixed, **chosen}.items()]
        start, (commit, dirty) = time.monotonic(), git_state()
        line: dict[str, Any] = {"settings": chosen, "status": "finished", "why": None, "scores": None, "runs": []}
        try:
            runs = [self.experiment.run(self.config.method, changes, seed) for seed in range(self.config.seeds)]
        except UserError as error:
            return {**line, "status": "refused", "why": str(error), **_stamp(start, commit, dirty)}
        try:
            title = f"trial {number}: {' '.join(changes)}"
            entries = [self.experiment.finish(run, title, console) for run in runs]
            line |= {"scores": _scores(entries), "runs": [entry.record.run for entry in entries]}
        except UserError as error:
            if not diverged(error):
                raise
            line |= {"status": "diverged", "why": error.what}
        return {**line, **_stamp(start, commit, dirty)}


def score_of(scores: dict[str, Any], original: dict[str, Any]) -> float:
    """Return the declared score (see ``SCORE``), in [0, 1], of one trial's scores and the original portraits'.

    Raises:
        UserError: One of them was not measured, or the original portraits leave no room for a response.
    """
    base, hits, kept = original["hit_rate"]["mean"], scores["hit_rate"]["mean"], scores["kept"]["mean"]
    if base is None or hits is None or kept is None:
        why = "the target hit rate, or what is kept, was measured on none of these triples"
        raise UserError("a trial has no score", why, MORE)
    if base >= 100:
        raise UserError("a trial has no score", "the original portraits hit the target of every triple already", MORE)
    response = max(0.0, (hits - base) / (100 - base))
    preservation = kept / 100
    total = response + preservation
    return 2 * response * preservation / total if total else 0.0


def _scores(entries: list[Entry]) -> dict[str, Any]:
    """Return mean and interval of every headline score over the seeds."""
    merged = merge(entries, "").record
    found = {column.key: merged.scores[ALL][column.key] for column in merged.columns}
    return {key: {"mean": score.mean, "lo": score.lo, "hi": score.hi, "n": score.n} for key, score in found.items()}


def _stamp(start: float, commit: str | None, dirty: bool | None) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"seconds": round(time.monotonic() - start, 1), "commit": commit, "dirty": dirty, "finished": now}


def _word(value: Any) -> str:
    """Return a value as ``--set`` reads it."""
    return json.dumps(value) if not isinstance(value, str) else value
