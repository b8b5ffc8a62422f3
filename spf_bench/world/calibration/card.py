"""The calibration as a table, on disk and in the card of the world's weights."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from spf_bench.world.assets import WEIGHTS
from spf_bench.world.calibration.follow import FLOOR, LADDERS_OF, Follow
from spf_bench.world.calibration.ladders import LADDERS

FILE = "calibration.json"
AGAIN = "Not measured yet: `spf-bench world calibrate`."
ABOUT = """\
Measured by `spf-bench world calibrate` on {n} drawn portraits that no model was trained on. Each ladder leads away
from the ideal answer, the portrait with its target and no other change, or up to it, by steps that are known exactly:
attributes made wrong that the target leaves alone (0 to 5), or those of the person alone; another portrait mixed in
(0 to 100 %); blur (0 to 3 px); noise (0 to 64 grey levels); the target faded in (0 to 100 %); another target, or none,
in its place. A number is Spearman's rank correlation of the score with that truth over all images, positive where
better scores are nearer to it; in parentheses its mean along one portrait's own steps. Bold: the metric claims to see
this. A claim fails (`!`) below {floor:g}, or where the 95 % interval over portraits contains 0. FID's values are of
{set} portraits each.

Preservation metrics fall as the target comes, which is why no method may be ranked by them alone. A target that is
half faded in is damage to a judge of pictures: `hps` and `mps` tell the right target from another, not how much of it
is there.
"""


def write(found: Sequence[Follow], n: int, weights: Path = WEIGHTS) -> Path:
    """Write ``calibration.json`` of ``n`` portraits and the card of the weights, and return the card's path."""
    from spf_bench.world.check import write_readme

    rows = [asdict(one) for one in found]
    (weights / FILE).write_text(json.dumps({"n": n, "follows": rows}, indent=1) + "\n")
    return write_readme(weights)


def table_of(weights: Path = WEIGHTS) -> str:
    """Return what the card says of the last calibration of these weights."""
    from spf_bench.world.calibration.follow import SET

    path = weights / FILE
    if not path.is_file():
        return AGAIN
    data = json.loads(path.read_text())
    found = [Follow(**facts) for facts in data["follows"]]
    about = ABOUT.format(n=data["n"], floor=FLOOR, set=SET)
    return "\n".join([about, table(found), "", *_verdict(found)])


def table(found: Sequence[Follow]) -> str:
    """Return a Markdown table: a row per column that claims something, a column per ladder."""
    cells = {(one.column, one.ladder): _cell(one) for one in found}
    head = ["score", *LADDERS]
    rows = [[f"`{column}`", *(cells.get((column, name), "") for name in LADDERS)] for column in _order(found)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---", *["---:"] * len(LADDERS)], *rows))


def failures(found: Sequence[Follow]) -> list[Follow]:
    """Return the claims that do not hold."""
    return [one for one in found if not one.holds]


def blind(found: Sequence[Follow]) -> list[str]:
    """Return the columns of which no claim holds: judges to be trained anew, or dropped."""
    claims = [one for one in found if one.claimed]
    seeing = {one.column for one in claims if one.holds}
    return [column for column in _order(claims) if column not in seeing]


def _verdict(found: Sequence[Follow]) -> list[str]:
    wrong = failures(found)
    if not wrong:
        return ["Every claim holds."]
    named = ", ".join(f"`{one.column}` on *{one.ladder}* ({one.rho:.2f})" for one in wrong)
    return [f"{len(wrong)} claims of {sum(one.claimed for one in found)} fail: {named}."]


def _order(found: Sequence[Follow]) -> list[str]:
    return list(dict.fromkeys(one.column for one in found if one.column in LADDERS_OF))


def _cell(one: Follow) -> str:
    text = f"{one.rho:.2f} ({one.within:.2f})"
    return f"**{text}**{'' if one.holds else ' !'}" if one.claimed else text
