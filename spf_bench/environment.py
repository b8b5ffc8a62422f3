"""Where a run took place: code, packages, machine."""

import os
import platform
import subprocess
import sys
import warnings
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from spf_bench import plugins

PACKAGES = ("torch", "diffusers", "transformers", "numpy", "pandas", "pillow", "safetensors", "tokenizers")


@dataclass(frozen=True)
class Environment:
    """What a result depends on besides its settings."""

    commit: str | None
    """Git commit of the code; None outside a repository."""
    dirty: bool | None
    """Whether tracked files differed from that commit."""
    python: str
    """Python version."""
    platform: str
    """Operating system and architecture."""
    device: str
    """Where the networks ran, with the accelerator's name."""
    threads: int
    """CPU threads torch used."""
    packages: dict[str, str]
    """Versions of the packages that decide numbers; absent ones are left out."""


def describe(device: str) -> Environment:
    """Return the environment of this process."""
    import torch

    commit, dirty = git_state()
    name = f"{device} ({torch.cuda.get_device_name(device)})" if device.startswith("cuda") else device
    return Environment(
        commit=commit,
        dirty=dirty,
        python=sys.version.split()[0],
        platform=f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        device=name,
        threads=torch.get_num_threads(),
        packages=package_versions(),
    )


def package_versions() -> dict[str, str]:
    """Return the installed versions of ``PACKAGES``, of this package and of those with plug-ins."""
    found = {}
    for name in ("spf-bench", *PACKAGES, *plugins.packages()):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def git_state(folder: Path = Path(__file__).parent) -> tuple[str | None, bool | None]:
    """Return the commit of the repository that holds ``folder``, and whether tracked files were changed.

    An installed package that merely lies inside somebody's repository, as in its virtual environment, has none.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None or not _git(folder, "ls-files", "--", "."):
        return None, None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return commit, None if changes is None else bool(changes)


def _git(folder: Path, *command: str) -> str | None:
    try:
        done = subprocess.run(["git", *command], cwd=folder, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def quiet() -> None:
    """Keep the model libraries from printing their own bars and remarks between ours."""
    for name in ("TRANSFORMERS_VERBOSITY", "DIFFUSERS_VERBOSITY"):
        os.environ.setdefault(name, "error")  # read when they are first imported
    warnings.filterwarnings("ignore", category=FutureWarning, module="diffusers")  # of its calls to itself
    warnings.formatwarning = _note
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()


def _note(message: Warning | str, category: type[Warning], *place: object, **line: object) -> str:
    """Return a warning as a user reads it: where in the code it was raised helps nobody."""
    return f"note: {message}\n" if category is UserWarning else f"{category.__name__}: {message}\n"


def set_threads(threads: int | None) -> None:
    """Let torch use ``threads`` CPU threads; None leaves its choice."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)


def pick_device(wanted: str | None) -> str:
    """Return ``wanted``, or CUDA where there is one, or the CPU.

    Raises:
        UserError: There is no such device here.
    """
    import torch

    from spf_bench.errors import UserError

    if wanted is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if why := _absent(wanted):
        raise UserError(f"device {wanted!r} is not available", why, "use --device cpu")
    return wanted


def _absent(wanted: str) -> str | None:
    """Return why torch cannot compute on a device; None where it can. Nothing is put on a GPU for it."""
    import torch

    try:
        device = torch.device(wanted)
        if device.type == "cuda":
            count = torch.cuda.device_count() if torch.cuda.is_available() else 0
            many = "1 CUDA device, cuda:0" if count == 1 else f"{count} CUDA devices, cuda:0 to cuda:{count - 1}"
            return None if (device.index or 0) < count else f"torch sees {many if count else 'no CUDA device'}"
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError):  # a build without that kind of device asserts
        return "torch cannot compute on it here"
    return None
