"""Published weight files: read without running anything in them, checked name by name, identified by content."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from spf_bench.errors import Problem, UserError, explained
from spf_bench.files.store import digest, file_sha256

State = dict[str, Tensor]
FETCH, CHECK = "spf-bench weights fetch", "spf-bench weights check"
SHOWN = 3


def read_state(path: Path, key: str | None = None) -> State:
    """Read the tensors of a ``.safetensors`` file or of a pickle that holds nothing but tensors.

    Args:
        path: The file.
        key: Where in the file's dictionary the tensors lie; None where they are all of it.

    Raises:
        UserError: The file is missing, damaged, or holds something other than named tensors.
    """
    if not path.is_file():
        raise UserError(f"{path.name} is missing", f"no such file: {path}", FETCH)
    with explained(f"{path} cannot be read", CHECK):
        content = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    state = content.get(key) if key is not None and isinstance(content, Mapping) else content
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path} holds no state dict", f"found {_kind(state)}", CHECK)
    return dict(state)


def fit(module: nn.Module, state: Mapping[str, Tensor], path: Path, ignore: Sequence[str] = ()) -> None:
    """Load a state dict into a module, in place.

    Args:
        module: Every parameter of it must be given; counters of batches seen may be absent.
        state: Tensors by name.
        path: Where they come from, for the message.
        ignore: Beginnings of names that the module has no use for.

    Raises:
        UserError: Names are missing or unknown, or shapes differ: the file is of another network.
    """
    known = {name: value for name, value in state.items() if not name.startswith(tuple(ignore))}
    wanted = module.state_dict()
    missing = [n for n in wanted if n not in known and not n.endswith("num_batches_tracked")]
    surplus = [n for n in known if n not in wanted]
    shapes = [n for n in known if n in wanted and known[n].shape != wanted[n].shape]
    found = {"missing": missing, "unknown": surplus, "of another shape": shapes}
    problems = [Problem(what, _list(names), CHECK) for what, names in found.items() if names]
    if problems:
        raise UserError(f"{path.name} is of another network than {type(module).__name__}", problems=problems)
    module.load_state_dict(known, strict=False)


def fingerprint(path: Path, *facts: Any, sha256: str | None = None) -> str:
    """Return 64 hex digits that stand for a file's content and ``facts``, such as a floating type or code.

    Args:
        path: The file.
        facts: Whatever else decides what a network sees.
        sha256: Of the file, where it is known: gigabytes need not be read again.
    """
    return digest([sha256 or file_sha256(path), *map(str, facts)], length=64)


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _kind(state: Any) -> str:
    if not isinstance(state, Mapping):
        return type(state).__name__
    return f"a dictionary with {_list([str(name) for name, value in state.items() if not isinstance(value, Tensor)])}"
