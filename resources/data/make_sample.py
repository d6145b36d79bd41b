"""Make the sample corpus: 24 synthetic voices, 8 short recordings of each, with the lists to train and score on.

The corpus lets every step of speaker recognition (embedding extraction, training, scoring) be shown and tested without
a download and without the recordings of any real person. It says nothing about how well a system works on real voices.

eSpeak NG speaks the sentences. A voice is an English accent, a voice variant, a pitch, a pitch range, a speed and a
vocal tract length. The vocal tract length is made here: eSpeak NG is asked for slower and lower speech, which is then
played faster (or the other way round), so the formants move while pitch and speed stay as they were. Two recordings of
a voice differ in sentence, speed, pitch, spectral tilt, background noise and level.

The script needs the `espeak-ng` program and the Python packages `av` and `numpy`. The same seed gives the same corpus,
as long as the versions of eSpeak NG and of the libraries (NumPy, FFmpeg, libopus) stay the same.

Usage:
    python make_sample.py                     # makes the folder `sample` again beside this script
    python make_sample.py --seed 7 /tmp/other # another draw, in another folder
"""

import argparse
import csv
import io
import itertools
import shutil
import subprocess
import sys
import wave
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

SAMPLING_RATE = 16000
BIT_RATE = 24000
RECORDINGS_PER_VOICE = 8
DEV_RECORDINGS = 4
COLUMNS = ("id", "audio", "speaker", "sex", "text")

# eSpeak NG's pitch option runs from 0 to 99; 50 is the variant's own pitch and 68 steps are an octave (as measured).
NEUTRAL_PITCH = 50
PITCH_STEPS_PER_OCTAVE = 68

# How much two recordings of one voice may differ.
SPEED_CHANGE = 0.05  # largest relative change
PITCH_CHANGE = 0.04  # largest relative change
TILT_DB_PER_OCTAVE = 2.0  # largest slope, up or down
SNR_DB = (15.0, 35.0)
LEVEL_DBFS = (-30.0, -18.0)  # of the RMS of the whole recording
PEAK_LIMIT = 0.9  # a recording that would go above this is made softer
PADDING_SECONDS = (0.1, 0.3)  # before and after the speech


@dataclass(frozen=True)
class Voice:
    """One synthetic speaker."""

    sex: str
    language: str  # eSpeak NG's name of the accent; British is `en`, as variants have no effect with `en-gb`
    variant: str  # eSpeak NG's name of the voice variant
    pitch: float  # relative to the variant's own pitch
    pitch_range: int  # percentage of the variant's own range
    speed: int  # words per minute
    formants: float  # formant frequencies relative to the variant's own: above 1 is a shorter vocal tract


TRAIN_VOICES = (
    Voice("male", "en-us", "m1", 0.92, 110, 160, 0.95),
    Voice("female", "en-us", "f1", 1.02, 100, 165, 0.97),
    Voice("male", "en", "m2", 1.20, 90, 180, 1.07),
    Voice("female", "en", "f2", 1.12, 130, 175, 1.05),
    Voice("male", "en-gb-scotland", "m3", 1.05, 140, 170, 1.00),
    Voice("female", "en-gb-x-rp", "f3", 0.95, 90, 155, 0.93),
    Voice("male", "en-us", "m8", 1.00, 90, 170, 0.97),
    Voice("female", "en-gb-scotland", "f4", 1.10, 120, 180, 1.02),
    Voice("male", "en-029", "m5", 1.10, 120, 165, 1.04),
    Voice("female", "en-029", "f5", 0.90, 110, 160, 1.00),
    Voice("male", "en-us-nyc", "m6", 0.98, 70, 190, 1.10),
    Voice("female", "en-us-nyc", "Annie", 1.05, 80, 185, 0.90),
    Voice("male", "en-gb-x-gbclan", "m7", 1.15, 100, 155, 0.93),
    Voice("female", "en-gb-x-gbclan", "linda", 0.85, 100, 170, 0.97),
    Voice("male", "en-gb-x-gbcwmd", "robert", 1.25, 90, 175, 1.13),
    Voice("female", "en-gb-x-gbcwmd", "steph", 1.15, 140, 165, 1.08),
)
TEST_VOICES = (
    Voice("male", "en-gb-x-rp", "m4", 0.88, 80, 150, 0.90),
    Voice("female", "en", "f1", 0.88, 120, 175, 1.06),
    Voice("male", "en", "Alex", 1.15, 120, 180, 1.06),
    Voice("female", "en-us", "f2", 0.92, 80, 160, 0.95),
    Voice("male", "en-gb-scotland", "quincy", 1.20, 130, 160, 0.92),
    Voice("female", "en-gb-x-rp", "belinda", 0.90, 110, 165, 1.00),
    Voice("male", "en-gb-x-rp", "m3", 0.86, 80, 150, 1.02),
    Voice("female", "en-us-nyc", "f4", 1.20, 100, 185, 1.10),
)

