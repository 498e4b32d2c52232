"""Printers of programs: plain text and LaTeX for the eye, sympy and Python to be evaluated."""

import math
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..network import Network
from .activations import ACTIVATIONS
from .terms import Term, Units

LISTED = 24  # most inputs that a note lists; those of larger sets stand in ``program.groups``
Summand = tuple[int, float, str]  # copies, number, and what it multiplies


def in_lines(latex: str, width: int = 62) -> str:
    """LaTeX of a formula, broken before a sign or a note outside of brackets where a line would be longer in print.

    The width counts characters as they are printed; a part that is wider by itself stays in one piece.
    """
    equations = latex.removeprefix(r"\begin{aligned} ").removesuffix(r" \end{aligned}").split(r" \\ ")
    written: list[str] = []
    for equation in equations:
        start, _, rest = equation.replace("&=", "=").partition(" = ")
        parts, depth = [""], 0
        for place, letter in enumerate(rest):
            depth += (letter in "({") - (letter in ")}")
            if not depth and rest.startswith((" + ", " - ", r" \quad "), place):
                parts.append("")
            parts[-1] += letter
        lines = [f"{start} ={{}}& {parts[0]}"]
        for part in parts[1:]:
            if len(_printed(lines[-1] + part)) > width:
                lines.append("& " + part.removeprefix(r" \quad").lstrip())
            else:
                lines[-1] += part
        written += lines
    return r"\begin{aligned} " + r" \\ ".join(written) + r" \end{aligned}" if len(written) > len(equations) else latex


def _printed(latex: str) -> str:
    """What of LaTeX takes room in print, about: letters and digits, a space between notes as four of them."""
    return re.sub(r"[{}_^&\\ ]", "", re.sub(r"\\(operatorname|text)|\\(?!quad)[a-z]+", "", latex))


