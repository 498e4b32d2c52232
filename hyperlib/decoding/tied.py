"""Networks of groups whose numbers are tied: few constants, each in many places.

A number in one place of a group is a *slot*, tied to a constant with either sign, or to 0. With T the matrix ``(slots,
constants)`` of -1, 0 and 1, a network is T @ constants.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .activations import Pair
from .groups import DRAWS, Group

FAITH = 0.1  # what a group gives to the outputs counts so much beside what all give together


@dataclass
class Tied:
    """A network of groups and constants, with what it leaves of the outputs that it is fitted to."""

    groups: tuple[Group, ...]  #: the living neurons
    activation: Callable[[np.ndarray], Pair]  #: of their preactivations, with its derivative
    outputs: int  #: number of outputs K
    ties: np.ndarray  #: ``(slots, constants)``; slots: by group levels, bias and K output weights, then K output biases
    constants: np.ndarray  #: ``(constants,)``
    idle: float = 0.0  #: variance of what groups that were left out, each by itself, give to the outputs
    lost: float = math.inf  #: mean squared error, summed over outputs; of a random program the mean over draws
    strayed: float = math.inf  #: mean squared difference between what groups give here and in the network, with `idle`

    @property
    def slots(self) -> list[tuple[int, str]]:
        """Group (-1 for the outputs' biases) and role of every slot: weight, bias, output, or constant."""
        roles = [(*group.roles, *["output"] * self.outputs) for group in self.groups]
        return [(g, role) for g, own in enumerate(roles) for role in own] + [(-1, "constant")] * self.outputs

    @property
    def values(self) -> list[np.ndarray]:
        """Slot values: an array per group, and one of the outputs' biases."""
        cuts = np.cumsum([len(g.roles) + self.outputs for g in self.groups])
        return np.split(self.ties @ self.constants, cuts)

    @property
    def random(self) -> bool:
        return any(group.family for group in self.groups)

    @property
    def free(self) -> np.ndarray:
        """``(constants,)`` whether a constant may be fitted: all but means and spreads of random groups."""
        held = [g >= 0 and self.groups[g].family is not None and role == "weight" for g, role in self.slots]
        return np.asarray(~self.ties[held].any(0))

    def run(self, samples: int, slopes: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Outputs ``(samples, K)`` on the inputs of the groups' parts, and what groups miss their aims by.

        The latter is ``(groups, samples, K)``; if asked for, also slopes of the outputs by slots ``(slots, samples,
        K)``.
        """
        *values, bias = self.values
        out, apart = np.tile(bias, (samples, 1)), np.empty((len(self.groups), samples, self.outputs))
        rows: list[np.ndarray] = []
        for g, (group, value) in enumerate(zip(self.groups, values, strict=True)):
            each, d = self.activation(self.preactivation(group, value, samples))
            f, v = (each @ group.copies)[:, None].astype(float), value[-self.outputs :]
            out += f * v
            apart[g] = (f - f.mean()) * v - group.aim
            if slopes:
                d *= group.copies
                rows += [np.einsum("sj,sj->s", d, part)[:, None] * v for part in group.parts]
                rows.append(d.sum(1)[:, None] * v)
                rows += [f * unit for unit in np.eye(self.outputs)]
        if slopes:
            rows += [np.tile(unit, (samples, 1)) for unit in np.eye(self.outputs)]
        return out, apart, np.array(rows)

    @staticmethod
    def preactivation(group: Group, value: np.ndarray, samples: int) -> np.ndarray:
        """``(samples, columns)`` of a group whose slots have these values."""
        dtype = group.copies.dtype
        z = np.full((samples, len(group.copies)), value[len(group.parts)], dtype)
        for weight, part in zip(value, group.parts, strict=False):
            if weight:
                z += dtype.type(weight) * part
        return z

    def fitted(self, target: np.ndarray, rounds: int = 4) -> Tied:
        """The constants of least squared error on the target ``(samples, K)`` (Levenberg and Marquardt).

        The groups' aims count with the weight `FAITH`; means and spreads of random groups stay as they are.
        """
        new, damping = replace(self), 1e-3
        cost = new._cost(target)
        for _ in range(rounds):
            H, gradient = new._normal(target)
            ridge = np.diag(H) + 1e-9 * np.trace(H) / len(H) + 1e-300
            for _ in range(4):
                step = np.linalg.solve(H + damping * np.diag(ridge), gradient)
                tried = replace(new, constants=new.constants + step)
                left = tried._cost(target)
                if left < cost:
                    break
                damping *= 8
            else:
                break
            gain, new, cost, damping = 1 - left / max(cost, 1e-300), tried, left, max(damping / 5, 1e-9)
            if gain < 1e-3:
                break
        return new.measured(target)

    def _cost(self, target: np.ndarray) -> float:
        out, apart, _ = self.run(len(target))
        return float(((target - out) ** 2).sum() + FAITH * (apart**2).sum()) / len(target)

    def _normal(self, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Matrix and right-hand side of the normal equations of `_cost`; what may not be fitted has no slope."""
        samples, slots = len(target), self.slots
        out, apart, slopes = self.run(samples, slopes=True)
        ties = self.ties * self.free
        J, centred = slopes.reshape(len(slots), -1), (slopes - slopes.mean(1, keepdims=True)).reshape(len(slots), -1)
        H, gradient = J @ J.T, J @ (target - out).ravel()
        for g in range(len(self.groups)):
            own = np.array([s for s, (at, _) in enumerate(slots) if at == g])
            H[np.ix_(own, own)] += FAITH * centred[own] @ centred[own].T
            gradient[own] -= FAITH * centred[own] @ apart[g].ravel()
        return ties.T @ H @ ties / samples, ties.T @ gradient / samples

    def measured(self, target: np.ndarray) -> Tied:
        """With `lost` and `strayed` on the target; of a random program the means over its draws."""
        draws = range(DRAWS if self.random else 1)
        lost, strayed = [], []
        for k in draws:
            out, apart, _ = replace(self, groups=tuple(g.drawn(k) for g in self.groups)).run(len(target))
            lost.append(((target - out) ** 2).sum(1).mean())
            strayed.append((apart**2).sum((0, 2)).mean())
        return replace(self, lost=float(np.mean(lost)), strayed=self.idle + float(np.mean(strayed)))

    def curvature(self, target: np.ndarray) -> np.ndarray:
        """Half the second derivative of what is lost by the constants, as far as first derivatives tell it."""
        J = self.ties.T @ self.run(len(target), slopes=True)[2].reshape(len(self.ties), -1)
        return J @ J.T / len(target) if self.random else self._normal(target)[0]

    def merged(self, gone: int, into: int | None, sign: int, constants: np.ndarray) -> Tied:
        """With constant ``gone`` replaced by 0, or by ``sign`` times the constant ``into``.

        Groups that are left without a weight, or without an output weight, go: they are constant.
        """
        ties = self.ties.copy()
        if into is not None:
            ties[:, into] += sign * ties[:, gone]
        left = np.arange(ties.shape[1]) != gone
        new = replace(self, ties=ties[:, left], constants=constants[left])
        lives, slots = [], new.slots
        for g, group in enumerate(new.groups):
            rows = {role: [s for s, slot in enumerate(slots) if slot == (g, role)] for role in ("weight", "output")}
            lives.append(all(new.ties[rows[role]].any() for role in rows) or group.family is not None)
        keep = [g < 0 or lives[g] for g, _ in slots]
        left_out = [group for group, alive in zip(new.groups, lives, strict=True) if not alive]
        new.idle += sum(float((group.aim**2).sum(1).mean()) for group in left_out)
        new.groups = tuple(group for group, alive in zip(new.groups, lives, strict=True) if alive)
        new.ties = new.ties[keep]
        used = new.ties.any(0)
        new.ties, new.constants = new.ties[:, used], new.constants[used]
        return new
