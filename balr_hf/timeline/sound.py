"""The sound of a recording for a page: a WAV file, so that each stretch can be found exactly."""

import base64
import io
import wave

import numpy as np


def wav(samples: np.ndarray, sampling_rate: int) -> bytes:
    """The samples as a file: WAV, 16 bits, mono.

    Args:
        samples (`np.ndarray` of shape `(samples,)`): floats; those outside [-1, 1] are clipped.
        sampling_rate (int): in Hz.
    """
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sampling_rate)
        file.writeframes(np.round(np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes())
    return content.getvalue()


def data_address(content: bytes) -> str:
    """An address that holds a WAV file itself, for the `src` of a player."""
    return f"data:audio/wav;base64,{base64.b64encode(content).decode('ascii')}"
