"""What a study is on disk: who is compared, on which portraits, and what each participant is shown."""

import re
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

from spf_bench.errors import UserError, quoted
from spf_bench.files import typed
from spf_bench.files.outside import short
from spf_bench.files.store import write_json
from spf_bench.study.questions import Question

PICTURE = re.compile("[0-9a-f]{20}[.]png")
"""What a picture of a study is called: nothing else in its folder, or beside it, is ever shown."""
STUDY, VOTES, IMAGES, ANSWERS, TALLY = "study.json", "votes.sqlite", "images", "answers", "tally.json"
INVITATIONS, BALLOT = "invitations.csv", "ballot.html"
SCHEMA = 1
SIDES = ("left", "right")
EQUAL = "equal"


@dataclass(frozen=True)
class Contestant:
    """A method that is compared."""

    label: str
    """Its name in print."""
    method: str
    """What ``--method`` calls it."""
    run: str
    """The run its portraits are from."""


@dataclass(frozen=True)
class Unit:
    """Two portraits of one triple; of an attention check, ``a`` is the right answer."""

    a: str
    """Label of the first method; empty in a check."""
    b: str
    """Label of the second method; empty in a check."""
    triple: str
    """Id of the triple."""
    category: str
    """Category of its target."""
    check: bool = False
    """Whether this is an attention check."""

    @property
    def pair(self) -> tuple[str, str]:
        """The labels of both methods."""
        return self.a, self.b


@dataclass(frozen=True)
class Shown:
    """A unit with what participants see of it."""

    unit: Unit
    base: str
    target: str
    original: str
    """File of the original portrait, below ``images``."""
    images: tuple[str, str]
    """Files of the portraits of ``a`` and ``b``."""

    def __post_init__(self) -> None:
        if strange := [name for name in (self.original, *self.images) if not PICTURE.fullmatch(name)]:
            raise ValueError(f"{short(strange[0])} is no picture of a study")


@dataclass(frozen=True)
class Item:
    """One comparison of one participant."""

    key: str
    """What the browser calls it; says nothing of what is compared."""
    unit: int
    """Index of what is compared."""
    flipped: bool
    """Whether ``a`` stands on the right."""

    def chosen(self, choice: str) -> str:
        """Return whom a side stands for: ``"a"``, ``"b"`` or ``"equal"``."""
        return choice if choice == EQUAL else "ab"[(choice == "right") != self.flipped]


@dataclass(frozen=True)
class Ballot:
    """What one participant is shown, in this order."""

    number: int
    """Of the participant, from 1."""
    code: str
    """Their invitation: who has it votes as them."""
    items: tuple[Item, ...]

    @cached_property
    def by_key(self) -> dict[str, Item]:
        """The items by their keys."""
        return {item.key: item for item in self.items}


@dataclass(frozen=True)
class Study:
    """Everything that is fixed before the first vote."""

    schema: int
    """Version of this layout."""
    id: str
    """Unlike any other study's."""
    created: str
    """UTC, ISO 8601."""
    suite: str
    """Suite of the runs."""
    testset: str
    """Name of their test set."""
    testset_sha256: str
    """SHA-256 of its triples file."""
    seed: int
    """What the choice of pairs, sides and order was drawn with; not negative."""
    minutes: float
    """Time a participant has."""
    ties: bool
    """Whether ``equal`` may be answered."""
    questions: tuple[Question, ...]
    methods: tuple[Contestant, ...]
    units: tuple[Shown, ...]
    ballots: tuple[Ballot, ...]

    def __post_init__(self) -> None:
        asked = [item.unit for ballot in self.ballots for item in ballot.items]
        if strange := [unit for unit in asked if not 0 <= unit < len(self.units)]:
            raise ValueError(f"there is no comparison number {strange[0]}")
        if self.seed < 0:
            raise ValueError(f"a seed is not negative, as {self.seed} is")
        self._refuse_strangers()

    def _refuse_strangers(self) -> None:
        """Refuse methods that stand in no pair, and pairs of what is no method: neither has a strength."""
        labels = [method.label for method in self.methods]
        pairs = [one.unit.pair for one in self.units if not one.unit.check]
        compared = {label for pair in pairs for label in pair}
        if twice := next((label for label in labels if labels.count(label) > 1), None):
            raise ValueError(f"two methods are called {short(twice)}")
        if strange := sorted(compared ^ set(labels)):
            word = "is compared with nothing" if strange[0] in labels else "is no method of it"
            raise ValueError(f"{short(strange[0])} {word}")
        if same := [a for a, b in pairs if a == b]:
            raise ValueError(f"{short(same[0])} is compared with itself")

    @cached_property
    def by_code(self) -> dict[str, Ballot]:
        """The ballots by their invitations."""
        return {ballot.code: ballot for ballot in self.ballots}

    @property
    def choices(self) -> tuple[str, ...]:
        """What may be answered."""
        return (*SIDES, EQUAL) if self.ties else SIDES

    def save(self, folder: Path) -> None:
        """Write the study into its folder."""
        write_json(folder / STUDY, asdict(self))

    @classmethod
    def load(cls, folder: Path) -> "Study":
        """Read the study of a folder.

        Raises:
            UserError: There is none, or it is of another layout.
        """
        path = folder / STUDY
        if not path.is_file():
            raise UserError(
                f"there is no study in {folder}", f"it has no {STUDY}", f"spf-bench study make --to {quoted(folder)}"
            )
        return typed.load(cls, path, SCHEMA, "a study", "make it again")
