import io
import struct
from pathlib import Path

import av
import numpy as np
import pytest

from balr_hf.audio import AudioError, Resampler, load_audio, resample
from balr_hf.conditions.codec import encoded
from balr_hf.containers import _ogg_crc

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
    ("asf", "wmav2", "fltp", True, 0),
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


def written(
    container: str,
    codec: str,
    kind: str,
    into=None,
    rate: int = RATE,
    layout: str = "mono",
    seconds: float = SECONDS,
    **options: str,
) -> bytes:
    """Noise of a few seconds, encoded."""
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, (1 if layout == "mono" else 2, int(seconds * rate)))
    into = io.BytesIO() if into is None else into
    with av.open(into, "w", format=container, options=options) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout, format=kind)
        if codec == "wmav2":
            stream.bit_rate = 96_000
        frame = av.AudioFrame.from_ndarray(noise, format="dblp", layout=layout)
        frame.sample_rate = rate
        stream.open()
        converter = av.AudioResampler(kind, layout, rate, frame_size=stream.codec_context.frame_size or 1024)
        for part in [*converter.resample(frame), *converter.resample(None)]:
            output.mux(stream.encode(part))
        output.mux(stream.encode(None))
    if isinstance(into, str):
        return Path(into).read_bytes()
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
    content = written(container, codec, kind, rate=44_100 if codec == "wmav2" else RATE)
    assert abs(len(load_audio(content)) / RATE / SECONDS - 1) < 0.05
    for share in (0.1, 0.3, 0.55, 0.8, 0.95, 0.99):
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


@pytest.mark.parametrize(("container", "codec", "kind"), [row[:3] for row in WRITTEN], ids=NAMES)
def test_whole_files_of_any_length_rate_and_layout_are_read(container, codec, kind):
    rates = {"libopus": (8_000, 48_000), "wmav2": (44_100, 22_050)}.get(codec, (8_000, 44_100))
    for seconds, rate, layout in ((0.15, rates[0], "mono"), (1.234, rates[1], "stereo"), (13.37, rates[0], "stereo")):
        content = written(container, codec, kind, rate=rate, layout=layout, seconds=seconds)
        assert abs(len(load_audio(content)) / RATE - seconds) < 0.3, (seconds, rate, layout)


@pytest.mark.parametrize(
    ("container", "codec", "options"),
    [
        ("mp4", "aac", {"movflags": "empty_moov+frag_every_frame"}),
        ("mp4", "aac", {"use_editlist": "0"}),
        ("mov", "aac", {"movie_timescale": "90000"}),
        ("mp4", "alac", {}),
        ("mp3", "libmp3lame", {"write_xing": "0"}),
        ("mp3", "libmp3lame", {"id3v2_version": "0"}),
        ("mp3", "libmp3lame", {"write_id3v1": "1"}),
        ("ogg", "libopus", {"page_duration": "20000"}),
        ("ogg", "libopus", {"page_duration": "5000000"}),
        ("webm", "libopus", {"cluster_time_limit": "200"}),
        ("matroska", "pcm_s16le", {"write_crc32": "0"}),
    ],
)
def test_whole_files_that_were_written_otherwise_are_read(container, codec, options):
    kind = {"alac": "s16p", "libopus": "flt", "pcm_s16le": "s16"}.get(codec, "fltp")
    for seconds in (0.3, 2.5):
        found = load_audio(written(container, codec, kind, seconds=seconds, **options))
        assert abs(len(found) / RATE - seconds) < 0.15


def pages(content: bytes) -> list[bytes]:
    """The pages of an Ogg file."""
    found, place = [], 0
    while place < len(content):
        count = content[place + 26]
        size = 27 + count + sum(content[place + 27 : place + 27 + count])
        found.append(content[place : place + size])
        place += size
    return found


def with_position(page: bytes, position: int) -> bytes:
    """An Ogg page with another position, and the checksum that fits it."""
    page = page[:6] + struct.pack("<q", position) + page[14:22] + bytes(4) + page[26:]
    return page[:22] + struct.pack("<I", _ogg_crc(page)) + page[26:]


def test_ogg_that_ends_between_two_pages_is_named():
    some = pages(written("ogg", "libopus", "flt", page_duration="200000"))
    assert len(some) > 10
    for count in range(2, len(some)):
        with pytest.raises(AudioError, match=r"truncated: no page is marked as the last one .* ffmpeg -i OLD -c copy"):
            load_audio(b"".join(some[:count]))


def test_ogg_files_one_after_the_other_are_one_and_each_of_them_is_checked():
    content = written("ogg", "libopus", "flt")
    assert abs(len(load_audio(content * 2)) / RATE / SECONDS - 2) < 0.05
    assert is_refused(b"".join(pages(content)[:-1]) + content)


