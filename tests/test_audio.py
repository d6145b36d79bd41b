import io
import struct
import unicodedata
import wave
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
import torch

from balr_hf.audio import AudioError, count_channels, load_audio, open_audio

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}

# Encoder and sample format of each file; the container is that of the ending.
LOSSLESS = [
    ("u8.wav", "pcm_u8", "u8"),
    ("s16.wav", "pcm_s16le", "s16"),
    ("s24.wav", "pcm_s24le", "s32"),
    ("s32.wav", "pcm_s32le", "s32"),
    ("f32.wav", "pcm_f32le", "flt"),
    ("f64.wav", "pcm_f64le", "dbl"),
    ("s16.flac", "flac", "s16"),
    ("s24.flac", "flac", "s32"),
    ("alac.m4a", "alac", "s16p"),
]
LOSSY = [
    ("mulaw.wav", "pcm_mulaw", "s16"),
    ("lame.mp3", "libmp3lame", "fltp"),
    ("lame_s16.mp3", "libmp3lame", "s16p"),
    ("aac.m4a", "aac", "fltp"),
    ("opus.ogg", "libopus", "flt"),
    ("opus_s16.opus", "libopus", "s16"),
    ("wma2.wma", "wmav2", "fltp"),
]


def tone(frequency: float = 440, rate: int = 16000, seconds: float = 1.0, level: float = 0.5) -> np.ndarray:
    return level * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)


def write_audio(path, channels, rate: int, codec: str, sample_format: str):
    """Encode `channels`, float `(channels, samples)` in [-1, 1]."""
    channels = np.atleast_2d(np.asarray(channels, dtype=np.float64))
    layout = LAYOUTS[len(channels)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout, format=sample_format)
        if codec == "wmav2":
            stream.bit_rate = 96_000
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(channels), format="dblp", layout=layout)
        frame.sample_rate = rate
        stream.open()
        converter = av.AudioResampler(sample_format, layout, rate, frame_size=stream.codec_context.frame_size or 1024)
        for part in [*converter.resample(frame), *converter.resample(None)]:
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


