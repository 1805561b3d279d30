"""Where the drives of an evaluation run: this process, this machine's cores, or a Dask or Ray cluster, by joblib."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, Literal, TypeVar

from wm_training.errors import TrainingError

Backend = Literal["loky", "threading", "dask", "ray"]
Task = TypeVar("Task")
Result = TypeVar("Result")

CLUSTERS = ("dask", "ray")
PACKAGES = {"dask": "dask[distributed]", "ray": "ray"}
ROUND = 4  # tasks a worker in one go, where a backend cannot hand over results one by one


def in_any_order(
    work: Callable[[Task], Result], tasks: Sequence[Task], workers: int | None, backend: Backend
) -> Generator[tuple[int, Result], None, None]:
    """`work(task)` for all tasks, as (index, result) in the order in which they finish.

    workers: None for every core of this machine or of the cluster. One worker on this machine is this process.
    """
    count = workers or (-1 if backend in CLUSTERS else cores())
    if backend not in CLUSTERS and min(count, len(tasks)) <= 1:
        yield from ((i, work(task)) for i, task in enumerate(tasks))
        return
    import joblib

    with ExitStack() as stack:
        stack.enter_context(_cluster(backend, workers))
        threads = {"inner_max_num_threads": 1} if backend == "loky" else {}
        stack.enter_context(joblib.parallel_config(backend=backend, **threads))
        calls = [joblib.delayed(_indexed)(work, i, task) for i, task in enumerate(tasks)]
        if backend == "threading":
            calls = stack.enter_context(_awaited(calls))
        one_by_one = joblib.parallel.get_active_backend()[0].supports_return_generator
        pool = joblib.Parallel(
            n_jobs=count if count < 0 else min(count, len(tasks)),
            return_as="generator_unordered" if one_by_one else "list",
        )
        size = len(calls) if one_by_one else ROUND * joblib.effective_n_jobs(count)
        for start in range(0, len(calls), size):
            with _deaf_to_interrupts() if one_by_one else nullcontext():
                results = pool(calls[start : start + size])
            yield from results


def check(backend: Backend) -> None:
    """Refuse a backend whose package is not here."""
    import importlib.util

    for module in {"dask": ("dask", "distributed"), "ray": ("ray",)}.get(backend, ()):
        spec = importlib.util.find_spec(module)
        if spec is None or spec.origin is None:  # a plain folder of that name has no origin
            raise TrainingError(
                f"backend {backend}: the module {module} is not here; `pip install '{PACKAGES[backend]}'` brings it, "
                "or leave --backend out for the cores of this machine."
            )


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _indexed(work: Callable[[Any], Any], index: int, task: Any) -> tuple[int, Any]:
    return index, work(task)


@contextmanager
def _awaited(calls: list[Any]) -> Iterator[list[Any]]:
    """The calls; on leaving, those that threads have begun are waited for: a thread cannot be ended."""
    threads: set[threading.Thread] = set()

    def tracked(function: Callable[..., Any], *args: Any) -> Any:
        threads.add(threading.current_thread())
        return function(*args)

    try:
        yield [(tracked, (function, *args), kwargs) for function, args, kwargs in calls]
    finally:
        for thread in threads - {threading.current_thread()}:
            thread.join()


@contextmanager
def _cluster(backend: Backend, workers: int | None) -> Iterator[None]:
    """Tell joblib of the cluster that runs (DASK_SCHEDULER_ADDRESS, RAY_ADDRESS), or start one on this machine."""
    check(backend)
    if backend == "ray":
        from ray.util.joblib import register_ray

        register_ray()
        yield
    elif backend == "dask":
        import dask
        from distributed import Client

        address = dask.config.get("scheduler-address", None)
        local = {} if address else {"n_workers": workers or cores(), "threads_per_worker": 1}
        with Client(address, **local):
            yield
    else:
        yield


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes started inside inherit that Ctrl-C is not for them: this one ends them, without their tracebacks."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
