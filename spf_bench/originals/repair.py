"""Makes damaged files of a built test set again, and puts them in place only if they are what was lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from spf_bench import testset as testsets
from spf_bench.errors import Problem, UserError
from spf_bench.files.store import copy_file, file_sha256, folder_sha256, write_png
from spf_bench.memory import Halving
from spf_bench.models.backbone import Backbone
from spf_bench.originals.about import About, differences
from spf_bench.originals.build import seal
from spf_bench.originals.built import IMAGES, caption_files
from spf_bench.originals.make import render
from spf_bench.originals.manifest import Manifest
from spf_bench.originals.verify import Place, Report, captions
from spf_bench.progress import Progress
from spf_bench.run.generate import batches
from spf_bench.suite import get_suite
from spf_bench.triple import Triple, image
from spf_bench.weights.base import base_path


def restore_captions(place: Place, report: Report) -> None:
    """Copy damaged captions from the test set that they were built from.

    Raises:
        UserError: Nothing says which one that is, it has changed since, or it is no caption that is damaged.
    """
    lost = [problem for problem in report.files if problem.subject.startswith(IMAGES)]
    if lost:
        raise UserError(f"{place.folder} cannot be repaired", "what proves its images is damaged", problems=lost)
    if place.about is None or place.images is None:
        raise UserError(f"{place.folder} cannot be repaired", "nothing says what it was made of", "restore its files")
    source = testsets.load(place.about.captions)
    if source.sha256 != place.about.origin.get("testset") or source.folder.resolve() == place.folder.resolve():
        why = f"{place.about.captions} does not hold its captions any more"
        raise UserError(f"{place.folder} cannot be repaired", why, "restore its files")
    for name in caption_files(source.folder):
        copy_file(source.folder / name, place.folder / name)
    copy_file(source.folder / testsets.SUMS, place.folder / testsets.SUMS)
    seal(place.folder)


@dataclass(frozen=True)
class Repair:
    """Damaged images of a folder of originals, and what they were made of."""

    place: Place
    """Where they lie."""
    about: About
    """What they were made of."""
    pipeline: Path
    """The base model, proven to be the same one."""
    device: str
    """Where the networks run."""

    @classmethod
    def of(cls, place: Place, base_model: str | None, device: str) -> "Repair":
        """Find what the images were made of.

        Raises:
            UserError: It is not here, or it is not the same any more.
        """
        about = place.about
        if about is None or place.images is None:
            raise UserError(f"{place.folder} cannot be repaired", "nothing says what it was made of", "restore it")
        asked = base_model or about.base_model
        pipeline = base_path(asked) if asked else get_suite(about.suite).pipeline
        now = {"pipeline": folder_sha256(pipeline), "device": device.split(":")[0]}
        problems = list(differences(about.origin, now))
        if problems:
            fix = "give the same --base-model and --device"
            raise UserError(f"{place.folder} cannot be repaired with what is here", "", fix, problems)
        return cls(place, about, pipeline, device)

    def execute(self, report: Report, progress: Progress) -> int:
        """Make the damaged images again, in the company they were first made in, and return how many.

        Raises:
            UserError: Some came out with other bytes than those lost; these are not put in place.
        """
        damaged = {triple.id for triple, _ in report.images}
        backbone = Backbone.from_folder(self.pipeline, self.about.sampling, self.device)
        task, other = progress.task("repair", len(damaged)), []
        for part in batches(captions(self.place).triples, self.about.origin["batch"]):
            lost = [triple for triple in part if triple.id in damaged]
            if lost:
                other += self._remake(backbone, part, lost)
                task.advance(len(lost))
        if other:
            fix = "repair with the torch, Pillow and device it was built with, or build again into another folder"
            problems = [Problem(f"{triple.id}.png", "comes out with other bytes now", "") for triple in other]
            raise UserError(f"{len(other)} images could not be made again", "", fix, problems)
        return len(damaged)

    def _remake(self, backbone: Backbone, part: Sequence[Triple], lost: Sequence[Triple]) -> list[Triple]:
        """Put images of one batch in place where they are the lost ones, and return the others."""
        assert self.place.images is not None
        sums, other = Manifest(self.place.images).sums, []
        images = render(backbone, part, Halving()) if any(triple.original is None for triple in lost) else {}
        with TemporaryDirectory() as folder:
            for triple in lost:
                path = image(Path(folder), triple)
                if triple.original is None:
                    write_png(path, images[triple.id])
                else:
                    copy_file(testsets.load(self.about.captions).folder / triple.original, path)
                if file_sha256(path) == sums[triple.id]:
                    copy_file(path, image(self.place.images, triple))
                else:
                    other.append(triple)
        return other
