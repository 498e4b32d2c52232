"""Groups of seeds on the cores of this machine or on a cluster, by `dask.distributed`.

A task killed at any moment is started again, here or by the scheduler on another worker.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import torch

from .files import RunError
from .task import TASKS, Task

PROGRESS = "hyperlib-progress"

# By default, dask has the allocator return freed memory at once, and a step then spends a quarter of its time on page
# faults; and a local cluster gives up a worker that is not back 15 seconds after its death, and hangs.
KEEP_MEMORY = 2**30
WORKER_ENVIRONMENT = {
    "MALLOC_TRIM_THRESHOLD_": KEEP_MEMORY,
    "MALLOC_MMAP_THRESHOLD_": KEEP_MEMORY,
    "OMP_NUM_THREADS": 1,
    "MKL_NUM_THREADS": 1,
    "OPENBLAS_NUM_THREADS": 1,
}
LOCAL_CLUSTER = {
    "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
    "distributed.deploy.lost-worker-timeout": "1 hour",
}

Report = Callable[[Sequence[int], int], None]
Done = TypeVar("Done")


@contextlib.contextmanager
def one_thread(active: bool) -> Iterator[None]:
    """Run torch on one thread meanwhile: groups share the cores, not the operations."""
    threads = torch.get_num_threads()
    if active:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def run_group(work: Callable[..., Done], task: Task, seeds: Sequence[int]) -> Done:
    """One dask task: do the work of one group and return its result. Reports to the scheduler's log.

    The task of the training travels along: a worker does not know those that the caller has registered.

    Raises:
        RunError: the worker has several threads. Groups in one process would change torch's threads for each other,
            and sums over several threads round in another order.
    """
    from distributed import get_worker

    TASKS.setdefault(task.name, task)

    worker = get_worker()
    if (threads := worker.state.nthreads) != 1:
        raise RunError(f"worker {worker.address} has {threads} threads; expected dask worker --nthreads 1 per core")

    def report(seeds: Sequence[int], step: int) -> None:
        worker.log_event(PROGRESS, {"seeds": list(seeds), "step": step})

    with one_thread(True):
        return work(seeds=seeds, report=report)


def distribute(
    work: Callable[..., Done],
    task: Task,
    groups: Sequence[Sequence[int]],
    report: Report,
    scheduler: str | None,
    workers: int,
) -> list[Done]:
    """Do the work of all groups on a dask cluster: a given scheduler's, or a local one that fills the cores.

    Args:
        work: called on a worker with the keywords ``seeds`` and ``report``; it has to pickle.
        task: the training's, for workers that do not know it.
        groups: the seeds of each group.
        report: called here with the seeds and the step that a group has reached.
        scheduler: its address, such as ``tcp://host:8786``, or None.
        workers: most processes of a local cluster.
    """
    from distributed import Client

    opened = Client(scheduler) if scheduler else local_client(max(1, min(workers, len(groups))))
    with opened as client:
        client.subscribe_topic(PROGRESS, lambda event: report(event[1]["seeds"], event[1]["step"]))
        tasks = [client.submit(run_group, work, task, group, pure=False, retries=2) for group in groups]
        return client.gather(tasks)


@contextlib.contextmanager
def local_client(workers: int | None = None) -> Iterator:
    """A client of a dask cluster on this machine: processes of one core each, by default one per core."""
    import dask
    from distributed import Client, LocalCluster

    options = {"threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": logging.ERROR}
    with (
        dask.config.set(LOCAL_CLUSTER),
        LocalCluster(n_workers=workers or os.cpu_count() or 1, **options) as cluster,
        Client(cluster) as client,
    ):
        yield client
