"""How numeric kernels are compiled: numba, cached on disk, exact (no fast-math, so that runs repeat bit for bit).

Kernels run without Python's lock, so that threads step different worlds at the same time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np

Function = TypeVar("Function", bound=Callable[..., object])

_ROOT = Path(__file__).parent
_IMPORT = re.compile(r"^from wm_sim(?:\.([\w.]+))? import ([\w, ]+|\([^)]*\))", re.MULTILINE)


@cache
def _imports(path: Path) -> tuple[str, frozenset[Path]]:
    """Hash of a file, and the files of this package that it imports from."""
    text = path.read_text(encoding="utf-8")
    found = set()
    for module, names in _IMPORT.findall(text):
        folder = _ROOT.joinpath(*module.split(".")) if module else _ROOT
        for candidate in (folder, *(folder / name for name in re.findall(r"\w+", names))):
            found.add(candidate.with_suffix(".py"))
            found.add(candidate / "__init__.py")
    return hashlib.sha1(text.encode()).hexdigest(), frozenset(file for file in found if file.is_file())


@cache
def source_stamp(path: Path) -> str:
    """What a compiled file stands for: its text and that of every file of this package that it builds on."""
    todo, seen = [path], {path}
    while todo:
        new = _imports(todo.pop())[1] - seen
        seen |= new
        todo.extend(new)
    return hashlib.sha1("".join(_imports(file)[0] for file in sorted(seen)).encode()).hexdigest()


def _compile(function: Function, **options: bool) -> Function:
    njit: Any = numba.njit  # whose annotations leave options out
    try:
        compiled = njit(cache=True, error_model="numpy", nogil=True, **options)(function)
    except RuntimeError:  # numba found no place to keep its cache
        return cast(Function, njit(error_model="numpy", nogil=True, **options)(function))
    # numba would stamp what it keeps by the function's own file; compiled in are also the kernels that it calls.
    compiled._cache._cache_file._source_stamp = source_stamp(Path(function.__code__.co_filename).resolve())
    return cast(Function, compiled)


def kernel(function: Function) -> Function:
    """Compile `function` on its first call; where no cache folder is writable, compile in every process."""
    return _compile(function)


def lean_kernel(function: Function) -> Function:
    """A kernel that makes no arrays and counts no references to those it gets: small ones would do little else."""
    return _compile(function, _nrt=False)


def inner_kernel(function: Function) -> Function:
    """A lean kernel whose text is put into its callers: for what is called a million times with many arrays."""
    return _compile(function, _nrt=False, forceinline=True)


_MIX = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xC2B2AE3D27D4EB4F),
    np.uint64(0x165667B19E3779F9),
    np.uint64(0xBF58476D1CE4E5B9),
)
_M0, _M1, _M2, _M3 = _MIX
_S29, _S32, _S40 = np.uint64(29), np.uint64(32), np.uint64(40)


@kernel
def hash_bits(a: int, b: int, c: int) -> np.uint64:
    """64 well-mixed bits that depend on three integers only: noise that repeats exactly."""
    h = np.uint64(a) * _M0 + np.uint64(b) * _M1 + np.uint64(c) * _M2
    h ^= h >> _S32
    h *= _M3
    h ^= h >> _S29
    return h


@kernel
def hash_unit(a: int, b: int, c: int) -> float:
    """A number in [0, 1) that depends on three integers only."""
    return float(hash_bits(a, b, c) >> _S40) * (1.0 / 16777216.0)


@kernel
def hash_normal(a: int, b: int, c: int) -> float:
    """A nearly normal number of unit variance (sum of three uniforms) that depends on three integers only."""
    total = hash_unit(a, b, 3 * c) + hash_unit(a, b, 3 * c + 1) + hash_unit(a, b, 3 * c + 2)
    return (total - 1.5) * 2.0
