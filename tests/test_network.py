"""The target network: forward pass, batch axes, the torch module, and errors on bad input."""

import itertools
import json

import pytest
import torch

import hyperlib as hl
from hyperlib.network import ACTIVATIONS, Network, check_shape, forward


def random_network(shape, batch=(), dtype=torch.float64, seed: int = 0) -> Network:
    g = torch.Generator().manual_seed(seed)
    weights = [torch.randn(*batch, n, m, generator=g, dtype=dtype) for n, m in itertools.pairwise(shape)]
    biases = [torch.randn(*batch, m, generator=g, dtype=dtype) for m in shape[1:]]
    return Network(weights, biases, torch.rand(batch, generator=g, dtype=dtype) if batch else None)


def inputs(*size: int, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(7), dtype=dtype)


@pytest.mark.parametrize("shape", [(3, 2), (16, 48, 1), (2, 5, 4, 3)], ids=str)
def test_module_has_the_same_outputs(shape):
    net = random_network(shape)
    x = inputs(11, shape[0])
    module = net.to_module()
    torch.testing.assert_close(module(x), net(x))
    linear = [layer for layer in module if isinstance(layer, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == list(itertools.pairwise(shape))
    assert len(module) == 2 * len(linear) - 1  # swish between layers and none on the output


def test_module_is_a_copy():
    net = random_network((3, 2))
    module = net.to_module()
    with torch.no_grad():
        module[0].weight.zero_()
    assert net.weights[0].abs().min() > 0


def test_outputs_by_hand():
    # swish(z) = z / (1 + e^-z); W_ij leads from input i to output j.
    net = Network([torch.tensor([[1.0, 0.0], [2.0, -1.0]]), torch.tensor([[3.0], [5.0]])],
                  [torch.tensor([0.5, 0.0]), torch.tensor([-1.0])])  # fmt: skip
    hidden = torch.tensor([1.0 * 1 + 2.0 * 2 + 0.5, -2.0])
    swish = hidden / (1 + torch.exp(-hidden))
    torch.testing.assert_close(net(torch.tensor([[1.0, 2.0]])), (3 * swish[:1] + 5 * swish[1:] - 1)[None])


@pytest.mark.parametrize("x_batch", [(), (2, 3), (3,), (2, 1)], ids=str)
def test_batched_forward_pass_equals_a_loop(x_batch):
    net = random_network((4, 6, 2), batch=(2, 3))
    assert net.shape == (4, 6, 2) and net.batch_shape == (2, 3)
    x = inputs(*x_batch, 9, 4)
    y = inputs(9, 2)
    out, loss = net(x), net.loss(x, y)
    assert out.shape == (2, 3, 9, 2) and loss.shape == (2, 3)
    for a, b in itertools.product(range(2), range(3)):
        single = net[a, b]
        assert single.batch_shape == () and single.kl == net.kl[a, b]
        x_single = x.expand(2, 3, 9, 4)[a, b]
        torch.testing.assert_close(out[a, b], single(x_single))
        torch.testing.assert_close(out[a, b], single.to_module()(x_single))
        torch.testing.assert_close(loss[a, b], (single(x_single) - y).square().mean())


def test_index_and_map_act_on_every_tensor():
    net = random_network((3, 4, 1), batch=(2, 3))
    row = net[1]
    assert row.batch_shape == (3,) and torch.equal(row.biases[1], net.biases[1][1]) and torch.equal(row.kl, net.kl[1])
    single = net.map(torch.Tensor.float)
    assert {t.dtype for t in [*single.weights, *single.biases, single.kl]} == {torch.float32}
    assert random_network((3, 4, 1)).map(torch.neg).kl is None


def test_gradients_flow_through_a_network_but_not_into_its_module():
    net = random_network((3, 4, 1), dtype=torch.float32).map(lambda t: t.requires_grad_())
    loss = net.loss(inputs(5, 3, dtype=torch.float32), torch.zeros(5, 1))
    assert all(g.any() for g in torch.autograd.grad(loss, [*net.weights, *net.biases]))
    assert all(p.is_leaf and p.requires_grad for p in net.to_module().parameters())


def test_forward_takes_plain_tensors():
    net = random_network((3, 4, 1), batch=(2,))
    torch.testing.assert_close(forward(net.weights, net.biases, inputs(5, 3)), net(inputs(5, 3)))


# --- bad input -------------------------------------------------------------------------------------------------------


def test_inputs_of_another_dtype_are_an_error():
    net = random_network((3, 4, 1))
    with pytest.raises(TypeError, match=r"x is torch.float32; expected torch.float64"):
        net(inputs(5, 3, dtype=torch.float32))


@pytest.mark.parametrize("size", [(5, 4), (3,), (2, 5, 1)], ids=str)
def test_inputs_with_another_last_axis_are_an_error(size):
    with pytest.raises(ValueError, match=r"x has shape .*; expected \(\.\.\., batch, 3\)"):
        random_network((3, 4, 1))(inputs(*size))


def as_json(net):
    """As the book's running hypernetwork writes it."""
    kl = None if net.kl is None else net.kl.item()
    parts = {name: [tensor.tolist() for tensor in getattr(net, name)] for name in ("weights", "biases")}
    return json.dumps(parts | {"kl": kl, "activation": net.activation})


@pytest.mark.parametrize("kl", [None, 3.5])
def test_network_survives_json(kl):
    net = random_network((3, 4, 1))
    net = Network(net.weights, net.biases, None if kl is None else torch.tensor(kl).double())
    read = Network.from_json(as_json(net), dtype=torch.float64)
    for before, after in zip([*net.weights, *net.biases], [*read.weights, *read.biases], strict=True):
        torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert (read.kl is None) if kl is None else float(read.kl) == kl
    assert Network.from_json(as_json(net)).weights[0].dtype == torch.float32


@pytest.mark.parametrize("text", ["no JSON", "[1, 2]", '{"weights": [[[1.0]]]}', '{"weights": 3, "biases": 4}'])
def test_other_text_is_no_network(text):
    with pytest.raises(ValueError, match="the text is no network"):
        Network.from_json(text)


def test_module_of_a_batch_is_an_error():
    with pytest.raises(ValueError, match=r"batch axes \(2,\)"):
        random_network((3, 1), batch=(2,)).to_module()


@pytest.mark.parametrize(
    ("weights", "biases", "message"),
    [
        ([(3, 4), (4, 1)], [(4,)], "got 2 weight and 1 bias tensors"),
        ([], [], "got 0 weight and 0 bias tensors"),
        ([(3, 4), (5, 1)], [(4,), (1,)], "layer 1 takes 5 inputs, but the layer before gives 4"),
        ([(3, 4)], [(3,)], r"layer 0: weight has shape \(3, 4\) and bias \(3,\)"),
        ([(2, 3, 4)], [(4,)], r"layer 0: weight has shape \(2, 3, 4\) and bias \(4,\)"),
        ([(4,)], [(4,)], r"layer 0: weight has shape \(4,\)"),
    ],
)
def test_tensors_that_do_not_fit_together_are_an_error(weights, biases, message):
    with pytest.raises(ValueError, match=message):
        Network([torch.zeros(size) for size in weights], [torch.zeros(size) for size in biases])


def test_tensors_that_are_not_floating_point_are_an_error():
    with pytest.raises(TypeError, match=r"weight of layer 0 is torch.int64.*; expected a dense tensor of floating"):
        Network([torch.zeros(3, 1, dtype=torch.int64)], [torch.zeros(1)])
    with pytest.raises(TypeError, match="bias of layer 0 is list; expected a dense tensor"):
        Network([torch.zeros(3, 1)], [[0.0]])


@pytest.mark.parametrize("shape", [(), (16,), (16, 0, 1), (16, -1), (2.0, 1), (True, 1), ("16", 1)], ids=str)
def test_impossible_shapes_are_an_error_that_shows_them(shape):
    with pytest.raises(ValueError, match="expected at least two positive whole numbers") as error:
        check_shape(shape)
    assert str(shape) in str(error.value)


def test_check_shape_gives_a_tuple():
    assert check_shape([16, 48, 1]) == (16, 48, 1)


# --- activations, modules of one's own, equality ---------------------------------------------------------------------


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_survives_the_way_to_torch_and_json_and_back(activation):
    g = torch.Generator().manual_seed(0)
    weights = [torch.randn(3, 4, generator=g), torch.randn(4, 5, generator=g), torch.randn(5, 2, generator=g)]
    net = Network(weights, [torch.randn(n, generator=g) for n in (4, 5, 2)], activation=activation)
    x = torch.randn(7, 3, generator=g)
    module = net.to_module()
    torch.testing.assert_close(module(x), net(x))
    assert Network.from_module(module) == net == Network.from_json(as_json(net))
    assert all(tensor.is_contiguous() for tensor in module.state_dict().values())


def test_from_module_folds_normalisation_and_leaves_out_dropout():
    torch.manual_seed(0)
    nn = torch.nn
    layers = [nn.BatchNorm1d(3), nn.Linear(3, 6, bias=False), nn.BatchNorm1d(6), nn.ReLU(), nn.BatchNorm1d(6)]
    module = nn.Sequential(nn.Sequential(*layers), nn.Dropout(0.5), nn.Linear(6, 2))
    with torch.no_grad():
        for _ in range(20):
            module(2 + 3 * torch.randn(64, 3))  # statistics that are not those of a new layer
    x = torch.randn(9, 3)
    torch.testing.assert_close(Network.from_module(module.eval())(x), module(x))
    plain = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 4), nn.Linear(4, 1))
    assert Network.from_module(plain).shape == (3, 5, 1)
    torch.testing.assert_close(Network.from_module(plain)(x), plain(x))
    with pytest.raises(ValueError, match=r"layer 0\.0 .*BatchNorm1d.*in training"):
        Network.from_module(module.train())


