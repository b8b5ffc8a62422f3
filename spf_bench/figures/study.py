"""Fig. 8: whom the participants of a user study chose, pair by pair, from the tally of their votes.

A tally is JSON: ``{"questions": {"OBC": [{"a": "SPF", "b": "LoRA", "votes_a": 95, "votes_b": 25}, …], …}}``; pairs
may come in any order and ``ties`` may stand beside the votes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spf_bench.errors import UserError
from spf_bench.figures.ask import Ask
from spf_bench.figures.style import FAINT, INK, LINE, TONES, WIDTH, canvas
from spf_bench.files.store import read_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COMMAND = "spf-bench figure 8 --data tally.json"
GREY = "#c9ccd3"
FILE = "tally.json"
TITLES = {
    "OBC": "Original behaviour consistency",
    "TAR": "Target attribute response",
    "AP": "Aesthetic preference",
}
Pair = tuple[str, str, int, int, int]


def votes(ask: Ask) -> "Figure":
    """Draw for each question which share of votes each of two methods got (Fig. 8)."""
    questions = _read(_file(ask))
    most = max(len(pairs) for pairs in questions.values())
    figure = canvas(0.6 + 0.38 * most, WIDTH)
    for number, (question, pairs) in enumerate(questions.items()):
        axes: Any = figure.add_subplot(1, len(questions), number + 1)
        _panel(axes, pairs)
        axes.set_title(TITLES.get(question, question))
        axes.set_ylim(most - 0.6, -0.75)
    figure.tight_layout()
    return figure


def _panel(axes: Any, pairs: Sequence[Pair]) -> None:
    for row, (first, second, mine, theirs, ties) in enumerate(pairs):
        total = max(mine + theirs + ties, 1)
        shares = (100 * mine / total, 100 * ties / total, 100 * theirs / total)
        left = 0.0
        for share, tone in zip(shares, (TONES[0], LINE, GREY), strict=True):
            axes.barh(row, share, left=left, color=tone, height=0.42)
            left += share
        for text, x, side in ((first, 0.0, "left"), (second, 100.0, "right")):
            axes.text(x, row - 0.26, text, va="bottom", ha=side, fontsize=6.8)
        for share, x, side, tone in ((shares[0], 1.5, "left", "white"), (shares[2], 98.5, "right", INK)):
            axes.text(x, row + 0.02, f"{share:.0f} %", va="center", ha=side, fontsize=6.8, color=tone)
    axes.axvline(50, color=FAINT, linewidth=0.8, linestyle=":")
    axes.set(xlim=(0, 100), yticks=[], xlabel="votes in %")
    axes.grid(False)
    axes.spines["left"].set_visible(False)


def _read(path: Path) -> dict[str, list[Pair]]:
    try:
        questions: Mapping[str, Any] = read_json(path)["questions"]
        found = {str(name): [_pair(pair) for pair in pairs] for name, pairs in questions.items()}
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is no tally", f"{type(error).__name__}: {error}", COMMAND) from error
    if not any(found.values()):
        raise UserError(f"{path} has no votes", "none of its questions has a pair of methods", COMMAND)
    return {name: pairs for name, pairs in found.items() if pairs}


def _pair(pair: Mapping[str, Any]) -> Pair:
    mine, theirs, ties = int(pair["votes_a"]), int(pair["votes_b"]), int(pair.get("ties", 0))
    if min(mine, theirs, ties) < 0:
        raise ValueError("votes are not negative")
    return str(pair["a"]), str(pair["b"]), mine, theirs, ties


def _file(ask: Ask) -> Path:
    found = [path / FILE if path.is_dir() else path for path in ask.data] or sorted(ask.runs.rglob(FILE))
    if not found or not found[0].is_file():
        where = found[0] if found else ask.runs
        raise UserError(f"no tally in {where}", "Fig. 8 is drawn from the votes of a user study", COMMAND)
    return found[0]
