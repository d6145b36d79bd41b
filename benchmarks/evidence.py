"""What the system says of recordings that it should say nothing of, and how conditions change what it says.

Three tables: comparisons that must get no verdict or a remark, signals of ten kinds that hold no speech, and the
performance under conditions that one or both sides are brought to, with how many trials get a verdict at all.

Usage:
    python benchmarks/evidence.py LIBRISPEECH_FOLDER                   # test.csv there: id, audio, speaker
    python benchmarks/evidence.py LIBRISPEECH_FOLDER --system FOLDER   # of another system than the shipped one
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from measuring import table
from scipy.signal import chirp, square
from transformers import pipeline

from balr_hf import load_corpus
from balr_hf.audio import SAMPLING_RATE, AudioError, load_audio
from balr_hf.conditions import Condition
from balr_hf.conditions.duration import cut
from balr_hf.domain import MEASURES, log_probabilities, measure_beyond_limits, probability_beyond_limits
from balr_hf.embeddings.passes import embed_waveforms, load_usable
from balr_hf.explanation.wording import WHY
from balr_hf.metrics import compute_metrics
from balr_hf.quality.net_speech import speech_segments
from balr_hf.scoring.trials import Trials, score_trials

LOG10 = np.log(10)
SIGNALS_OF_A_KIND = 60
CASES = 20
CONDITIONS = {
    "clean / clean": ("unchanged", "unchanged"),
    "telephone / telephone": ("band=telephone,codec=mulaw", "band=telephone,codec=mulaw"),
    "10 dB / 10 dB": ("snr=10,noise=white", "snr=10,noise=white"),
    "clean / telephone": ("unchanged", "band=telephone,codec=mulaw"),
    "clean / 20 dB": ("unchanged", "snr=20,noise=white"),
    "20 dB / 20 dB": ("snr=20,noise=white", "snr=20,noise=white"),
    "clean / MP3 16 kbit/s": ("unchanged", "codec=mp3:16k"),
    "2 s / 2 s": ("duration=2", "duration=2"),
}


def without_speech(kind: str, rng: np.random.Generator, seconds: float = 5.0) -> np.ndarray:
    """A signal of one kind that holds no speech, drawn at random: float32 `(samples,)`."""
    size = int(seconds * SAMPLING_RATE)
    time, white = np.arange(size) / SAMPLING_RATE, rng.normal(size=size)
    low, high = np.sort(rng.uniform(80, 4_000, 2))
    slow = np.interp(time, np.linspace(0, seconds, 12), rng.uniform(0.05, 1, 12))
    spectrum = np.fft.rfft(white)
    frequencies = np.fft.rfftfreq(size, 1 / SAMPLING_RATE)
    signals = {
        "white noise": lambda: white,
        "pink noise": lambda: np.fft.irfft(spectrum / np.sqrt(np.maximum(frequencies, 20)), size),
        "band of noise": lambda: np.fft.irfft(spectrum * ((frequencies > low) & (frequencies < high)), size),
        "noise that swells": lambda: white * slow,
        "tone": lambda: np.sin(2 * np.pi * low * time),
        "harmonics": lambda: sum(np.sin(2 * np.pi * n * rng.uniform(80, 300) * time) / n for n in range(1, 12)),
        "sweep": lambda: chirp(time, low, seconds, high),
        "pulses": lambda: square(2 * np.pi * rng.uniform(1, 60) * time, duty=0.05),
        "clicks": lambda: (rng.random(size) < 5 / SAMPLING_RATE) * white * 5,
        "hum": lambda: sum(np.sin(2 * np.pi * 50 * n * time) / n for n in range(1, 9)) + 0.02 * white,
    }
    signal = signals[kind]()
    return (signal / max(np.abs(signal).max(), 1e-9) * rng.uniform(0.05, 0.9)).astype(np.float32)


KINDS = (
    "white noise",
    "pink noise",
    "band of noise",
    "noise that swells",
    "tone",
    "harmonics",
    "sweep",
    "pulses",
    "clicks",
    "hum",
)


def outcome(compare, a, b) -> str:
    """What the pipeline says of two sides, in a line."""
    try:
        found = compare(a, b, return_explanation=True)["explanation"]
    except AudioError as error:
        return f"refused: {error}"
    why = [text.removeprefix(WHY).strip() for text in found.cautions if text.startswith(WHY)]
    remarks = "; ".join([*found.copies, *why])
    return f"{found.describe_ratio()}: {found.verdict}" if found.has_verdict else f"no verdict: {remarks}"


def at_level(samples: np.ndarray, level: float = 0.05) -> np.ndarray:
    return (samples / max(samples.std(), 1e-9) * level).astype(np.float32)


def cases(voices: dict[str, list[np.ndarray]], rng: np.random.Generator) -> Iterator[tuple[str, object, object]]:
    """Comparisons that must not be given a verdict, or not without a remark: a name and two sides."""
    names = sorted(voices)
    for _ in range(CASES):
        first, second = (str(name) for name in rng.choice(names, 2, replace=False))
        a, b, other = voices[first][0], voices[first][1], voices[second][0]
        shortest = min(len(b), len(other))
        pause = np.zeros(10 * SAMPLING_RATE, dtype=np.float32) + 1e-4 * rng.normal(size=10 * SAMPLING_RATE)
        start = speech_segments(b)[0][0]
        pause[: int(0.3 * SAMPLING_RATE)] += cut(b, (start, start + 0.3))
        noise = [without_speech("white noise", rng) for _ in range(2)]
        yield "white noise against other white noise", *noise
        tones = (np.sin(2 * np.pi * tone * np.arange(5 * SAMPLING_RATE) / SAMPLING_RATE) for tone in (440, 1_000))
        yield "a tone of 440 Hz against one of 1,000 Hz", *((0.3 * tone).astype(np.float32) for tone in tones)
        yield "speech at 0 dB against noise", Condition.parse("snr=0,noise=white").apply(a, 0), noise[0]
        yield "a recording against its copy", a, a.copy()
        yield "a recording against its copy as MP3, quieter", a, 0.5 * Condition.parse("codec=mp3:64k").apply(a, 0)
        yield "a recording against 0.3 s of speech in 10 s", a, pause.astype(np.float32)
        mixture = at_level(b[:shortest]) + at_level(other[:shortest])
        yield "a recording against a mixture of two speakers", a, mixture
        yield "5 recordings against 5 of one speaker", voices[first][:5], voices[first][5:10]
        yield "5 recordings against 5 of another", voices[first][:5], voices[second][:5]


@dataclass
class Side:
    """The recordings of a corpus under one condition.

    Attributes:
        counts (`(recordings, attributes, 2)`): activations and non-activations.
        usable, within (bool `(recordings,)`): whether it has enough speech; whether it lies within the limits.
    """

    counts: np.ndarray
    usable: np.ndarray
    within: np.ndarray


def under(condition: str, recordings: list[np.ndarray], compare) -> Side:
    """Bring recordings to a condition, measure them, and find their attributes.

    Those that cannot be brought to it (noisier already, or shorter) are not usable.
    """

    def degraded(samples: np.ndarray, seed: int) -> np.ndarray:
        try:
            return Condition.parse(condition).apply(samples, seed)
        except AudioError:
            return np.zeros(0, np.float32)

    seeded = [degraded(samples, seed) for seed, samples in enumerate(recordings)]
    given = ({"array": samples, "sampling_rate": SAMPLING_RATE} for samples in seeded)
    loaded = [load_usable(audio, compare.feature_extractor) for audio in given]
    usable = np.array([one.reason is None for one in loaded])
    waveforms = [one.samples if one.reason is None else np.zeros(SAMPLING_RATE, np.float32) for one in loaded]
    embedder = compare.model.embedder.for_inference()
    embeddings = embed_waveforms(embedder, compare.feature_extractor, waveforms, torch.device("cpu"))
    with torch.inference_mode():
        bits = compare.autoencoder.encode(torch.from_numpy(embeddings)).numpy().astype(bool)
    config, scorer = compare.scorer.config, compare.scorer
    domain = config.calibration["domain"]
    probabilities = log_probabilities(bits, scorer.activation.numpy(), config.num_reference_speakers)
    beyond = probability_beyond_limits(probabilities, config.reference)
    for measure in MEASURES:
        values = [None if one.quality is None else getattr(one.quality, measure) for one in loaded]
        beyond |= measure_beyond_limits(measure, np.array(values, dtype=float), domain)
    return Side(np.stack([bits, ~bits], -1).astype(float), usable, ~beyond)


def conditions(recordings: list[np.ndarray], speakers: np.ndarray, compare) -> list[list[str]]:
    """The second table's rows."""
    made = {name: under(name, recordings, compare) for pair in CONDITIONS.values() for name in dict.fromkeys(pair)}
    rows, number = [], len(recordings)
    for name, (first, second) in CONDITIONS.items():
        a, b = made[first], made[second]
        pairs = np.argwhere(~np.eye(number, dtype=bool)) if first != second else np.argwhere(np.tri(number, k=-1).T)
        pairs = pairs[a.usable[pairs[:, 0]] & b.usable[pairs[:, 1]]]
        trials = Trials.between(pairs[:, 0], pairs[:, 1])
        llrs = score_trials(compare.scorer, a.counts, trials, calibrated=True, test_counts=b.counts)
        same = speakers[pairs[:, 0]] == speakers[pairs[:, 1]]
        found = compute_metrics(llrs, same)
        kept = a.within[pairs[:, 0]] & b.within[pairs[:, 1]]
        rows.append(
            [
                name,
                f"{len(pairs):,}",
                f"{found['eer']:.1%}",
                f"{found['cllr']:.2f} ({found['cllr_min']:.2f})",
                f"{(llrs[same] < 0).mean():.0%}",
                f"{(llrs[~same] > 0).mean():.0%}",
                f"10^{llrs[~same].max() / LOG10:.1f}",
                f"{kept.mean():.0%}",
                f"{(llrs[~same & kept] > 0).sum()} of {(~same & kept).sum():,}",
            ]
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", type=Path, help="folder with test.csv: id, audio, speaker")
    parser.add_argument("--system", help="folder or repository of a system [default: the shipped one]")
    arguments = parser.parse_args()
    compare = pipeline("speaker-comparison", *([arguments.system] if arguments.system else []))
    dataset = load_corpus(arguments.corpus / "test.csv")
    recordings = [load_audio(row["audio"])[: 6 * SAMPLING_RATE] for row in dataset]
    speakers, rng = np.array(dataset["speaker"]), np.random.default_rng(0)
    voices = {str(name): [recordings[n] for n in np.flatnonzero(speakers == name)] for name in np.unique(speakers)}

    said: dict[str, list[str]] = {}
    for name, a, b in cases(voices, rng):
        said.setdefault(name, []).append(outcome(compare, a, b))
    rows = []
    for name, texts in said.items():
        kinds = [text.split(":")[0] if not text.startswith("LR") else "a verdict" for text in texts]
        counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
        rows.append([name, counts, texts[0]])
    table(
        f"Comparisons that must not get a verdict without a remark, {CASES} of each kind",
        ["", "of them", "e.g."],
        rows,
    )

    rows = []
    for kind in KINDS:
        texts = [
            outcome(compare, recordings[n % len(recordings)], without_speech(kind, rng))
            for n in range(SIGNALS_OF_A_KIND)
        ]
        given = sum(text.startswith("LR") for text in texts)
        rows.append([kind, len(texts), sum(text.startswith("refused") for text in texts), given])
    table("Signals without speech against speech", ["kind", "signals", "refused", "got a verdict"], rows)

    header = ["sides", "trials", "EER", "Cllr (least)", "same-speaker misleading", "different-speaker misleading"]
    header += [
        "largest different-speaker LR",
        "trials that get a verdict",
        "misleading among them, different speakers",
    ]
    title = f"Conditions: {len(recordings)} recordings of {len(voices)} speakers, their first 6 s"
    table(title, header, conditions(recordings, speakers, compare))


if __name__ == "__main__":
    main()
