"""Commands of other packages: found, put below a group, and listed with a reason where they cannot be loaded."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint

import pytest
import typer
from typer.testing import CliRunner

from spf_bench.cli import plugins as cli_plugins
from spf_bench.cli.console import Commands

Assemble = Callable[..., typer.Typer]
COMMANDS = ("ablate", "search", "show", "sweep", "train")


def hello(name: str) -> None:
    """Greet somebody."""
    typer.echo(f"hello {name}")


@pytest.fixture
def assemble(monkeypatch: pytest.MonkeyPatch) -> Assemble:
    """An app with one command and one group, and the commands of entry points {name: value}."""

    def make(**points: str) -> typer.Typer:
        found = [EntryPoint(name.replace("__", "."), value, cli_plugins.GROUP) for name, value in points.items()]
        monkeypatch.setattr(cli_plugins, "entry_points", lambda group: found)
        app, group = typer.Typer(cls=Commands), typer.Typer()
        app.command("own")(lambda: None)
        app.add_typer(group, name="show")
        group.command("own")(lambda: None)
        cli_plugins.install(app, {"show": group})
        return app

    return make


def test_a_command_and_one_of_a_group(assemble: Assemble) -> None:
    app = assemble(greet=f"{__name__}:hello", show__greet=f"{__name__}:hello")
    assert CliRunner().invoke(app, ["greet", "you"]).stdout == "hello you\n"
    assert CliRunner().invoke(app, ["show", "greet", "you"]).stdout == "hello you\n"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("gone", "no_such_module:command", "no_such_module"),
        ("odd", f"{__name__}:COMMANDS", "is no function"),
        ("own", f"{__name__}:hello", "a command 'own' already"),
        ("draw__greet", f"{__name__}:hello", "no group 'draw'"),
    ],
)
def test_a_broken_command_is_listed_and_stops_nobody(assemble: Assemble, name: str, value: str, reason: str) -> None:
    app = assemble(**{name: value, "greet": f"{__name__}:hello"})
    assert "cannot be loaded" in CliRunner().invoke(app, ["--help"]).stdout
    assert CliRunner().invoke(app, ["greet", "you"]).exit_code == 0
    result = CliRunner().invoke(app, ["own (plug-in)" if name == "own" else name.replace("__", ".")])
    assert result.exit_code == 2 and reason in result.stderr and "Traceback" not in result.output
    assert CliRunner().invoke(app, ["own"]).exit_code == 0


def test_the_trainers_commands_import_nothing_heavy() -> None:
    modules = ", ".join(f"baselines.commands.{name}" for name in COMMANDS)
    code = (
        f"import sys, {modules}; print(sorted({{'torch', 'diffusers', 'pandas', 'numpy', 'yaml'}} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
