"""Finish the embedder, and embed everything that the models after it are made from.

The mean of the training embeddings is taken off in the embedder's last layer, so that cosines are those of centred
embeddings, and their values are brought to a variance of 1. Then all views of the training part are embedded from
their filter banks, and the other speakers (`dev`, the LibriSpeech test part) from their samples: as they are, and
the copies of `recipes.copies`.

Usage:
    python -m recipes.embeddings WORK_FOLDER RUN_FOLDER

It takes about 2 core-minutes for each view, and 10 for the others.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from balr_hf.embeddings.modeling_wespeaker import WespeakerModel

from .copies import AS_IT_IS, CONDITIONS, copies
from .corpus import recordings
from .embedder import View
from .features import VIEWS, filter_banks


@torch.no_grad()
def embed(model: WespeakerModel, banks: list[np.ndarray]) -> np.ndarray:
    """Embed filter banks, each `(frames, 80)` before the removal of their mean, one by one."""
    found = []
    for bank in banks:
        features = torch.from_numpy(np.asarray(bank)).float()
        found.append(model((features - features.mean(0))[None]).embeddings[0])
    return torch.stack(found).numpy()


def whole(view: View) -> list[np.ndarray]:
    """The filter banks of all recordings of a view."""
    return [view.banks[start : start + frames] for start, frames in zip(view.starts, view.frames, strict=True)]


def centre(model: WespeakerModel, embeddings: np.ndarray, sources: np.ndarray) -> None:
    """Take the mean, in which each source counts alike, off in the last layer, and bring the variance to 1."""
    groups = [embeddings[sources == source] for source in sorted(set(sources))]
    mean = np.mean([group.mean(0) for group in groups], 0)
    scale = float(np.mean([np.square(group - mean).mean() for group in groups]) ** -0.5)
    with torch.no_grad():
        model.seg_1.weight *= scale
        model.seg_1.bias.sub_(torch.from_numpy(mean).float()).mul_(scale)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder that the other recipes have written")
    parser.add_argument("run", type=Path, help="folder of the embedder's run")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    work, run = arguments.work, arguments.run
    model = WespeakerModel.from_pretrained(run / "embedder")
    train = recordings(work, "train")
    clean = embed(model.for_inference(), whole(View(work, "clean")))
    centre(model, clean, train.columns["source"])
    model.save_pretrained(run / "embedder-centred")
    quick, views = model.for_inference(), [view for view in VIEWS if (work / f"{view}.f16").exists()]
    made = {view: embed(quick, whole(View(work, view))) for view in views}
    np.savez(run / "train.npz", **made)
    for part in ("dev", "test"):
        corpus = recordings(work, part)
        made = {AS_IT_IS: embed(quick, [filter_banks(corpus.waveform(row)) for row in range(len(corpus))])}
        for condition in CONDITIONS:
            degraded = copies(work, part, condition)
            rows = [row for row, name in enumerate(corpus.columns["id"]) if str(name) in degraded.spans]
            made[condition] = np.full_like(made[AS_IT_IS], np.nan)
            waveforms = (degraded.waveform(str(corpus.columns["id"][row])) for row in rows)
            made[condition][rows] = embed(quick, [filter_banks(waveform) for waveform in waveforms])
        np.savez(run / f"{part}.npz", **made)


if __name__ == "__main__":
    main()
