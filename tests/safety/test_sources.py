"""No source loads anything in a way that could run what it loads; found by reading the sources, not by running them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import spf_train.overrides

ROOT = Path(__file__).parents[2]
CONVERTER = "spf_bench/weights/pickled.py"
"""The one place that opens pickles, through an unpickler that knows tensors alone."""
FORBIDDEN = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "pickle.load", "pickle.loads", "pd.read_pickle",
    "marshal.loads", "shelve.open", "joblib.load", "torch.jit.load", "torch.hub.load", "torch.package.PackageImporter",
    "yaml.unsafe_load", "yaml.full_load", "shutil.unpack_archive", "tempfile.mktemp",
}  # fmt: skip
PICKLING = {"pickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}
TOLD = {
    "weights_only", "allow_pickle", "trust_remote_code", "shell", "local_files_only", "use_safetensors", "loader",
    "autoescape",
}  # fmt: skip
"""Options that decide whether a call is safe."""
UNPACKERS = {"extractall", "extract"}
SAFETENSORS = {"StableDiffusionPipeline", "StableDiffusionXLPipeline", "AutoModelForImageTextToText"}
OFFLINE = {*SAFETENSORS, "AutoProcessor", "AutoTokenizer"}
"""Classes that look on the Hub for what a folder lacks, and some of which run a model's own code where told to."""


def _sources() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("spf_bench", "spf_train", "baselines", "benchmarks"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def faults(tree: ast.AST) -> Iterator[str]:
    """Yield every call that could run what it reads, and every import of what could."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
            yield from (f"imports {name}" for name in names & PICKLING)
        if isinstance(node, ast.Call):
            yield from _call_faults(node)


def _call_faults(call: ast.Call) -> Iterator[str]:
    if not isinstance(call.func, ast.Name | ast.Attribute):
        return
    name, given = ast.unparse(call.func), {w.arg: ast.unparse(w.value) for w in call.keywords if w.arg in TOLD}
    kind, _, verb = name.rpartition(".")
    spread = any(word.arg is None for word in call.keywords)  # **options, which the reader has to look at
    if name in FORBIDDEN or (verb in UNPACKERS and kind):
        yield f"calls {name}"
    if name == "torch.load" and given.get("weights_only") != "True":
        yield "torch.load without weights_only=True"
    if verb == "load" and kind in ("np", "numpy") and given.get("allow_pickle", "False") != "False":
        yield "np.load with allow_pickle"
    if name == "yaml.load" and ast.unparse(call.args[-1]) != "_Loader":
        yield "yaml.load with another loader than ours"
    if given.get("trust_remote_code", "False") != "False" or given.get("shell", "False") != "False":
        yield f"{name} runs code of others"
    if verb == "from_pretrained" and kind in OFFLINE and given.get("local_files_only") != "True" and not spread:
        yield f"{name} may ask the network"
    if verb == "from_pretrained" and kind in SAFETENSORS and "use_safetensors" not in given:
        yield f"{name} does not say whether pickles may be read"
    if name == "Environment" and "loader" in given and given.get("autoescape") != "True":
        yield "templates without autoescape"


def test_every_source_is_safe() -> None:
    found = {f"{name}: {fault}" for name, tree in _sources() for fault in faults(tree)}
    assert found == {f"{CONVERTER}: imports pickle", f"{CONVERTER}: torch.load without weights_only=True"}


@pytest.mark.parametrize(
    "line",
    [
        "torch.load(p)", "torch.load(p, weights_only=False)", "import pickle", "from pickle import loads", "eval(x)",
        "np.load(p, allow_pickle=True)", "yaml.load(t, yaml.Loader)", "tar.extractall(to)", "zipped.extract(name)",
        "AutoTokenizer.from_pretrained(f)", "CLIPModel.from_pretrained(f, trust_remote_code=True)",
        "subprocess.run(c, shell=True)", "Environment(loader=FileSystemLoader(f))", "pd.read_pickle(p)", "os.system(c)",
        "StableDiffusionPipeline.from_pretrained(f, local_files_only=True)",
    ],
)  # fmt: skip
def test_this_test_can_fail(line: str) -> None:
    assert list(faults(ast.parse(line)))


def test_yaml_is_read_by_a_safe_loader() -> None:
    assert issubclass(spf_train.overrides._Loader, yaml.SafeLoader)
