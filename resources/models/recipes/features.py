"""Compute the filter banks that the embedder is trained on: of the recordings as they are, and of degraded copies.

A view is the training part at one speed and in one state. The degraded views bring each recording to conditions that
are drawn by its name: telephone or other codecs, noise, babble of other speakers, a room, clipping, a narrow band.
Each view is one file of float16 log mel energies before the removal of their mean, so that crops can be cut from it.

Usage:
    python -m recipes.features WORK_FOLDER VIEW...      (of VIEWS; without one, all that are not there yet)

It takes less than a core-minute for a view as it is, 6 for a degraded one, and 220 MB each. Rooms need the package
pyroomacoustics.
"""

import argparse
import functools
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from balr_hf.audio import AudioError
from balr_hf.conditions import Condition, recording_seed
from balr_hf.embeddings.feature_extraction_wespeaker import WespeakerFeatureExtractor

from .corpus import Recordings, recordings
from .processes import processes
from .speed import at_speed

FRAME_SHIFT = 20  # ms: half as many frames as usual, which halves the time of training and of use
EXTRACTOR = WespeakerFeatureExtractor(frame_shift=FRAME_SHIFT, normalize_mean=False)

# The training part at a speed, as it is (draw 0) or degraded by a draw of conditions.
VIEWS = {
    "clean": (1.0, 0),
    "degraded-1": (1.0, 1),
    "degraded-2": (1.0, 2),
    "slow": (0.9, 0),
    "fast": (1.1, 0),
    "slow-degraded": (0.9, 3),
    "fast-degraded": (1.1, 4),
}
TELEPHONE_CODECS = ("mulaw", "alaw", "amr:4.75k", "amr:7.4k", "amr:12.2k")
OTHER_CODECS = ("opus:6k", "opus:8k", "opus:12k", "opus:16k", "mp3:16k", "mp3:24k", "mp3:32k", "aac:16k", "aac:24k")
NOISES = ("babble", "babble", "recorded", "recorded", "pink", "white", "hum")
REVERBERATION = (0.3, 0.6)  # seconds
VOICES_FROM = ("librispeech", "speechocean762", "picovoice_intent")  # licences that allow to mix; wuw2 is share-alike


@dataclass(frozen=True)
class Background:
    """What is mixed in: recordings of noise, and the training part, from which babble is drawn."""

    noises: list[np.ndarray]
    speech: Recordings
    voices: np.ndarray

    @classmethod
    def of(cls, work: Path, speech: Recordings) -> "Background":
        """Read the recordings of noise."""
        noise = recordings(work, "noise")
        voices = np.flatnonzero(np.isin(speech.columns["source"], VOICES_FROM))
        return cls([noise.waveform(row) for row in range(len(noise))], speech, voices)


def draw_condition(generator: np.random.Generator) -> Condition:
    """Draw what becomes of a recording; never nothing at all."""
    while True:
        values: dict[str, str | float] = {}
        channel = generator.random()
        if channel < 0.4:
            values["codec"] = str(generator.choice(TELEPHONE_CODECS))
            if generator.random() < 0.6:
                values["band"] = "telephone"
        elif channel < 0.65:
            values["codec"] = str(generator.choice(OTHER_CODECS))
        elif channel < 0.75:
            values["band"] = str(int(generator.integers(20, 65)) * 100)
        if generator.random() < 0.65:
            values["snr"] = float(generator.integers(0, 26))
            values["noise"] = str(generator.choice(NOISES))
        if generator.random() < 0.2:
            values["reverb"] = float(generator.choice(REVERBERATION))
        if generator.random() < 0.1:
            values["clipping"] = float(generator.choice([0.01, 0.03, 0.1]))
        if values:
            return Condition(**values)  # type: ignore[arg-type]


def degraded(waveform: np.ndarray, row: int, draw: int, background: Background) -> np.ndarray:
    """Bring a recording to the condition that its name and the number of the draw decide."""
    name, speakers = str(background.speech.columns["id"][row]), background.speech.columns["speaker"]
    seed = recording_seed(name, draw)
    generator = np.random.default_rng([draw, zlib.crc32(name.encode())])
    condition = draw_condition(generator)
    others = background.voices[(speakers[background.voices] != speakers[row]) | (speakers[background.voices] == "")]
    voices = [background.speech.waveform(int(other)) for other in generator.choice(others, 8, replace=False)]
    try:
        return condition.apply(waveform, seed, voices=voices, noises=background.noises)
    except AudioError:  # it is noisier already than the condition would make it
        quiet = Condition(codec="mulaw" if condition.codec is None else condition.codec, reverb=condition.reverb)
        return quiet.apply(waveform, seed)


def filter_banks(waveform: np.ndarray) -> np.ndarray:
    """Log mel energies before the removal of their mean, float16 `(frames, 80)`."""
    return EXTRACTOR([waveform], sampling_rate=EXTRACTOR.sampling_rate)["input_features"][0].numpy().astype(np.float16)


class Views:
    """Makes the filter banks of one recording in one view; every process has its own."""

    def __init__(self, work: Path):
        self.corpus = recordings(work, "train")
        self.background = Background.of(work, self.corpus)

    def banks(self, view: str, row: int) -> np.ndarray:
        """The filter banks of a recording, float16 `(frames, 80)`."""
        speed, draw = VIEWS[view]
        waveform = self.corpus.waveform(row)
        if speed != 1.0:
            waveform = at_speed(waveform, speed)
        if draw:
            waveform = degraded(waveform, row, draw, self.background)
        return filter_banks(waveform)


def _begin(work: Path) -> None:
    global _views
    torch.set_num_threads(1)
    _views = Views(work)


def _banks(view: str, row: int) -> np.ndarray:
    return _views.banks(view, row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder that recipes.audio has written")
    parser.add_argument("views", nargs="*", choices=[[], *VIEWS], help="which ones; without any, those still missing")
    parser.add_argument("--processes", type=int, default=1, help="how many share the work")
    arguments = parser.parse_args()
    number = len(recordings(arguments.work, "train"))
    with processes(arguments.processes, initializer=_begin, initargs=(arguments.work,)) as pool:
        for view in arguments.views or VIEWS:
            path, partial = arguments.work / f"{view}.f16", arguments.work / f"{view}.f16.part"
            if path.exists() and not arguments.views:
                continue
            frames = []
            with partial.open("wb") as file:
                for banks in tqdm(
                    pool.map(functools.partial(_banks, view), range(number), chunksize=16), view, number
                ):
                    file.write(banks.tobytes())
                    frames.append(len(banks))
            np.save(arguments.work / f"{view}.frames.npy", np.array(frames))
            partial.rename(path)


if __name__ == "__main__":
    main()