def write_s16(path, samples, rate: int = 16000):
    """Write 16-bit integers `(samples,)` or `(samples, channels)` as they are."""
    samples = np.asarray(samples, dtype="<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def frequency_and_level(samples: np.ndarray, rate: int = 16000) -> tuple[float, float]:
    """The strongest frequency in Hz and the amplitude of a sine of that power, away from the ends."""
    middle = samples[rate // 10 : -rate // 10]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), n=8 * len(middle)))
    return np.argmax(spectrum) * rate / (8 * len(middle)), np.sqrt(2 * np.mean(middle**2))


# --- every format, rate and channel count ---


@pytest.mark.parametrize("rate, channels", [(8000, 1), (16000, 1), (22050, 6), (44100, 2), (48000, 2)])
@pytest.mark.parametrize("name, codec, sample_format", LOSSLESS)
def test_lossless_formats_keep_a_tone(tmp_path, name, codec, sample_format, rate, channels):
    path = write_audio(tmp_path / name, [tone(rate=rate)] * channels, rate, codec, sample_format)
    samples = load_audio(path)
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert abs(len(samples) - 16000) <= 1
    frequency, level = frequency_and_level(samples)
    assert abs(frequency - 440) < 1
    assert level == pytest.approx(0.5, rel=0.01)


@pytest.mark.parametrize("rate, channels", [(16000, 1), (44100, 2), (48000, 1)])
@pytest.mark.parametrize("name, codec, sample_format", LOSSY)
def test_lossy_formats_keep_a_tone(tmp_path, name, codec, sample_format, rate, channels):
    if codec == "libopus" and rate == 44100:
        rate = 24000  # Opus has no 44.1 kHz
    path = write_audio(tmp_path / name, [tone(rate=rate)] * channels, rate, codec, sample_format)
    samples = load_audio(path)
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert abs(len(samples) / 16000 - 1) < 0.15, "encoders pad and delay, by less than three of their frames"
    frequency, level = frequency_and_level(samples)
    assert abs(frequency - 440) < 1
    assert level == pytest.approx(0.5, rel=0.06)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_wanted_rate_is_delivered(tmp_path, rate):
    path = write_audio(tmp_path / "a.wav", tone(rate=22050), 22050, "pcm_s16le", "s16")
    samples = load_audio(path, rate)
    assert abs(len(samples) - rate) <= 1
    assert abs(frequency_and_level(samples, rate)[0] - 440) < 1


def test_resampling_removes_what_the_wanted_rate_cannot_hold(tmp_path):
    path = write_audio(tmp_path / "a.wav", tone(11000, 44100), 44100, "pcm_s16le", "s16")
    assert np.abs(load_audio(path)[1600:-1600]).max() < 0.005


def test_samples_at_the_wanted_rate_are_not_touched(tmp_path):
    values = np.array([-32768, -16384, -1, 0, 1, 16384, 32767] * 100)
    np.testing.assert_array_equal(load_audio(write_s16(tmp_path / "a.wav", values)), (values / 32768).astype("f4"))


@pytest.mark.parametrize("name, codec, sample_format", LOSSLESS)
def test_stereo_is_averaged(tmp_path, name, codec, sample_format):
    left, right = tone(440, level=0.6), tone(1000, level=0.25)
    channels = {"both": [left, right], "left": left, "right": right}
    loaded = {}
    for side, samples in channels.items():
        (tmp_path / side).mkdir()
        loaded[side] = load_audio(write_audio(tmp_path / side / name, samples, 16000, codec, sample_format))
    np.testing.assert_allclose(loaded["both"], (loaded["left"] + loaded["right"]) / 2, atol=1e-6)
    assert np.abs(loaded["both"] - loaded["left"]).max() > 0.1


def test_opposite_channels_cancel(tmp_path):
    left = np.round(10000 * tone()).astype(int)
    assert (load_audio(write_s16(tmp_path / "a.wav", np.stack([left, -left], 1))) == 0).all()


def test_six_channels_are_averaged(tmp_path):
    values = np.tile(np.array([6000, 0, -3000, 9000, 0, 0]), (1000, 1))
    np.testing.assert_array_equal(load_audio(write_s16(tmp_path / "a.wav", values)), np.float32(2000 / 32768))


def test_shipped_recordings_are_speech(sample):
    samples = load_audio(sample / "espeak01" / "espeak01-01.opus")
    assert 1 < len(samples) / 16000 < 6
    assert 0.01 < np.sqrt(np.mean(samples**2)) < 0.3 and np.abs(samples).max() <= 1


# --- what a recording can come as ---


@pytest.fixture
def recording(tmp_path):
    return write_audio(tmp_path / "tone.flac", [tone(rate=44100)] * 2, 44100, "flac", "s16")


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(str, id="str"),
        pytest.param(lambda path: path.read_bytes(), id="bytes"),
        pytest.param(lambda path: bytearray(path.read_bytes()), id="bytearray"),
        pytest.param(lambda path: memoryview(path.read_bytes()), id="memoryview"),
        pytest.param(lambda path: {"path": str(path), "bytes": None}, id="row with a path"),
        pytest.param(lambda path: {"path": "elsewhere.flac", "bytes": path.read_bytes()}, id="row with bytes"),
        pytest.param(lambda path: {"path": str(path)}, id="path alone"),
        pytest.param(lambda path: {"bytes": path.read_bytes()}, id="bytes alone"),
    ],
)
def test_every_kind_of_source_gives_the_same_samples(recording, wrap):
    np.testing.assert_array_equal(load_audio(wrap(recording)), load_audio(recording))


def test_encoded_bytes_need_no_name(tmp_path):
    path = write_audio(tmp_path / "a.mp3", tone(rate=44100), 44100, "libmp3lame", "fltp")
    assert abs(frequency_and_level(load_audio({"bytes": path.read_bytes(), "path": None}))[0] - 440) < 1


