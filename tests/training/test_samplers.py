import sys
from collections import Counter
from itertools import chain
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate.data_loader import BatchSamplerShard

from balr_hf import ExhaustiveNxMSampler, RandomNxMSampler
from balr_hf.errors import ConfigError
from balr_hf.training.samplers import CopiesSampler, ShuffledBatchSampler, sampler_class

TEN = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2]
UNEVEN = np.repeat(np.arange(23), np.arange(1, 24))  # speakers with 1 to 23 recordings


def test_exhaustive_order_is_balrs():
    sampler = ExhaustiveNxMSampler(torch.tensor(TEN), 2, 2, shuffle=False)
    assert list(chain(*sampler)) == [0, 1, 5, 6, 8, 9, 2, 3, 7, 5, 4, 0]
    assert len(sampler) == 3


@pytest.mark.parametrize("labels", [[0, 1, 2, 0, 2, 0], [0, 1, 2, 0, 2, 0, 2]])
def test_exhaustive_stops_when_less_than_a_batch_remains(labels):
    assert list(chain(*ExhaustiveNxMSampler(labels, 2, 2, shuffle=False))) == [0, 3, 1, 1, 2, 4, 5, 0]


@pytest.mark.parametrize("shuffle", [True, False])
def test_exhaustive_yields_every_recording(shuffle):
    sampler = ExhaustiveNxMSampler(UNEVEN, 3, 2, shuffle=shuffle)
    assert sampler.class_sizes.sum() == len(UNEVEN)
    seen = Counter(chain(*sampler))
    groups = sum(-(-n // 2) for n in range(1, 24))
    assert len(sampler) == groups // 3
    assert len(UNEVEN) - len(seen) <= 2 * (groups % 3)
    assert max(seen.values()) <= 2


def test_exhaustive_batches_have_distinct_speakers_while_enough_remain():
    sampler = ExhaustiveNxMSampler(np.repeat(np.arange(12), 8), 4, 2)
    for batch in sampler:
        assert len(set(np.array(batch) // 8)) == 4


@pytest.mark.parametrize("shuffle", [True, False])
def test_random_takes_every_speaker_once_and_distinct_speakers_a_batch(shuffle):
    sampler = RandomNxMSampler(UNEVEN, 5, 4, shuffle=shuffle)
    batches = list(sampler)
    assert len(batches) == len(sampler) == 5
    speakers = [[UNEVEN[batch[start]] for start in range(0, 20, 4)] for batch in batches]
    assert all(len(set(batch)) == 5 for batch in speakers)
    assert set(chain(*speakers)) == set(range(23))
    for batch in batches:
        assert all(len(set(UNEVEN[batch[start : start + 4]])) == 1 for start in range(0, 20, 4))


def test_random_repeats_recordings_only_of_speakers_with_fewer_than_m():
    for batch in RandomNxMSampler(UNEVEN, 5, 4):
        for start in range(0, 20, 4):
            group = batch[start : start + 4]
            assert len(set(group)) == min(4, np.sum(UNEVEN[group[0]] == UNEVEN))


def test_random_draws_every_recording_about_as_often():
    sampler = RandomNxMSampler(np.repeat([0, 1], 10), 2, 3)
    drawn = Counter()
    for epoch in range(2000):
        sampler.set_epoch(epoch)
        drawn.update(chain(*sampler))
    assert len(drawn) == 20
    assert 500 < min(drawn.values()) <= max(drawn.values()) < 700  # 600 expected, standard deviation 20


def test_drop_last_leaves_out_the_speakers_that_do_not_fill_a_batch():
    assert len(list(RandomNxMSampler(TEN, 2, 2, drop_last=True))) == 1
    filled = list(RandomNxMSampler(TEN, 2, 2, shuffle=False, drop_last=False))
    assert set(filled[1][:2]) == {8, 9}
    assert set(filled[1][2:]) <= {0, 1, 2, 3, 4}


@pytest.mark.parametrize("cls", [RandomNxMSampler, ExhaustiveNxMSampler])
def test_seed_and_epoch_decide_the_batches(cls):
    sampler = cls(UNEVEN, 5, 4, seed=7)
    first = list(sampler)
    assert list(sampler) == first == list(cls(UNEVEN, 5, 4, seed=7))
    assert list(cls(UNEVEN, 5, 4, seed=8)) != first
    sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first


@pytest.mark.parametrize("cls", [RandomNxMSampler, ExhaustiveNxMSampler])
def test_impossible_batches_are_refused(cls):
    with pytest.raises(ValueError, match="Not enough classes: 3 speakers for N_classes_per_batch=4"):
        cls(TEN, 4, 2)
    with pytest.raises(ConfigError, match=r"Invalid batch_size \(10\)"):
        cls(TEN, 3, 3, batch_size=10)
    with pytest.raises(ConfigError, match="must be >= 1"):
        cls(TEN, 2, 0)


@pytest.mark.parametrize(("drop_last", "processes"), [(False, 2), (False, 3), (True, 2)])
def test_accelerate_deals_the_batches_out_in_turn(drop_last, processes):
    sampler = ExhaustiveNxMSampler(UNEVEN, 13, 2, drop_last=drop_last)
    batches = list(sampler)
    shards = [list(BatchSamplerShard(sampler, processes, index)) for index in range(processes)]
    rounds = len(batches) // processes if drop_last else -(-len(batches) // processes)
    expected = [[batches[(i * processes + index) % len(batches)] for i in range(rounds)] for index in range(processes)]
    assert len(batches) % processes
    assert shards == expected


def test_labels_need_not_be_sorted_or_numbered_from_zero():
    labels = np.array([7, 3, 7, 3, 9, 9])
    assert list(chain(*ExhaustiveNxMSampler(labels, 3, 2, shuffle=False))) == [0, 2, 1, 3, 4, 5]


def test_plain_batches_hold_every_row_once_and_never_a_single_row():
    for rows in (64, 65, 66, 130):
        sampler = ShuffledBatchSampler(rows, 64)
        batches = list(sampler)
        assert len(batches) == len(sampler)
        assert min(map(len, batches)) > 1
        assert len(set(chain(*batches))) == sum(map(len, batches)) >= rows - 1
    sampler.set_epoch(1)
    assert list(sampler) != batches


@pytest.mark.parametrize("name", ["ExhaustiveNxMSampler", "balr.samplers.nxm_samplers.ExhaustiveNxMSampler"])
def test_balrs_class_paths_name_samplers(name):
    assert sampler_class(name) is ExhaustiveNxMSampler


def test_unknown_sampler_is_named():
    assert sampler_class("none") is None
    for name in ("NxN", "balr.samplers.nxm_samplers.NxN"):
        with pytest.raises(ConfigError, match=f"data.sampler={name}: expected RandomNxMSampler, ExhaustiveNxMSampler"):
            sampler_class(name)


class Bare(torch.utils.data.Sampler):
    """Takes what a sampler of the trainer takes, but has no epochs and no length."""

    def __init__(self, labels, N_classes_per_batch, M_samples_per_class, batch_size, shuffle, seed): ...

    def __iter__(self):
        return iter([[0]])


class Other(Bare):
    def __init__(self, labels): ...

    def __len__(self):
        return 1

    def set_epoch(self, epoch): ...


class Mine(Other):
    __init__ = Bare.__init__


@pytest.fixture
def as_module(monkeypatch):
    """Makes the classes of this module importable by a path."""
    monkeypatch.setitem(sys.modules, "my_samplers", SimpleNamespace(Bare=Bare, Other=Other, Mine=Mine))


def test_a_class_of_the_user_is_a_sampler_if_it_keeps_the_contract(as_module):
    assert sampler_class("my_samplers.Mine") is Mine
    assert sampler_class("balr_hf.training.samplers.RandomNxMSampler") is RandomNxMSampler


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("my_samplers.Bare", "my_samplers.Bare has no set_epoch, __len__; subclass SpeakerBatchSampler"),
        ("my_samplers.Other", r"cannot be made with \(labels, N_classes_per_batch, M_samples_per_class, batch_size"),
        ("my_samplers.Nobody", "the module my_samplers has no class Nobody"),
        ("my_sampler.Mine", "cannot import the sampler my_sampler.Mine: No module named 'my_sampler'"),
        ("collections.OrderedDict", "collections.OrderedDict cannot be a sampler: it is not a subclass of torch"),
        ("balr_hf.training.samplers.SpeakerBatchSampler", "has no __len__"),
    ],
)
def test_a_class_that_is_no_sampler_is_refused_with_the_reason(as_module, name, wrong):
    with pytest.raises(ConfigError, match=wrong):
        sampler_class(name)


def test_each_row_comes_with_another_row_of_its_original():
    originals = [4, -1, 4, 9, 4, 9, -1]
    sampler = CopiesSampler(ShuffledBatchSampler(7, batch_size=3, shuffle=True, seed=0), originals, seed=0)
    partners = {row: set() for row in range(7)}
    for epoch in range(30):
        sampler.set_epoch(epoch)
        for batch in sampler:
            rows, copies = batch[: len(batch) // 2], batch[len(batch) // 2 :]
            assert len(rows) == len(copies)
            for row, copy in zip(rows, copies, strict=True):
                partners[row].add(copy)
    assert partners == {0: {2, 4}, 1: {1}, 2: {0, 4}, 3: {5}, 4: {0, 2}, 5: {3}, 6: {6}}


def test_copies_are_drawn_by_seed_and_epoch_and_counted_in_the_size_of_a_batch():
    plain = ShuffledBatchSampler(12, batch_size=4, shuffle=False)
    a, b = (CopiesSampler(plain, [0] * 12, seed=seed) for seed in (1, 2))
    assert list(a) == list(a)
    assert list(a) != list(b)
    first = list(a)
    a.set_epoch(1)
    assert list(a) != first
    assert [batch[:4] for batch in a] == list(plain)
    assert (a.batch_size, len(a), a.drop_last) == (8, 3, False)