@dataclass
class Formula:
    """A program written for the eye, a line per output; inputs count from 1, or have their names."""

    terms: Sequence[Term]  #: what is added
    bias: np.ndarray  #: ``(K,)``
    n: int  #: number of inputs
    activation: str  #: its name
    digits: int  #: significant digits
    units: Units  #: names and units
    latex: bool  #: LaTeX, several outputs in an ``aligned`` environment; otherwise plain text
    notes: list[str] = field(default_factory=list)  #: what is to be said of names, found as the formula is written

    def __post_init__(self) -> None:
        self.letters, self.weights, self.explained = iter(string.ascii_uppercase * 9), iter("wuvabcdefgh"), False
        self.mean, self.std, self.output_mean, self.output_std = self.units.affine(self.n, len(self.bias))

    def written(self, *remarks: str) -> str:
        """The formula with its notes and further remarks."""
        outputs, lines = len(self.bias), []
        bodies = [(term, self.body(term)) for term in self.terms]
        for k in range(outputs):
            scale, bias = self.output_std[k], float(self.bias[k] * self.output_std[k] + self.output_mean[k])
            summands = [(term.copies, float(term.output[k]) * scale, body) for term, body in bodies]
            if len(self.units.output_std) and bias:  # as many digits as resolve the scale
                bias = float(f"{bias:.{self.digits - 1 + max(0, math.ceil(math.log10(abs(bias / scale))))}e}")
            digits = next((d for d in range(self.digits, 17) if float(f"{bias:.{d}g}") == bias), 17)
            first, name = [(1, bias, "")], "y" if outputs == 1 else f"y_{k + 1}"
            if self.units.output_names:
                name = self.named(self.units.output_names[k])
            equal = "&=" if self.latex and outputs > 1 else "="
            lines.append(f"{name} {equal} {self.added(first + summands, digits)}")
        notes = [*self.notes, *(rf"\text{{{self.escaped(remark)}}}" if self.latex else remark for remark in remarks)]
        lines[-1] += "".join((r", \quad " if self.latex else ",  ") + note for note in notes)
        if self.latex and outputs > 1:
            return r"\begin{aligned} " + r" \\ ".join(lines) + r" \end{aligned}"
        return "\n".join(lines)

    def number(self, value: float, digits: int) -> str:
        mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
        if not exponent:
            return mantissa
        return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if self.latex else f"{mantissa}e{int(exponent)}"

    def added(self, summands: Sequence[Summand], first: int | None = None) -> str:
        """``a s + b t - c``; what has the number 0 is left out. The first may have other digits than the rest."""
        said = ""
        for place, (copies, value, symbol) in enumerate(summands):
            if value:
                times = "" if copies == 1 else rf"{copies} \cdot " if self.latex else f"{copies} * "
                sign = (" - " if value < 0 else " + ") if said else ("-" if value < 0 else "")
                size = self.number(abs(value), first if first and not place else self.digits)
                said += f"{sign}{times}{symbol if symbol and size == '1' else f'{size} {symbol}'.strip()}"
        return said or "0"

    @staticmethod
    def escaped(text: str) -> str:
        return re.sub(r"([#$%&_{}])", r"\\\1", text.replace("\\", r"\textbackslash "))

    def named(self, name: str) -> str:
        return rf"\text{{{self.escaped(name)}}}" if self.latex else name

    def index(self, i: int) -> str:
        return self.named(self.units.names[i]) if self.units.names else str(i + 1)

    def input(self, i: int, weight: float) -> Summand:
        """One input, with its weight, in its own units."""
        symbol = self.index(i) if self.units.names else f"x_{{{i + 1}}}" if self.latex else f"x_{i + 1}"
        if self.mean[i]:
            shift = self.number(abs(self.mean[i]), self.digits + 3)
            symbol = f"({symbol} {'-' if self.mean[i] > 0 else '+'} {shift})"
        return 1, weight / self.std[i], symbol

    def any_input(self, over: str = "", index: str = "k") -> str:
        """A sum over inputs that the formula calls x; where they are standardised, a note says how."""
        if len(self.units.input_std) and not self.explained:
            self.explained = True
            shown = range(self.n) if self.n <= LISTED else range(1)
            each = [f"x_{{{self.index(i)}}}" if self.latex else f"x_{self.index(i)}" for i in shown]
            self.notes += [f"{x} = {self.added([self.input(i, 1.0)])}" for i, x in zip(shown, each, strict=True)]
        return f"{over}x_{index}"

    def body(self, term: Term) -> str:
        """What one copy of the term's neurons adds up to."""
        total = r"\sum_{%s} " if self.latex else "sum_{%s} "
        act = (rf"\operatorname{{{self.activation}}}" if self.latex else self.activation) + "(%s)"
        different, member, outside = (r"k \ne ", r"\in", r"\notin") if self.latex else ("k!=", "in", "not in")
        every = r"\sum_i " if self.latex else "sum_i "
        everything = r"\sum_k " if self.latex else "sum_k "
        counted = total % (f"j=1}}^{{{term.neurons}" if self.latex else f"j=1..{term.neurons}")
        bias: Summand = (1, term.bias, "")
        if term.family:
            w = f"{next(self.weights)}_{{kj}}" if self.latex else f"{next(self.weights)}_kj"
            self.notes.append(f"{w} {self.distribution(term)}")
            return counted + act % self.added([(1, 1.0, self.any_input(f"{everything}{w} ")), bias])
        if not term.own:
            inner = self.input(0, term.rest) if self.n == 1 else (1, term.rest, everything + "x_k")
            if self.n > 1 and term.rest:
                self.any_input()
            return act % self.added([inner, bias])
        if term.neurons == 1:
            indices = [int(i) for _, at in term.own for i in at[0]]
            summands = [self.input(int(i), value) for value, at in term.own for i in at[0]]
            others = sorted(set(range(self.n)) - set(indices)) if term.rest else []
            if len(others) == 1:
                summands.append(self.input(others[0], term.rest))
            elif others:
                but = ", ".join(self.index(i) for i in sorted(indices))
                over = f"{different}{but}" if len(indices) == 1 else f"k {outside} {but}"
                summands.append((1, term.rest, self.any_input(total % over)))
            return act % self.added([*summands, bias])
        if len(term.own) == 1 and term.own[0][1].shape[1] == 1:
            value, at = term.own[0]
            others_too = (1, term.rest, total % f"{different}i" + "x_k")
            said = act % self.added([(1, value, self.any_input(index="i")), others_too, bias])
            places = at[:, 0].tolist()
            if sorted(places) == list(range(self.n)):
                return every + said
            listed = ", ".join(self.index(i) for i in sorted(places))
            return total % (rf"i \in \{{{listed}\}}" if self.latex else f"i in {listed}") + said
        summands, used = [], []
        for value, at in term.own:
            used.append(next(self.letters))
            summands.append((1, value, self.any_input(total % f"k {member} {used[-1]}_j")))
            if at.size <= LISTED:
                brace = r"\{%s\}" if self.latex else "{%s}"
                sets = ", ".join(brace % ", ".join(self.index(i) for i in row) for row in at.tolist())
                self.notes.append(f"{used[-1]}_1, ... = {sets}")
        rest = ", ".join(f"{letter}_j" for letter in used)
        summands += [(1, term.rest, total % f"k {outside} {rest}" + "x_k"), bias]
        return counted + act % self.added(summands)

    def distribution(self, term: Term) -> str:
        """What a random term's weights are drawn from."""
        mean, spread = self.number(term.rest, self.digits), self.number(term.spread, self.digits)
        like, pm = (r"\sim", r"\pm") if self.latex else ("~", "+-")
        if term.family == "two-valued":
            return f"= {pm}{spread}" if term.rest == 0 else f"= {mean} {pm} {spread}"
        if term.family == "normal":
            return f"{like} N({mean}, {spread}^2)"
        tail = self.number(term.tail, self.digits)
        if self.latex:
            return rf"\sim t_{{{tail}}}, \text{{mean }} {mean}, \text{{sd }} {spread}"
        return f"~ t({tail}), mean {mean}, sd {spread}"


