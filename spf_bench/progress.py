"""Progress bars with time left, or silence: the rest of the code only ever says how far it is."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

if TYPE_CHECKING:
    from spf_bench.share import Share


PAUSE = 60
"""Seconds between two lines of a task where nobody watches: a log of hours stays short."""


class Progress(Protocol):
    """Something that can show the advance of one task at a time."""

    def task(self, title: str, total: int, done: int = 0) -> "Task":
        """Begin a task of ``total`` units, ``done`` of which need no doing."""

    def note(self, text: str) -> None:
        """Say something that stays."""


class Task(Protocol):
    """One task under way."""

    def advance(self, units: int = 1) -> None:
        """Say that ``units`` more are done."""

    def update(self, done: int, detail: str = "") -> None:
        """Say that ``done`` units are done in all, with a short remark such as the loss."""


class Silent:
    """Shows nothing; for tests and library use."""

    def task(self, title: str, total: int, done: int = 0) -> Task:
        """Begin a task nobody watches."""
        return self

    def note(self, text: str) -> None:
        """Say nothing."""

    def advance(self, units: int = 1) -> None:
        """Show nothing."""

    def update(self, done: int, detail: str = "") -> None:
        """Show nothing."""


class Bars:
    """Rich bars on standard error, so that standard output holds nothing but results.

    Where that is no terminal, as in a log: a plain line when a task begins, and then one a minute at most.
    """

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._reported: dict[str, Task] = {}
        self._bars = RichProgress(
            TextColumn("{task.description:<30}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[detail]}"), console=self.console,
            disable=not self.console.is_terminal,
        )  # fmt: skip

    def __enter__(self) -> "Bars":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def task(self, title: str, total: int, done: int = 0) -> Task:
        """Add a bar; one of nothing shows up when something comes of it, as of a download of unknown size."""
        if not self.console.is_terminal:
            return _Lines(self.console, title, total, done)
        return _Bar(self._bars, self._bars.add_task(title, total=total, completed=done, detail="", visible=total > 0))

    def report(self, title: str, done: int, total: int) -> None:
        """Show that ``done`` of ``total`` units of a task are done; the first report of a title adds its bar."""
        if title not in self._reported:
            self._reported[title] = self.task(title, total)
        self._reported[title].update(done)

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        self.console.print(text)


def bars_of(share: "Share", console: Console) -> AbstractContextManager["Bars | Silent"]:
    """Return bars for the process that speaks for all, and silence for the others."""
    return Bars(console) if share.main else nullcontext(Silent())


@dataclass
class _Bar:
    bars: RichProgress
    task: TaskID

    def advance(self, units: int = 1) -> None:
        self.bars.update(self.task, advance=units, visible=units > 0 or None)

    def update(self, done: int, detail: str = "") -> None:
        self.bars.update(self.task, completed=done, detail=detail, visible=done > 0 or None)


@dataclass
class _Lines:
    """A task told in lines of text."""

    console: Console
    title: str
    total: int
    done: int
    detail: str = ""

    def __post_init__(self) -> None:
        self._begun, self._before, self._told = monotonic(), self.done, float("-inf")
        if self.total > 0:
            self._tell()

    def advance(self, units: int = 1) -> None:
        self.update(self.done + units, self.detail)

    def update(self, done: int, detail: str = "") -> None:
        self.done, self.detail = done, detail
        if done > 0 and monotonic() - self._told >= PAUSE:
            self._tell()

    def _tell(self) -> None:
        self._told = monotonic()
        count = f"{self.done}/{self.total}" if self.total > 0 else str(self.done)
        parts = (self.title, count, self._left(), self.detail)
        self.console.print("  ".join(part for part in parts if part), markup=False, highlight=False, soft_wrap=True)

    def _left(self) -> str:
        """Return the time left at the pace so far; nothing where that cannot be known."""
        made, ahead = self.done - self._before, self.total - self.done
        if made <= 0 or ahead <= 0:
            return ""
        minutes = max(1, round((monotonic() - self._begun) / made * ahead / 60))
        return f"{minutes} min left" if minutes < 120 else f"{minutes / 60:.1f} h left"
