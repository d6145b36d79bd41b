import io
import struct

import av
import numpy as np
import pytest

from balr_hf.audio import AudioError, Resampler, load_audio, resample

RATE, SECONDS = 16_000, 3

# Container, encoder and sample format; whether a cut shows, and of how many of 10 changed bytes at least it shows.
WRITTEN = [
    ("wav", "pcm_s16le", "s16", True, 0),
    ("w64", "pcm_s16le", "s16", True, 0),
    ("aiff", "pcm_s16be", "s16", True, 0),
    ("au", "pcm_s16be", "s16", True, 0),
    ("caf", "pcm_s16le", "s16", True, 0),
    ("flac", "flac", "s16", True, 10),
    ("flac", "flac", "s32", True, 10),
    ("ogg", "libopus", "flt", True, 10),
    ("mp3", "libmp3lame", "fltp", True, 0),
    ("mp4", "aac", "fltp", True, 0),
    ("mov", "pcm_s16le", "s16", True, 0),
    ("matroska", "pcm_s16le", "s16", True, 10),
    ("webm", "libopus", "flt", True, 0),
    ("wv", "wavpack", "s16p", True, 10),
    ("tta", "tta", "s16", True, 10),
]
NAMES = [f"{container}-{codec}-{kind}" for container, codec, kind, *_ in WRITTEN]
# Those that can be written to a pipe; whether a cut then shows.
STREAMED = [
    ("wav", "pcm_s16le", "s16", False),
    ("au", "pcm_s16be", "s16", False),
    ("caf", "pcm_s16le", "s16", False),
    ("flac", "flac", "s16", True),
    ("ogg", "libopus", "flt", True),
    ("mp3", "libmp3lame", "fltp", False),
    ("matroska", "pcm_s16le", "s16", True),
    ("webm", "libopus", "flt", True),
]


class Pipe(io.RawIOBase):
    """A file in which nothing can be changed afterwards."""

    def __init__(self):
        self.content = bytearray()

    def writable(self):
        return True

    def seekable(self):
        return False

    def write(self, content):
        self.content += bytes(content)
        return len(content)


def written(container: str, codec: str, kind: str, into=None, rate: int = RATE, layout: str = "mono") -> bytes:
    """Noise of a few seconds, encoded."""
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, (1 if layout == "mono" else 2, SECONDS * rate))
    into = io.BytesIO() if into is None else into
    with av.open(into, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout, format=kind)
        frame = av.AudioFrame.from_ndarray(noise, format="dblp", layout=layout)
        frame.sample_rate = rate
        stream.open()
        converter = av.AudioResampler(kind, layout, rate, frame_size=stream.codec_context.frame_size or 1024)
        for part in [*converter.resample(frame), *converter.resample(None)]:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    return bytes(into.content) if isinstance(into, Pipe) else into.getvalue()


def is_refused(content: bytes) -> bool:
    try:
        load_audio(content)
    except AudioError as error:
        assert any(word in str(error) for word in ("truncated", "damaged", "no audio", "not audio")), error
        return True
    return False


@pytest.mark.parametrize(("container", "codec", "kind", "shows", "flips"), WRITTEN, ids=NAMES)
def test_whole_files_are_read_and_damaged_ones_named(container, codec, kind, shows, flips):
    content = written(container, codec, kind)
    assert abs(len(load_audio(content)) / RATE / SECONDS - 1) < 0.05
    for share in (0.3, 0.55, 0.8, 0.95):
        assert is_refused(content[: int(share * len(content))]) == shows, share
    draws = np.random.default_rng(1)
    changed = 0
    for place in draws.integers(len(content) // 4, len(content) * 3 // 4, 10 if flips else 0):
        broken = bytearray(content)
        broken[place] ^= int(draws.integers(1, 256))
        changed += is_refused(bytes(broken))
    assert changed >= flips


@pytest.mark.parametrize(("container", "codec", "kind", "shows"), STREAMED)
def test_files_from_a_pipe_which_state_no_length_are_read(container, codec, kind, shows):
    content = written(container, codec, kind, Pipe())
    assert abs(len(load_audio(content)) / RATE / SECONDS - 1) < 0.05
    assert is_refused(content[: len(content) // 2 + 7]) == shows


@pytest.mark.parametrize(("container", "codec", "kind"), [("flac", "flac", "s32"), ("mp3", "libmp3lame", "fltp")])
def test_stereo_files_at_other_rates_are_whole(container, codec, kind):
    content = written(container, codec, kind, rate=44_100, layout="stereo")
    assert abs(len(load_audio(content)) / RATE / SECONDS - 1) < 0.05


def test_changed_flac_without_md5_is_named_by_the_checksums_of_its_frames():
    content = bytearray(written("flac", "flac", "s16", Pipe()))
    assert not any(content[26:42])
    content[len(content) // 2] ^= 4
    with pytest.raises(AudioError, match="damaged"):
        load_audio(bytes(content))


def test_flac_whose_samples_are_others_is_named_by_its_md5():
    content = bytearray(written("flac", "flac", "s16"))
    content[30] ^= 1
    with pytest.raises(AudioError, match="the samples are not those of which the FLAC file states the MD5 sum"):
        load_audio(bytes(content))


def test_ogg_without_a_page_in_its_middle_is_named():
    content = written("ogg", "libopus", "flt")
    starts = [place for place in range(len(content)) if content[place : place + 4] == b"OggS"]
    assert len(starts) > 4
    with pytest.raises(AudioError, match="pages lack"):
        load_audio(content[: starts[3]] + content[starts[4] :])


def test_mp3_that_starts_in_the_middle_is_read():
    """As recorders of streams write it: without a header that counts the frames."""
    content = written("mp3", "libmp3lame", "fltp", Pipe())
    assert len(load_audio(content[len(content) // 3 :])) > RATE


def test_wav_of_more_than_4_gib_states_its_length_elsewhere():
    plain = written("wav", "pcm_s16le", "s16")
    data = plain[plain.index(b"data") + 8 :]
    fmt = plain[12:36]
    for stated, whole in ((len(data), True), (2 * len(data), False)):
        ds64 = struct.pack("<4sIQQQI", b"ds64", 28, 0, stated, 0, 0)
        content = b"RF64\xff\xff\xff\xffWAVE" + ds64 + fmt + b"data\xff\xff\xff\xff" + data
        assert is_refused(content) != whole


@pytest.mark.parametrize("rate", [8_000, 44_100, 12_345])
def test_resampling_in_blocks_gives_the_same_samples(rate):
    draws = np.random.default_rng(0)
    samples = draws.uniform(-1, 1, 3 * rate).astype(np.float32)
    resampler, parts, place = Resampler(rate, RATE), [], 0
    while place < len(samples):
        size = int(draws.integers(1, 9_000))
        parts.append(resampler.add(samples[place : place + size]))
        place += size
    np.testing.assert_array_equal(np.concatenate([*parts, resampler.finish()]), resample(samples, rate, RATE))
