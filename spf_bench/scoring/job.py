"""One scoring of images that were made elsewhere, before or after it took place."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from spf_bench import record as records
from spf_bench import testset
from spf_bench.environment import describe
from spf_bench.errors import Problem, UserError
from spf_bench.files.locks import hold
from spf_bench.files.store import digest, file_sha256, write_atomic, write_parquet
from spf_bench.progress import Progress
from spf_bench.run.costs import Meter
from spf_bench.scoring.about import asked
from spf_bench.scoring.beside import Conditions
from spf_bench.scoring.one_pass import Pair, Unreadable, read_rgb, score
from spf_bench.scoring.setting import Setting
from spf_bench.testset import SHOWN
from spf_bench.triple import Uncategorised

ANCHORED = 32  # originals behind a ceiling, as in a run


@dataclass(frozen=True)
class Job:
    """One side of it."""

    setting: Setting
    name: str
    """The method's."""
    pairs: tuple[Pair, ...]
    originals_sha256: str
    images_sha256: str

    @classmethod
    def of(cls, setting: Setting, name: str, pairs: Sequence[Pair]) -> "Job":
        """Return the scoring of a method, or of the originals themselves where ``name`` is theirs."""
        found = tuple(replace(pair, custom=pair.original) if name == "original" else pair for pair in pairs)
        sums = (sorted((p.triple.id, file_sha256(path(p))) for p in found) for path in (_original, _custom))
        first, second = (digest(part, length=64) for part in sums)
        return cls(setting, name, found, first, second)

    @cached_property
    def folder(self) -> Path:
        """Where its record goes, named by a hash of everything that affects the images' pixels."""
        captions = self.setting.captions
        facts = [captions.sha256, len(self.pairs), self.originals_sha256, self.images_sha256]
        return self.setting.out / captions.name / f"{self.name}-{digest([*facts, self.setting.suite.name], 8)}"

    def execute(self, conditions: Conditions | None, progress: Progress) -> records.RunRecord:
        """Score what is not scored yet and return the record."""
        if (done := self._finished(conditions, progress)) is not None:
            return done
        self.setting.chosen()  # what cannot be scored is refused before anything is written
        with hold(self.folder, progress.note):
            return self._finished(conditions, progress) or self._score(conditions, progress)

    def _finished(self, conditions: Conditions | None, progress: Progress) -> records.RunRecord | None:
        known = self._known()
        if known is None or not self._covers(known, conditions):
            return None
        progress.note(f"{self.name}: scored before, in {self.folder}")
        return known

    def _known(self) -> records.RunRecord | None:
        """Return the record of today's scoring, of whatever metrics."""
        path = self.folder / records.RECORD
        known = records.RunRecord.load(path) if path.is_file() else None
        return known if known is not None and known.scoring == self.setting.scoring else None

    def _score(self, conditions: Conditions | None, progress: Progress) -> records.RunRecord:
        known = self._known()
        metrics = self.setting.chosen({column.key for column in known.columns} if known else set())
        meter = Meter(self.folder, self.setting.device)
        with meter.stage("score"):
            columns, scores, anchors = self._measure(metrics, progress)
        self._keep_beside()
        record = records.RunRecord(
            **asked(self, conditions, [metric.key for metric in metrics] if self.setting.metrics else []),
            columns=columns,
            scores=scores,
            anchors=anchors,
            seconds={name: round(value, 3) for name, value in meter.seconds.items()},
            memory={name: round(value, 1) for name, value in meter.memory.items()},
            environment=describe(self.setting.device),
        )
        record.save(self.folder)
        return record

    def _covers(self, known: records.RunRecord, conditions: Conditions | None) -> bool:
        """Whether a record of today's scoring says all that was asked for."""
        wanted = set(self.setting.metrics)
        whole = wanted <= {column.key for column in known.columns} if wanted else not known.facts.get("metrics")
        return whole and known.facts.get("beside") == (conditions.run if conditions else None)

    def _measure(
        self, metrics: Sequence[Any], progress: Progress
    ) -> tuple[list[records.Column], Any, dict[str, dict[str, Any]]]:
        from safetensors.torch import save_file

        from spf_bench.metrics.features import FeatureStore
        from spf_bench.scoring.parts import Parts

        setting = self.setting
        store = FeatureStore(setting.out / "cache" / "features")
        parts = Parts(self.folder / "parts", digest([setting.scoring, [metric.key for metric in metrics]]))
        task = progress.task(f"scores of {self.name}", len(self.pairs))
        try:
            found = score(self.pairs, metrics, store, setting.batch, task.advance, parts)
        except Unreadable as error:
            raise _all_unreadable(self.pairs) from error
        write_parquet(self.folder / records.SCORES, found.table)
        write_atomic(self.folder / records.FEATURES, lambda part: save_file(found.features, part))
        parts.clear()
        anchors = {metric.key: self._ceiling(metric, store) for metric in metrics if metric.anchored}
        return [records.column_of(m) for m in metrics], records.recompute(self.folder, metrics), anchors

    def _ceiling(self, metric: Any, store: Any) -> dict[str, Any]:
        """Return the upper anchor alone: the floor needs other portraits of the same texts, and so the base model."""
        from spf_bench.metrics.segcons_anchors import anchors

        first = self.pairs[:ANCHORED]
        images = [read_rgb(pair.original) for pair in first]
        return asdict(anchors(metric, [pair.triple for pair in first], images, None, store))

    def _keep_beside(self) -> None:
        """Keep what a report shows besides scores: links to the images, and triples that no frozen test set has."""
        captions = self.setting.captions
        if captions.name not in testset.available() and not any(isinstance(t, Uncategorised) for t in captions.triples):
            testset.save(self.folder / records.CAPTIONS, captions.triples, f"# {captions.name}\n")
        folder = self.folder / "images"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for pair in self.pairs:
            (folder / f"{pair.triple.id}.png").symlink_to(pair.custom.resolve())


def _original(pair: Pair) -> Path:
    return pair.original


def _custom(pair: Pair) -> Path:
    return pair.custom


def _all_unreadable(pairs: Sequence[Pair]) -> UserError:
    problems = []
    for path in dict.fromkeys(path for pair in pairs for path in (pair.original, pair.custom)):
        try:
            read_rgb(path)
        except Unreadable as error:
            problems.append(Problem(str(path), error.why, "make it again"))
    count = "an image" if len(problems) == 1 else f"{len(problems):,} images"
    return UserError(f"{count} cannot be decoded", "nothing was recorded", problems=problems[:SHOWN])
