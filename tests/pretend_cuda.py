"""A GPU that is not there: its tensors lie on the CPU, but which are "on" it is tracked, and mixing devices raises.

Finds tensors that were forgotten on the CPU, and code that only runs where CUDA is found (fp16, its gradient scaler),
without a GPU. Speed, memory and kernels it says nothing of. What compiled code does with tensors inside, as the
backward pass or a checkpointed forward pass in it, is not watched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar
from unittest import mock

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

T = TypeVar("T")
CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
NEW = {
    *(getattr(torch, name) for name in ("empty", "zeros", "ones", "full", "eye", "arange", "linspace", "logspace")),
    *(getattr(torch, name) for name in ("tensor", "as_tensor", "asarray", "scalar_tensor", "from_numpy", "frombuffer")),
    *(getattr(torch, name) for name in ("rand", "randn", "randint", "randperm", "normal", "empty_strided")),
}
"""Functions that make tensors where `device` says."""
LIKE = {
    *(getattr(torch, f"{name}_like") for name in ("empty", "zeros", "ones", "full", "rand", "randn", "randint")),
    *(getattr(Tensor, f"new_{name}") for name in ("empty", "zeros", "ones", "full", "tensor")),
}
"""Functions that make tensors where their first argument is, unless `device` says otherwise."""
ANYWHERE = {"copy_", "_foreach_copy_", "_has_compatible_shallow_copy_type", "set_"}
"""Names of functions that take tensors of several devices."""
NO_NUMBERS = {"cat", "stack", "embedding", "linear", "matmul", "index_select", "gather", "conv2d"}
"""Names of functions that do not even take a CPU's tensor without dimensions beside a GPU's."""

_there = WeakTensorKeyDictionary()  # the tensors that are on the GPU
_generators: dict[int, torch.Generator] = {}  # the generators that are; kept alive, so that no id comes twice


def on_gpu(tensor: Tensor) -> bool:
    """Whether a tensor is on the pretended GPU."""
    return tensor in _there


def put(made: T, gpu: bool) -> T:
    """Says of all tensors in a structure where they are."""
    for tensor in _tensors(made):
        if gpu:
            _there[tensor] = True
        else:
            _there.pop(tensor, None)
    return made


@contextmanager
def pretended_gpu() -> Iterator[None]:
    """Context in which torch has one GPU, "cuda"; a function that gets tensors of two devices raises RuntimeError."""
    facts: dict[str, Any] = {
        "is_available": True, "is_initialized": True, "device_count": 1, "current_device": 0,
        "get_device_name": "pretended", "get_device_capability": (9, 0), "is_bf16_supported": True,
        "max_memory_allocated": 0, "memory_allocated": 0, "mem_get_info": (1 << 36, 1 << 36),
        "get_rng_state": torch.zeros(16, dtype=torch.uint8),
    }  # fmt: skip
    nothing = ("empty_cache", "synchronize", "reset_peak_memory_stats", "manual_seed", "manual_seed_all", "_lazy_init")
    answers = {**facts, **dict.fromkeys((*nothing, "set_device", "set_rng_state", "ipc_collect"))}
    with ExitStack() as stack:
        for name, answer in answers.items():
            stack.enter_context(mock.patch.object(torch.cuda, name, lambda *_, _answer=answer, **__: _answer))
        stack.enter_context(mock.patch.object(torch.accelerator, "current_accelerator", lambda *_, **__: None))
        for place, name, instead in _constructors():
            stack.enter_context(mock.patch.object(place, name, instead))
        stack.enter_context(_Watch())
        yield


class _Watch(TorchFunctionMode):
    """Follows every call of torch from Python."""

    def __torch_function__(
        self, func: Callable[..., Any], _types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given, name = dict(kwargs or {}), getattr(func, "__name__", "")
        if name == "__get__":
            return _attribute(func, args[0])
        if name == "__set__":
            return _set_attribute(func, *args)
        if func in NEW or func in LIKE:
            return _made(func, args, given)
        if func in (Tensor.to, Tensor.cuda, Tensor.cpu):
            return _moved(func, args, given)
        if name in ("numpy", "__array__") and on_gpu(args[0]):
            raise TypeError("cannot convert a tensor of the GPU to numpy: use Tensor.cpu() first")
        tensors = _tensors((args, given))
        _check(name, args, tensors)
        made = func(*args, **given)
        first_decides = name in ("__getitem__", "__setitem__", "copy_", "index_put", "index_put_")
        return put(made, on_gpu(args[0]) if first_decides else any(map(on_gpu, tensors)))


def _attribute(func: Any, tensor: Tensor) -> Any:
    name = getattr(func.__self__, "__name__", "")
    if name in ("device", "is_cuda", "is_cpu") and on_gpu(tensor):
        return {"device": CUDA, "is_cuda": True, "is_cpu": False}[name]
    found = func(tensor)
    return put(found, on_gpu(tensor)) if isinstance(found, Tensor) else found


def _set_attribute(func: Any, tensor: Tensor, value: Any) -> None:
    name = getattr(func.__self__, "__name__", "")
    if name == "grad" and isinstance(value, Tensor) and on_gpu(value) != on_gpu(tensor):
        raise RuntimeError("a gradient on another device than its tensor")
    func(tensor, value)
    if name == "data":
        put(tensor, on_gpu(value))


def _made(func: Any, args: Sequence[Any], given: dict[str, Any]) -> Any:
    given.pop("pin_memory", None)
    device, generator = given.get("device"), given.get("generator")
    gpu = _is_gpu(device)
    if device is None and args and isinstance(args[0], Tensor):
        gpu = on_gpu(args[0])
    if generator is not None and (id(generator) in _generators) != gpu:
        raise RuntimeError(f"{func.__name__}: the generator is on another device")
    if gpu and device is not None:
        given["device"] = CPU
    return put(func(*args, **given), gpu)


def _moved(func: Any, args: Sequence[Any], given: dict[str, Any]) -> Tensor:
    tensor, rest = args[0], list(args[1:])
    gpu = on_gpu(tensor)
    if func is not Tensor.to:
        gpu, func, rest, given = func is Tensor.cuda, Tensor.to, [CPU], {}
    elif given.get("device") is not None:
        gpu = _is_gpu(given["device"])
        given["device"] = CPU if gpu else given["device"]
    elif rest and isinstance(rest[0], Tensor):
        gpu = on_gpu(rest[0])
    elif rest and isinstance(rest[0], str | int | torch.device):
        gpu = _is_gpu(rest[0])
        rest[0] = CPU if gpu else rest[0]
    made: Tensor = func(tensor, *rest, **given)
    return put(made.clone() if made is tensor and gpu != on_gpu(tensor) else made, gpu)


def _check(name: str, args: Sequence[Any], tensors: Sequence[Tensor]) -> None:
    """Raises RuntimeError for tensors of two devices, unless torch takes them."""
    there, here = [t for t in tensors if on_gpu(t)], [t for t in tensors if not on_gpu(t)]
    if not there or not here or name in ANYWHERE:
        return
    if name == "__getitem__":  # a GPU's tensor takes the CPU's indices; the CPU's only what is read as a number
        fits = on_gpu(args[0]) or all(index.dim() == 0 for index in there)
    elif name == "__setitem__":
        target, index, value = args
        copies = not any(isinstance(i, Tensor) for i in tree_leaves(index))
        fits = on_gpu(target) and (copies or on_gpu(value) or not isinstance(value, Tensor) or value.dim() == 0)
    else:
        fits = name not in NO_NUMBERS and all(number.dim() == 0 for number in here)
    if not fits:
        found = ", ".join(f"{list(t.shape)} on {'the GPU' if on_gpu(t) else 'the CPU'}" for t in tensors)
        raise RuntimeError(f"{name}: all tensors have to be on one device, and here are {found}")


def _constructors() -> Iterator[tuple[Any, str, Any]]:
    """What torch makes without asking a mode, and how it is made instead: (place, name, replacement)."""
    new, deepcopy = nn.Parameter.__new__, nn.Parameter.__deepcopy__
    autocast, parse, generator = torch.autocast.__init__, torch._C._nn._parse_to, torch.Generator

    def new_parameter(cls: Any, data: Any = None, requires_grad: bool = True) -> Any:
        return put(new(cls, data, requires_grad), data is not None and on_gpu(data))

    def copied_parameter(parameter: Any, memo: Any) -> Any:
        return put(deepcopy(parameter, memo), on_gpu(parameter))

    def autocast_of_cpu(context: Any, device_type: str, *args: Any, **given: Any) -> None:
        autocast(context, "cpu" if _is_gpu(device_type) else device_type, *args, **given)

    def parsed(*args: Any, **given: Any) -> Any:
        device, *rest = parse(*args, **given)
        return CUDA if args and isinstance(args[0], Tensor) and on_gpu(args[0]) else device, *rest

    class Kind(type):
        def __instancecheck__(cls, found: Any) -> bool:
            return isinstance(found, generator)

    class Generator(metaclass=Kind):
        def __new__(cls, device: Any = "cpu") -> Any:
            made = generator()
            if _is_gpu(device):
                _generators[id(made)] = made
            return made

    yield nn.Parameter, "__new__", new_parameter
    yield nn.Parameter, "__deepcopy__", copied_parameter
    yield torch.autocast, "__init__", autocast_of_cpu
    yield torch._C._nn, "_parse_to", parsed
    yield torch, "Generator", Generator


def _is_gpu(device: Any) -> bool:
    return device is not None and torch.device(device).type == "cuda"


def _tensors(found: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(found) if isinstance(leaf, Tensor)]
