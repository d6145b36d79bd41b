"""Runs the tests that transformers has for its own models over ours: `make transformers-tests`.

The tests are transformers' `ModelTesterMixin`, `ConfigTester` and `SequenceFeatureExtractionTestMixin`. They are not
copied here: the source distribution of the installed version is downloaded from PyPI once, into a cache folder. It
lacks a few files which its tests import; `LEFT_OUT` stands in for them. The tests of export to other formats are among
what is lacking, so that they are not run.

At the end it prints how many tests passed, failed, do not apply, and need what this machine lacks. It names those of
the last two kinds, with the reason. It exits with 1 if a test failed.

    python tests/transformers_common.py                        # all, in about a minute
    python tests/transformers_common.py -k save_load           # those with this in their names
"""

import argparse
import functools
import logging
import os
import re
import subprocess
import sys
import tarfile
import unittest
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
import transformers

from balr_hf import BinaryAttributeAutoEncoder, Scorer, WespeakerFeatureExtractor, WespeakerModel
from balr_hf.scoring.auto import SCORERS, scorer_class

# What the tests import, but the source distribution lacks.
LEFT_OUT = {
    "__init__.py": "",
    "exporters/__init__.py": "",
    "exporters/test_export.py": "class ExportTesterMixin:\n    pass\n",
    "generation/__init__.py": "",
    "generation/test_utils.py": "class GenerationTesterMixin:\n    pass\n",
    "utils/__init__.py": "",
    "utils/test_configuration_utils.py": (
        "config_common_kwargs = {\n"
        '    "return_dict": False,\n'
        '    "output_hidden_states": True,\n'
        '    "dtype": "float16",\n'
        '    "chunk_size_feed_forward": 5,\n'
        '    "architectures": ["WespeakerModel"],\n'
        '    "id2label": {0: "label"},\n'
        '    "label2id": {"label": "0"},\n'
        '    "problem_type": "regression",\n'
        "}\n"
    ),
}


def fetch_tests(version: str) -> Path:
    """Download transformers' source distribution, unless that was done before.

    Args:
        version (str): of transformers.

    Returns:
        `Path`: the folder that holds its `tests`, and the packages which they need besides.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "balr_hf" / f"transformers-{version}"
    if (cache / "complete").is_file():
        return cache
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    source = ["--no-deps", "--no-binary", "transformers", f"transformers=={version}"]
    subprocess.run([*pip, "download", "--dest", str(cache), *source], check=True)
    subprocess.run([*pip, "install", "--target", str(cache), "--upgrade", "--no-deps", "parameterized"], check=True)
    with tarfile.open(cache / f"transformers-{version}.tar.gz") as archive:
        prefix = f"transformers-{version}/tests/"
        for member in archive.getmembers():
            if member.isfile() and member.name.startswith(prefix):
                member.name = member.name.removeprefix(f"transformers-{version}/")
                archive.extract(member, cache, filter="data")
    for name, text in LEFT_OUT.items():
        path = cache / "tests" / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            path.write_text(text)
    (cache / "complete").touch()
    return cache


sys.path.insert(0, str(fetch_tests(transformers.__version__)))

from tests.test_configuration_common import ConfigTester  # noqa: E402
from tests.test_modeling_common import ModelTesterMixin  # noqa: E402
from tests.test_sequence_feature_extraction_common import SequenceFeatureExtractionTestMixin  # noqa: E402

BATCH, FRAMES, MEL = 3, 24, 16

# Why tests do not apply.
NO_EMBEDDINGS = "the inputs are no tokens, so that there are no input embeddings to get and set"
NO_MODEL_MADE = "it looks for a part or a task that the model does not have, and ends without making one"
# How transformers says that a test needs more time, another machine or another package.
NEEDS_MORE = re.compile("test (requires|is slow)")
RETURNS_TENSOR = "a scorer returns a tensor with one score per trial, no ModelOutput"


class ModelTester:
    """What `ModelTesterMixin` asks for: a small model's configuration, and inputs for it."""

    batch_size = BATCH
    num_hidden_layers = 1
    expected_num_hidden_layers = 5

    def __init__(self, parent: "CommonTests"):
        self.parent = parent
        self.is_training = parent.has_loss
        self.seq_length, self.hidden_size = parent.hidden_shape

    def get_config(self) -> transformers.PreTrainedConfig:
        return self.parent.config_class(**self.parent.settings)

    def prepare_config_and_inputs_for_common(self) -> tuple[transformers.PreTrainedConfig, dict[str, Any]]:
        return self.get_config(), self.parent.inputs()


