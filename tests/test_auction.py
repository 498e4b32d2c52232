"""What the hidden neurons of case 3d know of each other (section 2.3)."""

import pytest
import torch

import hyperlib as hl
from hyperbook.figures.assignments import loss_when_silenced, one_auction
from hyperbook.studies import auction
from hyperlib.algorithms.construct import double_sided, pudding
from hyperlib.algorithms.structure import single_connections
from hyperlib.hypernetwork import Hypernetwork

SMALL = (5, 12, 1)


@pytest.fixture(scope="module")
def model(released):
    return released.model(seed=1004)


@pytest.fixture(scope="module")
def released():
    return hl.load_run("results/l1")


def test_constructed_networks_have_the_neurons_per_input_that_were_put_in():
    assert auction.neurons_per_input(pudding(6)).tolist() == [1] * 6
    assert auction.neurons_per_input(double_sided(6)).tolist() == [2] * 6


def test_independent_draws_have_the_unevenness_of_a_binomial():
    generator = torch.Generator().manual_seed(0)
    at = torch.randint(8, (4000, 1, 24), generator=generator)
    W = torch.zeros(4000, 8, 24).scatter_(1, at, 1.0)
    count = auction.neurons_per_input(
        hl.Network([W, torch.ones(4000, 24, 1)], [torch.zeros(4000, 24), torch.zeros(4000, 1)])
    )
    assert count.sum(1).eq(24).all()
    assert (count.var(1) / count.mean(1)).mean().item() == pytest.approx(1, abs=0.03)
    assert (count == 0).double().mean().item() == pytest.approx((7 / 8) ** 24, abs=0.003)


def test_the_whole_hypernetwork_gives_the_networks_of_the_model(model):
    whole = Hypernetwork((16, 48, 1), model.architecture)
    ours = auction.generate_with(whole, model, 1e-6, noise=3, count=2)
    theirs = model.generate(1e-6, generator=3, count=2, encoder=False)
    torch.testing.assert_close(ours.weights[0], theirs.weights[0], rtol=1e-3, atol=1e-4)


def test_the_first_hyperlayer_has_nothing_to_say(model):
    """Its edges are all alike, so that hearing their mean is hearing them."""
    nets = [
        auction.generate_with(hypernetwork, model, 1e-6, count=2)
        for hypernetwork in (
            Hypernetwork(SMALL, model.architecture),
            auction.Silenced(SMALL, model.architecture, hyperlayer=1, level=0),
        )
    ]
    torch.testing.assert_close(nets[0].weights[0], nets[1].weights[0], rtol=1e-3, atol=1e-4)


def test_silence_replaces_what_is_heard_by_its_mean_at_one_place_only():
    quiet = auction.Silenced(SMALL, hyperlayer=3, level=1)
    loud = Hypernetwork(SMALL)
    tokens = torch.randn(2, 2, 12, 6, 15, generator=torch.Generator().manual_seed(0))
    expected = loud.heard(3, 1, tokens)
    torch.testing.assert_close(quiet.heard(2, 1, tokens), expected)
    torch.testing.assert_close(quiet.heard(3, 0, tokens), expected)
    mean = quiet.heard(3, 1, tokens)
    assert mean.shape == expected.shape
    torch.testing.assert_close(mean, expected.mean((2, 3), keepdim=True).expand_as(expected))


def test_the_best_seeds_of_case_3d_negotiate_a_round_more(released):
    tables = {seed: auction.conversations(released.model(seed), 1e-6, count=8) for seed in (1004, 1030)}
    assert {seed: auction.rounds(table) for seed, table in tables.items()} == {1004: 2, 1030: 3}
    for table in tables.values():
        whole = table.iloc[0]
        assert whole["hyperlayer"] == 0 and whole["loss"] < 0.2
        assert len(table) == 1 + 3 * 3
    drawn = loss_when_silenced(tables[1004].assign(seed=1004))
    assert len(drawn.table) == 10


@pytest.fixture(scope="module")
def held(released):
    return auction.auction(released.model(seed=1030), 1e-6, count=40)


def test_the_bids_of_the_best_seed_are_in_after_the_first_hyperlayer(held):
    """And nine tenths of the assignment with them; a readout of the last hyperlayer is exact, as weights are one."""
    assert held.opened == 1 and held.told[0] > 0.8 and held.told[-1] == 1
    assert held.bids.shape == (10, 16, 48) and held.net.batch_shape == (10,)


def test_the_highest_bid_wins(held):
    bidders = held.neurons()
    assert len(bidders) == 10 * 48
    first = bidders[bidders["rank"] == 0]
    assert first.groupby(["network", "favourite"]).size().max() == 1
    share = bidders.groupby("rank")["wins"].mean()
    assert share[0] > 0.75 > 0.5 > share[1] and share[3] < 0.2
    assert (first.query("wins").eval("favourite == input")).mean() > 0.9


def test_every_input_is_asked_or_unasked(held):
    unasked, served = held.unasked()
    favourites = held.neurons().groupby("network")["favourite"].nunique()
    assert unasked == pytest.approx(1 - favourites.mean() / 16)
    assert 0 <= served <= 1


def test_an_auction_of_a_seed_that_knows_nothing_tells_nothing():
    """Untrained weights hang on the random numbers of all hyperlayers; few are told before the last."""
    model = hl.Ensemble(hl.TrainConfig(shape=(4, 12, 1), batch=8), seeds=[0], compiled=False).model(0)
    idle = auction.auction(model, 1e-6, count=8)
    assert len(idle.told) == model.architecture.hyperdepth
    assert one_auction(idle).table["rank"].min() == 0


@pytest.mark.parametrize(("seed", "k"), [(1030, 1), (1004, 2)])
def test_bids_are_the_random_numbers_that_have_just_come_in(released, seed, k):
    """The blocks of a hyperlayer that hold fresh noise tell as much as all; before them nothing is told."""
    model = released.model(seed)
    watched = auction._Watched(model.shape, model.architecture)
    net = auction.generate_with(watched, model, 1e-6, count=40)
    a = model.architecture
    fresh = slice(a.place("channel").start, a.place("random").stop)
    told = []
    for features in watched.features[:k]:
        x = features[..., fresh]
        x = torch.cat([x, torch.ones_like(x[..., :1])], -1)
        readout = torch.linalg.lstsq(x[:30].flatten(0, 2), net.weights[0][:30].reshape(-1, 1), driver="gelsd").solution
        W, bids = net.weights[0][30:], (x[30:] @ readout)[..., 0]
        single, at = single_connections(W)
        sign = W.gather(1, at[:, None])[:, 0][single].sum().sign()
        told.append((sign * bids).argmax(1).eq(at)[single].double().mean().item())
    assert told[-1] > 0.85 and max(told[:-1], default=0) < 0.3


def test_the_winner_follows_the_noise_of_the_highest_bid(released):
    """Exchanged with the best loser, most inputs change hands; two losers that exchange leave the winner alone."""
    table = auction.swaps(released.model(seed=1030), 1e-6, count=16)
    tried = table.dropna()
    assert len(table) == 4 * 16 and len(tried) > 50
    share = tried[["swapped", "kept", "control_swapped", "control_kept"]].astype(float).mean()
    assert share["swapped"] > 0.3 > 0.1 > share["control_swapped"] and share["control_kept"] > 0.8 > share["kept"]
