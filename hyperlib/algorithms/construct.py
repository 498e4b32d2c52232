"""Exact constructions of the three algorithms (section 2.1, equations 1 to 4), of the task L1.

Swish stands for ReLU: swish(s x) / s -> ReLU(x) as the sharpness s grows. At finite s both the double-sided pair and a
pudding neuron with its share of the linear term are swish(s x) / s + swish(-s x) / s = 2 swish(-s x) / s + x = x tanh(s
x / 2), so that both algorithms are equally accurate and one loss holds for both (`smoothing_error`).
"""

import math
import sys
from functools import lru_cache
from numbers import Real

import torch
from torch import Tensor

from ..checks import DOUBLE, FLOAT, as_generator, check_whole, expect
from ..network import Network
from ..problems import L1, l1_moments

SHARPNESS = 5.0  # about the strongest connection of generated pudding and double-sided networks
SHARED = 0.5  # weight of a shared neuron: well below the sharpness, as in generated pudding networks
MOST = 2**20  # neurons of a layer: more than any memory holds the connections of
SCALE = 0.35  # standard deviation of convexity weights: the strongest of 16 x 48 is then about 1, as in generated ones


@lru_cache
def smoothing_error(sharpness: float) -> tuple[float, float]:
    """Mean and variance of what swish misses of |x|, 2 |x| / (1 + exp(s |x|)) for x ~ N(0, 1), by quadrature."""
    from scipy.integrate import quad  # here, because scipy takes half a second to import
    from scipy.special import expit

    # The error lives where the exponential or the density has not died, whichever is less: quadrature over a much
    # longer interval would step over it.
    end = min(40 / sharpness, 40.0)

    def moment(power: int) -> float:
        def integrand(u: float) -> float:  # u runs from 0 to 1
            x = u * end
            return (2 * x * expit(-sharpness * x)) ** power * math.exp(-x * x / 2)

        return quad(integrand, 0, 1, epsabs=0, epsrel=1e-10)[0] * math.sqrt(2 / math.pi) * end

    return moment(1), moment(2) - moment(1) ** 2


def check_positive(name: str, value: float) -> float:
    """``value`` as a float, or ValueError if it is not a positive finite number."""
    right = isinstance(value, Real) and not isinstance(value, bool) and 0 < value <= sys.float_info.max
    expect(right, name, value, "a positive finite number")
    return float(value)


def double_sided(
    n: int, sharpness: float = SHARPNESS, hidden: int | None = None, dtype: torch.dtype = torch.float32
) -> Network:
    """The double-sided network (equation 1): ||x||_1 = sum_i ReLU(x_i) + sum_i ReLU(-x_i), of shape ``(n, hidden, 1)``.

    Args:
        sharpness: s in ReLU(x) ~ swish(s x) / s; the normalised MSE falls as 1/s^3.
        hidden: number of hidden neurons, 2 n by default; more are further copies, which split their load.

    ValueError for an argument out of range.

    Example:
        >>> import torch
        >>> import hyperlib as hl
        >>> x, y = hl.get_task("l1").sample(1000, 4, torch.Generator().manual_seed(0))
        >>> [round(float(hl.construct.double_sided(4, sharpness=s).loss(x, y)), 4) for s in (1, 5, 50)]
        [0.0724, 0.0045, 0.0]
    """
    n = check_whole("n", n, 1, MOST)
    hidden = check_whole("hidden", 2 * n if hidden is None else hidden, 2 * n, MOST)
    sharpness = check_positive("sharpness", sharpness)
    error, _ = smoothing_error(sharpness)
    mean, std = l1_moments(n)
    neuron = torch.arange(hidden, device="cpu")
    slot = neuron % (2 * n)  # 0 .. n-1: the positive side of every input, n .. 2n-1: the negative side
    first = torch.zeros(n, hidden, **DOUBLE)
    first[slot % n, neuron] = torch.where(slot < n, sharpness, -sharpness).double()
    second = 1 / (sharpness * std * torch.bincount(slot)[slot].double())
    return _network(first, torch.zeros(hidden, **FLOAT), second, (n * error - mean) / std, dtype)