def sympy_of(net: Network, units: Units) -> list[Any]:
    """An expression per output, in symbols that are called as the inputs are (x_1, x_2, ... without names)."""
    import sympy  # here, because it takes half a second to import

    n, hidden, outputs = net.shape
    (W, v), (b, c) = ([tensor.tolist() for tensor in tensors] for tensors in (net.weights, net.biases))
    mean, std, output_mean, output_std = (values.tolist() for values in units.affine(n, outputs))
    symbols = [sympy.Symbol(name) for name in units.names or [f"x_{i + 1}" for i in range(n)]]
    own = zip(symbols, mean, std, strict=True)
    x = [(symbol - m) / s if m else symbol / s if s != 1 else symbol for symbol, m, s in own]
    z, plain = sympy.Symbol("z"), sympy.sympify(ACTIVATIONS[net.activation].symbolic)
    inner = [b[j] + sum(W[i][j] * x[i] for i in range(n) if W[i][j]) for j in range(hidden)]
    neurons = {j: plain.subs(z, sympy.sympify(inner[j])) for j in range(hidden) if any(v[j])}
    y = [c[k] + sum(v[j][k] * neuron for j, neuron in neurons.items()) for k in range(outputs)]
    scaled = zip(y, output_mean, output_std, strict=True)
    return [sympy.sympify(m + s * value if (m, s) != (0, 1) else value) for value, m, s in scaled]


def python_of(terms: Sequence[Term], bias: np.ndarray, n: int, activation: str, units: Units, said: str) -> str:
    """Source text of a function ``program(x)`` of inputs ``(..., n)`` that gives outputs ``(..., K)``."""
    mean, std, output_mean, output_std = (values.tolist() for values in units.affine(n, len(bias)))
    lines = [f"def {activation}(z):", f"    return {ACTIVATIONS[activation].python}", "", "", "def program(x):"]
    lines += [f"    # {line}" for line in said.splitlines()] + ["    x = np.asarray(x, dtype=float)"]
    if units.names:
        lines.append(f"    # columns of x: {', '.join(map(repr, units.names))}")
    if len(units.input_std):
        lines.append(f"    x = (x - np.array({mean})) / np.array({std})")
    lines.append(f"    y = np.array({bias.tolist()})")
    for term in terms:
        if term.drawn is not None:
            z = f"x @ np.array({term.drawn.tolist()})"
        else:
            parts = [f"x[..., {at.tolist()}].sum(-1)" for _, at in term.own]
            summands = [f"{value} * {part}" for (value, _), part in zip(term.own, parts, strict=True)]
            if term.rest:
                others = " - ".join(["x.sum(-1, keepdims=True)", *parts])
                summands.append(f"{term.rest} * ({others})" if parts else f"{term.rest} * {others}")
            z = " + ".join(summands) or "0 * x[..., :1]"
        times = f"{term.copies} * " if term.copies > 1 else ""
        weights = f"np.array({term.output.tolist()})"
        lines.append(f"    y = y + {times}{activation}({z} + {term.bias}).sum(-1, keepdims=True) * {weights}")
    if len(units.output_std):
        lines.append(f"    y = np.array({output_mean}) + np.array({output_std}) * y")
    if not terms:
        lines.append("    y = y + 0 * x[..., :1]")
    imports = ["import math", ""] if "math." in lines[1] else []
    return "\n".join([*imports, "import numpy as np", "", "", *lines, "    return y", ""])