@pytest.mark.parametrize("make", [list, np.array, torch.tensor, lambda x: np.array(x, dtype=np.float32)])
def test_decoded_row_is_resampled_as_its_file_is(tmp_path, make):
    source = np.round(32768 * tone(rate=44100)) / 32768
    path = write_s16(tmp_path / "a.wav", 32768 * source, 44100)
    samples = load_audio({"array": make(source), "sampling_rate": 44100, "path": None})
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, load_audio(path), atol=1e-6)


def test_decoded_row_wins_over_its_path():
    row = {"array": np.ones(10), "sampling_rate": 16000, "path": "not/here.wav"}
    np.testing.assert_array_equal(load_audio(row), np.ones(10))


def test_channels_of_a_decoded_row_are_averaged():
    channels = np.stack([tone(440), tone(1000)])
    samples = load_audio({"array": channels, "sampling_rate": 16000})
    np.testing.assert_allclose(samples, channels.mean(0), atol=1e-6)


@pytest.mark.parametrize("dtype, full_scale, zero", [("i2", 2**15, 0), ("i4", 2**31, 0), ("u1", 2**7, 2**7)])
def test_decoded_integers_become_fractions_of_full_scale(dtype, full_scale, zero):
    wanted = np.array([-1, -0.5, 0, 0.25])
    array = (wanted * full_scale + zero).astype(dtype)
    np.testing.assert_allclose(load_audio({"array": array, "sampling_rate": 16000}), wanted, atol=1e-7)


def test_sphere_file_is_read(tmp_path):
    """As TIMIT and NIST's evaluations have them, often named .wav."""
    samples = np.round(10000 * tone()).astype("<i2")
    fields = ["channel_count -i 1", "sample_rate -i 16000", "sample_n_bytes -i 2", "sample_byte_format -s2 01"]
    fields += ["sample_coding -s3 pcm", f"sample_count -i {len(samples)}", "end_head"]
    header = "\n".join(["NIST_1A", "   1024", *fields, ""]).encode().ljust(1024)
    (tmp_path / "a.wav").write_bytes(header + samples.tobytes())
    np.testing.assert_array_equal(load_audio(tmp_path / "a.wav"), samples / np.float32(32768))


def test_audio_decoder_is_read():
    class Decoder:  # what torchcodec's AudioDecoder has
        def get_all_samples(self):
            data = torch.from_numpy(np.stack([tone(rate=48000), tone(rate=48000, level=0.1)])).float()
            return SimpleNamespace(data=data, sample_rate=48000)

    samples = load_audio(Decoder())
    assert samples.shape == (16000,) and samples.dtype == np.float32
    frequency, level = frequency_and_level(samples)
    assert abs(frequency - 440) < 1 and level == pytest.approx(0.3, rel=0.01)


def test_relative_name_with_a_colon_is_a_file(tmp_path, monkeypatch):
    write_s16(tmp_path / "2024-01-01T10:30.wav", np.ones(1600))
    monkeypatch.chdir(tmp_path)
    assert len(load_audio("2024-01-01T10:30.wav")) == 1600


def test_name_that_is_not_utf8_is_a_file(tmp_path):
    path = tmp_path / b"caf\xe9.wav".decode(errors="surrogateescape")
    assert len(load_audio(write_s16(path, np.ones(1600)))) == 1600


def test_tags_in_another_encoding_do_not_matter(tmp_path):
    path = write_s16(tmp_path / "a.wav", np.ones(1600))
    content = path.read_bytes()
    tags = b"LIST" + struct.pack("<I", 16) + b"INFOINAM" + struct.pack("<I", 4) + b"\xe9\xe8\xff\0"
    path.write_bytes(
        content[:4] + struct.pack("<I", len(content) + len(tags) - 8) + content[8:12] + tags + content[12:]
    )
    assert len(load_audio(path)) == 1600