class CommonTests(ModelTesterMixin):
    """Base of the tests of our models."""

    model_class: type[transformers.PreTrainedModel]
    settings: dict[str, Any]
    # The two last sizes of the first hidden state, and whether the model has a loss.
    hidden_shape = (0, 0)
    has_loss = False
    inapplicable: dict[str, str] = {}

    has_attentions = False
    test_resize_embeddings = False
    test_can_init_all_missing_weights_before_2023 = True  # our files do not say their year, as transformers' do

    def setUp(self) -> None:
        reasons = {"test_model_get_set_embeddings": NO_EMBEDDINGS, **self.inapplicable}
        if self._testMethodName in reasons:
            self.skipTest(reasons[self._testMethodName])
        torch.manual_seed(0)
        self.config_class = self.model_class.config_class
        self.all_model_classes = (self.model_class,)
        self.model_tester = ModelTester(self)
        self.made = 0
        original = self.model_class.__init__

        @functools.wraps(original)
        def counted(*args: Any, **kwargs: Any) -> None:
            self.made += 1
            original(*args, **kwargs)

        patched = mock.patch.object(self.model_class, "__init__", counted)
        patched.start()
        self.addCleanup(patched.stop)

    def tearDown(self) -> None:
        if not self.made and self._testMethodName not in ("test_config", "test_model_main_input_name"):
            self.skipTest(NO_MODEL_MADE)

    def inputs(self) -> dict[str, Any]:
        raise NotImplementedError

    def test_config(self) -> None:
        tester = ConfigTester(
            self, config_class=self.config_class, has_text_modality=False, common_properties=[], **self.settings
        )
        tester.run_common_tests()


class TestWespeakerModel(CommonTests, unittest.TestCase):
    model_class = WespeakerModel
    settings = {"num_blocks": [1, 1, 1, 1], "m_channels": 4, "feat_dim": MEL, "embed_dim": 8}
    hidden_shape = (MEL, FRAMES)
    inapplicable = {"test_training": "the model has no loss of its own: what it is trained for decides"}

    def inputs(self) -> dict[str, Any]:
        mask = torch.ones(BATCH, FRAMES, dtype=torch.long)
        mask[1, 17:] = 0
        return {"input_features": torch.randn(BATCH, FRAMES, MEL), "attention_mask": mask}


class TestBinaryAttributeAutoEncoder(CommonTests, unittest.TestCase):
    model_class = BinaryAttributeAutoEncoder
    settings = {"input_dim": 8, "internal_dim": 12}
    hidden_shape = (BATCH, 12)
    has_loss = True

    def inputs(self) -> dict[str, Any]:
        return {"embeddings": torch.randn(BATCH, 8)}


