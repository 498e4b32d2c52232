"""The estimators: scikit-learn's conventions, the path, the choice of a price, programs in the user's units."""

import pickle

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import hyperlib as hl
from hyperlib import estimators

TINY = {"hidden": 3, "steps": 2, "folds": 2, "draws": 1, "batch": 8, "compiled": False, "verbose": False}
SMALL = {"hidden": 6, "steps": 100, "folds": 2, "batch": 64, "compiled": False, "verbose": False}

UNTRAINED = "two steps of training learn nothing; that the estimators learn is tested below"
EXPECTED = {"check_classifiers_train": UNTRAINED, "check_regressors_train": UNTRAINED}


@pytest.fixture(autouse=True)
def few_prices(monkeypatch):
    monkeypatch.setattr(estimators, "PRICES", estimators.PRICES[::6])


@pytest.mark.parametrize("kind", [hl.HypernetworkRegressor, hl.HypernetworkClassifier])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_accepts_the_estimators(kind):
    found = check_estimator(kind(**TINY), expected_failed_checks=EXPECTED, on_skip=None)
    failed = {check["check_name"] for check in found if check["status"] == "xfail"}
    assert failed == {f"check_{'regressors' if kind is hl.HypernetworkRegressor else 'classifiers'}_train"}


@pytest.fixture(scope="module")
def table() -> tuple[pd.DataFrame, pd.Series]:
    g = np.random.default_rng(0)
    X = pd.DataFrame({"age": g.uniform(20, 80, 120), "dose": g.normal(5, 2, 120), "always": 7.0})
    return X, pd.Series(1000 + 30 * X["age"] - 100 * X["dose"] + g.normal(0, 20, 120), name="cost")


@pytest.fixture(scope="module")
def model(table):
    return hl.HypernetworkRegressor(**SMALL).fit(*table)


def test_a_path_leads_from_few_nats_to_many(model):
    path = model.path_
    assert list(path) == ["price", "nats", "loss", "loss_held_out", "loss_held_out_se"]
    assert path["nats"].iloc[0] > path["nats"].iloc[-1] >= 0
    assert model.price_ == path["price"][path["loss_held_out"].argmin()]
    assert np.bincount(model.fold_).tolist() == [60, 60]
    assert model.held_out_.shape == (len(path), 120, 1)


def test_predictions_are_in_the_units_of_the_table(model, table):
    X, y = table
    assert model.score(X, y) > 0.5 and model.predict(X).shape == (120,)
    assert model.networks_.batch_shape == (8,) and model.network_.shape == (3, 6, 1)
    shifted = hl.HypernetworkRegressor(**SMALL | {"steps": 5})
    first, second = (clone(shifted).fit(X, values).predict(X) for values in (y, 1e-6 * y + 3))
    np.testing.assert_allclose((second - 3) * 1e6, first, rtol=1e-2)


def test_the_held_out_loss_is_that_of_networks_that_did_not_see_a_row(model, table):
    y = (table[1] - model.output_mean_[0]) / model.output_std_[0]
    found = (model.held_out_[..., 0] - y.to_numpy()) ** 2
    np.testing.assert_allclose(found.mean(1), model.path_["loss_held_out"], rtol=1e-4)
    place = model.path_["loss_held_out"].argmin()
    x = (table[0] - model.input_mean_) / model.input_std_
    nets = model.models_[1].generate(model.price_, count=4)
    out = nets(torch.tensor(x.to_numpy(np.float32))).mean(0).numpy()
    np.testing.assert_allclose(out[model.fold_ == 1], model.held_out_[place][model.fold_ == 1], atol=1e-4)


def test_several_hypernetworks_of_a_fold_predict_its_rows_together(table):
    model = hl.HypernetworkRegressor(**TINY | {"seeds": 2}).fit(*table)
    assert len(model.models_) == 4 and model.networks_.batch_shape == (4,)
    x = torch.tensor(((table[0] - model.input_mean_) / model.input_std_).to_numpy(np.float32))
    out = [one.generate(model.price_, count=1)(x).numpy() for one in model.models_]
    mine, place = model.fold_ == 1, model.path_["loss_held_out"].argmin()
    np.testing.assert_allclose((out[1] + out[3])[0, mine] / 2, model.held_out_[place, mine], atol=1e-4)
    assert abs(out[1] - out[3]).max() > 1e-3


def test_another_price_needs_no_training(model, table):
    X, _ = table
    before, price = model.predict(X), model.price_
    cheap = model.choose(model.path_["price"].iloc[-1]).predict(X)
    assert not np.array_equal(before, cheap)
    np.testing.assert_array_equal(model.choose(price).predict(X), before)
    with pytest.raises(ValueError, match="beta"):
        model.choose(-1.0)


def test_a_program_has_the_names_and_units_of_the_table(model):
    program = model.program_
    assert program is model.program_ and program.text.startswith("cost = ")
    assert "age" in program.text and "always" not in program.text.partition(",")[0]


def test_the_path_is_drawn(model):
    fig = model.plot_path()
    assert "nats predict best" in fig.finding and len(fig.table) == len(model.path_)
    plt.close(fig)


def test_classes_of_any_kind_are_predicted(table):
    X, y = table
    labels = np.where(y > y.median(), "dear", "cheap")
    model = hl.HypernetworkClassifier(**SMALL).fit(X, labels)
    assert model.classes_.tolist() == ["cheap", "dear"] and model.score(X, labels) > 0.8
    shares = model.predict_proba(X)
    np.testing.assert_allclose(shares.sum(1), 1)
    assert (model.classes_[shares.argmax(1)] == model.predict(X)).all()
    np.testing.assert_allclose(np.exp(model.held_out_).sum(-1), 1, rtol=1e-4)
    for k in range(2):  # every fold has its share of every class
        assert np.bincount(labels[model.fold_ == k] == "dear").tolist() == [30, 30]


def test_estimators_can_be_kept_and_put_together(table):
    X, y = table
    model = hl.HypernetworkRegressor(**TINY)
    assert len(cross_val_score(make_pipeline(StandardScaler(), model), X, y, cv=2)) == 2
    fitted = clone(model).fit(X, np.stack([y, -y], 1))
    assert fitted.predict(X).shape == (120, 2)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))


def test_what_cannot_be_fitted_is_named(table):
    X, y = table
    with pytest.raises(ValueError, match="folds = 1; expected at least 2"):
        hl.HypernetworkRegressor(**TINY | {"folds": 1}).fit(X, y)
    with pytest.raises(ValueError, match="seeds = 0; expected at least one per fold"):
        hl.HypernetworkRegressor(**TINY | {"seeds": 0}).fit(X, y)
    with pytest.raises(ValueError, match="y has one class"):
        hl.HypernetworkClassifier(**TINY).fit(X, np.zeros(120, int))
    with pytest.raises(ValueError, match="activation is 'sine'"):
        hl.HypernetworkRegressor(**TINY | {"activation": "sine"}).fit(X, y)
