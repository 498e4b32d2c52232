"""Train on the jobs of a batch system: SLURM, PBS, LSF or SGE, by way of dask-jobqueue.

    python scripts/jobqueue.py --queue normal --jobs 9 -- --out runs/mine --seeds 33 --steps 120000

What stands behind the two dashes goes to ``python -m hyperlib train``. Run it where jobs are submitted, in a session
that lasts as long as the training (in tmux, say, or as a small job of its own): dask's scheduler lives in this
process, and its jobs end with it. The same command again continues an interrupted training.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

import dask
import dask_jobqueue

from hyperlib.cluster import WORKER_ENVIRONMENT

SYSTEMS = {
    "slurm": dask_jobqueue.SLURMCluster,
    "pbs": dask_jobqueue.PBSCluster,
    "lsf": dask_jobqueue.LSFCluster,
    "sge": dask_jobqueue.SGECluster,
}

# A job that ends at its time limit or is taken away costs the steps since the last checkpoint, nothing else. Dask
# would give up a group of seeds that has lost three jobs.
ALLOWED_FAILURES = 1000


def arguments(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """What belongs to the batch system, and what goes to ``hyperlib train``."""
    split = argv.index("--") if "--" in argv else len(argv)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", choices=sorted(SYSTEMS), default="slurm", help="the batch system")
    parser.add_argument("--queue", help="its queue or partition (default: the site's)")
    parser.add_argument("--jobs", type=int, default=1, help="how many jobs to keep running")
    parser.add_argument("--cores", type=int, default=1, help="cores of one job; each trains a group of seeds")
    parser.add_argument("--memory", default="4GB", help="memory of one job; 2 GB per core is plenty")
    parser.add_argument("--walltime", help="time limit of one job, as the system writes it; another one follows it")
    parser.add_argument("--interface", help="network interface that the nodes share, such as ib0")
    parser.add_argument("--directive", action="append", default=[], help='more for the job, such as "--account=me"')
    parser.add_argument("--prologue", action="append", default=[], help='shell lines first, such as "module load gcc"')
    parser.add_argument("--show", action="store_true", help="print the job script and end")
    options, training = parser.parse_args(argv[:split]), argv[split + 1 :]
    if not options.show and "--out" not in training:
        parser.error("no --out behind the two dashes; expected the run folder, on a disk that the nodes share")
    return options, training


def make_cluster(options: argparse.Namespace) -> dask_jobqueue.JobQueueCluster:
    """Dask's scheduler here, and the jobs that will be its workers: one process of one thread per core."""
    exports = [f"export {name}={value}" for name, value in WORKER_ENVIRONMENT.items()]
    return SYSTEMS[options.system](
        queue=options.queue,
        cores=options.cores,
        processes=options.cores,
        memory=options.memory,
        walltime=options.walltime,
        interface=options.interface,
        python=sys.executable,
        job_extra_directives=options.directive,
        job_script_prologue=options.prologue + exports,
        scheduler_options={"dashboard_address": ":0"},
    )


def main(argv: list[str]) -> int:
    """Start the jobs, train on them, and return the exit status of the training."""
    options, training = arguments(argv)
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": ALLOWED_FAILURES}),
        make_cluster(options) as cluster,
    ):
        if options.show:
            print(cluster.job_script())
            return 0
        cluster.adapt(minimum_jobs=options.jobs, maximum_jobs=options.jobs)  # replaces jobs that are lost
        train = [sys.executable, "-m", "hyperlib", "train", *training, "--scheduler", cluster.scheduler_address]
        return subprocess.run(train).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
