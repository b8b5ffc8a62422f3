"""Methods are found, refused and listed with their reasons; `tests/conformance` has the contract."""

from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from spf_bench.errors import UserError
from spf_bench.files.artifacts import Artifacts
from spf_bench.method import Method, discover, get_method
from spf_bench.models.backbone import Backbone
from spf_bench.plugins import unique
from spf_bench.progress import Silent
from spf_bench.run.execute import train
from spf_bench.run.plan import Run
from tests.bench.conftest import BASELINES, make_triples

TRIPLES = make_triples(3)
BROKEN = "class Broken:\n    name = 'broken'\n"
HALF = "from spf_bench.method import Method\nclass Half(Method):\n    name = 'half'\n"
CAPITALS = (
    "from spf_bench.method import Method\n"
    "class Capitals(Method):\n"
    "    name, title, source = 'capitals', 'Capitals', 'tests'\n"
    "    def embed(self, backbone, triples):\n"
    "        return backbone.encode([triple.prompt.upper() for triple in triples])\n"
)


@pytest.fixture
def plugin(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(name: str, text: str) -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_training_twice_trains_once(planned: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    run = planned("naive")
    first = train(run, Artifacts(run.cache, run.training), Silent())
    monkeypatch.setattr("baselines.training.fit_for_record", lambda *_: pytest.fail("trained again"))
    assert train(run, Artifacts(run.cache, run.training), Silent()) == first


def test_a_trainer_that_refuses_says_so_to_the_user(planned: Callable[..., Run]) -> None:
    run = planned("naive")
    (run.cache / "checkpoints").mkdir(parents=True)
    with pytest.raises(UserError, match="sample"):
        object.__setattr__(run.suite, "trainset", lambda seed, n: [])
        train(run, Artifacts(run.cache, run.training), Silent())


def test_discovery_lists_what_is_broken_with_its_reason(installed: dict[str, str]) -> None:
    installed["gone"] = "no_such_module:Gone"
    installed["odd"] = "spf_bench.triple:Triple"
    found = discover()
    assert set(found.methods) == set(BASELINES)
    assert "no_such_module" in found.broken["gone"] and "not a method" in found.broken["odd"]


def test_no_plug_in_takes_the_place_of_another(installed: dict[str, str]) -> None:
    names = {"spf (other:SPF)": "the name is taken by baselines.spf:SPF"}
    points = [EntryPoint("spf", value, "group") for value in ("other:SPF", "baselines.spf:SPF", "baselines.spf:SPF")]
    kept, left_out = unique(points)
    assert kept == {"spf": points[1]} and left_out == names


def test_an_entry_point_and_its_class_are_called_alike(installed: dict[str, str]) -> None:
    installed["mine"] = "baselines.naive:Naive"
    assert "'mine', its class 'naive'" in discover().broken["mine"]


def test_a_module_that_ends_the_process_is_only_broken(
    installed: dict[str, str], plugin: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = plugin("leaving.py", "import sys\nsys.exit(3)\n")
    monkeypatch.syspath_prepend(path.parent)
    installed["leaving"] = "leaving:Method"
    assert discover().broken["leaving"] == "SystemExit: 3" and "spf" in discover().methods
    with pytest.raises(UserError, match="cannot be imported"):
        get_method(f"{path}:Method")


def test_an_unknown_method_names_the_nearest(installed: dict[str, str]) -> None:
    with pytest.raises(UserError) as caught:
        get_method("promt_only")
    assert "did you mean 'prompt_only'" in str(caught.value)


def test_a_broken_method_asked_for_is_a_users_error(installed: dict[str, str]) -> None:
    installed["gone"] = "no_such_module:Gone"
    with pytest.raises(UserError, match="cannot be loaded"):
        get_method("gone")


def test_a_method_from_a_file(plugin: Callable[[str, str], Path], backbone: Backbone) -> None:
    method = get_method(f"{plugin('capitals.py', CAPITALS)}:Capitals")
    assert method.name == "capitals" and method.file().name == "capitals.py"
    assert method.embed(backbone, TRIPLES).shape == backbone.encode([t.prompt for t in TRIPLES]).shape


@pytest.mark.parametrize(
    ("text", "cls", "complaint"),
    [
        (CAPITALS, "Capital", "did you mean 'Capitals'"),
        (BROKEN, "Broken", "not a method"),
        (HALF, "Half", "no title, source"),
        (CAPITALS.replace("'capitals'", "'../capitals'"), "Capitals", "'../capitals' cannot start a folder's name"),
        (CAPITALS + "    def __init__(self, size):\n        pass\n", "Capitals", "cannot be made"),
        (CAPITALS, "", "it defines Capitals"),
        ("import no_such_module", "Any", "no_such_module"),
    ],
)
def test_a_file_without_a_whole_method(plugin: Callable[[str, str], Path], text: str, cls: str, complaint: str) -> None:
    path = plugin(f"{cls.lower()}_{len(text)}.py", text)
    with pytest.raises(UserError) as caught:
        get_method(f"{path}:{cls}" if cls else str(path))
    assert complaint in str(caught.value)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(UserError, match="no such file"):
        get_method("nowhere.py:Method")


def test_a_method_that_returns_something_else_is_told_what_to_return(
    planned: Callable[..., Run], plugin: Callable[[str, str], Path]
) -> None:
    from dataclasses import replace

    from spf_bench.run.execute import execute

    text = CAPITALS.replace("def embed(self, backbone, triples)", "def sample(self, backbone, triples, noise)")
    path = plugin("floats.py", text)
    run = replace(planned("prompt_only"), method=get_method(f"{path}:Capitals"))
    with pytest.raises(UserError, match="did not return its images"):
        execute(run, Silent())


def test_a_method_that_says_it_trains_but_cannot_is_told_what_to_define() -> None:
    class Hollow(Method):
        name = "hollow"
        trains = True

    with pytest.raises(UserError, match="hollow cannot be trained") as error:
        Hollow().train(None)  # type: ignore[arg-type]
    assert "train(self, job)" in error.value.fix
