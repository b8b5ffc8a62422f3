"""Rows of words laid out as text, Markdown, CSV and LaTeX; what any table of ours is printed with."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from textwrap import wrap

WIDTH = 120
PACKAGES = r"% needs \usepackage{booktabs}"
_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "%": r"\%", "&": r"\&", "_": r"\_", "#": r"\#",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "±": r"$\pm$", "−": "$-$", "–": "--", "×": r"$\times$", "λ": r"$\lambda$",
    "Δ": r"$\Delta$", "†": r"\textsuperscript{\dag}",
}  # fmt: skip


_MARKS = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "|": r"\|", "[": r"\[", "\\": r"\\"}
_MD = re.compile(r"[<>|\[\\]|&(?=#?\w+;)")


class Format(StrEnum):
    """What a table can be printed as."""

    text = "text"
    md = "md"
    csv = "csv"
    tex = "tex"
    json = "json"


def grid(rows: Sequence[Sequence[str]], breaks: Sequence[int] = (), left: int = 1) -> list[str]:
    """Lay rows out in columns, the first ``left`` to the left, the others to the right; a bar before each break.

    Breaks count from the second column. A cell may have several lines.
    """
    lines = [line for row in rows for line in _unfolded(row)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(rows[0]))]
    bars = ["" if i == 0 else " | " if i - 1 in breaks else "  " for i in range(len(widths))]

    def printed(line: Sequence[str]) -> str:
        cells = [
            cell.ljust(w) if i < left else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))
        ]
        return "".join(bar + cell for bar, cell in zip(bars, cells, strict=True)).rstrip()

    rule = "─" * len("".join(bar + " " * width for bar, width in zip(bars, widths, strict=True)))
    head = len(_unfolded(rows[0]))
    return [rule, *map(printed, lines[:head]), rule, *map(printed, lines[head:]), rule]


def notes_below(notes: Iterable[str]) -> list[str]:
    """Fold notes to the width of a terminal."""
    return [line for note in notes for line in wrap(note, WIDTH, subsequent_indent="  ")]


def pipes(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Return a Markdown table; the first row is its head."""
    rule = "|".join([*["---"] * left, *["---:"] * (len(rows[0]) - left)])
    lines = ["| " + " | ".join(" ".join(cell.split("\n")).strip() for cell in row) + " |" for row in rows]
    return [lines[0], f"|{rule}|", *lines[1:]]


def booktabs(
    columns: str, head: Sequence[str], body: Sequence[str], notes: Iterable[str], seen: Iterable[str] = ()
) -> str:
    """Return a LaTeX tabular of finished rows, notes as comments above it.

    Args:
        columns: Its column specification.
        head: Rows above the rule.
        body: Rows below it.
        notes: Comments for whoever edits it.
        seen: Lines that are printed below the last rule.
    """
    comments = [f"% {line}" for note in notes for line in note.splitlines()]
    start = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    wide = body[0].count(" & ") + 1 if body else 1
    below = [rf"\multicolumn{{{wide}}}{{l}}{{\footnotesize {tex(line)}}} \\" for line in seen]
    end = [r"\bottomrule", *below, r"\end{tabular}"]
    return "\n".join([PACKAGES, *comments, *start, *head, r"\midrule", *body, *end])


def tex_row(cells: Iterable[str]) -> str:
    """Join cells that are LaTeX already into a row."""
    row = " & ".join(cells)
    guard = "{}" if row.startswith(("[", "*")) else ""  # else the end of the row before would take it for its option
    return guard + row + r" \\"


def tex(text: str) -> str:
    """Return words as LaTeX prints them."""
    return "".join(_TEX.get(character, character) for character in " ".join(text.split("\n")))


def md(text: str) -> str:
    """Return words as Markdown prints them: no HTML, no link, no new cell."""
    return _MD.sub(lambda found: _MARKS[found[0]], " ".join(text.splitlines()))


def write_csv(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _unfolded(row: Sequence[str]) -> list[list[str]]:
    """Return the lines of a row, its cells' lines side by side."""
    cells = [cell.split("\n") for cell in row]
    return [[cell[i] if i < len(cell) else "" for cell in cells] for i in range(max(map(len, cells)))]
