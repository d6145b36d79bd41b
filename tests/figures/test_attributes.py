import numpy as np
import pytest

from balr_hf.figures import evidence, figure_svg, parameters
from balr_hf.figures.attributes import are_drawn, attributes_for, separation_shares
from balr_hf.scoring.auto import SCORERS, build_scorer

ATTRIBUTES, CONSTANT = 20, 3


@pytest.fixture
def counts():
    rng = np.random.default_rng(0)
    active = rng.binomial(10, rng.random((30, ATTRIBUTES)) ** 2)
    active[:, :CONSTANT] = 0
    return np.stack([active, 10 - active], -1).astype(np.float64)


def fitted(name: str, counts: np.ndarray):
    return build_scorer(name, num_attributes=counts.shape[1]).fit(counts)


@pytest.mark.parametrize("name", ["dna", "speech"])
def test_profile_scorers_are_drawn_by_typicality_and_dropout(counts, name):
    scorer = fitted(name, counts)
    (points,) = (axes for axes in parameters(scorer).axes if axes.get_xlabel() == "Typicality")
    x, y = points.get_lines()[0].get_data()
    np.testing.assert_allclose(x, scorer.typicality[scorer.informative])
    np.testing.assert_allclose(y, scorer.dropout[scorer.informative])


def test_maxllr_is_drawn_in_order_of_f(counts):
    scorer = fitted("maxllr", counts)
    p, f, q = (line.get_ydata() for line in parameters(scorer).axes[0].get_lines())
    assert len(f) == ATTRIBUTES - CONSTANT
    assert (np.diff(f) >= 0).all()
    order = np.argsort(scorer.f[scorer.informative].numpy(), kind="stable")
    np.testing.assert_allclose(p, scorer.p[scorer.informative][order])
    np.testing.assert_allclose(q, scorer.q[scorer.informative][order])


def test_beta_is_drawn_by_mean_and_intra_class_correlation(counts):
    scorer = fitted("beta", counts)
    mean, correlation = parameters(scorer).axes[0].get_lines()[0].get_data()
    alpha = scorer.alpha[scorer.informative].numpy()
    np.testing.assert_allclose(mean, alpha[:, 0] / alpha.sum(1))
    variance = mean * (1 - mean) / (1 + alpha.sum(1))  # of the beta distribution
    np.testing.assert_allclose(correlation, variance / (mean * (1 - mean)))


@pytest.mark.parametrize("name", ["beta", "dna", "maxllr"])
def test_attributes_without_evidence_are_counted(counts, texts, name):
    scorer = fitted(name, counts)
    lacking = scorer.config.num_uninformative
    assert lacking >= CONSTANT
    assert f"{ATTRIBUTES - lacking} attributes; {lacking} without evidence left out" in texts(parameters(scorer))


@pytest.mark.parametrize("name", ["beta", "dna", "maxllr"])
@pytest.mark.filterwarnings("error")
def test_scorer_without_any_evidence_is_drawn(name):
    assert "nan" not in figure_svg(parameters(fitted(name, np.ones((4, 6, 2)) * [0, 5])))


def test_scorers_without_parameters_are_refused(counts):
    with pytest.raises(ValueError, match="CosineSimilarityScorer learns no parameters"):
        parameters(fitted("cosine", counts))
    with pytest.raises(ValueError, match="MaxLLRScorer is not fitted"):
        parameters(build_scorer("maxllr", num_attributes=4))


def test_what_each_scorer_of_the_package_learns_is_drawn(counts):
    for name in SCORERS:
        scorer = fitted(name, counts)
        assert are_drawn(scorer) == bool(scorer.parameter_names), name


def test_separation_shares_count_what_separates():
    shares = separation_shares(np.array([1.0, 3.0, 0.0, -1.0]), np.array([-1.0, -3.0, 0.0, 5.0]))
    np.testing.assert_allclose(shares, [0.75, 1, 1, 1])
    assert [attributes_for(shares, share) for share in (0.5, 0.75, 0.8, 1.0)] == [1, 1, 2, 2]


def test_equal_attributes_share_the_separation_evenly(texts):
    shown = texts(evidence(np.ones(10), np.zeros(10)))
    assert "50 %: 5 attributes\n80 %: 8 attributes" in shown


def test_evidence_shows_the_most_separating_attributes_in_order():
    same, different = np.array([0.1, 2.0, 0.5, 1.0]), np.array([-0.1, -1.0, -3.0, 0.9])
    bars = evidence(same, different, top=3).axes[0]
    assert [label.get_text() for label in bars.get_yticklabels()] == ["2", "1", "0"]
    widths = [bar.get_width() for bar in bars.patches]
    np.testing.assert_allclose(widths, [0.5, 2.0, 0.1, -3.0, -1.0, -0.1])


@pytest.mark.filterwarnings("error")
def test_evidence_without_separation_says_so(texts):
    assert "no attribute separates" in texts(evidence(np.zeros(3), np.ones(3)))
    assert "no attribute separates" in texts(evidence(np.zeros(1), np.zeros(1)))


@pytest.mark.parametrize(
    ("same", "different", "top", "message"),
    [
        ([1.0, 2.0], [1.0], 3, "means of 2 and of 1 attributes"),
        ([], [], 3, "means of 0 and of 0 attributes"),
        ([np.nan], [1.0], 3, "must be finite"),
        ([1.0], [1.0], 0, "top=0: expected at least 1"),
    ],
)
def test_means_that_cannot_be_drawn_are_refused(same, different, top, message):
    with pytest.raises(ValueError, match=message):
        evidence(np.array(same), np.array(different), top=top)
