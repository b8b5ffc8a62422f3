"""``spf-bench study``: make a user study of finished runs, ask people, count their votes."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from spf_bench.cli.console import err, out
from spf_bench.cli.options import DEFAULT_RUNS, LARGEST_SEED, Runs, finite, new_folder
from spf_bench.errors import quoted
from spf_bench.table.layout import Format

study = typer.Typer(no_args_is_help=True, help="Ask people which of two methods' portraits is better.")

Folder = Annotated[Path, typer.Argument(help="Folder that `study make` wrote.", metavar="STUDY")]
DEFAULT = Path("study")


@study.command()
def make(
    runs: Runs = DEFAULT_RUNS,
    to: Annotated[
        Path, typer.Option(help="Folder of the study, free or empty.", metavar="DIR", callback=new_folder)
    ] = DEFAULT,
    methods: Annotated[
        list[str] | None, typer.Option("--method", help="Compare only these; repeatable.", metavar="NAME")
    ] = None,
    ours: Annotated[
        str | None, typer.Option(help="Compare this one with each other one, as the paper did; else all with all.")
    ] = None,
    participants: Annotated[int, typer.Option(min=1, max=10000, help="Invitations.")] = 32,
    pairs: Annotated[
        int, typer.Option(min=1, max=10000, help="Comparisons of each participant, three questions each.")
    ] = 48,
    checks: Annotated[int, typer.Option(min=0, max=1000, help="Attention checks among them.")] = 4,
    raters: Annotated[int, typer.Option(min=1, max=10000, help="Participants who see the same comparison.")] = 4,
    minutes: Annotated[
        float, typer.Option(min=0.1, max=10_000, help="Time a participant has.", callback=finite)
    ] = 30.0,
    ties: Annotated[bool, typer.Option("--ties", help="Allow the answer 'equal'.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Of the choice of pairs, sides and order.")] = 0,
    static: Annotated[
        bool, typer.Option("--static", help="Write one HTML ballot; answers come back as files.")
    ] = False,
    testset: Annotated[
        str | None, typer.Option(help="Name or folder of the runs' test set, where it is not a built-in one.")
    ] = None,
) -> None:
    """Pick the pairs of a user study, balanced over methods, categories and sides, and write the invitations.

    - `spf-bench study make --ours spf`
    - `spf-bench study make --method spf --method naive --participants 12 --static`
    """
    from spf_bench.study import make as making
    from spf_bench.study.plan import Ask

    size = Ask(participants, pairs, checks, raters, seed)
    order = making.Order(runs, to, size, tuple(methods or ()), ours, minutes, ties, static, testset)
    made = making.make(order)
    compared = sum(not one.unit.check for one in made.units)
    out.print(f"study        {escape(str(to))}: {', '.join(m.label for m in made.methods)}", soft_wrap=True)
    out.print(f"asked        {participants} participants, {pairs} comparisons each of {compared}, {checks} checks")
    out.print(f"invitations  {escape(str(to / 'invitations.csv'))}", soft_wrap=True)
    _next(to, static)


def _next(to: Path, static: bool) -> None:
    if not static:
        out.print(f"next         spf-bench study serve {escape(quoted(to))}", soft_wrap=True)
        return
    ballot = to / "ballot.html"
    out.print(f"ballot       {escape(str(ballot))}  ({ballot.stat().st_size / 1e6:.1f} MB)", soft_wrap=True)
    out.print(
        f"answers      into {escape(str(to / 'answers'))}, then spf-bench study tally {escape(quoted(to))}",
        soft_wrap=True,
    )


@study.command()
def serve(
    folder: Folder = DEFAULT,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 is any free one.")] = 8000,
) -> None:
    """Serve the ballots until Ctrl-C; votes lie in the study's folder, and serving again goes on."""
    from spf_bench.study.server import port_of
    from spf_bench.study.server import serve as start

    server = start(folder, host, port)
    shown, bound = f"[{host}]" if ":" in host else host, port_of(server)
    out.print(
        f"ballots  http://{shown}:{bound}/  with the codes of {folder / 'invitations.csv'}",
        soft_wrap=True,
    )
    if host not in ("127.0.0.1", "localhost", "::1"):
        err.print("[yellow]note[/] this is plain HTTP: put a proxy with TLS before it where it leaves your network")
    server.run()
    out.print(f"stopped; count the votes with  spf-bench study tally {escape(quoted(folder))}", soft_wrap=True)


@study.command()
def tally(
    folder: Folder = DEFAULT,
    answers: Annotated[
        list[Path] | None,
        typer.Option("--answers", help="Files that were sent back, or a folder of them.", metavar="PATH"),
    ] = None,
    kind: Annotated[Format, typer.Option("--format", help="Plain text, Markdown, CSV, LaTeX or JSON.")] = Format.text,
    least_right: Annotated[
        float, typer.Option(min=0, max=1, help="Share of attention checks to get right.", callback=finite)
    ] = 0.75,
    least_done: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the ballot to answer.", callback=finite)
    ] = 0.5,
    least_seconds: Annotated[
        float, typer.Option(min=0, help="Median seconds for an answer, at least.", callback=finite)
    ] = 1.0,
) -> None:
    """Count the votes: shares as in Fig. 8, Bradley-Terry strengths, agreement, and who was excluded and why.

    Writes tally.json into the study's folder; `spf-bench figure 8 --data STUDY` draws it.
    """
    from spf_bench.files.store import write_json
    from spf_bench.study import sheets
    from spf_bench.study.answers import collect
    from spf_bench.study.exclude import Rules
    from spf_bench.study.model import TALLY, Study
    from spf_bench.study.tally import tally as count

    asked = Study.load(folder)
    made = count(asked, collect(asked, folder, tuple(answers or ())), Rules(least_right, least_done, least_seconds))
    write_json(folder / TALLY, sheets.to_json(asked, made))
    print(sheets.render(asked, made, kind), end="")
    err.print(f"tally  {escape(str(folder / TALLY))}")
