"""Finds what is missing, truncated or altered in a test set or in a folder of originals."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spf_bench import testset as testsets
from spf_bench.errors import Problem, UserError
from spf_bench.files.outside import inside
from spf_bench.files.store import file_sha256
from spf_bench.originals.about import BUILD, About
from spf_bench.originals.built import IMAGES
from spf_bench.originals.manifest import MANIFEST, Manifest
from spf_bench.testset import SUMS, TRIPLES, TestSet
from spf_bench.triple import Triple

AGAIN = f"delete {IMAGES}/{MANIFEST} and {IMAGES}/{BUILD}, and build again"


@dataclass(frozen=True)
class Place:
    """A test set, with or without originals of its own, or a folder of originals in the runs' cache."""

    folder: Path
    """Where it lies."""
    images: Path | None
    """Folder of its built originals; None where it has none."""
    about: About | None
    """What they were made of; None where that cannot be read, or there are none."""

    @property
    def is_testset(self) -> bool:
        """Whether captions lie beside the images."""
        return self.images != self.folder


@dataclass(frozen=True)
class Report:
    """What was found."""

    files: tuple[Problem, ...] = ()
    """Files that differ from their checksums, images left out."""
    images: tuple[tuple[Triple, str], ...] = ()
    """Images that are not as they were made: missing, truncated or altered."""
    checked: int = 0
    """How many images were looked at."""
    strange: tuple[str, ...] = ()
    """Files among the images that nothing lists."""

    @property
    def sound(self) -> bool:
        """Whether everything is as it was made."""
        return not self.files and not self.images


def locate(name: str) -> Place:
    """Find what the user calls ``name``.

    Raises:
        UserError: It is neither a test set nor a folder of originals.
    """
    folder = testsets.available().get(name) or testsets.place(name)
    if (folder / TRIPLES).exists() or (folder / SUMS).exists():
        images = folder / IMAGES
        begun = (images / BUILD).exists() or (images / MANIFEST).exists()
        return Place(folder, images if begun else None, About.load(images))
    if (folder / BUILD).is_file():
        return Place(folder, folder, About.load(folder))
    why = f"it has no {TRIPLES} and no {BUILD}" if folder.is_dir() else "no such folder"
    raise UserError(f"{name} is neither a test set nor a folder of originals", why, "spf-bench list testsets")


def examine(place: Place) -> Report:
    """Look at every file; nothing is changed."""
    files = (*(_files(place) if place.is_testset else ()), *_unfinished(place))
    if any(problem.subject in (SUMS, TRIPLES) for problem in files):
        return Report(files)  # whose images they should be is not known
    testset = captions(place)
    if place.images is None:
        shipped = [triple for triple in testset.triples if triple.original is not None]
        states = [(triple, _shipped(place.folder, triple)) for triple in shipped]
    else:
        manifest = Manifest(place.images)
        states = [(triple, manifest.state(triple)) for triple in testset.triples if triple.id in manifest.sums]
    bad = tuple((triple, state) for triple, state in states if state is not None)
    return Report(files, bad, len(states), tuple(_strange(place, testset)))


def captions(place: Place) -> TestSet:
    """Return the test set that the originals belong to.

    Raises:
        UserError: Nothing says which one that is.
    """
    if place.is_testset:
        path = place.folder / TRIPLES
        return TestSet(place.folder.resolve().name, testsets.parse(path), file_sha256(path), place.folder)
    if place.about is None:
        raise UserError(f"{place.folder / BUILD} cannot be read", "", "delete the folder and build again")
    return testsets.load(place.about.captions)


def _files(place: Place) -> Iterator[Problem]:
    if not (place.folder / SUMS).is_file():
        yield Problem(SUMS, "is missing", testsets.restore(place.folder))
        return
    for problem in testsets.changed(place.folder):
        yield problem._replace(fix=AGAIN) if problem.subject.startswith(f"{IMAGES}/") else problem


def _unfinished(place: Place) -> Iterator[Problem]:
    if place.images is not None and not (place.images / MANIFEST).is_file():
        yield Problem(IMAGES, "are not finished: there is no manifest", "go on with spf-bench testset build")


def _shipped(folder: Path, triple: Triple) -> str | None:
    path = inside(folder, str(triple.original))
    if path is None:
        return "missing"
    return None if file_sha256(path) == triple.sha256 else "altered"


def _strange(place: Place, testset: TestSet) -> Iterator[str]:
    """Yield what lies among the images and is none of them; journals of a build under way are no strangers."""
    if place.images is not None:
        ours = {f"{triple.id}.png" for triple in testset.triples} | {BUILD, MANIFEST}
        names = sorted(path.name for path in place.images.iterdir())
        yield from (name for name in names if name not in ours and not name.startswith("."))
