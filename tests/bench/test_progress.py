"""Bars: shown while there is something to do, on a console of their own; in a log, lines."""

import io

import pytest
from rich.console import Console

from spf_bench import progress
from spf_bench.progress import Bars


def test_a_bar_of_nothing_is_not_shown_until_something_comes_of_it() -> None:
    told = io.StringIO()
    with Bars(Console(file=told, width=100, force_terminal=True)) as bars:
        nothing, unknown, portraits = (bars.task(title, total) for title, total in (("a", 0), ("b", 0), ("c", 2)))
        nothing.advance(0)
        unknown.update(5)
        portraits.advance()
        shown = [task.description for task in bars._bars.tasks if task.visible]
    assert shown == ["b", "c"] and "1/2" in told.getvalue()


def test_where_nobody_watches_a_task_is_told_in_a_line_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    told, now = io.StringIO(), [0.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now[0])
    with Bars(Console(file=told)) as bars:
        nothing, stage, short = bars.task("nothing", 0), bars.task("stage 2", 250, done=10), bars.task("short", 3)
        for _ in range(3):
            now[0] += 10
            short.advance()
        nothing.advance(0)
        for step in range(11, 71):
            now[0] += 2
            stage.update(step, f"loss [{step}]")
        nothing.advance(5)
    assert told.getvalue().splitlines() == [
        "stage 2  10/250",
        "short  0/3",
        "stage 2  25/250  15 min left  loss [25]",
        "stage 2  55/250  9 min left  loss [55]",
        "nothing  5",
    ]