def test_from_module_refuses_by_name_what_does_not_fit():
    nn = torch.nn
    for layers, message in [
        ([nn.Linear(2, 2), nn.ELU(), nn.Linear(2, 1)], "layer 1 .*ELU"),
        ([nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1)], "relu, tanh"),
        ([nn.Linear(2, 2), nn.ReLU()], "ends with relu"),
        ([nn.ReLU(), nn.Linear(2, 1)], "layer 0 .*behind every linear layer"),
        ([nn.Linear(2, 2), nn.GELU(approximate="tanh"), nn.Linear(2, 1)], "plain activation"),
    ]:
        with pytest.raises((TypeError, ValueError), match=message):
            Network.from_module(nn.Sequential(*layers))


def test_networks_are_equal_if_their_numbers_and_activation_are():
    net = hl.construct.double_sided(n=2)
    same = net.map(torch.clone)
    assert net == same and hash(net) == hash(same) and len({net, same}) == 1
    assert net != net.map(lambda t: t + 1) and net != Network(net.weights, net.biases, activation="relu")
    assert net != "net"
    with pytest.raises(TypeError, match="no batch axes"):
        list(net)
    both = Network([torch.stack([w, w]) for w in net.weights], [torch.stack([b, b]) for b in net.biases])
    assert list(both) == [net, net] and len(both) == 2