def pudding(
    n: int,
    sign: int = +1,
    hidden: int | None = None,
    sharpness: float = SHARPNESS,
    shared: float = SHARED,
    mixing: float = 0.0,
    dtype: torch.dtype = torch.float32,
) -> Network:
    """The signed pudding network (equations 2 and 3), of shape ``(n, hidden, 1)``, assigned neurons first.

    ||x||_1 = 2 sum_i ReLU(-+ x_i) +- sum_i x_i, upper signs for ``sign=+1``: one neuron per input, and a term that is
    linear in all inputs. That term is (swish(c +- e sum_i x_i) - c) / e, with c so large that the neuron stays in
    swish's linear range for all but inputs that are six standard deviations out.

    Equation 3 adds the sum to the preactivation of the assigned neurons, 2 ReLU(-+ x_j +- d sum_i x_i), which makes the
    algorithm imperfect. The shared neurons then carry 1 - n d of the linear term, because the assigned ones carry n d.

    Args:
        sign: +1 or -1, the upper or lower sign of equation 2.
        hidden: number of hidden neurons, n + 1 by default; the ``hidden - n`` shared neurons split the linear term.
        sharpness: s in ReLU(x) ~ swish(s x) / s; without mixing the loss is that of `double_sided`.
        shared: weight e from every input to a shared neuron.
        mixing: d, from 0 (equation 2) to 1/n.

    ValueError for an argument out of range.

    Example:
        >>> import hyperlib as hl
        >>> hl.construct.pudding(n=16, sign=-1).shape  # n + 1 hidden neurons are enough
        (16, 17, 1)
    """
    n = check_whole("n", n, 1, MOST)
    hidden = check_whole("hidden", n + 1 if hidden is None else hidden, n + 1, MOST)
    sharpness, shared = check_positive("sharpness", sharpness), check_positive("shared", shared)
    expect(isinstance(sign, Real) and sign in (+1, -1), "sign", sign, "+1 or -1")
    expect(isinstance(mixing, Real) and 0 <= mixing <= 1 / n, "mixing", mixing, f"a number from 0 to 1/n = {1 / n}")
    _, std = l1_moments(n)
    load, copies = 1 - n * mixing, hidden - n
    shift = 10 + 6 * shared * math.sqrt(n)
    # The assigned neuron sees x_j - d sum x, of standard deviation spread, and with its share of the linear term gives
    # u tanh(s u / 2) of it. The output bias removes the mean.
    spread = math.sqrt(1 - 2 * mixing + n * mixing**2)
    mean_out = n * spread * (math.sqrt(2 / math.pi) - smoothing_error(sharpness * spread)[0]) if spread > 0 else 0.0
    first = torch.full((n, hidden), sign * shared, **DOUBLE)
    first[:, :n] = sign * sharpness * (mixing - torch.eye(n, **DOUBLE))
    bias = torch.cat([torch.zeros(n, **FLOAT), torch.full((copies,), shift, **FLOAT)])
    own, rest = torch.full((n,), 2 / sharpness, **FLOAT), torch.full((copies,), load / (copies * shared), **FLOAT)
    second = torch.cat([own, rest]) / std
    return _network(first, bias, second, -(mean_out + load * shift / shared) / std, dtype)


def convexity(
    n: int,
    hidden: int,
    generator: torch.Generator | int,
    scale: float = SCALE,
    bimodal: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Network:
    """The convexity network (equation 4): ||x||_1 ~ alpha sum_j swish(sum_i W_ij x_i), of shape ``(n, hidden, 1)``.

    W_ij are from a symmetric D. The weights of each input are centred over the hidden neurons: swish(z) has a linear
    part z / 2, which would leave a random linear function of x that no alpha removes. alpha and the output bias are
    fitted by least squares on 4096 inputs.

    Args:
        hidden: number of hidden neurons, at least 2.
        generator: draws W and the inputs of the fit; a ``torch.Generator`` or an integer seed.
        scale: standard deviation of D.
        bimodal: whether D is +-scale with equal chances (the paper sees both kinds) instead of normal.

    TypeError or ValueError for an argument out of range.

    Example:
        >>> import hyperlib as hl
        >>> hl.classify(hl.construct.convexity(n=16, hidden=48, generator=0))
        'convexity'
    """
    n = check_whole("n", n, 1, MOST)
    hidden = check_whole("hidden", hidden, 2, MOST)
    scale = check_positive("scale", scale)
    g = as_generator(generator)
    first = torch.randn(n, hidden, generator=g, dtype=torch.float64, device=g.device)
    first = scale * (first.sign() if bimodal else first)
    first = first - first.mean(1, keepdim=True)
    x, y = L1.sample(4096, n, g, dtype=torch.float64)
    total = _network(first, torch.zeros(hidden, **FLOAT), torch.ones(hidden, **FLOAT), 0.0, torch.float64)(x)
    alpha, bias = torch.linalg.lstsq(torch.cat([total, torch.ones_like(total)], 1), y).solution.flatten().tolist()
    return _network(first, torch.zeros(hidden, **FLOAT), torch.full((hidden,), alpha, **FLOAT), bias, dtype)


def _network(first: Tensor, bias: Tensor, second: Tensor, output_bias: float, dtype: torch.dtype) -> Network:
    """Network ``(n, hidden, 1)`` from ``(n, hidden)``, ``(hidden,)``, ``(hidden,)`` and a number."""
    weights = [first.to(dtype), second[:, None].to(dtype)]
    return Network(weights, [bias.to(dtype), torch.tensor([output_bias], dtype=dtype, device="cpu")])
