"""Programs as formulas, in plain text and in LaTeX."""

from __future__ import annotations

import string
from collections.abc import Iterator, Sequence

import numpy as np

from .parts import Part

SYMBOLS = {"normal": "N", "two-valued": "+-", "heavy-tailed": "t"}


def formula(parts: Sequence[Part], bias: np.ndarray, digits: int, latex: bool) -> str:
    """One line per output. Inputs count from 1; sets of inputs are named A, B, ... and stand in ``program.groups``.

    Args:
        latex: LaTeX, several outputs in an ``aligned`` environment; otherwise plain text.
    """
    letters, notes = iter(string.ascii_uppercase * len(parts)), []
    bodies = []
    for part in parts:
        copies, body, note = _body(part, letters, digits, latex)
        bodies.append((copies, body))
        notes += [note] if note else []
    lines, outputs = [], len(bias)
    for k in range(outputs):
        terms = [(1, float(bias[k]), "")]
        terms += [(copies, part.output[k], body) for part, (copies, body) in zip(parts, bodies, strict=True)]
        name = "y" if outputs == 1 else f"y_{k + 1}"
        lines.append(f"{name} {'&= ' if latex and outputs > 1 else '= '}{_added(terms, digits, latex)}")
    lines[-1] += "".join((r", \quad " if latex else ",  ") + note for note in notes)
    if latex and outputs > 1:
        return r"\begin{aligned} " + r" \\ ".join(lines) + r" \end{aligned}"
    return "\n".join(lines)


def _number(value: float, digits: int, latex: bool) -> str:
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    if not exponent:
        return mantissa
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if latex else f"{mantissa}e{int(exponent)}"


def _added(terms: list[tuple[int, float, str]], digits: int, latex: bool) -> str:
    """``a s + b t - c``: how often, number and what it multiplies. Terms of number 0 are left out."""
    said = ""
    for copies, value, symbol in terms:
        if value:
            times = "" if copies == 1 else rf"{copies} \cdot " if latex else f"{copies} * "
            sign = (" - " if value < 0 else " + ") if said else ("-" if value < 0 else "")
            size = _number(abs(value), digits, latex)
            said += f"{sign}{times}{symbol if symbol and size == '1' else f'{size} {symbol}'.strip()}"
    return said or "0"


def _body(part: Part, letters: Iterator[str], digits: int, latex: bool) -> tuple[int, str, str]:
    """How many copies, what one of them or their sum is, and what is to be said of names in it."""
    total = r"\sum_{%s} " if latex else "sum_{%s} "
    every = r"\sum_i " if latex else "sum_i "
    swish = r"\operatorname{swish}(%s)" if latex else "swish(%s)"
    different, within, outside = (r"k \ne i", r"\in", r"\notin") if latex else ("k!=i", "in", "not in")
    size, n = len(part.neurons), len(part.level)
    if part.family:
        bias = (1, part.bias, "")
        inner = (r"\sum_k w_{kj} x_k" if latex else "sum_k w_kj x_k") + _added([(1, 1.0, ""), bias], digits, latex)[1:]
        body = total % (f"j=1}}^{{{size}" if latex else f"j=1..{size}") + swish % inner
        return 1, body, _distribution(part, digits, latex)
    background = part.levels[part.background]
    if not part.own:
        over = "x_1" if n == 1 else (r"\sum_k x_k" if latex else "sum_k x_k")
        return size, swish % _added([(1, background, over), (1, part.bias, "")], digits, latex), ""
    if len(part.own) == 1 and part.own[0][1].shape[1] == 1:
        value, at = part.own[0]
        terms = [(1, value, "x_i"), (1, background, total % different + "x_k"), (1, part.bias, "")]
        times = np.bincount(at[:, 0], minlength=n)
        inner = swish % _added(terms, digits, latex)
        if len(set(times.tolist())) == 1:
            return int(times[0]), every + inner, ""
        listed = ", ".join(str(i + 1) for i in sorted(at[:, 0].tolist()))
        if len(set(at[:, 0].tolist())) == 1:
            return (
                size,
                inner.replace("x_i", f"x_{{{at[0, 0] + 1}}}" if latex else f"x_{at[0, 0] + 1}").replace(
                    different, different[:-1] + str(at[0, 0] + 1)
                ),
                "",
            )
        return 1, total % (rf"i \in \{{{listed}\}}" if latex else f"i in {listed}") + inner, ""
    terms, used = [], []
    for value, _ in part.own:
        used.append(f"{next(letters)}_j")
        terms.append((1, value, total % f"k {within} {used[-1]}" + "x_k"))
    rest = ", ".join(used)
    terms += [(1, background, total % f"k {outside} {rest}" + "x_k"), (1, part.bias, "")]
    over = f"j=1}}^{{{size}" if latex else f"j=1..{size}"
    return 1, total % over + swish % _added(terms, digits, latex), ""


def _distribution(part: Part, digits: int, latex: bool) -> str:
    mean, spread = (_number(value, digits, latex) for value in part.levels)
    w, like, pm, square = ("w_{kj}", r"\sim", r"\pm", "^2") if latex else ("w_kj", "~", "+-", "^2")
    if part.family == "two-valued":
        return f"{w} = {pm}{spread}" if part.levels[0] == 0 else f"{w} = {mean} {pm} {spread}"
    if part.family == "heavy-tailed":
        name = f"t_{{{_number(part.tail, digits, latex)}}}" if latex else f"t({_number(part.tail, digits, latex)})"
        return f"{w} {like} {name}, {'mean' if not latex else chr(92) + 'text{mean }'} {mean}, sd {spread}".replace(
            ", sd", r", \text{sd }" if latex else ", sd"
        )
    return f"{w} {like} N({mean}, {spread}{square})"
