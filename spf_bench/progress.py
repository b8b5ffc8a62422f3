"""Progress bars with time left, or silence: the rest of the code only ever says how far it is."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
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
    """Rich bars on standard error, so that standard output holds nothing but results."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._reported: dict[str, Task] = {}
        self._bars = RichProgress(
            TextColumn("{task.description:<30}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[detail]}"), console=self.console,
        )  # fmt: skip

    def __enter__(self) -> "Bars":
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def task(self, title: str, total: int, done: int = 0) -> Task:
        """Add a bar; one of nothing shows up when something comes of it, as of a download of unknown size."""
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