# --- what is refused ---


@pytest.mark.parametrize("there, named", [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_file_whose_name_looks_the_same_is_told(tmp_path, there, named):
    """Names of files from macOS and in a csv from elsewhere may differ so."""
    on_disk, wanted = (tmp_path / unicodedata.normalize(form, "Zo\u00eb.wav") for form in (there, named))
    on_disk.write_bytes(b"RIFF")
    if wanted.exists():
        pytest.skip("the file system takes both for one name")
    with pytest.raises(AudioError, match=f"file not found: .*looks the same, with accents in Unicode's form {there}"):
        load_audio(wanted)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(AudioError, match=f"file not found: {tmp_path}/nowhere.wav"):
        load_audio(tmp_path / "nowhere.wav")


def test_folder_is_refused(tmp_path):
    with pytest.raises(AudioError, match="is a folder"):
        load_audio(tmp_path)


@pytest.mark.parametrize("as_bytes", [False, True])
def test_empty_file_is_refused(tmp_path, as_bytes):
    path = tmp_path / "a.wav"
    path.touch()
    with pytest.raises(AudioError, match="empty file"):
        load_audio(path.read_bytes() if as_bytes else path)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.opus", "a.m4a", "a.wma"])
def test_text_named_as_audio_is_refused(tmp_path, name):
    (tmp_path / name).write_text("This is a text, whatever its name says.\n" * 200)
    with pytest.raises(AudioError, match=r"not audio that FFmpeg can read|has no audio samples"):
        load_audio(tmp_path / name)


def test_list_of_other_files_is_refused(tmp_path):
    """FFmpeg would open the files that such a text names: a recording must not reach beyond itself."""
    write_s16(tmp_path / "other.wav", np.ones(16000))
    (tmp_path / "list.wav").write_text("ffconcat version 1.0\nfile other.wav\n")
    with pytest.raises(AudioError):
        load_audio(tmp_path / "list.wav")


def test_video_without_sound_is_refused(tmp_path):
    path = tmp_path / "film.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10, width=32, height=32, pix_fmt="yuv420p")
        for _ in range(3):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), dtype=np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(AudioError, match="no audio stream"):
        load_audio(path)


def test_header_without_samples_is_refused(tmp_path):
    with pytest.raises(AudioError, match="no audio samples"):
        load_audio(write_s16(tmp_path / "a.wav", np.zeros(0)))


def test_unknown_codec_is_refused(tmp_path):
    path = write_s16(tmp_path / "a.wav", np.ones(1600))
    content = path.read_bytes()
    with pytest.raises(AudioError):
        load_audio(content.replace(b"fmt \x10\0\0\0\x01\0", b"fmt \x10\0\0\0\x99\x99"))


@pytest.fixture(scope="module")
def flac(tmp_path_factory) -> bytes:
    """Three seconds of sound that is hard to compress."""
    folder = tmp_path_factory.mktemp("flac")
    noise = 0.3 * np.random.default_rng(0).uniform(-1, 1, 3 * 16000)
    return write_audio(folder / "noise.flac", noise, 16000, "flac", "s16").read_bytes()


def test_uncut_flac_is_read_whole(flac):
    assert len(load_audio(flac)) == 3 * 16000


@pytest.mark.parametrize(
    "share", [0.0002, 0.1, 1 / 3, 0.5, 0.9, 0.95, *np.random.default_rng(1).uniform(0.001, 0.95, 12).round(4)]
)
def test_truncated_flac_is_refused(tmp_path, flac, share):
    cut = flac[: int(share * len(flac))]
    (tmp_path / "cut.flac").write_bytes(cut)
    for source in (tmp_path / "cut.flac", cut):
        with pytest.raises(AudioError):
            load_audio(source)


def test_truncated_flac_tells_how_much_was_decoded(tmp_path):
    tones = write_audio(tmp_path / "a.flac", tone(seconds=10, rate=44100), 44100, "flac", "s16").read_bytes()
    with pytest.raises(AudioError, match=r"truncated.* \d\.\d\d s"):
        load_audio(tones[: int(0.7 * len(tones))])


def test_flac_that_ends_between_two_frames_is_refused(flac):
    starts = [i for i in range(len(flac)) if flac[i : i + 2] == b"\xff\xf8"]
    with pytest.raises(AudioError, match="truncated"):
        load_audio(flac[: starts[len(starts) // 2]])


def test_flac_that_does_not_state_its_length_is_read(flac):
    """As `flac -` writes it to a pipe: 36 bits of zero in the header."""
    header = bytearray(flac[:64])
    assert header[:4] == b"fLaC"
    header[21] &= 0xF0
    header[22:26] = bytes(4)
    assert len(load_audio(bytes(header) + flac[64:])) == 3 * 16000


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.9])
def test_truncated_wav_is_refused(tmp_path, share):
    content = write_s16(tmp_path / "a.wav", np.ones(3 * 16000)).read_bytes()
    (tmp_path / "cut.wav").write_bytes(content[: int(share * len(content))])
    with pytest.raises(AudioError, match="truncated"):
        load_audio(tmp_path / "cut.wav")


@pytest.mark.parametrize("length", [1, 4, 11, 12, 15, 20, 25, 31, 36, 40, 43, 44, 45])
def test_wav_cut_within_its_header_is_refused(tmp_path, length):
    content = write_s16(tmp_path / "a.wav", np.ones(16000)).read_bytes()
    with pytest.raises(AudioError):
        load_audio(content[:length])


@pytest.mark.parametrize("stated", [0, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFF])
def test_wav_that_does_not_state_its_length_is_read(tmp_path, stated):
    """Programs that write to a pipe leave such lengths in the header."""
    content = write_s16(tmp_path / "a.wav", np.ones(16000)).read_bytes()
    riff = struct.pack("<I", min(stated + 36, 0xFFFFFFFF))
    streamed = content[:4] + riff + content[8:40] + struct.pack("<I", stated) + content[44:]
    assert len(load_audio(streamed)) == 16000


@pytest.mark.parametrize("codec, sample_format", [("adpcm_ms", "s16p"), ("libmp3lame", "s16p"), ("wmav2", "fltp")])
def test_wav_of_compressed_sound_is_read(tmp_path, codec, sample_format):
    """Its decoder may give a little less than the header's bytes a second promise."""
    path = write_audio(tmp_path / "a.wav", tone(rate=44100), 44100, codec, sample_format)
    samples = load_audio(path)
    assert abs(len(samples) / 16000 - 1) < 0.15
    assert abs(frequency_and_level(samples)[0] - 440) < 1


@pytest.mark.parametrize("stated", [0, 16000, 64000])
def test_wav_that_states_wrong_bytes_a_second_is_read(tmp_path, stated):
    content = write_s16(tmp_path / "a.wav", np.ones(16000)).read_bytes()
    assert content[28:32] == struct.pack("<I", 32000)
    assert len(load_audio(content[:28] + struct.pack("<I", stated) + content[32:])) == 16000


def test_sampling_rate_that_changes_midway_is_refused(tmp_path):
    parts = [
        write_audio(tmp_path / f"{rate}.mp3", tone(rate=rate), rate, "libmp3lame", "fltp").read_bytes()
        for rate in (44100, 16000)
    ]
    with pytest.raises(AudioError, match="the sampling rate changes"):
        load_audio(b"".join(parts))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_refused(tmp_path, bad):
    samples = tone()
    samples[5000] = bad
    path = write_audio(tmp_path / "a.wav", samples, 16000, "pcm_f32le", "flt")
    for source in (path, {"array": samples, "sampling_rate": 16000}, {"array": samples, "sampling_rate": 48000}):
        with pytest.raises(AudioError, match="finite"):
            load_audio(source)


@pytest.mark.parametrize(
    "source, reason",
    [
        (None, "no audio"),
        ({}, "no audio"),
        ({"path": None, "bytes": None}, "no audio"),
        ({"array": np.ones(10)}, "sampling_rate"),
        ({"array": [], "sampling_rate": 16000}, "shape"),
        ({"array": np.ones((2, 3, 4)), "sampling_rate": 16000}, "shape"),
        ({"array": np.ones(2), "sampling_rate": 48000}, "too short to resample"),
        ({"array": np.ones(100), "sampling_rate": 0}, "sampling_rate"),
        (3.14, "cannot read audio from a float"),
        (io.StringIO("text"), "cannot read audio from a StringIO"),
        ({"array": np.ones(100) > 0, "sampling_rate": 16000}, "samples of the type bool: expected floats in"),
        ({"array": [True, False] * 50, "sampling_rate": 16000}, "samples of the type bool"),
        ({"array": torch.ones(100) > 0, "sampling_rate": 16000}, "samples of the type bool"),
        ({"array": np.ones(100) * 1j, "sampling_rate": 16000}, "samples of the type complex128"),
        ({"array": np.ones(100) * 1j, "sampling_rate": 16000, "dtype": "float32"}, "samples of the type complex128"),
        ({"array": ["0.5"] * 100, "sampling_rate": 16000}, "samples of the type <U3"),
        ({"array": np.ma.array(np.ones(100), mask=np.arange(100) > 50), "sampling_rate": 16000}, "are masked"),
    ],
)
@pytest.mark.filterwarnings("ignore:Casting complex values")
def test_sources_without_audio_are_refused(source, reason):
    with pytest.raises(AudioError, match=reason):
        load_audio(source)


def test_a_masked_array_without_masked_samples_is_read():
    samples = load_audio({"array": np.ma.array(np.ones(10), mask=np.zeros(10, bool)), "sampling_rate": 16000})
    np.testing.assert_array_equal(samples, np.ones(10))


def sine(frequency: float, rate: int) -> dict:
    """A second of a sine of amplitude 1."""
    return {"array": np.sin(2 * np.pi * frequency * np.arange(rate) / rate), "sampling_rate": rate}


def level(samples: np.ndarray) -> float:
    """Decibels relative to a sine of amplitude 1, without the ends."""
    return float(10 * np.log10(2 * np.mean(samples[4000:12000].astype(np.float64) ** 2) + 1e-20))


@pytest.mark.parametrize("rate", [8_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000])
def test_resampling_is_flat_where_speech_is_and_lets_nothing_fold_back(rate):
    for frequency in np.linspace(100, min(7500, 0.9375 * rate / 2), 8):
        assert abs(level(load_audio(sine(frequency, rate)))) < 0.1
    for frequency in np.linspace(8050, min(rate / 2 - 20, 16_000), 8) if rate > 16_000 else ():
        assert level(load_audio(sine(frequency, rate))) < -80


def test_resampling_up_makes_no_images():
    samples, time = load_audio(sine(3000, 8_000))[4000:12000].astype(np.float64), np.arange(8000) / 16_000
    basis = np.stack([np.sin(2 * np.pi * 3000 * time), np.cos(2 * np.pi * 3000 * time)], 1)
    rest = samples - basis @ np.linalg.lstsq(basis, samples, rcond=None)[0]
    assert 10 * np.log10(2 * np.mean(rest**2)) < -80


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_resampling_delays_nothing_and_keeps_the_length(rate):
    click = np.zeros(rate, dtype=np.float32)
    click[rate // 2] = 1
    samples = load_audio({"array": click, "sampling_rate": rate})
    assert abs(int(np.abs(samples).argmax()) - 8000) <= 1
    assert abs(len(samples) - 16_000) <= 1


@pytest.mark.parametrize("rate", [0, 1, 7, -16_000, 2_000_000, 44_100.5, "16000", float("nan")])
def test_sampling_rates_that_no_recording_of_speech_has_are_refused(rate):
    with pytest.raises(AudioError, match=r"sampling rate|sampling_rate"):
        load_audio({"array": np.ones(100), "sampling_rate": rate})


def test_file_with_an_absurd_rate_is_refused_before_it_is_decoded(tmp_path):
    with wave.open(str(tmp_path / "slow.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(1)
        file.writeframes(bytes(96_000))
    with pytest.raises(AudioError, match="a sampling rate of 1 Hz: expected 1,000 to 1,000,000 Hz"):
        load_audio(tmp_path / "slow.wav")


def test_error_of_the_disk_is_an_audio_error(tmp_path, monkeypatch):
    path = tmp_path / "x.wav"
    path.write_bytes(b"RIFF")

    def fail(*_, **__):
        raise OSError("Input/output error")

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(AudioError, match=r"cannot be read .*Input/output error"):
        load_audio(path)


def test_one_channel_is_taken_instead_of_the_mean(tmp_path):
    left, right = tone(440), tone(1000)
    path = write_audio(tmp_path / "two.wav", [left, right], 16000, "pcm_f32le", "flt")
    assert count_channels(path) == 2
    np.testing.assert_allclose(load_audio(path, channel=1), left, atol=1e-6)
    np.testing.assert_allclose(
        load_audio({"array": np.stack([left, right]), "sampling_rate": 16000}, channel=2), right
    )
    np.testing.assert_allclose(load_audio(path), (left + right) / 2, atol=1e-6)
    with pytest.raises(AudioError, match="has no channel 3: it has 2"):
        load_audio(path, channel=3)
    with pytest.raises(AudioError, match="counted from 1"):
        load_audio(path, channel=0)


def test_a_listener_hears_all_channels_of_all_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("balr_hf.audio.BLOCK_SAMPLES", 4_000)
    sounds = np.stack([tone(440), tone(1000)]).astype(np.float32)
    path = write_audio(tmp_path / "two.flac", sounds, 16000, "flac", "s16")
    heard = []
    open_audio(path, listener=lambda samples, rate: heard.append((samples, rate)))
    assert {rate for _, rate in heard} == {16000} and len(heard) > 2
    np.testing.assert_allclose(np.concatenate([samples for samples, _ in heard], axis=1), sounds, atol=1e-4)
    heard.clear()
    open_audio(write_audio(tmp_path / "one.flac", sounds[:1], 16000, "flac", "s16"), listener=heard.append)
    assert not heard


def test_integers_of_a_list_have_the_type_that_stands_beside_them():
    for kind in (np.int16, np.int32, np.uint8):
        ends = np.iinfo(kind)
        samples = np.linspace(ends.min, ends.max, 16000).astype(kind)
        expected = load_audio({"array": samples, "sampling_rate": 16000})
        assert np.abs(expected).max() > 0.99
        listed = {"array": samples.tolist(), "sampling_rate": 16000}
        np.testing.assert_array_equal(load_audio({**listed, "dtype": np.dtype(kind).name}), expected)
        with pytest.raises(AudioError, match=r"as lists of integers have\) use \d\d of its bits at most"):
            load_audio(listed)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.float32])
def test_samples_of_16_bits_in_a_wider_type_are_refused(dtype):
    samples = np.round(10_000 * tone()).astype(dtype)
    with pytest.raises(AudioError, match="int16"):
        load_audio({"array": samples, "sampling_rate": 16000})
    expected = load_audio({"array": samples.astype(np.int16), "sampling_rate": 16000})
    np.testing.assert_allclose(load_audio({"array": samples / 32768, "sampling_rate": 16000}), expected, atol=1e-6)
    whole = (tone() * (2**31 - 1)).astype(np.int32)
    np.testing.assert_allclose(load_audio({"array": whole, "sampling_rate": 16000}), tone(), atol=1e-6)
    assert not load_audio({"array": np.zeros(100, np.int64), "sampling_rate": 16000}).any()
