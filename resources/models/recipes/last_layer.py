"""Fit the last layer of an embedder anew, to all sources, and embed everything that the models after it are made from.

The layers before it stay as they are. So what the last layer gets, the pooled statistics of a recording, is computed
once and kept, and the fit takes a minute. It learns the speakers' labels (AAM-softmax with sub-centres), the teacher's
centred embedding, and the teacher's cosines between the recordings of a step. Sources count by the root of their
number of speakers. At last the embeddings are centred as in `recipes.embeddings`.

Usage:
    python -m recipes.last_layer WORK_FOLDER DATA_FOLDER RUN_FOLDER EMBEDDER_FOLDER
    python -m recipes.last_layer WORK_FOLDER DATA_FOLDER RUN_FOLDER EMBEDDER_FOLDER --held-out     (only measures)

It takes about 6 core-minutes once the copies are there, most of them for the pooled statistics. With `--held-out`,
every eighth speaker of the training part is left out and measured on, by which the settings were chosen; nothing is
written then.
"""

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from balr_hf.embeddings.modeling_wespeaker import WespeakerModel
from balr_hf.metrics import eer

from .copies import AS_IT_IS, CONDITIONS, copies
from .corpus import Recordings, recordings
from .embedder import Heads, source_groups
from .embeddings import centre
from .evaluation import read_trials, report

STEPS, RECORDINGS, SEED = 700, 256, 0
RATE, HEADS_RATE, DECAY, DROPOUT = 1e-3, 3e-3, 0.01, 0.2
WARM_UP, MARGIN, MARGIN_FROM = 100, 0.2, 0.3  # steps; radians; share of the steps after which the margin is whole
WEIGHTS = {"label": 0.5, "teacher": 4.0, "relation": 10.0}


@torch.no_grad()
def pooled(model: WespeakerModel, waveforms: list[np.ndarray | None], path: Path) -> torch.Tensor:
    """Compute what the last layer gets of each recording, float32 `(recordings, statistics)`, and keep it in a file.

    NaN where there is no recording.
    """
    if not path.exists():
        found: list[np.ndarray] = []
        quick = model.for_inference()
        hook = quick.pool.register_forward_hook(lambda module, given, made: found.append(made[0].numpy()))
        nothing = np.full(model.seg_1.in_features, np.nan, np.float32)
        for waveform in waveforms:
            if waveform is None:
                found.append(nothing)
            else:
                quick(model.feature_extractor([waveform], sampling_rate=16_000)["input_features"])
        hook.remove()
        np.save(path.with_suffix(".part.npy"), np.stack(found).astype(np.float16))
        path.with_suffix(".part.npy").rename(path)
    return torch.from_numpy(np.load(path)).float()


