"""Bars: shown while there is something to do, on a console of their own."""

import io

from rich.console import Console

from spf_bench.progress import Bars


def test_a_bar_of_nothing_is_not_shown_until_something_comes_of_it() -> None:
    told = io.StringIO()
    with Bars(Console(file=told, width=100)) as bars:
        nothing, unknown, portraits = (bars.task(title, total) for title, total in (("a", 0), ("b", 0), ("c", 2)))
        nothing.advance(0)
        unknown.update(5)
        portraits.advance()
    lines = told.getvalue().splitlines()
    assert [line[0] for line in lines if line.strip()] == ["b", "c"] and "1/2" in lines[-1]
