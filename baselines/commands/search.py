"""``spf-bench search``: settings tried on validation triples, scored by a figure declared beforehand."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spf_bench.cli.options import DEFAULT_RUNS, Device, Runs, Threads, folder

if TYPE_CHECKING:
    from baselines.search import Search

BEST = 10


def search(
    space: Annotated[Path, typer.Option(help="YAML file: what is tried, and how; docs/train.md has one.")],
    trials: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="Trials in all; by default as the file says.")
    ] = None,
    runs: Runs = DEFAULT_RUNS,
    to: Annotated[Path, typer.Option(help="Folder of the file of trials.", metavar="DIR", callback=folder)] = Path(
        "reports/search"
    ),
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Search for settings on the suite's validation triples; never on its test set.

    The score is the harmonic mean of response, (hit - the originals' hit) / (100 - the originals' hit), and
    preservation, kept / 100, also told relative to the untouched model's. Every trial is one line of
    reports/search/NAME.jsonl; the same command goes on where it stopped. Stages that trials share are trained once.

    - `spf-bench search --space space.yaml --trials 20`
    """
    from spf_bench.environment import quiet

    quiet()  # before the imports below bring in the model libraries
    from baselines.search import Search
    from baselines.search_space import read
    from baselines.training import for_users
    from spf_bench.cli.console import err, out

    with for_users():
        config = read(space)
    found = Search.open(config, to, runs, device, threads)
    for trial in found.carry_on(trials or config.total, err):
        err.print(f"trial {trial['trial']}: {trial['status']}, score {_number(trial['score'])}")
    _show(found)
    out.print(f"trials  {found.path}", soft_wrap=True)


def _show(search: "Search") -> None:
    """Print the references and the best trials."""
    from baselines.search import score_of
    from spf_bench.cli.console import show

    references = {line["reference"]: line["scores"] for line in search.lines() if "reference" in line}
    rows = [
        (name, _number(score_of(scores, references["original"])), *_both(scores), "")
        for name, scores in references.items()
    ]
    scored = [trial for trial in search.trials() if trial["score"] is not None]
    for trial in sorted(scored, key=lambda trial: -trial["score"])[:BEST]:
        said = " ".join(f"{name}={_number(value)}" for name, value in trial["settings"].items())
        rows.append((f"trial {trial['trial']}", _number(trial["score"]), *_both(trial["scores"]), said))
    show(("", "score", "hit %", "kept %", "settings"), rows)


def _both(scores: dict[str, Any]) -> tuple[str, str]:
    return f"{scores['hit_rate']['mean']:.1f}", f"{scores['kept']['mean']:.1f}"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "–" if value is None else str(value)
