"""Scorers by name, by class path, and from files."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import balr_hf
from balr_hf import load_scorer
from balr_hf.class_paths import check_keywords
from balr_hf.cli.sections import SCORER_FIELDS, ScorerArguments, scorer_settings
from balr_hf.defaults import SCORER, resource
from balr_hf.errors import ConfigError, UserError
from balr_hf.scoring.auto import SCORERS, build_scorer, scorer_class
from balr_hf.scoring.configuration_scorers import SCORER_CONFIGS, MaxLLRScorerConfig, ScorerConfig
from balr_hf.scoring.counts import recording_counts
from balr_hf.scoring.modeling_scorer import Scorer
from balr_hf.system import modeling_system

MODULE = """
import torch
from balr_hf.scoring.configuration_scorers import MaxLLRScorerConfig, ScorerConfig
from balr_hf.scoring.modeling_scorer import Scorer

class AgreementConfig(ScorerConfig):
    model_type = "{kind}"

    def __init__(self, strength: float = 1.0, **kwargs):
        self.strength = strength
        super().__init__(**kwargs)

class Agreement(Scorer):
    config_class = AgreementConfig
    parameter_names = ("rate",)
    rate: torch.Tensor

    def __init__(self, config):
        super().__init__(config)
        self.register_buffer("rate", torch.ones(config.num_attributes, dtype=torch.float64))
        self.post_init()

    def _fit(self, counts):
        self.rate = self.activation.clone()

    def _attribute_scores(self, enroll, test):
        return self.config.strength * self.rate * torch.where(enroll[..., 0] == test[..., 0], 1.0, -1.0)

class Single(Agreement):
    def _attribute_scores(self, enroll, test):
        return super()._attribute_scores(enroll, test).float()

class Summed(Agreement):
    def _attribute_scores(self, enroll, test):
        return super()._attribute_scores(enroll, test).sum(-1)

class Array(Agreement):
    def _attribute_scores(self, enroll, test):
        return super()._attribute_scores(enroll, test).numpy()

class OfAll(Agreement):
    def _attribute_scores(self, enroll, test):
        return super()._attribute_scores(enroll, test) / (1 + enroll[..., 0].sum(-1, keepdim=True))

class OfTheBatch(Agreement):
    def _attribute_scores(self, enroll, test):
        terms = super()._attribute_scores(enroll, test)
        return terms - terms.mean(0)

class Drawn(Agreement):
    def _attribute_scores(self, enroll, test):
        return super()._attribute_scores(enroll, test) + torch.rand(1)

class Infinite(Agreement):
    def _attribute_scores(self, enroll, test):
        return super()._attribute_scores(enroll, test) / 0

class Short(Agreement):
    def _fit(self, counts):
        self.rate = torch.ones(3)

class Unmade(Agreement):
    parameter_names = ("rate", "other")

class SingleRate(Agreement):
    def _fit(self, counts):
        self.rate = self.activation.float()

class Rounded(Agreement):
    def _attribute_scores(self, enroll, test):
        shares = 3 * self.rate.float() * (enroll[..., 0] - 0.5).float() * (test[..., 0] - 0.5).float()
        return torch.nn.functional.softplus(shares) - torch.nn.functional.softplus(-self.rate.float() ** 2)

class Coded(Agreement):
    parameter_names = ("rate", "code", "often")

    def _initial_buffers(self):
        code = torch.zeros(self.config.num_attributes, dtype=torch.int64)
        return super()._initial_buffers() | dict(code=code, often=code > 0)

    def _fit(self, counts):
        super()._fit(counts)
        self.code, self.often = (self.activation * 3).long(), self.activation > 0.5

    def _attribute_scores(self, enroll, test):
        strengths = torch.tensor([2.0, 1.0, 0.5, 0.1])[self.code]
        return torch.where(self.often, strengths, 1) * super()._attribute_scores(enroll, test)

class Nameless(Agreement):
    config_class = ScorerConfig

