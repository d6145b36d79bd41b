"""The same recording twice is recognised, and two recordings of one voice are not taken for it."""

import io
import wave

import av
import numpy as np
import pytest
from scipy.signal import resample_poly

from balr_hf.audio import AudioError, load_audio, open_audio
from balr_hf.quality.copies import describe_copies, find_copy, refuse_copies


def coded(samples: np.ndarray, codec: str, container: str, bit_rate: int) -> np.ndarray:
    """The samples after a lossy coder."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as file:
        stream = file.add_stream(codec, rate=16_000, layout="mono")
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16_000
        fifo = av.AudioFifo()
        for part in av.AudioResampler(format=stream.codec_context.format.name, layout="mono", rate=16_000).resample(
            frame
        ):
            fifo.write(part)
        while fifo.samples:
            part = fifo.read(stream.codec_context.frame_size or 1_024, partial=True)
            part.pts = None
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return load_audio(buffer.getvalue())


@pytest.fixture(scope="session")
def recording(sentences) -> np.ndarray:
    return np.concatenate(sentences[:3])


def test_equal_samples_are_the_same_recording(recording):
    copy = find_copy(recording, recording.copy())
    assert copy.exact and "sample for sample" in copy.describe()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda x: x * 0.01, id="level"),
        pytest.param(lambda x: -x, id="polarity"),
        pytest.param(lambda x: np.round(x * 127) / 127, id="8 bits"),
        pytest.param(lambda x: resample_poly(resample_poly(x, 1, 2), 2, 1), id="8 kHz"),
        pytest.param(lambda x: coded(x, "libmp3lame", "mp3", 16_000), id="mp3"),
        pytest.param(lambda x: coded(x, "libopus", "ogg", 12_000), id="opus"),
        pytest.param(lambda x: x + np.random.default_rng(0).normal(size=len(x)) * x.std() * 0.3, id="noise"),
        pytest.param(lambda x: np.clip(x * 5, -0.9, 0.9), id="clipped"),
    ],
)
def test_a_copy_is_recognised(recording, change):
    copy = find_copy(recording, change(recording).astype(np.float32))
    assert copy is not None and copy.whole and not copy.exact
    assert "another format or at another level" in copy.describe()


def test_an_excerpt_is_recognised_and_its_place_is_told(recording):
    excerpt = recording[24_000:64_000] * np.float32(0.2)
    for a, b in ((recording, excerpt), (excerpt, recording)):
        copy = find_copy(a, b)
        assert copy.share == 1 and copy.offset == pytest.approx(1.5, abs=0.01)
        assert "excerpt" in copy.describe() and "1.5 s" in copy.describe()


def test_what_was_edited_is_neither_a_copy_nor_an_excerpt(recording, sentences):
    first, second = np.split(recording[: len(recording) // 32_000 * 32_000], 2)
    whole, other = np.concatenate([first, second]), np.resize(sentences[-1], len(second))
    for edited in ([first, other, second], [second, first]):
        copy = find_copy(np.concatenate(edited), whole)
        assert copy.describe().endswith(" of the same recording, which does not lie alike in the two")
    replaced = find_copy(np.concatenate([first, other]), whole)
    assert replaced.describe() == f"share {len(first) / 16_000:.1f} s of the same recording"


@pytest.mark.parametrize("place", [1, 2], ids=["after the first third", "before the last third"])
def test_what_something_was_put_into_does_not_lie_alike_whichever_part_is_longer(recording, sentences, place):
    thirds = np.split(recording[: len(recording) // 48_000 * 48_000], 3)
    put_in = np.resize(sentences[-1], 32_000)
    copy = find_copy(np.concatenate([*thirds[:place], put_in, *thirds[place:]]), np.concatenate(thirds))
    assert copy.scattered and copy.describe().endswith("of the same recording, which does not lie alike in the two")


def test_what_is_shared_is_extrapolated_where_some_pieces_are_looked_for(recording, tmp_path, monkeypatch):
    monkeypatch.setattr("balr_hf.audio.LONG_SAMPLES", 32_000)
    longer = np.concatenate([recording, recording[:16_000][::-1]])
    found = []
    for most in (600, 3):
        monkeypatch.setattr("balr_hf.quality.copies.MOST_PIECES", most)
        paths = [tmp_path / "a.wav", tmp_path / "b.wav"]
        for path, samples in zip(paths, (recording, longer), strict=True):
            with wave.open(str(path), "wb") as file:
                file.setparams((1, 2, 16_000, 0, "NONE", ""))
                file.writeframes((samples * 32_767).astype("<i2").tobytes())
        found.append(find_copy(*map(open_audio, paths)).seconds)
    assert found[1] == pytest.approx(found[0], rel=0.01)


@pytest.mark.parametrize(
    "code", [lambda x: x, lambda x: coded(x, "libmp3lame", "mp3", 16_000)], ids=["samples", "mp3"]
)
def test_a_copy_that_is_played_backwards_is_recognised(recording, code):
    copy = find_copy(recording, code(recording[::-1] * np.float32(0.3)))
    assert copy is not None and copy.whole and copy.backwards and not copy.exact
    assert copy.describe() == "are the same recording, played backwards in one of them"


def test_an_excerpt_that_is_played_backwards_is_recognised(recording):
    for a, b in ((recording, recording[24_000:64_000][::-1]), (recording[24_000:64_000][::-1], recording)):
        copy = find_copy(a, b)
        assert copy.backwards and not copy.whole and copy.offset == pytest.approx(1.5, abs=0.01)
        assert "s of the same recording, played backwards in one of them" in copy.describe()


@pytest.mark.parametrize("backwards", [False, True])
def test_an_excerpt_is_found_in_whichever_stretch_of_a_long_recording_it_lies(recording, backwards, monkeypatch):
    excerpt = recording[24_000:64_000]
    whole = find_copy(recording, excerpt[::-1] if backwards else excerpt)
    monkeypatch.setattr("balr_hf.quality.copies.AT_ONCE", 2_500)  # less than the offset, at 4 kHz
    copy = find_copy(recording, excerpt[::-1] if backwards else excerpt)
    assert copy.offset == pytest.approx(1.5, abs=0.01) and not copy.scattered
    assert (copy.share, copy.backwards, copy.offset) == pytest.approx((whole.share, backwards, whole.offset))


@pytest.mark.parametrize("speed", [0.9, 0.95, 1.03, 1.05, 1.1])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_copy_at_another_speed_is_recognised(recording, speed, backwards):
    places = np.arange(0, len(recording) - 1, speed)
    faster = np.interp(places, np.arange(len(recording)), recording).astype(np.float32)
    copy = find_copy(recording, faster[::-1] if backwards else faster)
    assert copy is not None and copy.backwards == backwards and not copy.exact
    factor = speed if len(faster) > len(recording) else 1 / speed  # of the longer one
    assert copy.speed == pytest.approx(factor, abs=0.012)
    assert ("played backwards and at another speed (by about " in copy.describe()) == backwards
    assert "at another speed (by about " in copy.describe()


def test_the_same_speech_in_two_microphones_is_recognised(recording, rng):
    """Other phases in all bands: the waveforms differ, and the levels do not."""
    response = rng.standard_normal(1_600) * np.exp(-np.arange(1_600) / 250)
    copy = find_copy(recording, np.convolve(recording, response)[: len(recording)].astype(np.float32))
    assert copy is not None and copy.speed == 1 and not copy.is_certain
    assert copy.describe() == "may hold the same speech, as a processed copy or a second microphone does"


def test_speeds_are_looked_for_in_stretches_of_long_recordings(recording, rng, monkeypatch):
    monkeypatch.setattr("balr_hf.quality.speeds.AT_ONCE", 30_000)
    places = np.arange(0, len(recording) - 1, 1.04)
    faster = np.interp(places, np.arange(len(recording)), recording).astype(np.float32)
    noise = (1e-3 * rng.standard_normal(400_000)).astype(np.float32)
    copy = find_copy(np.concatenate([noise, recording, noise]), faster)
    assert copy is not None and copy.speed == pytest.approx(1 / 1.04, abs=0.012)
    assert find_copy(noise, faster) is None


def test_a_recording_that_shares_a_part_is_recognised(sentences):
    a, b = np.concatenate(sentences[:2]), np.concatenate([sentences[2], sentences[1], sentences[3]])
    copy = find_copy(a, b)
    assert copy is not None and not copy.whole and 0.2 < copy.share < 0.9 and "share" in copy.describe()


def test_other_recordings_of_one_voice_are_no_copies(sentences):
    assert describe_copies(dict(enumerate(sentences[:2])), dict(enumerate(sentences[2:]))) == ((), ())
    assert find_copy(np.concatenate(sentences[:2]), np.concatenate(sentences[2:])) is None  # enough to look for speeds
    found, doubts = describe_copies({"a": sentences[0]}, {"b": sentences[2], "c": sentences[0]})
    assert found == ("a and c are the same recording, sample for sample: that says nothing about speakers.",)
    assert doubts == ()


def test_what_is_the_same_at_another_speed_is_a_doubt_and_no_refusal(recording):
    places = np.arange(0, len(recording) - 1, 1.05)
    faster = np.interp(places, np.arange(len(recording)), recording).astype(np.float32)
    copies, (doubt,) = describe_copies({"a": recording}, {"b": faster})
    assert copies == () and doubt.startswith("a and b may hold the same speech, in one of them at another speed (by")
    assert "listen to both. One text that is read twice" in doubt
    refuse_copies({"a": recording, "b": faster})


def test_a_beep_in_two_recordings_makes_no_copies_of_them(sentences):
    time = np.arange(8_000) / 16_000
    for hertz, level in ((1_000, 0.1), (1_400, 0.1), (1_400, 0.5)):
        beep = (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)
        a, b = (np.concatenate([one, beep, other]) for one, other in (sentences[:2], sentences[2:4]))
        assert find_copy(a, b) is None
        copy = find_copy(a, (0.5 * a).astype(np.float32))
        assert copy is not None and copy.is_certain  # by what is spoken


def test_a_side_that_holds_a_recording_twice_is_refused(sentences):
    side = {"a": sentences[0], "b": sentences[1]}
    refuse_copies(side)
    refuse_copies({"a": sentences[0]})
    quieter = {**side, "c": (sentences[0] * 0.5).astype(np.float32)}
    with pytest.raises(AudioError, match=r"^a and c are the same recording, .* it would count twice, so give it once"):
        refuse_copies(quieter)


def test_noise_silence_and_short_recordings_are_no_copies(rng, recording):
    noise = rng.normal(size=(2, 48_000)).astype(np.float32)
    assert find_copy(*noise) is None
    assert find_copy(np.zeros(16_000, np.float32), noise[0]) is None
    assert find_copy(recording[:100], recording) is None