class ScorerTests(CommonTests):
    """Base of the tests of the scorers, which are fitted to a small population where scores are looked at."""

    settings = {"num_attributes": 6, "num_reference_speakers": 4}
    of_scores = ("test_save_load", "test_determinism", "test_batching_equivalence", "test_feed_forward_chunking")
    inapplicable = {
        "test_training": "a scorer has no loss: `fit` and `calibrate` set its parameters",
        "test_model_outputs_equivalence": RETURNS_TENSOR,
        "test_hidden_states_output": RETURNS_TENSOR,
        "test_retain_grad_hidden_states_attentions": RETURNS_TENSOR,
    }

    def setUp(self) -> None:
        super().setUp()
        if self._testMethodName in self.of_scores:
            self.all_model_classes = (self.fitted_class(),)

    def fitted_class(self) -> type[Scorer]:
        rates = torch.tensor([0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
        active = torch.randint(1, 6, (4, 6)) * rates
        population = torch.stack([active, 6 - active], -1).round()

        def fit(scorer: Scorer, config: transformers.PreTrainedConfig) -> None:
            self.model_class.__init__(scorer, config)
            if scorer.device.type != "meta":
                scorer.fit(population)

        return type(self.model_class.__name__, (self.model_class,), {"__init__": fit})

    def inputs(self) -> dict[str, Any]:
        enroll, test = torch.randint(0, 2, (2, BATCH, 6)).double()
        return {"enroll": torch.stack([enroll, 1 - enroll], -1), "test": torch.stack([test, 1 - test], -1)}


class TestWespeakerFeatureExtractor(SequenceFeatureExtractionTestMixin, unittest.TestCase):
    feature_extraction_class = WespeakerFeatureExtractor
    # What the mixin asks for.
    batch_size, min_seq_length, max_seq_length, seq_length_diff, feature_size = 7, 40, 400, 60, MEL

    def setUp(self) -> None:
        self.feat_extract_tester = self

    def prepare_feat_extract_dict(self) -> dict[str, Any]:
        return {"num_mel_bins": MEL, "sampling_rate": 16000, "padding_value": 0.0, "waveform_scale": 1.0}

    def prepare_inputs_for_common(self, equal_length: bool = False, numpify: bool = False) -> list[Any]:
        lengths = [self.max_seq_length] * 7 if equal_length else range(self.min_seq_length, 401, self.seq_length_diff)
        features = [np.random.default_rng(length).random((length, MEL)) for length in lengths]
        return features if numpify else [part.tolist() for part in features]


def test_classes() -> list[type[unittest.TestCase]]:
    """List the classes of tests: one per model, and that of the feature extractor."""
    scorers = [
        type(f"Test{cls.__name__}", (ScorerTests, unittest.TestCase), {"model_class": cls, "__module__": __name__})
        for cls in map(scorer_class, SCORERS)
    ]
    return [TestWespeakerFeatureExtractor, TestWespeakerModel, TestBinaryAttributeAutoEncoder, *scorers]


class Outcomes(unittest.TestResult):
    """Remembers what became of each test. One that was left out in part does not apply."""

    def __init__(self) -> None:
        super().__init__()
        self.failed: dict[unittest.TestCase, str] = {}
        self.left_out: dict[unittest.TestCase, str] = {}

    def addError(self, test: unittest.TestCase, err: Any) -> None:  # the name that unittest calls
        self.failed[test] = self._exc_info_to_string(err, test)

    addFailure = addError

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        if err is not None:
            self.addError(test, err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        reason = re.sub(r"<class '[\w.]*'>|\b\w*(Model|Scorer|Encoder)\b(?= (class |has |does ))", "the model", reason)
        self.left_out.setdefault(getattr(test, "test_case", test), reason)


def main() -> None:
    """Run the tests that the command line asks for, and print what became of them."""
    parser = argparse.ArgumentParser(description="Runs transformers' own tests over our models.")
    parser.add_argument("-k", metavar="TEXT", default="", help="only the tests with this in their names")
    wanted = parser.parse_args().k
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.disable(logging.WARNING)

    reasons: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    total: Counter[str] = Counter()
    classes = test_classes()
    for cls in classes:
        tests = [test for test in unittest.defaultTestLoader.loadTestsFromTestCase(cls) if wanted in test.id()]
        outcomes = Outcomes()
        for test in tests:
            test.run(outcomes)
        name = cls.__name__.removeprefix("Test")
        counts = Counter(dict.fromkeys(("passed", "failed", "inapplicable", "not run here"), 0))
        for test in tests:
            if test in outcomes.failed:
                print(f"FAILED {name}.{test._testMethodName}\n{outcomes.failed[test]}")
                counts["failed"] += 1
            elif test in outcomes.left_out:
                reason = outcomes.left_out[test]
                reasons[reason][test._testMethodName].append(name)
                counts["not run here" if NEEDS_MORE.match(reason) else "inapplicable"] += 1
            else:
                counts["passed"] += 1
        total.update(counts)
        print(f"{name:<28}", *(f"{count:4} {outcome}" for outcome, count in counts.items()))

    print("\nNot run here, or inapplicable, and why:")
    for reason, named in sorted(reasons.items(), key=lambda item: (not NEEDS_MORE.match(item[0]), item[0].lower())):
        print(f"  {reason}")
        for test_name, models in named.items():
            which = "every model" if len(models) == len(classes) - 1 else ", ".join(models)
            print(f"      {test_name}: {which}")
    print(f"\ntransformers {transformers.__version__}:", *(f"{count} {outcome}" for outcome, count in total.items()))
    raise SystemExit(total["failed"] > 0)


if __name__ == "__main__":
    main()