SENTENCES = (
    "The first train to the coast leaves just before seven.",
    "She put the blue cup back on the kitchen shelf.",
    "We walked along the river until the rain began.",
    "My neighbour grows tomatoes and beans behind the old garage.",
    "Please leave the parcel with the people next door.",
    "There was a long queue outside the bakery this morning.",
    "He reads the paper every evening after washing the dishes.",
    "The children built a small boat from wood and string.",
    "You can find fresh bread on the second shelf.",
    "They painted the front door a darker shade of green.",
    "Our bus was late because of work on the bridge.",
    "I usually drink my tea without any milk or sugar.",
    "The library closes at eight on Mondays and Thursdays.",
    "A grey cat was sleeping on the warm stone steps.",
    "Could you turn the music down a little, please?",
    "The meeting moved to a larger room on the third floor.",
    "He forgot his umbrella and came home completely soaked.",
    "Fresh snow covered the fields and the narrow country road.",
    "The shop on the corner sells stamps and writing paper.",
    "We should bring a warm jacket and a good map.",
    "Her brother repairs old clocks in a workshop near the station.",
    "The soup needs another ten minutes and a bit of salt.",
    "Most of the visitors come here during the summer holidays.",
    "An old photograph hung above the table in the hall.",
    "They planted two apple trees at the end of the garden.",
    "The window in the back room does not close properly.",
    "I will call you again when the plane has landed.",
    "Nobody noticed the small mistake on the second page.",
    "The path goes through the forest and down to the lake.",
    "It took us three hours to drive to the village.",
    "The teacher wrote a short list of words on the board.",
    "Some birds return to the same roof every single spring.",
)

README = """\
# Sample corpus of synthetic speech

{voices} synthetic voices say {per_voice} everyday English sentences each. There are {recordings} recordings, \
{minutes:.0f} minutes in all, in mono,
sampled at 16 kHz and stored as Opus in Ogg files of about 24 kbit/s. eSpeak NG (version {espeak}) spoke them, with a
different mix of accent, voice variant, pitch, speed and vocal tract length for each voice. Two recordings of a voice
differ in their sentence and a little in speed, pitch, spectral tilt, noise and level, as recordings of a person do.
The sentences of a voice are all different; different voices share sentences.

The corpus makes it possible to try and test each step of speaker recognition without a download. **These are not the
voices of people, and a result on them proves nothing about real voices.**

| File | What it contains | Voices (male + female) | Rows |
| --- | --- | --- | --- |
| `metadata.csv` | all recordings | {all_counts} |
| `train.csv` | recordings to train on | {train_counts} |
| `test.csv` | recordings to test on, of other voices | {test_counts} |
| `trials.csv` | each pair of test recordings: {same} of the same voice, {different} of different voices \
| {test_voices} | {trials} |
| `dev_trials.csv` | each pair among the first {dev_recordings} recordings of each voice of `train.csv`, to calibrate \
on | {dev_voices} | {dev_trials} |

The first three are comma-separated and have the columns `id`, `audio` (relative to this folder), `speaker`, `sex` and
`text`. The trials are tab-separated; their columns `enrollment` and `test` hold the `id` of the two recordings.

## Making it again

Install the `espeak-ng` program and the Python packages `av` and `numpy`, and run this:

```bash
python resources/data/make_sample.py --seed {seed}
```

The same seed gives the same corpus as long as the versions of eSpeak NG, NumPy, FFmpeg and libopus stay the same.

## Licence

The sentences were written for this project, and the audio was generated with eSpeak NG. The synthesiser is under the
GPL-3.0, which does not cover its output. The texts and the audio are released under the project's MIT licence.
"""


def run_espeak(*arguments: str) -> bytes:
    """Run eSpeak NG and return what it writes to its standard output."""
    if shutil.which("espeak-ng") is None:
        raise SystemExit("espeak-ng is not installed (on Debian and Ubuntu: apt-get install espeak-ng).")
    result = subprocess.run(["espeak-ng", *arguments], capture_output=True, check=False)
    if result.returncode != 0 or not result.stdout:
        raise SystemExit(f"espeak-ng {' '.join(arguments)} failed: {result.stderr.decode(errors='replace').strip()}")
    return result.stdout


