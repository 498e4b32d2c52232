"""Groups of seeds on the cores of this machine or on a cluster, by `dask.distributed`.

A task whose worker dies is started again on another one, from its last checkpoint. The cluster of this machine is a
process of its own, which starts the workers: a plain script can train without the guard that ``multiprocessing`` asks
for, and a Ctrl-C in the terminal reaches the caller alone.
"""

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

import torch

from .files import GOES_ON, RunError

PROGRESS = "hyperlib-progress"
STARTED = "HYPERLIB_WORKERS"  # set in the environment of a local cluster
FAREWELL_S = 10  # for a local cluster to end by itself, before it is killed
SILENT = logging.CRITICAL + 1  # dask calls it critical that a caller who was interrupted does not answer

# By default, dask has the allocator return freed memory at once, and a step then spends a quarter of its time on page
# faults; and a local cluster gives up a worker that is not back 15 seconds after its death, and hangs.
KEEP_MEMORY = 2**30
WORKER_ENVIRONMENT = {
    **dict.fromkeys(("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_"), KEEP_MEMORY),
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), 1),
}
LOCAL_CLUSTER = {
    "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
    "distributed.deploy.lost-worker-timeout": "1 hour",
}

Report = Callable[[Sequence[int], int], None]


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


def run_group(work: Callable[..., dict], seeds: Sequence[int]) -> dict:
    """One dask task: do the work of one group. Reports to the scheduler's log.

    RunError on a worker of several threads: sums over them round in another order.
    """
    from distributed import get_worker

    worker = get_worker()
    if (threads := worker.state.nthreads) != 1:
        raise RunError(f"worker {worker.address} has {threads} threads; expected dask worker --nthreads 1 per core")

    def report(seeds: Sequence[int], step: int) -> None:
        worker.log_event(PROGRESS, {"seeds": list(seeds), "step": step})

    with one_thread(True):
        return work(seeds=seeds, report=report)


def distribute(
    work: Callable[..., dict], groups: Sequence[Sequence[int]], report: Report, scheduler: str | None, workers: int
) -> list[dict]:
    """Do the work of all groups on a dask cluster: the scheduler's, or a local one of at most so many workers.

    ``work`` is called on a worker with the keywords ``seeds`` and ``report``, and has to pickle; ``report`` is called
    here. RunError if there is no scheduler, it was lost, or too many workers were.
    """
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError

    if not groups:
        return []
    opened = remote_client(scheduler) if scheduler else local_client(max(1, min(workers, len(groups))))
    with opened as client:
        client.subscribe_topic(PROGRESS, lambda event: report(event[1]["seeds"], event[1]["step"]))
        tasks = {client.submit(run_group, work, group, pure=False): group for group in groups}
        try:
            return client.gather(list(tasks))
        except KilledWorker as error:
            lost = next((group for future, group in tasks.items() if future.key == error.task), [])
            died = f"the workers that trained seeds {', '.join(map(str, lost))} died one after the other"
            raise RunError(f"{died}, as they do when there is not enough memory; {GOES_ON}") from None
        except KeyboardInterrupt:
            # dask leaves an exception behind that nobody asks for, and asyncio would print it
            logging.getLogger("asyncio").disabled = True
            raise
        except FutureCancelledError:
            raise RunError(f"the scheduler {client.scheduler.address} was lost; {GOES_ON}") from None


@contextlib.contextmanager
def remote_client(scheduler: str) -> Iterator:
    """A client of the scheduler at this address; RunError if there is none."""
    from distributed import Client
    from distributed.utils import silence_logging_cmgr

    with silence_logging_cmgr(SILENT):  # what goes wrong is raised as well
        try:
            client = Client(scheduler)
        except (OSError, ValueError) as error:  # what no address looks like is a ValueError
            reason = " ".join(str(error).split())
            raise RunError(f"no dask scheduler at {scheduler}: {reason}; {GOES_ON} once there is one") from None
        with client:
            yield client


@contextlib.contextmanager
def local_client(workers: int) -> Iterator:
    """A client of a dask cluster on this machine: processes of one core each.

    The cluster ends with the caller, however that one ends: it reads from a pipe which then closes.
    """
    from distributed import Client
    from distributed.utils import silence_logging_cmgr

    if STARTED in os.environ:  # a script with the name of a module that workers import would start them for ever
        raise RunError("workers were asked for by workers; has the script the name of a module? Then rename it")
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)  # workers import what the caller can import
    environment = os.environ | {"PYTHONPATH": paths, STARTED: "1"}
    command = [sys.executable, "-P", "-c", "from hyperlib.cluster import serve; serve()", str(workers)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, env=environment, start_new_session=True, stdin=pipe, stdout=pipe, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        if not address:
            raise RunError(f"{workers} workers did not start (exit status {process.wait()})")
        with silence_logging_cmgr(SILENT), Client(address) as client:
            yield client
    finally:
        process.stdin.close()
        try:
            process.wait(FAREWELL_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        process.stdout.close()


def serve() -> None:
    """The process behind `local_client`: a cluster of as many workers as its argument says, until its input ends."""
    import dask
    from distributed import LocalCluster

    options = {"threads_per_worker": 1, "dashboard_address": ":0", "silence_logs": SILENT}
    with dask.config.set(LOCAL_CLUSTER), LocalCluster(n_workers=int(sys.argv[1]), **options) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
