"""The paper's figures, drawn from our own records."""

from importlib import import_module
from pathlib import Path

from spf_bench.figures.ask import Ask, Draw
from spf_bench.figures.style import drawing, write

__all__ = ["FIGURES", "Ask", "draw"]

FIGURES = {
    "2": "maps:attention",
    "3": "maps:control_map",
    "5": "traces:supervision",
    "7": "portraits:variants",
    "8": "study:votes",
    "9": "portraits:retention",
    "13": "weights:sweep",
    "16": "portraits:sequence",
}
"""By the paper's number: the module here and the function in it that draws the figure."""


def draw(number: str, ask: Ask, to: Path) -> list[Path]:
    """Draw a figure and return its PNG and PDF.

    Args:
        number: The paper's, a key of ``FIGURES``.
        ask: What it is drawn from.
        to: Folder to write into.

    Raises:
        UserError: matplotlib is not installed, or what the figure shows was not made yet: the command that makes it.
    """
    module, _, name = FIGURES[number].partition(":")
    with drawing():
        function: Draw = getattr(import_module(f"spf_bench.figures.{module}"), name)
        return write(function(ask), to, f"figure-{number}")
