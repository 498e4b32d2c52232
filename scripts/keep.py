"""Finished runs without some of their hyperhypernetworks, networks and digits, to save space."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from hyperlib import files, runs
from hyperlib.checks import expect
from hyperlib.commands import script
from hyperlib.files import RunError, read_table, read_tensors, write_table, write_tensors
from hyperlib.hypernetwork import Hypernetwork
from hyperlib.runs import Run, load_run


def changed(run: Run, out: Path, made: Mapping[str, Callable[[Path], object]]) -> Run:
    """The run in a new folder, some files of it, name -> what writes it, made anew. It is there as a whole or not.

    RunError if something is there already.
    """
    target, listed = out.absolute(), run.manifest["files"]
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.with_name(f".{target.name}.tmp")  # always the same, so that what a kill leaves is removed next time
    with files.locked(target.parent):
        if target.exists() and not (target.is_dir() and not any(target.iterdir())):
            raise RunError(f"{target} is there already; expected a new or an empty folder")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir()
            for name in set(listed) - set(made):
                shutil.copy2(run.path / name, folder / name)
            for name, write in made.items():
                write(folder / name)
            manifest = run.manifest | {"files": files.checksums(folder, dict.fromkeys([*listed, *made]))}
            files.write_signed(folder / files.MANIFEST, manifest)
            folder.replace(target)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return load_run(target)


def keep_models(
    path: Path,
    out: Path,
    seeds: Sequence[int],
    compact: bool = False,
    learned: Sequence[int] | None = None,
    betas: Sequence[float] | None = None,
) -> Run:
    """A finished run without the hyperhypernetworks of all but some seeds, in a new folder. Returns the new run.

    Args:
        path: the run folder.
        out: the new one.
        seeds: whose hyperhypernetworks stay. Tables of all seeds stay.
        learned: for which of them what gives the learned vectors stays, half of the space at ``(16, 48, 1)``; all by
            default. Without it they are zero when loaded: nothing is lost where the encoder is off or its KL closed,
            and all that was memorised elsewhere.
        compact: store the weights and biases of the networks in half precision and what was measured in single
            precision. Losses of the networks then change a little: in ``results/l1-memorised`` by 0.1 % in the median,
            by less than 2 % for nine in ten, and by 7 % at most.
        betas: at which values of beta the networks of every seed stay, among them the lowest, on which claims are
            judged; at all by default.

    KeyError if a seed's hyperhypernetwork is not there, ValueError if ``betas`` lacks the lowest or has other ones.
    """
    run = load_run(path)
    if missing := sorted(set(seeds) - set(run.modelled)):
        raise KeyError(f"run {run.path} keeps no hyperhypernetworks of {missing}, only of {run.modelled}")
    chosen = run.network_betas if betas is None else sorted(set(betas))
    right = set(run.network_betas) >= set(chosen) >= {run.network_betas[0]}
    expect(right, "betas", chosen, f"some of those of run {run.path}, {run.network_betas}, with the lowest among them")
    made = {
        runs.MODELS: partial(write_tensors, tensors=_kept_models(run, seeds, learned)),
        runs.NETWORKS: partial(write_tensors, tensors=_kept_networks(run, chosen, compact)),
    }
    for name, columns in {runs.SWEEP: runs.SWEEP_COLUMNS, runs.CURVES: runs.CURVE_COLUMNS}.items() if compact else ():
        table = read_table(run.path / name, columns)
        measured = table.columns[table.dtypes == "float64"].difference(["beta"])
        made[name] = partial(write_table, table=table.astype(dict.fromkeys(measured, "float32")))
    return changed(run, out, made)


def _kept_models(run: Run, seeds: Sequence[int], learned: Sequence[int] | None) -> dict[str, Tensor]:
    kept = {name: t for name, t in read_tensors(run.path / runs.MODELS).items() if int(name.split(".")[0]) in seeds}
    hypernetwork = Hypernetwork(run.config.shape, run.config.architecture)
    shared = hypernetwork.count(hypernetwork.shared_sizes)
    for name in [f"{seed}.map" for seed in seeds if learned is not None and seed not in learned]:
        if name in kept:  # else they are gone already
            halves = [half[:, :shared] for half in kept.pop(name).chunk(2, dim=1)]
            kept[name.removesuffix("map") + runs.SHARED_MAP] = torch.cat(halves, dim=1)
    return kept


def _kept_networks(run: Run, betas: Sequence[float], compact: bool) -> dict[str, Tensor]:
    kept = read_tensors(run.path / runs.NETWORKS)
    if betas != run.network_betas:
        rows = [run.network_betas.index(beta) for beta in betas]
        kept = {name: t[rows] for name, t in kept.items() if name != runs.KEPT}
        kept[runs.KEPT] = torch.tensor(betas, dtype=torch.float64)
    return {name: t.half() if compact and not name.endswith((".kl", runs.KEPT)) else t for name, t in kept.items()}


if __name__ == "__main__":
    script(keep_models)
