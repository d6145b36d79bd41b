"""Kaldi filter banks: ours, against one recording at a time as torchaudio's compliance module does it.

That computes the window, the mel filters and a strided copy of the frames anew for each recording, and pre-emphasis by
padding; it is written out here, since torchaudio itself is not needed by this package.
"""

import math

import numpy as np
import torch
from measuring import against, seconds, table
from torch.nn import functional as F

from balr_hf import WespeakerFeatureExtractor
from balr_hf.embeddings.extraction import on_threads

RATE, WINDOW, SHIFT, FFT, MELS = 16_000, 400, 160, 512, 80


def mel_filters() -> torch.Tensor:
    """Triangles that are even on the mel scale: `(mels, frequencies)`."""

    def mel(hertz):
        return 1127.0 * (1.0 + hertz / 700.0).log()

    low, high = (1127.0 * math.log(1.0 + hertz / 700.0) for hertz in (20.0, RATE / 2))
    delta = (high - low) / (MELS + 1)
    number = torch.arange(MELS).unsqueeze(1)
    left, centre, right = (low + (number + step) * delta for step in (0.0, 1.0, 2.0))
    points = mel(RATE / FFT * torch.arange(FFT // 2)).unsqueeze(0)
    up, down = (points - left) / (centre - left), (right - points) / (right - centre)
    return F.pad(torch.max(torch.zeros(1), torch.min(up, down)), (0, 1))


def one_by_one(waveforms: list[torch.Tensor]) -> list[torch.Tensor]:
    """Each recording by itself, everything computed anew."""
    features = []
    for waveform in waveforms:
        waveform = waveform * 32768
        frames = 1 + (len(waveform) - WINDOW) // SHIFT
        strided = waveform.as_strided((frames, WINDOW), (SHIFT, 1))
        strided = strided - strided.mean(1, keepdim=True)
        torch.max(strided.pow(2).sum(1), torch.tensor(torch.finfo(torch.float).eps)).log()  # the raw energy
        shifted = F.pad(strided.unsqueeze(0), (1, 0), mode="replicate").squeeze(0)
        strided = strided - 0.97 * shifted[:, :-1]
        strided = strided * torch.hamming_window(WINDOW, periodic=False, alpha=0.54, beta=0.46).unsqueeze(0)
        spectrum = torch.fft.rfft(F.pad(strided, (0, FFT - WINDOW))).abs().pow(2.0)
        energies = torch.mm(spectrum, mel_filters().T)
        logs = torch.max(energies, torch.tensor(torch.finfo(torch.float).eps)).log()
        features.append(logs - logs.mean(0))
    return features


def main() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.uniform(2, 20, 64) * RATE
    waveforms = [torch.from_numpy(0.1 * rng.standard_normal(int(n)).astype(np.float32)) for n in lengths]
    extractor, audio = WespeakerFeatureExtractor(), sum(map(len, waveforms)) / RATE

    def alone() -> list[torch.Tensor]:
        return on_threads(lambda waveform: extractor([waveform])["input_features"][0], waveforms)

    error = max(float((a - b).abs().max()) for a, b in zip(one_by_one(waveforms), alone(), strict=True))
    base = seconds(lambda: one_by_one(waveforms), 5)
    ours = seconds(alone, 5)
    batch = seconds(lambda: extractor(waveforms), 5)
    rows = [
        ["one by one, as torchaudio", f"{audio / base:,.0f}", ""],
        ["one batch, padded", f"{audio / batch:,.0f}", f"{base / batch:.1f}x"],
        ["a recording a thread, as extraction does", f"{audio / ours:,.0f}", against(base / ours, 3)],
    ]
    table(f"Filter banks: {audio:.0f} s of audio", ["", "seconds of audio a second", "ratio"], rows)
    print(f"\nLargest difference: {error:.1e}")


if __name__ == "__main__":
    main()