class Taken(Agreement):
    config_class = MaxLLRScorerConfig
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A user's module with a scorer; the registry is the whole process's, and so each test has a type of its own."""
    name = f"scorers_of_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE.format(kind=name))
    monkeypatch.syspath_prepend(tmp_path)
    return name


def counts(seed, rows=12):
    generator = torch.Generator().manual_seed(seed)
    return torch.from_numpy(recording_counts((torch.rand(rows, 6, generator=generator) > 0.5).numpy()))


def test_a_scorer_of_the_user_is_made_fitted_saved_and_loaded(module, tmp_path, run_python):
    path = f"{module}.Agreement"
    scorer = build_scorer(path, num_attributes=6, strength=2.0).fit(counts(0))
    scorer.save_pretrained(tmp_path / "mine")
    loaded = load_scorer(tmp_path / "mine")
    assert type(loaded) is scorer_class(path) and loaded.config.strength == 2.0
    assert torch.equal(loaded.score(counts(1), counts(2)), scorer.score(counts(1), counts(2)))
    script = tmp_path / "load.py"  # in another process, which has to be told the class
    script.write_text(
        "import sys\n"
        "from balr_hf import load_scorer\n"
        "from balr_hf.errors import UserError\n"
        "from balr_hf.scoring.auto import scorer_class\n"
        "try:\n"
        "    load_scorer(sys.argv[1])\n"
        "except UserError as error:\n"
        "    print(error)\n"
        "scorer_class(sys.argv[2])\n"
        "print(type(load_scorer(sys.argv[1])).__name__)\n"
    )
    first, *_, last = run_python(script, tmp_path / "mine", path).stdout.splitlines()
    assert last == "Agreement"
    assert f"model of type {module}, not scorer" in first
    assert "A scorer of your own is known as soon as its class is named: scorer=my_package.MyScorer" in first


def test_terms_of_single_precision_are_counted_in_double(module):
    """As a network in a scorer of the user's own makes them."""
    scorer = build_scorer(f"{module}.Single", num_attributes=6).fit(counts(0))
    scores = scorer.score(counts(1), counts(2))
    terms = torch.where(scorer.informative, scorer._attribute_scores(counts(1), counts(2)).double(), 0.0)
    assert torch.equal(scores, terms.sum(-1)) and scores.dtype == torch.float64
    torch.testing.assert_close(scorer.score_matrix(counts(1), counts(2)).diagonal(), scores)


@pytest.mark.parametrize(("name", "found"), [("Summed", r"a tensor of shape \(4,\)"), ("Array", "ndarray")])
def test_terms_of_another_form_are_refused(module, name, found):
    with pytest.raises(ConfigError, match=rf"{name} returned {found}: expected a tensor of shape \(4, 6\), one term"):
        build_scorer(f"{module}.{name}", num_attributes=6).fit(counts(0))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("OfAll", "OfAll gives other terms for the same counts of an attribute: a term must depend on nothing but"),
        ("OfTheBatch", "OfTheBatch gives other terms for the same counts of an attribute"),
        ("Drawn", "Drawn gives other terms for the same counts of an attribute.*no random numbers"),
        ("Infinite", "Infinite gives terms that are not finite"),
        ("Short", r"Short fitted rate of shape \(3,\): expected \(6, ...\), one row for each attribute"),
        ("Unmade", "Unmade has no buffer other, which its parameter_names name: _initial_buffers has to return it"),
    ],
)
def test_a_scorer_that_would_score_otherwise_elsewhere_is_refused_when_it_is_fitted(module, name, wrong):
    """Among other trials, from a table of states, or after it was saved."""
    with pytest.raises(ConfigError, match=wrong):
        build_scorer(f"{module}.{name}", num_attributes=6).fit(counts(0))


def test_parameters_that_were_fitted_in_single_precision_are_kept_in_double(module, tmp_path):
    """So that a scorer that is saved and loaded is the one that was calibrated."""
    scorer = build_scorer(f"{module}.SingleRate", num_attributes=6).fit(counts(0, 40))
    assert scorer.rate.dtype == torch.float64
    enroll, other = counts(1, 40), counts(2, 40)
    scorer.calibrate(enroll, torch.cat([enroll[:20], other[20:]]), np.arange(40) < 20)
    scorer.save_pretrained(tmp_path / "mine")
    assert torch.equal(load_scorer(tmp_path / "mine").rate, scorer.rate)