def espeak_version() -> str:
    """Return the version of eSpeak NG, such as `1.51`."""
    # The line is like "eSpeak NG text-to-speech: 1.51  Data at: /usr/lib/espeak-ng-data".
    return run_espeak("--version").decode().split(":")[1].split()[0]


def check_voices(voices: Iterable[Voice]) -> None:
    """Stop if eSpeak NG would quietly speak with its default voice in place of a voice variant."""
    for voice in voices:
        language, name = voice.language, f"{voice.language}+{voice.variant}"
        spoken, *default = (run_espeak("-v", v, "--stdout", "test") for v in (name, language, f"{language}+none"))
        if spoken in default:
            raise SystemExit(f"this espeak-ng lacks the voice {name}.")


def synthesize(voice: Voice, text: str, speed_factor: float, pitch_factor: float) -> np.ndarray:
    """Return the text spoken by the voice, as samples at `SAMPLING_RATE` of any level."""
    # Speech played `formants` times faster has its formants, pitch and speed multiplied by that number; here pitch and
    # speed are divided by it beforehand.
    speed = voice.speed * speed_factor / voice.formants
    pitch = NEUTRAL_PITCH + PITCH_STEPS_PER_OCTAVE * np.log2(voice.pitch * pitch_factor / voice.formants)
    wav = run_espeak(
        "-v",
        f"{voice.language}+{voice.variant}",
        "-s",
        str(round(speed)),
        "-p",
        str(min(max(round(pitch), 0), 99)),
        "-z",
        "-m",
        f'<prosody range="{voice.pitch_range}%">{text}</prosody>',
        "--stdout",
    )
    with wave.open(io.BytesIO(wav)) as reader:
        rate = reader.getframerate()
        samples = np.frombuffer(reader.readframes(reader.getnframes()), dtype="<i2").astype(np.float32) / 32768
    return resample(samples, round(rate * voice.formants), SAMPLING_RATE)


def resample(samples: np.ndarray, source_rate: int, target_rate: int) -> np.ndarray:
    """Return mono samples at another sampling rate."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=target_rate)
    frames = resampler.resample(to_frame(samples, source_rate)) + resampler.resample(None)
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def to_frame(samples: np.ndarray, rate: int) -> av.AudioFrame:
    """Return mono samples as one audio frame."""
    frame = av.AudioFrame.from_ndarray(samples.astype(np.float32)[np.newaxis], format="flt", layout="mono")
    frame.sample_rate = rate
    return frame


def filter_spectrum(samples: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Return the samples with each frequency multiplied by its gain."""
    return np.fft.irfft(np.fft.rfft(samples) * gain, len(samples))


def rms(samples: np.ndarray) -> float:
    """Return the root mean square of the samples."""
    return float(np.sqrt(np.mean(np.square(samples))))


