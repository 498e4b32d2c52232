"""The hypernetwork: equivariant, with a KL that is one, and the fast path equal to the plain one."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hyperlib.fast.hypernetwork import FastHypernetwork, kl_divergence
from hyperlib.hypernetwork import DECODER, ENCODER, SIGMA_FLOOR, Architecture, Hypernetwork, encode
from hyperlib.network import forward

SHAPES = [(3, 4, 1), (2, 3, 2), (2, 3, 3, 1), (3, 1), (1, 5, 1)]
# Every size differs from the others and from the paper's, so that no block can be taken for another.
ODD = {"elementwise": 7, "random": 2, "attention": 3, "learned": 4, "channel": 6, "periods": (3.0, 7.0)}


def draw(hypernetwork: Hypernetwork, seed: int, seeds: int = 1) -> tuple[Tensor, Tensor]:
    """Flattened hyperweights ``(seeds, count)`` and noise ``(seeds, noise_size)`` in float64, no entry zero."""
    g = torch.Generator().manual_seed(seed)
    scale = hypernetwork.initial_scale().double() + 0.1
    flat = torch.randn(seeds, len(scale), generator=g, dtype=torch.float64) * scale
    return flat, torch.randn(seeds, hypernetwork.noise_size, generator=g, dtype=torch.float64)


def generate(hypernetwork: Hypernetwork, flat: Tensor, noise: Tensor, encoder: bool = True):
    return hypernetwork.generate(hypernetwork.unflatten(flat, hypernetwork.sizes), noise, encoder)


def edges_of(shape) -> list[tuple[int, int, int]]:
    """All edges (l, i, j) of an MLP, in their order."""
    return [(layer, i, j) for layer, (n, m) in enumerate(itertools.pairwise(shape)) for i in range(n) for j in range(m)]


def assert_same(actual: Tensor, expected: Tensor, what: str = "", rtol: float = 1e-9) -> None:
    # Entries that cancel to nearly zero carry the rounding of the largest ones.
    atol = 1e-12 * max(1.0, expected.detach().abs().max().item())
    torch.testing.assert_close(actual, expected, rtol=rtol, atol=atol, msg=lambda text: f"{what}: {text}")


def permuted_edges(shape, permutations) -> Tensor:
    """For every edge (l, i, j) the number of the edge (l, permutations[l][i], permutations[l + 1][j])."""
    number = {edge: e for e, edge in enumerate(edges_of(shape))}
    return torch.tensor([number[n, permutations[n][i], permutations[n + 1][j]] for n, i, j in number])


def permute_inputs(hypernetwork: Hypernetwork, flat: Tensor, noise: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Hyperweights and noise with what belongs to an edge (learned vectors, noise) moved by ``index``."""
    named = hypernetwork.unflatten(flat, hypernetwork.sizes)
    parts = [tensor[..., index] if name.startswith("learned") else tensor for name, tensor in named.items()]
    moved = noise.unflatten(1, (-1, hypernetwork.edges))[..., index].flatten(1)
    return torch.cat([part.flatten(1) for part in parts], dim=1), moved


# --- the fast path equals the plain one ------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", [True, False], ids=["encoder", "no encoder"])
@pytest.mark.parametrize(
    ("shape", "settings"),
    [(shape, {}) for shape in SHAPES]
    + [((2, 3, 3, 1), {"hyperdepth": 2}), ((2, 3, 2), {"hyperdepth": 3}), ((3, 1), {"hyperdepth": 2})]
    + [
        ((3, 4, 1), ODD | {"sigma_shift": 0.4, "random_scale": 1.3, "reference_width": 6, "gain": 5.0}),
        ((2, 3, 2), ODD | {"hyperdepth": 2}),
        ((2, 3, 1), ODD | {"shared_random": True}),
    ],
    ids=str,
)
def test_fast_path_equals_the_plain_one_in_values_kl_and_gradients(shape, settings, encoder):
    plain, fast = (kind(shape, Architecture(**settings)) for kind in (Hypernetwork, FastHypernetwork))
    flat, noise = (tensor.requires_grad_() for tensor in draw(plain, seed=len(shape), seeds=2))
    expected, found = (generate(kind, flat, noise, encoder) for kind in (plain, fast))
    for layer in range(len(shape) - 1):
        assert_same(found[0][layer], expected[0][layer], f"weight of layer {layer}")
        assert_same(found[1][layer], expected[1][layer], f"bias of layer {layer}")
    assert_same(found[2], expected[2], "KL")

    # Gradients of a random direction of the outputs, and of the KL alone.
    g = torch.Generator().manual_seed(1)
    directions = [torch.randn(out.shape, generator=g, dtype=torch.float64) for out in [*found[0], *found[1]]]
    pairs = {
        "outputs": [
            sum((d * out).sum() for d, out in zip(directions, [*made[0], *made[1]], strict=True))
            for made in (found, expected)
        ]
    }
    if encoder:
        pairs["KL"] = [found[2].sum(), expected[2].sum()]
    for of, values in pairs.items():
        got, want = (
            torch.autograd.grad(value, (flat, noise), retain_graph=True, materialize_grads=True) for value in values
        )
        for name, part in plain.unflatten(got[0], plain.sizes).items():
            other = plain.unflatten(want[0], plain.sizes)[name]
            assert_same(part, other, f"gradient of {of} for {name}")
            reached = name not in ("weight_out", "bias_out") if of == "KL" else encoder or "learned" not in name
            assert other.any() == reached, f"gradient of {of} for {name}"
        assert_same(got[1], want[1], f"gradient of {of} for the noise")


