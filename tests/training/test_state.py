import json
import random

import numpy as np
import pytest
import torch

from balr_hf.errors import UserError
from balr_hf.training import state

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epoch", 0),
        ("epoch", "1"),
        ("epoch", None),
        ("best_loss", "x"),
        ("history", {}),
        ("history", [1]),
        ("scaler", 3),
    ],
)
def test_a_progress_that_makes_no_sense_is_refused(tmp_path, key, value):
    state.write_progress(tmp_path, state.Progress(2, 1.0, [], {}))
    assert state.read_progress(tmp_path).epoch == 2
    found = json.loads((tmp_path / "progress.json").read_text())
    (tmp_path / "progress.json").write_text(json.dumps(found | {key: value}))
    with pytest.raises(UserError, match=r"progress\.json is damaged"):
        state.read_progress(tmp_path)


def draws():
    return random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), torch.rand(3).tolist()


@pytest.mark.parametrize("drawn_before", [0, 1])
def test_random_numbers_go_on_where_they_were(tmp_path, drawn_before):
    for _ in range(drawn_before):  # a second normal number is kept for the next call
        random.gauss(0, 1), np.random.randn()
    state.save_tensors(tmp_path / "random.safetensors", state.random_tensors(CPU))
    expected = [draws(), draws()]
    state.load_random(tmp_path / "random.safetensors", CPU)
    assert [draws(), draws()] == expected


def test_random_states_of_another_size_are_refused(tmp_path):
    path, before = tmp_path / "random.safetensors", random.getstate()
    for name, value in (
        ("python", torch.zeros(3, dtype=torch.int64)),
        ("numpy_position", torch.tensor([9999, 0])),
        ("torch", torch.zeros(7, dtype=torch.uint8)),
        ("device", torch.zeros(7, dtype=torch.uint8)),
    ):
        state.save_tensors(path, state.random_tensors(CPU) | {name: value})
        with pytest.raises(UserError, match="cannot resume from"):
            state.load_random(path, CPU)
        random.setstate(before)
