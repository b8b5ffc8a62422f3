"""Builds a training set: plan, images, captions, scores, the set itself; each stage goes on where it stopped."""

import shutil
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from spf_bench.environment import describe
from spf_bench.errors import UserError
from spf_bench.files.store import digest, read_json, write_json, write_text
from spf_bench.memory import FOLDER, noted
from spf_bench.progress import Progress
from spf_bench.share import Share
from spf_bench.trainset.captions import make_captions, reader
from spf_bench.trainset.card import card
from spf_bench.trainset.chunks import Stage
from spf_bench.trainset.figures import Figures
from spf_bench.trainset.networks import load_captioner, load_scorer, rehearse
from spf_bench.trainset.rows import Rows
from spf_bench.trainset.spec import Spec
from spf_bench.trainset.write import Writer

BUILD = "build.json"


@dataclass(frozen=True)
class Build:
    """The work on one set."""

    spec: Spec
    """What is to be built."""
    share: Share = field(default_factory=Share)
    """This process's part of it."""
    batch: int = 10
    """Images that captioner and judges look at together."""

    def check(self) -> bool:
        """Say whether the set is there already.

        Raises:
            UserError: Its folder holds something else, or cannot be made.
        """
        to = self.spec.to
        if not to.exists() and not to.is_symlink():
            self._open_work()
            return False
        try:
            known = read_json(to / BUILD)["set"]
        except (OSError, ValueError, KeyError, TypeError):
            known = None
        if known is not None and known == digest(self.spec.facts):
            return True
        why = "it holds a set built with other settings" if known else "there is something else"
        raise UserError(f"cannot build {to}", why, "choose another folder")

    def execute(self, progress: Progress) -> Figures | None:
        """Do what is left to do.

        Returns:
            The numbers of the set; None where other shards are not done, and for all but the main process.

        Raises:
            UserError: A network cannot be used or does not fit, or images are not as they were painted.
        """
        if self.share.main and self._unpainted():
            rehearse(self.spec, self._device)
        self._begin(self.spec.plan.stage, self.spec.plan_facts)
        self.spec.plan.make(self.share, progress)
        if not self._paint(progress) or not self._caption(progress) or not self._score(progress):
            return None
        writer = self.spec.writer()
        self._begin(writer.stage, self.spec.facts)
        writer.make(self.share, progress)
        self.share.wait()
        return self._finish(writer) if self.share.main else None

    def _open_work(self) -> None:
        try:
            self.spec.work.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot make {self.spec.work}", error.strerror or "", "choose another folder") from error

    def _begin(self, stage: Stage, facts: dict[str, Any]) -> None:
        """Make a stage's folder, before any process writes there."""
        if self.share.main:
            stage.begin(facts)
        self.share.wait()

    @property
    def _device(self) -> str:
        return self.share.device or self.spec.device

    def _unpainted(self) -> bool:
        return any(painting.stage.absent(".jsonl") for painting in self.spec.paintings)

    def _paint(self, progress: Progress) -> bool:
        """Paint, and say whether all that anybody was to paint is there."""
        for painting in self.spec.paintings:
            self._begin(painting.stage, painting.facts)
            painting.make(self.spec.plan, self.share, self._device, progress)
        self.share.wait()
        return not self._unpainted()

    def _caption(self, progress: Progress) -> bool:
        stage = self.spec.rows.captions
        if stage is None:
            return True
        self._begin(stage, self.spec.caption_facts)
        load = partial(load_captioner, self.spec, self._device)
        fits = reader(self.spec.sources.models[0].path)
        painted = Rows(self.spec.plan, self.spec.paintings)
        make_captions(painted, stage, load, fits, self.share, progress, self.batch)
        self.share.wait()
        return not stage.absent(".jsonl")

    def _score(self, progress: Progress) -> bool:
        filters = self.spec.filters
        for name, scores in filters.scores.items():
            self._begin(scores.stage, scores.facts)
            asked, load = partial(filters.asked, name), partial(load_scorer, self.spec, name, self._device)
            scores.make(name.replace("_", " "), self.spec.rows, asked, load, self.share, progress, self.batch)
            self.share.wait()
            if scores.missing(asked()):
                return False
        return True

    def _finish(self, writer: Writer) -> Figures:
        """Complete the set and put it in place in one step."""
        spec, figures = self.spec, Figures.of(self.spec.filters)

        def describe_set(folder: Path) -> None:
            write_text(folder / "README.md", card(spec.about(), figures, spec.filters))
            environment = asdict(describe(spec.device))
            told = {"set": digest(spec.facts), "facts": spec.facts, "environment": environment}
            write_json(folder / BUILD, told | {"halved": self._halved()})

        writer.finish(describe_set).rename(spec.to)
        shutil.rmtree(writer.stage.folder)
        return figures

    def _halved(self) -> dict[str, int]:
        """Return the most images looked at at once, by stage, where the device's memory did not hold a batch."""
        stages = [painting.stage for painting in self.spec.paintings]
        stages += [scores.stage for scores in self.spec.filters.scores.values()]
        found: dict[str, int] = {}
        for name, size in (item for stage in stages for item in noted(stage.folder / FOLDER).items()):
            found[name] = min(size, found.get(name, size))
        return found