def fit(
    model: WespeakerModel, statistics: torch.Tensor, teacher: torch.Tensor, corpus: Recordings, without: set[str]
) -> None:
    """Fit the last layer, in place, to the recordings of the training part but for those of some speakers."""
    torch.manual_seed(SEED)
    generator = np.random.default_rng(SEED)
    speakers, sources = corpus.columns["speaker"], corpus.columns["source"]
    rows = np.flatnonzero(~np.isin(speakers, list(without)))
    labels, groups, shares = source_groups(speakers[rows], sources[rows])
    statistics, teacher = statistics[rows], teacher[rows]
    mean, scale = statistics.mean(0), statistics.std(0) + 1e-3
    old = model.seg_1.weight.detach().clone(), model.seg_1.bias.detach().clone()
    embedded = (statistics @ old[0].T + old[1]).numpy()
    middle = np.mean([embedded[sources[rows] == source].mean(0) for source in sorted(set(sources[rows]))], 0)
    weight = (old[0] * scale).requires_grad_()
    bias = (old[1] + old[0] @ mean - torch.from_numpy(middle)).requires_grad_()
    heads = Heads(int(labels.max()) + 1, len(bias))
    with torch.no_grad():  # the embedder imitates the teacher already
        heads.to_teacher.weight.copy_(torch.eye(len(bias)))
        heads.to_teacher.bias.zero_()
    parameters = [{"params": [weight, bias], "lr": RATE}, {"params": heads.parameters(), "lr": HEADS_RATE}]
    optimizer = torch.optim.AdamW(parameters, weight_decay=DECAY)
    known = torch.from_numpy(labels)
    for step in range(STEPS):
        share = step / STEPS
        for group, rate in zip(optimizer.param_groups, (RATE, HEADS_RATE), strict=True):
            group["lr"] = rate * min(1, step / WARM_UP) * (0.5 * (1 + math.cos(math.pi * share)) + 1e-3)
        chosen = generator.choice(len(groups), RECORDINGS, p=shares)
        drawn = [groups[number][int(generator.integers(len(groups[number])))] for number in chosen]
        batch = np.array([int(generator.choice(own)) for own in drawn])
        given = F.dropout((statistics[batch] - mean) / scale, DROPOUT)
        unit, told, own = F.normalize(given @ weight.T + bias, dim=1), teacher[batch], known[batch]
        guessed = F.normalize(heads.to_teacher(unit), dim=1)
        loss = WEIGHTS["label"] * heads.label_loss(unit[own >= 0], own[own >= 0], MARGIN * min(1, share / MARGIN_FROM))
        loss = loss + WEIGHTS["teacher"] * (1 - (guessed * told).sum(1)).mean()
        loss = loss + WEIGHTS["relation"] * ((unit @ unit.T - told @ told.T) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        model.seg_1.weight.copy_(weight / scale)
        model.seg_1.bias.copy_(bias - (weight / scale) @ mean)


def held_out_rates(embeddings: np.ndarray, corpus: Recordings, held: set[str]) -> dict[str, float]:
    """Equal error rates by cosine over all pairs of one source of speakers that the layer was not fitted to."""
    rows = np.flatnonzero(np.isin(corpus.columns["speaker"], list(held)))
    speakers, sources = corpus.columns["speaker"][rows], corpus.columns["source"][rows]
    unit = embeddings[rows] / np.linalg.norm(embeddings[rows], axis=1, keepdims=True)
    first, second = np.triu_indices(len(rows), 1)
    within = sources[first] == sources[second]
    first, second = first[within], second[within]
    same, cosines = speakers[first] == speakers[second], (unit @ unit.T)[first, second]
    found = {"all": eer(cosines, same)[0]}
    for source in sorted(set(sources[first[same]])):  # the others have one recording of each speaker
        chosen = sources[first] == source
        found[source] = eer(cosines[chosen], same[chosen])[0]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder that the other recipes have written")
    parser.add_argument("data", type=Path, help="folder with speech/ and librispeech/")
    parser.add_argument("run", type=Path, help="folder for the embedder and what it makes of all recordings")
    parser.add_argument("embedder", type=Path, help="folder of the embedder whose last layer is fitted")
    parser.add_argument("--held-out", action="store_true", help="leave every eighth speaker out, and measure on them")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    work, run = arguments.work, arguments.run
    run.mkdir(parents=True, exist_ok=True)
    model = WespeakerModel.from_pretrained(arguments.embedder)
    train = recordings(work, "train")
    statistics = pooled(model, _waveforms(train), run / "train-pooled.npy")
    with np.load(work / "teacher.npz") as kept:
        teacher = kept["embedding"][kept["part"] == "train"]
    teacher = F.normalize(torch.from_numpy(teacher - teacher.mean(0)).float(), dim=1)
    names = sorted({str(name) for name in train.columns["speaker"] if name})
    held = set(names[::8]) if arguments.held_out else set()
    fit(model, statistics, teacher, train, held)
    with torch.no_grad():
        centre(model, model.seg_1(statistics).numpy(), train.columns["source"])
        embeddings = model.seg_1(statistics).numpy()
    if held:
        print(f"{len(held)} held-out speakers: {report(held_out_rates(embeddings, train, held))}")
        return
    model.save_pretrained(run / "embedder-centred")
    np.savez(run / "train.npz", **{AS_IT_IS: embeddings})
    for part, trials in (("dev", "speech/dev/dev_trials.csv"), ("test", "librispeech/trials.csv")):
        corpus, made = recordings(work, part), {}
        for number, condition in enumerate((AS_IT_IS, *CONDITIONS)):
            path = run / f"{part}-pooled-{number}.npy"
            with torch.no_grad():
                made[condition] = model.seg_1(pooled(model, _waveforms(corpus, work, part, condition), path)).numpy()
        np.savez(run / f"{part}.npz", **made)
        found = read_trials(arguments.data / trials, corpus.columns["id"], corpus.columns["speaker"])
        print(f"{part}: EER by cosine {report(found.rates(found.cosine(made[AS_IT_IS])))}")


def _waveforms(
    corpus: Recordings, work: Path | None = None, part: str = "", condition: str = AS_IT_IS
) -> list[np.ndarray | None]:
    """The recordings of a part as they are, or their copies in a condition."""
    if work is None or condition == AS_IT_IS:
        return [corpus.waveform(row) for row in range(len(corpus))]
    made = copies(work, part, condition)
    return [made.waveform(name) if name in made.spans else None for name in map(str, corpus.columns["id"])]


if __name__ == "__main__":
    main()
