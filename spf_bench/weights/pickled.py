"""Reads the tensors of a pickled PyTorch network or checkpoint without running any code it names.

The released MPS, for one, is a whole pickled module: loading it as its authors do executes whatever the file says and
needs their package in the version it was written with. Here every class it names becomes an empty record, and only the
functions that rebuild tensors are called.
"""

import collections
import pickle
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from spf_bench.errors import UserError, explained
from spf_bench.files.store import file_sha256, write_atomic

FIX = "ask for it as .safetensors where it came from"
RECORDS = (
    "trainer.", "transformers.", "torch.nn.modules.", "torch._C._nn", "pytorch_lightning.", "lightning_fabric.",
    "omegaconf.", "numpy.", "_codecs",
)  # fmt: skip
"""Beginnings of the modules whose classes and functions become empty records: what trainers leave in checkpoints."""
STATES = ("state_dict", "model", "module")
"""Where checkpoints keep their tensors beside what a trainer needs."""
PLAIN: dict[tuple[str, str], type] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
}
TENSORS = {
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch._utils", "_rebuild_parameter_with_state"),
}


class Record:
    """Stands in for any class of the pickle; holds attributes, does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args = args

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state if isinstance(state, dict) else {"state": state})


class Unpickler(pickle.Unpickler):
    """An unpickler that knows tensors, plain containers and empty records, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what a global of the pickle stands for; raises UnpicklingError where that could run code."""
        if (module, name) in PLAIN:
            return PLAIN[module, name]
        if (module, name) in TENSORS or (module == "torch" and _is_plain(name)):
            return super().find_class(module, name)
        if module.startswith(RECORDS):
            return Record
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def convert(source: Path, target: Path) -> tuple[int, str]:
    """Write the tensors of a pickled network as safetensors; return their number and the file's SHA-256.

    Raises:
        UserError: The file cannot be read, asks for code, or holds no network.
    """
    tools = ModuleType("restricted_pickle")
    vars(tools).update(Unpickler=Unpickler, load=_refuse)
    with explained(f"{source} is not converted", FIX):
        root = torch.load(source, map_location="cpu", weights_only=False, pickle_module=tools)
        state = {name: tensor.detach().clone().contiguous() for name, tensor in tensors(root)}
    if not state:
        raise UserError(f"{source} holds no network", "no parameters were found in it")
    write_atomic(target, lambda part: save_file(state, part, {"format": "pt"}))
    return len(state), file_sha256(target)


def tensors(node: Any, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield the parameters and buffers below a module, record or checkpoint, named as in its state dict."""
    if isinstance(node, dict):
        inner = next((node[name] for name in STATES if isinstance(node.get(name), dict | Record)), None)
        if inner is not None:
            yield from tensors(inner, prefix)
            return
        yield from ((f"{prefix}{name}", value) for name, value in node.items() if isinstance(value, Tensor))
    parts = getattr(node, "__dict__", {})
    for kind in ("_parameters", "_buffers"):
        for name, value in (parts.get(kind) or {}).items():
            if isinstance(value, Tensor):
                yield f"{prefix}{name}", value
    for name, child in (parts.get("_modules") or {}).items():
        yield from tensors(child, f"{prefix}{name}.")


def _is_plain(name: str) -> bool:
    if not name.isidentifier():  # a dotted name could reach into other modules
        return False
    return name in {"Size", "device"} or name.endswith("Storage") or isinstance(getattr(torch, name, None), torch.dtype)


def _refuse(*_: Any, **__: Any) -> Any:
    raise pickle.UnpicklingError("it is in torch's format of before 1.6")