@pytest.mark.parametrize("attributes", [1, 7, 48, 100, 509, 512])
def test_terms_that_differ_by_the_rounding_of_single_precision_are_those_of_the_same_counts(module, attributes):
    generator = torch.Generator().manual_seed(0)
    active = (torch.rand(30, attributes, generator=generator) > 0.5).numpy()
    scorer = build_scorer(f"{module}.Rounded", num_attributes=attributes).fit(recording_counts(active))
    assert scorer.is_fitted


def test_parameters_of_whole_numbers_and_truth_values_stay_what_they_are(module, tmp_path):
    """A scorer looks up by them, which it cannot by numbers of double precision."""
    scorer = build_scorer(f"{module}.Coded", num_attributes=6).fit(counts(0))
    scorer.save_pretrained(tmp_path / "mine")
    for one in (scorer, load_scorer(tmp_path / "mine"), scorer.fit(counts(3))):
        assert (one.rate.dtype, one.code.dtype, one.often.dtype) == (torch.float64, torch.int64, torch.bool)
    assert torch.equal(
        load_scorer(tmp_path / "mine").score(counts(1), counts(2)),
        build_scorer(f"{module}.Coded", num_attributes=6).fit(counts(0)).score(counts(1), counts(2)),
    )


def test_what_a_scorer_lacks_is_named():
    class Empty(Scorer):
        pass

    with pytest.raises(NotImplementedError, match=r"Empty has to define _fit\(self, counts\)"):
        Empty(ScorerConfig(num_attributes=6)).fit(counts(0))


def test_a_configuration_without_init_has_the_settings_of_its_base_and_its_own(tmp_path):
    class Plain(ScorerConfig):
        model_type = "plain-of-the-user"

    class Annotated(MaxLLRScorerConfig):
        model_type = "annotated-of-the-user"
        strength: float = 2.0
        names: list = dataclasses.field(default_factory=list)

    assert Plain().num_attributes == 512 and Plain(num_attributes=6).num_attributes == 6
    config = Annotated(names=["a"], num_attributes=6, f=0.3)
    assert (config.strength, config.names, config.num_attributes, config.f, config.q) == (2.0, ["a"], 6, 0.3, 0.1)
    config.save_pretrained(tmp_path)
    assert Annotated.from_pretrained(tmp_path).to_dict() == config.to_dict()
    assert Annotated().names == [] and Annotated().names is not Annotated().names
    with pytest.raises(ConfigError, match=r"f=2, p=.*: expected probabilities"):
        Annotated(f=2)
    check_keywords(Annotated, ScorerConfig, {"strength": 1.0, "p": 0.8}, "the scorer")
    with pytest.raises(ConfigError, match="no setting strenght: expected strength, names, f, p, q, n_iterations"):
        check_keywords(Annotated, ScorerConfig, {"strenght": 1.0}, "the scorer")
    with pytest.raises(ConfigError, match=r"Lacking\.needed needs a default"):

        class Lacking(ScorerConfig):
            needed: int


@pytest.mark.parametrize("name", SCORERS)
def test_a_scorer_of_the_package_is_known_wherever_one_is_listed(name):
    """A list that lacks it would leave it out of the command line, or its code out of saved systems."""
    cls = scorer_class(name)
    assert cls.config_class in SCORER_CONFIGS, "configuration_scorers.py"
    assert cls in modeling_system.SCORERS, "modeling_system.py: saved systems would come without its code"
    assert {cls, cls.config_class} <= {getattr(balr_hf, public) for public in balr_hf.__all__}, "__init__.py"
    fields = {SCORER_FIELDS.get(setting, setting) for setting in scorer_settings()[name]}
    assert fields == set(cls.config_class.setting_names()), "cli/sections.py: settings are no options of balr"
    defaults = {field.name: field.default for field in dataclasses.fields(ScorerArguments)}
    config = cls.config_class()
    assert {key: defaults[key] for key in scorer_settings()[name]} == {
        key: getattr(config, SCORER_FIELDS.get(key, key)) for key in scorer_settings()[name]
    }


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("{module}.Nobody", "has no class Nobody"),
        ("{module}.Nameless", "Nameless needs a config_class with a model_type of its own, but ScorerConfig has none"),
        ("{module}.Taken", "Taken needs a config_class .*: another model has MaxLLRScorerConfig with 'balr-maxllr'"),
        ("torch.nn.Linear", "torch.nn.Linear cannot be a scorer: it is not a subclass of balr_hf"),
        ("betta", "unknown scorer 'betta': expected beta, cosine, dna, maxllr, speech, or the path of a class"),
    ],
)
def test_a_class_that_is_no_scorer_is_refused_with_the_reason(module, name, wrong):
    with pytest.raises(ConfigError, match=wrong):
        scorer_class(name.format(module=module))


