"""One scoring of images that were made elsewhere, before or after it took place."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from spf_bench import record as records
from spf_bench.environment import describe
from spf_bench.facts import facts
from spf_bench.files.locks import hold
from spf_bench.files.store import digest, file_sha256
from spf_bench.memory import FOLDER, Halving, noted
from spf_bench.metrics import precision
from spf_bench.progress import Progress
from spf_bench.run.costs import Meter
from spf_bench.run.mend import mend
from spf_bench.scoring.about import asked
from spf_bench.scoring.anchors import of_originals
from spf_bench.scoring.beside import Conditions
from spf_bench.scoring.fingerprint import code, lacking, same_code
from spf_bench.scoring.one_batch import Pair, Unreadable
from spf_bench.scoring.one_pass import batches, score
from spf_bench.scoring.others import all_unreadable, keep_beside
from spf_bench.scoring.setting import Setting
from spf_bench.share import ALONE, Share


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
        """Where its record goes, named by a hash of the images' pixels, the suite, and the precision if it is rough."""
        captions = self.setting.captions
        named = [captions.sha256, len(self.pairs), self.originals_sha256, self.images_sha256, self.setting.suite.name]
        named += [precision.asked()] if precision.asked() != precision.EXACT else []
        return self.setting.out / captions.name / f"{self.name}-{digest(named, 8)}"

    def execute(self, conditions: Conditions | None, progress: Progress, share: Share = ALONE) -> records.RunRecord:
        """Score what is not scored yet and return the record, the same one in every process of ``share``."""
        if (done := share.once(lambda: self._finished(conditions, progress))) is not None:
            return done
        before = share.once(self._columns)
        job = self._widened(before)
        job.setting.chosen(before)  # what cannot be scored is refused before anything is written
        with hold(self.folder, progress.note):
            done = share.once(lambda: self._finished(conditions, progress))
            if done is None:
                share.once(lambda: mend(self.setting.out, self.folder, progress))
            return done or job._score(conditions, progress, share)

    def _finished(self, conditions: Conditions | None, progress: Progress) -> records.RunRecord | None:
        known = self._known()
        if known is None or not same_code(known, self.setting.suite) or not self._covers(known, conditions):
            return None
        progress.note(f"{self.name}: scored before, in {self.folder}")
        return known

    def _known(self) -> records.RunRecord | None:
        """Return the record of a scoring that was finished, whenever it was and of whatever metrics."""
        return records.RunRecord.load(self.folder / records.RECORD) if records.complete(self.folder) else None

    def _columns(self) -> set[str]:
        """Return the metrics that were scored before: they stay, computed again where another is."""
        known = self._known()
        return {column.key for column in known.columns} if known else set()

    def _widened(self, before: set[str]) -> "Job":
        """Return the job over a suite that has the metrics of ``before`` as well, as far as they are still known."""
        asked = self.setting.metrics or tuple(self.setting.loaded)
        more = [column.key for column in facts()[0] if column.key in before - self.setting.loaded.keys()]
        if not more:
            return self
        return replace(self, setting=replace(self.setting, suite=self.setting.suite.limited_to([*asked, *more])))

    def _score(self, conditions: Conditions | None, progress: Progress, share: Share) -> records.RunRecord:
        metrics = self.setting.chosen(share.once(self._columns))
        meter = Meter(self.folder, self.setting.device, share=share)
        with meter.stage("score"):
            found = self._measure(metrics, meter.halving(progress.note), progress, share)
        return share.once(lambda: self._record(conditions, metrics, meter, *found))

    def _record(
        self,
        conditions: Conditions | None,
        metrics: Sequence[Any],
        meter: Meter,
        columns: list[records.Column],
        scores: Any,
        anchors: dict[str, dict[str, Any]],
    ) -> records.RunRecord:
        keep_beside(self.folder, self.setting.captions, self.pairs)
        record = records.RunRecord(
            **asked(self, conditions, [metric.key for metric in metrics] if self.setting.metrics else []),
            columns=columns,
            scores=scores,
            anchors=anchors,
            seconds={name: round(value, 3) for name, value in meter.seconds.items()},
            memory={name: round(value, 1) for name, value in meter.memory.items()},
            halved=noted(self.folder / FOLDER),
            environment=describe(self.setting.device),
        )
        record.save(self.folder)
        return record

    def _covers(self, known: records.RunRecord, conditions: Conditions | None) -> bool:
        """Whether a record says all that was asked for."""
        wanted = set(self.setting.metrics)
        columns = {column.key for column in known.columns}
        everything = not known.facts.get("metrics") and not lacking(columns, self.setting.suite)
        whole = wanted <= columns if wanted else everything
        return whole and known.facts.get("beside") == (conditions.run if conditions else None)

    def _measure(
        self, metrics: Sequence[Any], halving: Halving, progress: Progress, share: Share
    ) -> tuple[list[records.Column], Any, dict[str, dict[str, Any]]]:
        from spf_bench.metrics.feature_store import FeatureStore
        from spf_bench.scoring.parts import Parts

        setting, features = self.setting, self.setting.out / "cache" / "features"
        parts = Parts(
            self.folder / "parts",
            digest([code(setting.suite), setting.suite.digests_on_request, [metric.key for metric in metrics]]),
        )
        own = share.of_processes(batches(self.pairs, setting.batch))
        task = progress.task(f"scores of {self.name}", sum(map(len, own)))
        try:
            found = score(
                self.pairs, metrics, FeatureStore(features), setting.batch, task.advance, parts, halving, share
            )
        except Unreadable as error:
            raise all_unreadable(self.pairs) from error

        def kept() -> tuple[list[records.Column], Any, dict[str, dict[str, Any]]]:
            records.keep(self.folder, found)
            parts.clear()
            store = FeatureStore(features)  # with what the other processes have seen
            ends = of_originals(self.pairs, metrics, setting.out / "cache", store, halving)
            return [records.column_of(m) for m in metrics], records.recompute(self.folder, metrics), ends

        return share.once(kept)


def _original(pair: Pair) -> Path:
    return pair.original


def _custom(pair: Pair) -> Path:
    return pair.custom
