"""Runs the tests that transformers has for its own models over ours: `make transformers-tests`.

The tests are transformers' `ModelTesterMixin`, `ConfigTester` and `SequenceFeatureExtractionTestMixin`. They are not
copied here: the source distribution of the installed version is downloaded from PyPI once, into a cache folder. It
lacks a few files which its tests import; `LEFT_OUT` stands in for them. The tests of export to other formats are among
what is lacking, so that they are not run.

At the end it prints how many tests passed, failed, and do not apply, and names those that do not apply, with the
reason. It exits with 1 if a test failed.

    python tests/transformers_common.py                        # all, in about a minute
    python tests/transformers_common.py -k save_load           # those with this in their names
"""

import argparse
import copy
import os
import subprocess
import sys
import tarfile
import unittest
from collections import defaultdict
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
import transformers

import balr_hf
from balr_hf import (
    BinaryAttributeAutoEncoder,
    BinaryAttributeAutoEncoderConfig,
    WespeakerConfig,
    WespeakerFeatureExtractor,
    WespeakerModel,
)
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

BATCH = 3


class ModelTester:
    """What `ModelTesterMixin` asks for: a small model's configuration, and inputs for it."""

    batch_size = BATCH
    is_training = True
    num_hidden_layers = 1

    def __init__(self, parent: unittest.TestCase):
        self.parent = parent

    def get_config(self) -> transformers.PreTrainedConfig:
        return self.parent.config_class(**self.parent.settings)

    def prepare_config_and_inputs_for_common(self) -> tuple[transformers.PreTrainedConfig, dict[str, Any]]:
        return self.get_config(), self.parent.inputs()


class CommonTests(ModelTesterMixin):
    """Base of the tests of our models."""

    model_class: type[transformers.PreTrainedModel]
    settings: dict[str, Any]
    has_attentions = False
    test_resize_embeddings = False
    test_can_init_all_missing_weights_before_2023 = True  # our files have no years by which to tell

    def setUp(self) -> None:
        torch.manual_seed(0)
        self.config_class = self.model_class.config_class
        self.all_model_classes = (self.model_class,)
        self.model_tester = ModelTester(self)
        self.config_tester = ConfigTester(
            self, config_class=self.config_class, has_text_modality=False, common_properties=[], **self.settings
        )

    def inputs(self) -> dict[str, Any]:
        raise NotImplementedError

    def test_config(self) -> None:
        self.config_tester.run_common_tests()


class TestWespeakerModel(CommonTests, unittest.TestCase):
    model_class = WespeakerModel
    settings = {"num_blocks": [1, 1, 1, 1], "m_channels": 4, "feat_dim": 16, "embed_dim": 8}

    def inputs(self) -> dict[str, Any]:
        mask = torch.ones(BATCH, 24, dtype=torch.long)
        mask[1, 17:] = 0
        return {"input_features": torch.randn(BATCH, 24, 16), "attention_mask": mask}


class TestBinaryAttributeAutoEncoder(CommonTests, unittest.TestCase):
    model_class = BinaryAttributeAutoEncoder
    settings = {"input_dim": 8, "internal_dim": 12}

    def inputs(self) -> dict[str, Any]:
        return {"embeddings": torch.randn(BATCH, 8)}


class ScorerTests(CommonTests):
    """Base of the tests of the scorers."""

    settings = {"num_attributes": 6, "num_reference_speakers": 4}

    def inputs(self) -> dict[str, Any]:
        enroll, test = (torch.randint(0, 2, (BATCH, 6)).double() for _ in "et")
        return {"enroll": torch.stack([enroll, 1 - enroll], -1), "test": torch.stack([test, 1 - test], -1)}


for _name in SCORERS:
    _class = scorer_class(_name)
    globals()[f"Test{_class.__name__}"] = type(
        f"Test{_class.__name__}", (ScorerTests, unittest.TestCase), {"model_class": _class}
    )

if __name__ == "__main__":
    unittest.main()
