"""Embed every recording with the teacher, the GE2E encoder of the package resemblyzer 0.1.4 (Apache-2.0).

Only the weights of the package are needed (`pretrained.pt` in its wheel): the network is four lines of torch, and its
mel spectrogram is computed here as librosa computes it, because the package asks for libraries that are built from
source. Recordings below -30 dBFS are raised to it, as the package does; its removal of silence is left out, because
the recordings have been trimmed. An embedding is the mean of those of windows of 1.6 s, one every 0.8 s, of length 1.

Usage:
    pip install --no-deps --target teacher resemblyzer==0.1.4
    python -m recipes.teacher WORK_FOLDER teacher/resemblyzer/pretrained.pt
    python -m recipes.teacher WORK_FOLDER teacher/resemblyzer/pretrained.pt --speed 0.9

It takes about 4 core-minutes for the recordings, and 3 for each speed.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from transformers.audio_utils import mel_filter_bank

from .corpus import recordings
from .speed import at_speed

RATE, WINDOW, HOP = 16_000, 400, 160
FRAMES, STEP = 160, 80  # of a window that is embedded, and between two of them
LOUDNESS = -30.0  # dBFS
SPEEDS = (0.9, 1.1)


class Teacher(torch.nn.Module):
    """Three LSTM layers over 40 mel bands; the embedding is the last state, projected, rectified, of length 1."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(40, 256, 3, batch_first=True)
        self.linear = torch.nn.Linear(256, 256)
        filters = mel_filter_bank(WINDOW // 2 + 1, 40, 0.0, RATE / 2, RATE, norm="slaney", mel_scale="slaney")
        self.register_buffer("filters", torch.tensor(filters, dtype=torch.float32), persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)

    def mel(self, waveform: torch.Tensor) -> torch.Tensor:
        """Compute the mel spectrogram `(frames, 40)` of a waveform `(samples,)`, as librosa does."""
        spectrum = torch.stft(
            waveform, WINDOW, HOP, WINDOW, self.window, center=True, pad_mode="constant", return_complex=True
        )
        return spectrum.abs().square().T @ self.filters

    def forward(self, mels: torch.Tensor) -> torch.Tensor:
        """Embed windows `(windows, frames, 40)`."""
        _, (hidden, _) = self.lstm(mels)
        return F.normalize(F.relu(self.linear(hidden[-1])), dim=1)

    @classmethod
    def load(cls, path: Path) -> "Teacher":
        """Read the weights of the package."""
        state = torch.load(path, map_location="cpu", weights_only=True)["model_state"]
        teacher = cls()
        teacher.load_state_dict({name: value for name, value in state.items() if name.startswith(("lstm", "linear"))})
        return teacher.eval()


def windows(mel: torch.Tensor) -> torch.Tensor:
    """Cut a spectrogram into windows `(windows, FRAMES, 40)` that cover it; the last one ends where it ends."""
    if len(mel) < FRAMES:
        mel = F.pad(mel, (0, 0, 0, FRAMES - len(mel)))
    starts = list(range(0, len(mel) - FRAMES + 1, STEP))
    if starts[-1] + FRAMES + STEP // 2 <= len(mel):
        starts.append(len(mel) - FRAMES)
    return torch.stack([mel[start : start + FRAMES] for start in starts])


def loud(waveform: np.ndarray) -> np.ndarray:
    """Raise a waveform to the loudness that the teacher expects, if it is below."""
    rms = float(np.sqrt(np.mean(np.square(waveform))))
    return waveform * max(1.0, 10 ** (LOUDNESS / 20) / max(rms, 1e-9))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder that recipes.audio has written")
    parser.add_argument("weights", type=Path, help="pretrained.pt of resemblyzer 0.1.4")
    parser.add_argument("--speed", type=float, choices=SPEEDS, help="embed the training part at this speed instead")
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    teacher = Teacher.load(arguments.weights)
    corpus = recordings(arguments.work, *(("train",) if arguments.speed else ("train", "dev", "test")))
    embeddings = np.zeros((len(corpus), 256), np.float32)
    with torch.inference_mode():
        for first in range(0, len(corpus), 32):
            rows = range(first, min(first + 32, len(corpus)))
            cut = []
            for row in rows:
                waveform = corpus.waveform(row)
                if arguments.speed:
                    waveform = at_speed(waveform, arguments.speed)
                cut.append(windows(teacher.mel(torch.from_numpy(loud(waveform)))))
            means = [part.mean(0) for part in teacher(torch.cat(cut)).split([len(part) for part in cut])]
            embeddings[first : first + len(rows)] = F.normalize(torch.stack(means), dim=1).numpy()
            if first % 1024 == 0:
                print(f"{first} of {len(corpus)}", flush=True)
    name = f"teacher-{arguments.speed}.npz" if arguments.speed else "teacher.npz"
    np.savez(arguments.work / name, id=corpus.columns["id"], part=corpus.columns["part"], embedding=embeddings)


if __name__ == "__main__":
    main()