def test_a_scorer_of_the_package_may_be_named_by_its_path():
    assert scorer_class("balr_hf.scoring.modeling_maxllr.MaxLLRScorer") is scorer_class("maxllr")


@pytest.mark.parametrize("name", ["maxllr", "dna"])
def test_a_setting_that_a_scorer_does_not_have_is_refused(name):
    with pytest.raises(ConfigError, match=f"the scorer {name} has no setting n_iteration: expected .*num_attributes"):
        build_scorer(name, num_attributes=4, n_iteration=3)


def test_a_model_that_is_no_scorer_is_refused(tmp_path):
    from balr_hf import BinaryAttributeAutoEncoder, BinaryAttributeAutoEncoderConfig

    BinaryAttributeAutoEncoder(BinaryAttributeAutoEncoderConfig(8, 4)).save_pretrained(tmp_path / "ae")
    with pytest.raises(UserError, match="ae holds a model of type binary-attribute-autoencoder, not"):
        load_scorer(tmp_path / "ae")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("alpha", -0.5, "values of alpha are out of range, such as -0.5: expected more than 0"),
        ("alpha", float("nan"), "values of alpha are not finite"),
        ("calibration_weights", -0.2, "values of calibration_weights are out of range"),
        ("calibration_offset", float("inf"), "values of calibration_offset are not finite"),
        ("activation", 1.5, "values of activation are out of range, such as 1.5"),
    ],
)
def test_scorer_with_a_parameter_out_of_its_range_is_not_loaded(name, value, message, tmp_path):
    scorer = load_scorer(resource(SCORER))
    getattr(scorer, name).flatten()[0] = value
    scorer.save_pretrained(tmp_path)
    for load in (load_scorer, type(scorer).from_pretrained):
        with pytest.raises(UserError, match=message):
            load(tmp_path)


@pytest.mark.parametrize(
    "name, setting, values",
    [
        ("beta", "n_iterations", (0, -5, 2.0, True, "3", 10**9)),
        ("maxllr", "n_iterations", (0, -5, math.nan)),
        ("beta", "eps", (0.0, -1.0, math.nan, math.inf, "1")),
        ("cosine", "eps", (0.0, -1.0, math.nan)),
        ("dna", "typicality_threshold", (-3.0, 5, math.nan, "0")),
        ("speech", "typicality_threshold", (-1e-9, 1.1)),
        ("dna", "drop_in", (-0.1, 1.0, math.nan)),
    ],
)
def test_settings_out_of_their_range_are_refused(name, setting, values):
    for value in values:
        with pytest.raises(ConfigError, match=f"{setting}="):
            build_scorer(name, **{setting: value})


@pytest.mark.parametrize("name", ["beta", "maxllr"])
def test_iterations_that_a_fit_is_asked_for_are_checked_and_stated(name):
    scorer, reference = build_scorer(name, num_attributes=6), counts(0) + counts(1)
    for wrong in (0, -5):
        with pytest.raises(ConfigError, match=f"n_iterations={wrong}: expected 1 to"):
            scorer.fit(reference, n_iterations=wrong)
    assert scorer.config.n_iterations == 100 and not scorer.is_fitted
    few, same = scorer.fit(reference, n_iterations=3), build_scorer(name, num_attributes=6, n_iterations=3)
    assert few.config.n_iterations == 3  # by which what was fitted is found again
    for one, other in zip(few.buffers(), same.fit(reference).buffers(), strict=True):
        assert one.equal(other)
