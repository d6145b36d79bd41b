"""What is no recording of speech: refused before anything is computed of it."""

from balr_hf.quality.level import LEAST
from balr_hf.quality.recording_quality import RecordingQuality

# Seconds of net speech that a recording needs by default, to be embedded or compared.
MIN_SPEECH = 0.5
# Decibels relative to full scale: below, there is less than the last bit of 16.
SILENCE = -90.0


def reason_to_refuse(quality: RecordingQuality, min_speech: float = MIN_SPEECH) -> str | None:
    """Why a recording is refused; None if it is not.

    Args:
        quality: its measures.
        min_speech (float): seconds of net speech that it needs; 0 takes anything that is not silent.
    """
    if quality.level <= LEAST:
        return "digital silence"
    if quality.level < SILENCE:
        return f"silence: its level is {quality.level:.0f} dBFS, below the last bit of 16 ({SILENCE:.0f} dBFS)"
    if quality.net_speech < min_speech:
        return (
            f"{'too little' if quality.net_speech else 'no'} speech: {quality.net_speech:.1f} s of at least "
            f"{min_speech:g} s, in a recording of {quality.duration:.1f} s"
        )
    return None
