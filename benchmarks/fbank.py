"""Kaldi filter banks: ours, compared with one recording at a time as in torchaudio's compliance module.

That module computes the window, the mel filters and a strided copy of the frames for each recording again, and
pre-emphasis by padding. It is written out here because this package does not need torchaudio itself.
"""

import math

import numpy as np
import torch
from measuring import against, seconds_in_turns, table
from torch.nn import functional as F

from balr_hf import WespeakerFeatureExtractor
from balr_hf.threads import on_threads

RATE, WINDOW, SHIFT, FFT, MELS, BATCH = 16_000, 400, 160, 512, 80, 8


def mel_filters() -> torch.Tensor:
    """Give the triangles that are evenly spaced on the mel scale: `(mels, frequencies)`."""

    def mel(hertz):
        return 1127.0 * (1.0 + hertz / 700.0).log()

    low, high = (1127.0 * math.log(1.0 + hertz / 700.0) for hertz in (20.0, RATE / 2))
    delta = (high - low) / (MELS + 1)
    number = torch.arange(MELS).unsqueeze(1)
    left, centre, right = (low + (number + step) * delta for step in (0.0, 1.0, 2.0))
    points = mel(RATE / FFT * torch.arange(FFT // 2)).unsqueeze(0)
    up, down = (points - left) / (centre - left), (right - points) / (right - centre)
    return F.pad(torch.max(torch.zeros(1), torch.min(up, down)), (0, 1))


def as_torchaudio(waveform: torch.Tensor) -> torch.Tensor:
    """Give the features of one recording, with everything computed from scratch: `(frames, mels)`."""
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
    return logs - logs.mean(0)


def main() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.uniform(2, 20, 64) * RATE
    waveforms = [torch.from_numpy(0.1 * rng.standard_normal(int(n)).astype(np.float32)) for n in lengths]
    extractor, audio = WespeakerFeatureExtractor(), sum(map(len, waveforms)) / RATE

    def ours(*waveforms: torch.Tensor) -> torch.Tensor:
        return extractor(waveforms, 16000)["input_features"]

    # Features are dropped once they are made, as after a model has used them: new memory costs more than arithmetic.
    runs = (
        lambda: [as_torchaudio(w).shape for w in waveforms],
        lambda: [ours(w).shape for w in waveforms],
        lambda: on_threads(lambda w: ours(w).shape, waveforms),
        lambda: [ours(*waveforms[n : n + BATCH]).shape for n in range(0, len(waveforms), BATCH)],
    )
    base, alone, threads, batches = (audio / fastest for fastest in seconds_in_turns(runs, 15))
    rows = [
        ["one recording after the other, as torchaudio", f"{base:,.0f}", ""],
        ["one recording after the other", f"{alone:,.0f}", against(alone / base, 3)],
        ["one recording per thread, as extraction does", f"{threads:,.0f}", against(threads / base, 3)],
        [f"padded batches of {BATCH}", f"{batches:,.0f}", f"{batches / base:.1f}x"],
    ]
    table(f"Filter banks: {audio:.0f} s of audio", ["", "seconds of audio per second", "ratio"], rows)
    error = max(float((as_torchaudio(waveform) - ours(waveform)[0]).abs().max()) for waveform in waveforms)
    print(f"\nLargest difference: {error:.1e}")


if __name__ == "__main__":
    main()