def record(speech: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the speech as a random microphone in a random, fairly quiet room would record it."""
    before, after = (round(rng.uniform(*PADDING_SECONDS) * SAMPLING_RATE) for _ in range(2))
    speech = np.pad(speech, (before, after))
    frequencies = np.fft.rfftfreq(len(speech), 1 / SAMPLING_RATE)

    # The tilt turns around 1 kHz and stops below 100 Hz.
    octaves = np.log2(np.maximum(frequencies, 100) / 1000)
    tilt = rng.uniform(-TILT_DB_PER_OCTAVE, TILT_DB_PER_OCTAVE)
    speech = filter_spectrum(speech, 10 ** (tilt * octaves / 20))

    white = rng.standard_normal(len(speech))
    cutoff = rng.uniform(100, 1000)
    low_passed = filter_spectrum(rng.standard_normal(len(speech)), 1 / np.sqrt(1 + (frequencies / cutoff) ** 2))
    white_share = rng.uniform(0.1, 0.9)
    noise = np.sqrt(white_share) * white / rms(white) + np.sqrt(1 - white_share) * low_passed / rms(low_passed)
    snr = rng.uniform(*SNR_DB)
    recording = speech + noise / rms(noise) * rms(speech) * 10 ** (-snr / 20)

    level = rng.uniform(*LEVEL_DBFS)
    gain = min(10 ** (level / 20) / rms(recording), PEAK_LIMIT / np.abs(recording).max())
    return recording * gain


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, which becomes `path` once all is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_opus(path: Path, samples: np.ndarray) -> None:
    """Write mono samples at `SAMPLING_RATE` as Opus in Ogg."""
    # Without `bitexact` each file would get a random serial number.
    with replacing(path) as part, av.open(str(part), "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=SAMPLING_RATE, layout="mono", options={"flags": "+bitexact"})
        stream.bit_rate = BIT_RATE
        frame = to_frame(samples, SAMPLING_RATE)
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]], delimiter: str = ",") -> None:
    """Write the rows as delimited text with a header."""
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def make_voice(
    output: Path, speaker: str, voice: Voice, rng: np.random.Generator
) -> tuple[list[dict[str, str]], float]:
    """Write the recordings of one voice; return their rows and how many seconds they last."""
    rows = []
    seconds = 0.0
    texts = rng.permutation(len(SENTENCES))[:RECORDINGS_PER_VOICE]
    for number, text in enumerate((SENTENCES[index] for index in texts), start=1):
        speed_factor = 1 + rng.uniform(-SPEED_CHANGE, SPEED_CHANGE)
        pitch_factor = 1 + rng.uniform(-PITCH_CHANGE, PITCH_CHANGE)
        recording = record(synthesize(voice, text, speed_factor, pitch_factor), rng)
        identifier = f"{speaker}/{speaker}-{number:02d}"
        audio = f"{identifier}.opus"
        write_opus(output / audio, recording)
        rows.append({"id": identifier, "audio": audio, "speaker": speaker, "sex": voice.sex, "text": text})
        seconds += len(recording) / SAMPLING_RATE
    return rows, seconds


def count_voices(voices: Sequence[Voice]) -> str:
    """Return the number of voices as text, such as `8 (4 + 4)`."""
    males = sum(voice.sex == "male" for voice in voices)
    return f"{len(voices)} ({males} + {len(voices) - males})"


def make_corpus(output: Path, seed: int) -> None:
    """Write the whole corpus to a folder."""
    voices = TRAIN_VOICES + TEST_VOICES
    version = espeak_version()
    check_voices(voices)

    rows: list[Mapping[str, str]] = []
    seconds = 0.0
    for number, voice in enumerate(voices, start=1):
        # Each voice has its own random numbers, so a change to one voice leaves the others as they were.
        rng = np.random.default_rng([seed, number])
        voice_rows, voice_seconds = make_voice(output, f"espeak{number:02d}", voice, rng)
        rows += voice_rows
        seconds += voice_seconds
        print(f"{number}/{len(voices)} voices", file=sys.stderr)

    first_test = len(TRAIN_VOICES) * RECORDINGS_PER_VOICE
    train, test = rows[:first_test], rows[first_test:]
    for name, part in (("metadata", rows), ("train", train), ("test", test)):
        write_table(output / f"{name}.csv", COLUMNS, ([row[column] for column in COLUMNS] for row in part))
    trials = list(itertools.combinations(test, 2))
    dev_rows = [row for number, row in enumerate(train) if number % RECORDINGS_PER_VOICE < DEV_RECORDINGS]
    dev = list(itertools.combinations(dev_rows, 2))
    for name, pairs in (("trials", trials), ("dev_trials", dev)):
        ids = ((first["id"], second["id"]) for first, second in pairs)
        write_table(output / f"{name}.csv", ("enrollment", "test"), ids, delimiter="\t")

    same = sum(first["speaker"] == second["speaker"] for first, second in trials)
    readme = README.format(
        voices=len(voices),
        per_voice=RECORDINGS_PER_VOICE,
        recordings=len(rows),
        minutes=seconds / 60,
        espeak=version,
        all_counts=f"{count_voices(voices)} | {len(rows)}",
        train_counts=f"{count_voices(TRAIN_VOICES)} | {len(train)}",
        test_counts=f"{count_voices(TEST_VOICES)} | {len(test)}",
        test_voices=count_voices(TEST_VOICES),
        dev_recordings=DEV_RECORDINGS,
        dev_voices=count_voices(TRAIN_VOICES),
        dev_trials=len(dev),
        same=same,
        different=len(trials) - same,
        trials=len(trials),
        seed=seed,
    )
    with replacing(output / "README.md") as part:
        part.write_text(readme, encoding="utf-8")


def main() -> None:
    """Read the command line and make the corpus."""
    parser = argparse.ArgumentParser(description="Make the sample corpus of synthetic speech with eSpeak NG.")
    parser.add_argument(
        "output",
        type=Path,
        nargs="?",
        default=Path(__file__).resolve().parent / "sample",
        help="folder to write to; files of the same name are replaced (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of all random choices (default: %(default)s)")
    arguments = parser.parse_args()
    make_corpus(arguments.output, arguments.seed)


if __name__ == "__main__":
    main()