def test_positions_in_an_ogg_file_may_begin_anywhere_but_state_how_much_there_is():
    some = pages(written("ogg", "libopus", "flt"))
    positions = [struct.unpack("<q", page[6:14])[0] for page in some]
    later = [
        with_position(page, position + 10**6) if position else page
        for page, position in zip(some, positions, strict=True)
    ]
    assert len(load_audio(b"".join(later))) == len(load_audio(b"".join(some)))
    gap = [*some[:-2], *(with_position(page, 48_000 + at) for page, at in zip(some[-2:], positions[-2:], strict=True))]
    with pytest.raises(AudioError, match=r"damaged: 3\.00 s of sound, but the positions in the Ogg stream are"):
        load_audio(b"".join(gap))


def test_mp4_that_was_cut_and_mended_is_named(tmp_path):
    """Its boxes are as long as they say, but the table of packets reaches beyond them."""
    for number, (codec, kind) in enumerate((("aac", "fltp"), ("alac", "s16p"))):
        content = written("mp4", codec, kind, str(tmp_path / f"{number}.mp4"), movflags="faststart")
        place = content.index(b"mdat") - 4
        assert place > content.index(b"moov")
        assert abs(len(load_audio(content)) / RATE / SECONDS - 1) < 0.05
        for share in (0.2, 0.5, 0.9):
            size = int(share * (len(content) - place))
            cut = content[:place] + struct.pack(">I", size) + content[place + 4 : place + size]
            with pytest.raises(AudioError, match="truncated"):
                load_audio(cut)


def test_mp3_that_lacks_its_last_frame_is_named():
    content = written("mp3", "libmp3lame", "fltp", id3v2_version="0")
    for lacking in (1, 100, 300, 1000):
        with pytest.raises(AudioError, match=rf"truncated: {len(content) - lacking} of {len(content)} bytes of MP3"):
            load_audio(content[:-lacking])


def test_mp3_of_other_encoders_states_its_frames_and_bytes_elsewhere():
    """As that of Fraunhofer does (VBRI), always 32 bytes behind the header of the first frame."""
    xing = written("mp3", "libmp3lame", "fltp", id3v2_version="0")
    place = max(xing.find(b"Xing"), xing.find(b"Info"))
    frames, size = struct.unpack(">II", xing[place + 8 : place + 16])
    for stated, whole in ((frames, True), (frames + 1, True), (frames + 2, False)):
        content = bytearray(xing)
        content[4:60] = bytes(56)
        content[36:54] = struct.pack(">4sHHHII", b"VBRI", 1, 0, 75, size, stated)
        if whole:
            assert abs(len(load_audio(bytes(content))) / RATE / SECONDS - 1) < 0.1
            with pytest.raises(AudioError, match="of MP3"):
                load_audio(bytes(content[:-10]))
        else:
            with pytest.raises(AudioError, match=rf"{frames} of {stated} frames of MP3|{frames + 1} of {stated}"):
                load_audio(bytes(content))


def test_wav_that_states_more_than_2_gib_is_no_wav_from_a_pipe():
    content = written("wav", "pcm_s16le", "s16")
    place = content.index(b"data") + 4
    for stated, whole in ((2**31 - 2**20, False), (2**31 + 2**20, False), (3 * 2**30, False), (2**31 - 200, True)):
        changed = content[:place] + struct.pack("<I", stated) + content[place + 4 :]
        assert is_refused(changed) != whole, stated


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


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.85, 0.88, 0.93, 0.97, 1.03])
def test_an_ogg_file_of_a_single_page_is_as_long_as_its_position_states(seconds):
    # Such a page is the first and the last one, so that its position is where the sound of its last packet is cut off.
    samples = np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)
    assert abs(len(load_audio(encoded(samples, "opus:16k"))) - len(samples)) <= 1


def single_page() -> list[bytes]:
    """The pages of an Opus file of half a second, whose sound is in one."""
    found = pages(encoded(np.random.default_rng(0).normal(0, 0.1, RATE // 2).astype(np.float32), "opus:16k"))
    assert len(found) == 3  # two of headers
    return found


def test_an_ogg_file_of_a_single_page_that_was_cut_is_named():
    some = single_page()
    whole = b"".join(some)
    starts = len(some[0]), len(some[0] + some[1])
    for size in (
        *starts,
        starts[1] + 1,
        starts[1] + 27,
        *(int(share * len(whole)) for share in (0.3, 0.6, 0.9, 0.99)),
    ):
        with pytest.raises(AudioError, match="truncated"):
            load_audio(whole[:size])
    with pytest.raises(AudioError, match="truncated"):
        load_audio(whole[:-1])


def test_an_ogg_file_whose_sound_begins_before_its_first_position_lacks_some():
    """Only a last page may state less than it holds: where the sound is cut off."""
    some = pages(written("ogg", "libopus", "flt", page_duration="500000"))
    assert len(some) > 6
    early = [*some[:2], with_position(some[2], 960), *some[3:]]
    with pytest.raises(AudioError, match="the positions in the Ogg stream are"):
        load_audio(b"".join(early))