def test_output_weights_can_be_a_mean_over_hidden_neurons():
    """With ``reference_width`` the output weights are scaled by its ratio to the hidden layer, and nothing else is."""
    for shape in [(3, 4, 1), (3, 8, 1), (2, 3, 5, 2)]:
        plain, scaled = Hypernetwork(shape), Hypernetwork(shape, Architecture(reference_width=4))
        flat, noise = draw(plain, seed=1, seeds=2)
        (weights, biases, kl), (found, same, paid) = (generate(kind, flat, noise, True) for kind in (plain, scaled))
        torch.testing.assert_close(found[-1], weights[-1] * 4 / shape[-2])
        for one, other in zip([*weights[:-1], *biases, kl], [*found[:-1], *same, paid], strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("shape", [(3, 8, 1), (2, 3, 5, 2), (2, 3, 3, 3, 1)])
def test_gain_widens_preactivations_and_leaves_a_relu_networks_output(shape):
    """With a gain g pre-activations are g times as large at every depth; a homogeneous network computes the same."""
    plain, wide = (Hypernetwork(shape, Architecture(gain=gain)) for gain in (1.0, 4.0))
    flat, noise = draw(plain, seed=1, seeds=2)
    (weights, biases, kl), (found, shifted, paid) = (generate(kind, flat, noise, True) for kind in (plain, wide))
    assert torch.equal(kl, paid)
    x = torch.randn(2, 7, shape[0], generator=torch.Generator().manual_seed(0), dtype=weights[0].dtype)
    torch.testing.assert_close(forward(found, shifted, x, "relu"), forward(weights, biases, x, "relu"))
    for depth in range(1, len(shape) - 1):
        before, after = (
            forward(weights[:depth], biases[:depth], x, "relu"),
            forward(found[:depth], shifted[:depth], x, "relu"),
        )
        torch.testing.assert_close(after, 4 * before)


@pytest.mark.parametrize("gain", [0, -1.0, math.nan, math.inf, "4", True])
def test_a_gain_that_is_not_positive_and_finite_is_refused(gain):
    with pytest.raises(ValueError, match="gain is"):
        Architecture(gain=gain)


def paid_per_hyperlayer(hypernetwork: Hypernetwork, flat: Tensor, noise: Tensor) -> list[Tensor]:
    """KL of each hyperlayer on its own, in nats."""
    named, paid = hypernetwork.unflatten(flat, hypernetwork.sizes), []
    state = [noise.new_zeros(len(noise), 2, n, m, 0) for _, n, m in hypernetwork.layers]
    for k, draws in enumerate(hypernetwork.noise_views(noise), start=1):
        state, kl = hypernetwork.hyperlayer(k, state, named, *draws, encoder=True)
        paid.append(kl)
    return paid


def test_first_hyperlayer_pays_no_kl():
    hypernetwork = Hypernetwork((3, 4, 1))
    flat, noise = draw(hypernetwork, seed=0)
    flat.requires_grad_()
    first, *others = paid_per_hyperlayer(hypernetwork, flat, noise)
    assert abs(first) < 1e-13
    assert torch.autograd.grad(first.sum(), flat)[0].abs().max() < 1e-13
    assert all(paid > 0.1 for paid in others)
    assert_same(first + sum(others), generate(hypernetwork, flat, noise)[2])


# --- attention -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [*SHAPES, (6, 2, 7, 3)], ids=str)
def test_attention_at_a_neuron_is_scaled_dot_product_attention(shape):
    hypernetwork = FastHypernetwork(shape)
    d = hypernetwork.architecture.attention
    heads = torch.randn(2, 6 * d, 2, hypernetwork.edges, generator=torch.Generator().manual_seed(0)).double()
    result = hypernetwork.attention(heads)
    edges = edges_of(shape)
    for level, neuron in [(level, size - 1) for level, size in enumerate(shape)]:
        incoming = [e for e, (layer, _, j) in enumerate(edges) if layer == level - 1 and j == neuron]
        outgoing = [e for e, (layer, i, _) in enumerate(edges) if layer == level and i == neuron]
        tokens = torch.cat([heads[:, : 3 * d, :, incoming], heads[:, 3 * d :, :, outgoing]], dim=-1)
        query, key, value = tokens.permute(0, 2, 3, 1).chunk(3, dim=-1)
        expected = torch.nn.functional.scaled_dot_product_attention(query, key, value).permute(0, 3, 1, 2)
        received = torch.cat([result[:, :d, :, incoming], result[:, d:, :, outgoing]], dim=-1)
        assert_same(received, expected, f"neuron {neuron} of level {level}")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_attention_of_equal_edges_is_one_vector_per_layer(shape):
    hypernetwork = FastHypernetwork(shape)
    width = 6 * hypernetwork.architecture.attention
    heads = torch.randn(3, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    full = hypernetwork.attention(heads[:, :, None, None].expand(-1, -1, 2, hypernetwork.edges))
    short = hypernetwork.constant_attention(heads)
    for layer, (first, n, m) in enumerate(hypernetwork.layers):
        block = full[..., first : first + n * m]
        assert_same(block, short[:, :, None, layer, None].expand_as(block), f"layer {layer}")


# --- symmetry --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", [True, False], ids=["encoder", "no encoder"])
@pytest.mark.parametrize("shape", [(3, 4, 2), (2, 4, 3, 2)], ids=str)
def test_permuting_hidden_neurons_permutes_the_network(shape, encoder):
    hypernetwork = Hypernetwork(shape)
    flat, noise = draw(hypernetwork, seed=3)
    weights, biases, kl = generate(hypernetwork, flat, noise, encoder)
    for level in range(1, len(shape) - 1):
        for permutation in itertools.permutations(range(shape[level])):
            by_level = [list(range(n)) for n in shape]
            by_level[level] = list(permutation)
            index = permuted_edges(shape, by_level)
            moved = generate(hypernetwork, *permute_inputs(hypernetwork, flat, noise, index), encoder)
            for layer in range(len(shape) - 1):
                rows, columns = by_level[layer], by_level[layer + 1]
                assert_same(moved[0][layer], weights[layer][:, rows][:, :, columns], f"weight {layer}", rtol=1e-10)
                assert_same(moved[1][layer], biases[layer][:, columns], f"bias {layer}", rtol=1e-10)
            assert_same(moved[2], kl, "KL", rtol=1e-10)


@pytest.mark.parametrize("level", [0, 2], ids=["inputs", "outputs"])
def test_inputs_and_outputs_carry_positions_and_do_not_permute(level):
    hypernetwork = Hypernetwork((9, 3, 9))
    flat, noise = draw(hypernetwork, seed=3)
    weights, _, kl = generate(hypernetwork, flat, noise)

    def swapped(a: int, b: int) -> tuple[Tensor, Tensor, Tensor]:
        """The weights beside the swapped neurons, without and with the swap, and the new KL."""
        by_level = [list(range(n)) for n in hypernetwork.shape]
        by_level[level][a], by_level[level][b] = b, a
        index = permuted_edges(hypernetwork.shape, by_level)
        moved, _, moved_kl = generate(hypernetwork, *permute_inputs(hypernetwork, flat, noise, index))
        if level == 0:
            return weights[0][:, by_level[0]], moved[0], moved_kl
        return weights[1][:, :, by_level[2]], moved[1], moved_kl

    before, after, moved_kl = swapped(0, 1)
    assert (before - after).abs().max() > 1e-2 and (kl - moved_kl).abs() > 1e-2
    # With periods of 2, 4 and 8, neurons eight apart share a code, and only those do.
    before, after, moved_kl = swapped(0, 8)
    assert_same(after, before, rtol=1e-8)
    assert_same(moved_kl, kl, rtol=1e-8)


# --- KL axis ---------------------------------------------------------------------------------------------------------

means = st.floats(-100, 100, width=32)
sigmas = st.floats(SIGMA_FLOOR, 1e3)


@given(means, sigmas, means, sigmas)
@settings(deadline=None)
def test_kl_is_that_of_torch_distributions_and_never_negative(mu_q, sigma_q, mu_p, sigma_p):
    numbers = torch.tensor([mu_q, sigma_q, mu_p, sigma_p], dtype=torch.float64)
    kl = kl_divergence(*numbers)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(numbers[0], numbers[1]), normal(numbers[2], numbers[3]))
    torch.testing.assert_close(kl, expected, rtol=1e-9, atol=1e-9)
    assert kl >= 0
    assert kl_divergence(*numbers.float()) >= 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_kl_of_nearly_equal_distributions_is_not_negative(dtype):
    # Where rounding is as large as the KL itself: parameters a few units in the last place apart.
    g, n = torch.Generator().manual_seed(0), 100_000
    mu, sigma = torch.randn(n, generator=g, dtype=dtype), SIGMA_FLOOR + 3 * torch.rand(n, generator=g, dtype=dtype)
    for scale in (1, 10, 1000):
        near = 1 + scale * torch.finfo(dtype).eps * torch.randn(2, n, generator=g, dtype=dtype)
        assert (kl_divergence(mu, near[0] * sigma, mu, sigma) >= 0).all()
        assert (kl_divergence(mu, near[0] * sigma, near[1] * mu, sigma) >= 0).all()
    assert kl_divergence(mu, sigma, mu, sigma).eq(0).all()


def test_accumulated_kl_is_that_of_the_channels(monkeypatch):
    hypernetwork = FastHypernetwork((3, 4, 1))
    flat, noise = draw(hypernetwork, seed=5, seeds=2)
    terms = []

    def record(*numbers):
        q, p = torch.distributions.Normal(*numbers[:2]), torch.distributions.Normal(*numbers[2:])
        terms.append(torch.distributions.kl_divergence(q, p))
        return terms[-1]

    kl = generate(hypernetwork, flat, noise)[2]
    monkeypatch.setattr("hyperlib.fast.hypernetwork.kl_divergence", record)
    generate(hypernetwork, flat, noise)
    a = hypernetwork.architecture
    assert [term.shape for term in terms] == [(2, a.channel, hypernetwork.edges)] * (a.hyperdepth - 1)
    assert_same(kl, sum(term.sum((1, 2)) for term in terms))


def test_without_the_encoder_nothing_is_paid_and_learned_vectors_are_ignored():
    hypernetwork = Hypernetwork((3, 4, 1))
    flat, noise = draw(hypernetwork, seed=0)
    other = flat.clone()
    shared = hypernetwork.count(hypernetwork.shared_sizes)
    other[:, shared:] += 1
    with_encoder = [generate(hypernetwork, vector, noise, encoder=True) for vector in (flat, other)]
    without = [generate(hypernetwork, vector, noise, encoder=False) for vector in (flat, other)]
    assert (with_encoder[0][0][0] - with_encoder[1][0][0]).abs().max() > 1e-2
    assert with_encoder[0][2] > 1
    assert torch.equal(without[0][0][0], without[1][0][0])
    assert torch.equal(without[0][2], torch.zeros(1, dtype=torch.float64))
    named = hypernetwork.unflatten(flat, hypernetwork.shared_sizes)
    assert torch.equal(hypernetwork.generate(named, noise, encoder=False)[0][0], without[0][0][0])


def test_encoder_that_adds_nothing_gives_the_decoders_network_for_free():
    # Equal random features and no learned vectors make q and p coincide.
    hypernetwork = Hypernetwork((3, 4, 1))
    flat, noise = draw(hypernetwork, seed=0)
    flat[:, hypernetwork.count(hypernetwork.shared_sizes) :] = 0
    for _, random in hypernetwork.noise_views(noise)[:-1]:
        random[:, :, ENCODER] = random[:, :, DECODER]
    on, off = (generate(hypernetwork, flat, noise, encoder) for encoder in (True, False))
    assert_same(on[0][0], off[0][0])
    assert abs(on[2]) < 1e-10


# --- noise, positions, outputs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, ODD, {"hyperdepth": 2}], ids=str)
def test_noise_views_hand_out_every_number_once(settings):
    hypernetwork = Hypernetwork((3, 4, 2), Architecture(**settings))
    a, edges = hypernetwork.architecture, hypernetwork.edges
    assert edges == 3 * 4 + 4 * 2
    # The last hyperlayer's encoder side takes no random features.
    assert hypernetwork.noise_size == edges * (a.hyperdepth * a.channel + (2 * a.hyperdepth - 1) * a.random)
    numbers = torch.arange(2 * hypernetwork.noise_size).reshape(2, -1)
    views = hypernetwork.noise_views(numbers)
    for k, (channel, random) in enumerate(views, start=1):
        assert channel.shape == (2, a.channel, edges)
        assert random.shape == (2, a.random, 1 if k == a.hyperdepth else 2, edges)
    flat = torch.cat([part.flatten(1) for view in views for part in view], dim=1)
    assert torch.equal(flat.sort().values, numbers)


def test_every_noise_number_counts_with_the_encoder_and_only_the_decoders_without():
    hypernetwork = Hypernetwork((2, 3, 1))
    flat, noise = draw(hypernetwork, seed=0)
    noise.requires_grad_()
    for encoder in (True, False):
        weights, _, _ = generate(hypernetwork, flat, noise, encoder)
        used = torch.autograd.grad(sum(w.square().sum() for w in weights), noise)[0] != 0
        for channel, random in hypernetwork.noise_views(used):
            assert channel.all() and random[:, :, DECODER if random.shape[2] == 2 else 0].all()
            if random.shape[2] == 2:
                assert random[:, :, ENCODER].all() if encoder else not random[:, :, ENCODER].any()


def test_what_is_made_of_random_numbers_is_paid_for_unless_both_sides_see_them():
    """Two sides that differ in nothing but their random numbers: without learned vectors."""
    kl = {}
    for shared in (False, True):
        hypernetwork = Hypernetwork((2, 3, 1), Architecture(shared_random=shared))
        flat, noise = draw(hypernetwork, seed=0)
        named = hypernetwork.unflatten(flat, hypernetwork.sizes)
        named |= {name: 0 * tensor for name, tensor in named.items() if name.startswith("learned")}
        kl[shared] = hypernetwork.generate(named, noise)[2].item()
        alone = hypernetwork.generate(named, noise, encoder=False)[0]
    with_encoder = hypernetwork.generate(named, noise)[0]
    assert kl[False] > 1 and kl[True] < 1e-20
    for one, other in zip(alone, with_encoder, strict=True):
        assert_same(one, other)


def test_encode_gives_sines_then_cosines():
    index = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    half = math.sqrt(0.5)
    expected = torch.tensor([[0, 1, 0], [0, half, 1], [1, 0, -1], [1, half, 0]], dtype=torch.float64)
    assert_same(encode(index, (4.0, 8.0)), expected)


@pytest.mark.parametrize("shape", [(3, 4, 5, 2), (3, 4, 1), (3, 2)], ids=str)
def test_positions_of_neurons_stand_at_the_first_and_last_layer_only(shape):
    hypernetwork, plain = FastHypernetwork(shape), Hypernetwork(shape)
    periods, size = hypernetwork.architecture.periods, hypernetwork.architecture.position
    codes = hypernetwork.codes(torch.zeros((), dtype=torch.float64))
    table = hypernetwork.spread(codes[None])[0]
    assert table.shape == (3 * size, hypernetwork.edges)
    by_layer = [torch.cat(plain.positions(layer), -1).flatten(0, 1) for layer in range(len(shape) - 1)]
    assert_same(table.T, torch.cat(by_layer), "codes of the plain path")
    of_i, of_j, of_layer = table.split(size)
    for e, (layer, i, j) in enumerate(edges_of(shape)):
        code = {index: encode(torch.tensor(float(index), dtype=torch.float64), periods) for index in (i, j, layer)}
        assert_same(of_i[:, e], code[i] if layer == 0 else torch.zeros_like(code[i]), f"i of edge {e}")
        assert_same(of_j[:, e], code[j] if layer == len(shape) - 2 else torch.zeros_like(code[j]), f"j of edge {e}")
        assert_same(of_layer[:, e], code[layer], f"layer of edge {e}")


@pytest.mark.parametrize("encoder", [True, False], ids=["encoder", "no encoder"])
def test_bias_is_the_second_output_averaged_over_input_neurons(encoder):
    hypernetwork = Hypernetwork((3, 4, 2), Architecture(gain=1.0))
    flat, noise = draw(hypernetwork, seed=0)
    named = hypernetwork.unflatten(flat, hypernetwork.sizes)
    named |= {name: named[name][:, :1].repeat_interleave(2, dim=1) for name in ("weight_out", "bias_out")}
    weights, biases, _ = hypernetwork.generate(named, noise, encoder)
    for weight, bias in zip(weights, biases, strict=True):
        assert_same(bias, weight.mean(-2))


# --- batching, shapes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", [True, False], ids=["encoder", "no encoder"])
def test_seeds_together_equal_seeds_alone(encoder):
    hypernetwork = Hypernetwork((3, 4, 2))
    flat, noise = draw(hypernetwork, seed=0, seeds=3)
    weights, biases, kl = generate(hypernetwork, flat, noise, encoder)
    assert kl.shape == (3,)
    for s in range(3):
        alone = generate(hypernetwork, flat[s : s + 1], noise[s : s + 1], encoder)
        for layer in range(2):
            assert_same(weights[layer][s], alone[0][layer][0], rtol=1e-12)
            assert_same(biases[layer][s], alone[1][layer][0], rtol=1e-12)
        assert_same(kl[s], alone[2][0], rtol=1e-12)


@pytest.mark.parametrize("shape", [(5, 2, 1), (2, 3, 4, 2), (4, 1), (1, 1, 1)], ids=str)
def test_other_shapes_come_from_the_same_shared_hyperweights(shape):
    trained, target = Hypernetwork((3, 4, 1)), Hypernetwork(shape)
    assert target.shared_sizes == trained.shared_sizes
    flat, _ = draw(trained, seed=0)
    named = trained.unflatten(flat, trained.sizes)
    _, noise = draw(target, seed=1)
    weights, biases, kl = target.generate(named, noise, encoder=False)
    expected = FastHypernetwork(shape).generate({name: named[name] for name in trained.shared_sizes}, noise, False)
    for layer, (n, m) in enumerate(itertools.pairwise(shape)):
        assert weights[layer].shape == (1, n, m) and biases[layer].shape == (1, m)
        assert_same(weights[layer], expected[0][layer])
        assert_same(biases[layer], expected[1][layer])
    assert kl == 0


def test_unflatten_names_every_hyperweight_once():
    hypernetwork = Hypernetwork((3, 4, 1))
    count = hypernetwork.count(hypernetwork.sizes)
    assert count == len(hypernetwork.initial_scale())
    named = hypernetwork.unflatten(torch.arange(2 * count).reshape(2, count), hypernetwork.sizes)
    assert {name: tuple(tensor.shape[1:]) for name, tensor in named.items()} == hypernetwork.sizes
    joined = torch.cat([tensor.flatten(1) for tensor in named.values()], dim=1)
    assert torch.equal(joined[1], torch.arange(count, 2 * count))


def test_default_architecture_has_the_block_sizes_of_the_paper():
    a = Architecture()
    assert (a.hyperdepth, a.elementwise, a.random, a.attention, a.learned, a.channel) == (4, 20, 5, 5, 5, 4)
    assert a.width_in == 20 + 30 + 8
    assert a.width_out == 20 + 10 + 4 + 5 + 5 + 3 * a.position


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hyperdepth": 1}, "hyperdepth is 1; expected at least 2"),
        ({"channel": 0}, "channel is 0; expected at least 1"),
        ({"attention": -2}, "attention is -2; expected at least 1"),
    ],
)
def test_architecture_without_a_block_is_an_error(settings, message):
    with pytest.raises(ValueError, match=message):
        Architecture(**settings)


@pytest.mark.parametrize("shape", [(16,), (16, 0, 1), (16, 4.0, 1)], ids=str)
def test_hypernetwork_of_an_impossible_shape_is_an_error(shape):
    with pytest.raises(ValueError, match="expected at least two positive whole numbers"):
        Hypernetwork(shape)
