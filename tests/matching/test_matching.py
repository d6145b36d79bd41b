"""Calibration matched to a case: calibration recordings brought to its conditions, and what is said of that."""

import itertools
import os
import re
import shutil
import stat
import wave

import numpy as np
import pytest

from balr_hf import BinaryAttributeAutoEncoder, load_corpus
from balr_hf.audio import load_audio
from balr_hf.conditions import Condition
from balr_hf.data.recording_digests import known_again, recording_digests
from balr_hf.defaults import AUTOENCODER, SCORER, VOICES, resource
from balr_hf.domain import describe_in_words, describe_sessions
from balr_hf.errors import ConfigError, UserError
from balr_hf.identity import calibration_digest, file_digest, model_digest
from balr_hf.matching import CaseMatcher, Wanted, copies
from balr_hf.matching.choice import Choice
from balr_hf.matching.wording import UNKNOWN_SESSIONS, describe_out_of_reach, describe_simulation
from balr_hf.scoring.auto import load_scorer
from balr_hf.scoring.calibration_fits import doubt_of

SPEAKERS, RECORDINGS = 6, 3


def measured(net_speech=1.4, snr=12.0, bandwidth=3_550.0, clipping=0.0, tone_share=0.0):
    return dict(zip(("net_speech", "snr", "bandwidth", "clipping", "tone_share"), locals().values(), strict=True))


@pytest.fixture(scope="module")
def corpus(root):
    """A few recordings of some voices of the sample corpus, which the shipped scorer was not fitted to."""
    whole = load_corpus(root / "resources" / "data" / "sample", vectors=())
    chosen = sorted(set(whole["speaker"]))[:SPEAKERS]
    rows = [[row for row, name in enumerate(whole["speaker"]) if name == one][:RECORDINGS] for one in chosen]
    return whole.select(np.concatenate(rows))


@pytest.fixture(scope="module")
def matcher(corpus, tiny_embedder, tmp_path_factory):
    autoencoder = BinaryAttributeAutoEncoder.from_pretrained(resource(AUTOENCODER))
    folder = tmp_path_factory.mktemp("copies")
    return CaseMatcher(tiny_embedder, autoencoder, load_scorer(resource(SCORER)), corpus, "sample", cache=folder)


@pytest.fixture(scope="module")
def matched(matcher):
    return matcher.match(([measured()], [measured()]), (1, 1))


@pytest.mark.parametrize(
    "quality, condition",
    [
        (measured(), "band=telephone,duration=1.4,snr=12,noise=pink"),
        (measured(12.34, 45.0, 8_000.0), "duration=12"),
        (measured(3.0, 30.4, 3_900.0), "band=3900,duration=3"),
        (measured(3.0, 19.6, 5_480.0), "band=5500,duration=3,snr=20,noise=pink"),
    ],
)
def test_condition_of_a_side_follows_from_its_measures(quality, condition):
    assert Wanted.of("A", [quality], 1).condition == Condition.parse(condition)


@pytest.mark.parametrize("text", ["", "channel", "channel=", "=telephone", " = ", "channel= "])
def test_a_choice_of_recordings_names_a_column_and_a_value(text):
    assert Choice.parse(" channel = tele=phone ") == Choice("channel", "tele=phone")
    with pytest.raises(ConfigError, match="expected COLUMN=VALUE, such as channel=telephone"):
        Choice.parse(text)


def test_sides_have_one_order_whatever_they_are_called():
    """The cleaner one is the first, then the one with more speech, then the one with fewer recordings."""
    clean, brief = Wanted(1, 20.0, 60.0, 8.0), Wanted(1, 5.0, 60.0, 8.0)
    noisy, several = Wanted(1, 20.0, 12.0, 8.0), Wanted(3, 20.0, 12.0, 8.0)
    expected = [clean, brief, noisy, several]
    for given in itertools.permutations(expected):
        assert sorted(given, key=lambda side: side.order) == expected


@pytest.mark.parametrize(
    "other, differ",
    [
        (measured(clipping=0.001), "0.1% of the samples of A are clipped"),
        (measured(tone_share=0.02), "A has 2% of its power in a steady tone"),
        (measured(snr=22.1), "the recordings of A differ from each other"),
        (measured(bandwidth=4_551.0), "the recordings of A differ from each other"),
        (measured(5.0, 22.0, 4_550.0, 0.0009, 0.0199), None),
    ],
)
def test_what_cannot_be_matched_is_told_from_a_limit_on(other, differ):
    found = Wanted.of("A", [measured(), other], 2).unmatched
    assert found == () if differ is None else len(found) == 1 and found[0].startswith(differ)


def test_what_cannot_be_matched_is_told():
    wanted = Wanted.of("A", [measured(clipping=0.03), measured(snr=30.0, tone_share=0.2)], 2)
    assert [word in told for told, word in zip(wanted.unmatched, ("clipped", "tone", "differ"), strict=True)] == [
        True
    ] * 3
    with pytest.raises(UserError, match="conditions of B are not known"):
        Wanted.of("B", [measured()], 2)
    with pytest.raises(UserError, match="conditions of B are not known"):
        Wanted.of("B", [measured(snr=None)], 1)


def test_calibration_is_of_recordings_like_those_of_the_case(matched, matcher):
    calibration = matched.scorer.config.calibration
    domain = calibration["domain"]
    assert domain["recordings_a_side"] == [1, 1] and domain["speakers"] == calibration["num_speakers"] == SPEAKERS
    middle = {name: quantiles[4] for name, quantiles in domain["measures"].items()}
    assert middle["bandwidth"] == pytest.approx(3.55, abs=0.2)
    assert middle["snr"] == pytest.approx(12, abs=5) and middle["net_speech"] == pytest.approx(1.4, abs=0.4)
    assert calibration["matched"] == ["band=telephone,duration=1.4,snr=12,noise=pink"] * 2
    assert calibration["doubt"] == doubt_of(SPEAKERS)
    assert calibration["validation"] and calibration["bounds"]
    original = load_scorer(resource(SCORER)).config.calibration
    assert matcher.scorer.config.calibration["num_speakers"] == original["num_speakers"]
    assert matched.scorer.calibration_offset != matcher.scorer.calibration_offset


def test_case_and_calibration_stand_side_by_side(matched):
    rows = dict(matched.rows)
    number = SPEAKERS * RECORDINGS
    assert rows["Matched calibration"].startswith(
        f"{SPEAKERS} speakers of sample, 1 recording against 1; {number} copies of {number} recordings, embedded by "
    )
    for side in "AB":
        assert "case: 1 recording, 1.4 s of speech, SNR 12 dB, 3.5 kHz" in rows[f"Conditions of {side}"].replace(
            "3.6", "3.5"
        )
        assert "calibration: " in rows[f"Conditions of {side}"]
        assert rows[f"Copies for {side}"].startswith(f"{number} of {number} recordings brought to band=telephone,")


def test_report_says_who_calibrated_and_from_what_it_can_be_computed_again(corpus, matcher, matched, tmp_path):
    (tmp_path / "calibration.csv").write_text("id,audio,speaker\n")
    again = CaseMatcher(
        *(matcher.copies.embedder, matcher.autoencoder, matcher.scorer, corpus, str(tmp_path / "calibration.csv")),
        cache=matcher.copies.folder,
    ).match(([measured()], [measured()]), (1, 1))
    rows = dict(again.rows)
    before = load_scorer(resource(SCORER))
    for scorer, when in ((before, "before"), (matched.scorer, "after")):
        digests = f"SHA-256 {model_digest(scorer)}; its calibration, with the record of it, SHA-256 "
        assert rows[f"Scorer {when} matching"].endswith(digests + calibration_digest(scorer))
    assert (
        f"calibration.csv, SHA-256 {file_digest(tmp_path / 'calibration.csv')}; drawn with the seed 0: at most 100 "
        in (rows["Matching corpus"])
    )
    assert dict(matched.rows)["Matching corpus"].startswith("sample, no file; ")
    domain = matched.scorer.config.calibration["domain"]
    sexes = {name: {row["speaker"] for row in corpus if row["sex"] == name} for name in ("female", "male")}
    assert domain["speakers_by"]["sex"] == {name: len(of) for name, of in sexes.items()}


def test_different_speakers_are_compared_within_a_value_only(corpus, matcher):
    def of(within, corpus=corpus):
        return CaseMatcher(
            *(matcher.copies.embedder, matcher.autoencoder, matcher.scorer, corpus, "sample"),
            cache=matcher.copies.folder,
            within=within,
        )

    case = ([measured()], [measured()]), (1, 1)
    whole, part = (of(within).match(*case).scorer.config.calibration for within in (None, "sex"))
    assert part["within"] == "sex" and "within" not in whole
    assert part["num_same_speaker"] == whole["num_same_speaker"]
    assert 0 < part["num_different_speaker"] < whole["num_different_speaker"]
    with pytest.raises(UserError, match="matched on sample: it has no column age"):
        of("age")
    alone = corpus.add_column("dialect", corpus["speaker"])
    with pytest.raises(UserError, match="trials of sample: --within dialect: no two different speakers"):
        of("dialect", alone).match(*case)


def test_each_side_is_matched_with_recordings_of_its_own_kind(corpus, matcher):
    """As if there were no others where both sides are of one kind."""
    parts = matcher.copies.embedder, matcher.autoencoder, matcher.scorer
    case = ([measured()], [measured(snr=25.0)]), (1, 1)
    places = corpus.add_column("place", ["call" if row % RECORDINGS else "interview" for row in range(len(corpus))])
    calls = places.filter(lambda row: row["place"] == "call")

    def of(corpus=places, **sides):
        return CaseMatcher(*parts, corpus, "sample", cache=matcher.copies.folder, **sides)

    found = of(for_a="place=interview", for_b="place=call").match(*case)
    calibration, rows = found.scorer.config.calibration, dict(found.rows)
    told = "place=interview for A and with place=call"
    assert calibration["matched_with"] == f"recordings with {told} for B"
    assert told in rows["Matching corpus"] and told in found.remarks[0]
    assert SPEAKERS < calibration["num_same_speaker"] <= SPEAKERS * (RECORDINGS - 1)  # of one interview and each call
    for side, number in zip("AB", (1, RECORDINGS - 1), strict=True):
        assert f" of {number * SPEAKERS} recordings brought to" in rows[f"Copies for {side}"]
    assert any("are simulated" in remark for remark in found.remarks)
    assert not any("here by far" in remark for remark in found.remarks)
    assert any("here by far" in remark for remark in of(for_b="place=call").match(*case).remarks)

    alone, chosen = of(calls).match(*case).scorer, of(for_a="place=call", for_b="place=call").match(*case).scorer
    assert chosen.calibration_offset == alone.calibration_offset
    assert chosen.config.calibration["num_different_speaker"] == alone.config.calibration["num_different_speaker"]

    for sides, message in (
        ({"for_a": "place"}, "'place': expected COLUMN=VALUE, such as channel=telephone"),
        ({"for_a": "room=call"}, "it has no column room"),
        ({"for_b": "place=street"}, "no recording of sample has place=street; it has call, interview"),
    ):
        with pytest.raises(UserError, match=message):
            of(**sides)
    few = places.filter(lambda row: row["place"] == "call" or row["speaker"] in corpus["speaker"][: 2 * RECORDINGS])
    with pytest.raises(UserError, match="only 2 of sample have recordings with place=interview for A and with"):
        of(few, for_a="place=interview", for_b="place=call").match(*case)


@pytest.mark.parametrize("numbers", [(1, 1), (1, 2)])
@pytest.mark.parametrize("other", [measured(), measured(snr=9.0), measured(net_speech=1.2, bandwidth=8_000.0)])
def test_which_side_is_called_a_makes_no_difference(matcher, numbers, other):
    a, b = [measured()] * numbers[0], [other] * numbers[1]
    one, swapped = matcher.match((a, b), numbers).scorer, matcher.match((b, a), numbers[::-1]).scorer
    assert one.calibration_offset == swapped.calibration_offset and one.bounds == swapped.bounds
    assert one.llr_interval(3.0) == swapped.llr_interval(3.0)
    calibrations = [scorer.config.calibration for scorer in (one, swapped)]
    assert calibrations[0]["matched"] == calibrations[1]["matched"][::-1]
    assert calibrations[0]["validation"] == calibrations[1]["validation"]


def test_trials_within_one_session_are_told(corpus, matcher, matched):
    def of(sessions):
        with_sessions = corpus.add_column("session", sessions)
        return CaseMatcher(
            *(matcher.copies.embedder, matcher.autoencoder, matcher.scorer, with_sessions, "sample"),
            cache=matcher.copies.folder,
        ).match(([measured()], [measured()]), (1, 1))

    one, several = of([1] * len(corpus)), of(list(range(len(corpus))))
    same = matched.scorer.config.calibration["num_same_speaker"]
    found, other, unknown = (describe_sessions(m.scorer.config.calibration["domain"]) for m in (one, several, matched))
    assert found == f"All {same} same-speaker trials compare recordings of one session" and other is unknown is None
    assert dict(one.rows)["Matched calibration"].endswith(f"; {same} of {same} same-speaker trials within one session")
    assert dict(several.rows)["Matched calibration"].endswith(f"; 0 of {same} same-speaker trials within one session")
    assert "session" not in dict(matched.rows)["Matched calibration"]


def test_trials_of_two_sexes_are_counted_and_what_the_case_differs_in_is_not(corpus, matcher):
    def of(**chosen):
        of_two = corpus.add_column("channel", ["call", "interview"] * (len(corpus) // 2))
        parts = matcher.copies.embedder, matcher.autoencoder, matcher.scorer, of_two, "sample"
        matched = CaseMatcher(*parts, cache=matcher.copies.folder, **chosen).match(
            ([measured()], [measured()]), (1, 1)
        )
        return matched.scorer.config.calibration["domain"]["unlike"]

    found = of()
    assert found["columns"].keys() == {"channel", "sex"} and found["columns"]["sex"] > found["different_speaker"] / 3
    assert of(within="sex")["columns"]["sex"] == 0
    assert of(for_a="channel=call", for_b="channel=interview")["columns"].keys() == {"sex"}


@pytest.mark.parametrize(
    "condition, own, expected",
    [
        ("duration=3", {"snr": 27.0}, ("duration=3", "a little noisier", "")),
        ("duration=3", {"snr": 25.0}, (None, "noisier", "")),
        ("snr=12", {"snr": 7.0}, (None, "noisier", "")),
        ("snr=12", {"snr": 15.0}, ("snr=12,noise=pink", "", "")),
        ("snr=12", {"snr": 17.0}, ("snr=12,noise=pink", "", "noise")),
        ("band=telephone", {"bandwidth": 3_600.0}, ("band=telephone", "", "")),
        ("band=telephone", {"bandwidth": 7_900.0}, ("band=telephone", "", "band")),
        ("band=7500,snr=20", {"bandwidth": 5_000.0}, (None, "narrower band", "")),
        ("band=3900,snr=20", {}, ("band=3900,snr=20,noise=pink", "", "band, noise")),
    ],
)
def test_recordings_are_taken_left_out_or_changed_by_their_own_conditions(condition, own, expected):
    from types import SimpleNamespace

    own = SimpleNamespace(**{"net_speech": 5.0, "snr": 40.0, "bandwidth": 8_000.0} | own)
    nearest, note = copies._within_reach(Condition.parse(condition), own)
    simulated = "" if nearest is None else copies._simulated(nearest, own)
    assert (None if nearest is None else str(nearest), note, simulated) == expected


def test_simulated_conditions_are_a_caution(matched):
    assert any(
        remark.startswith(f"The conditions of {SPEAKERS * RECORDINGS} of the {SPEAKERS * RECORDINGS} copies that")
        and "a wider band was filtered in 18" in remark
        for remark in matched.remarks
    )
    assert not any("here by far" in remark for remark in matched.remarks)
    assert any("too good. A filter is not a telephone: " in remark for remark in matched.remarks)
    assert "where the case is unlike it in one of these, the likelihood ratio and the figures" in matched.remarks[0]
    noisy = describe_simulation([copies.CopyOf("", "", np.zeros(2), {}, "noise")], (Condition(), Condition()))
    assert "A filter" not in noisy
    assert describe_simulation([copies.CopyOf("", "", np.zeros(2), {})], (Condition(), Condition())) is None


def test_calls_get_no_verdict_where_the_calibration_has_their_band_by_a_filter_alone(matched):
    domain = matched.scorer.config.calibration["domain"]
    assert domain["filtered"] == 1.0
    wide = Condition.parse("duration=2"), Condition.parse("duration=2,band=6000")
    assert copies.share_filtered(wide, ([], [])) == {}
    real, filtered = (copies.CopyOf("", "", np.zeros(2), {}, kind) for kind in ("noise", "band, noise"))
    call = Condition.parse("band=telephone"), Condition.parse("band=3900")
    assert copies.share_filtered(call, ([real, real, filtered, real], [])) == {"filtered": 0.25}
    assert copies.share_filtered(call, ([real, filtered, real, real], [filtered, real])) == {"filtered": 0.5}
    assert copies.share_filtered((wide[0], call[1]), ([filtered], [real])) == {"filtered": 0.0}


def test_sessions_that_the_corpus_does_not_tell_are_a_caution(corpus, matcher):
    def remarks(corpus):
        parts = matcher.copies.embedder, matcher.autoencoder, matcher.scorer, corpus, "sample"
        return CaseMatcher(*parts, cache=matcher.copies.folder).match(([measured()], [measured()]), (1, 1)).remarks

    without = corpus.remove_columns("session") if "session" in corpus.column_names else corpus
    assert UNKNOWN_SESSIONS in remarks(without)
    assert UNKNOWN_SESSIONS in remarks(without.add_column("session", [None] * len(corpus)))
    assert UNKNOWN_SESSIONS not in remarks(without.add_column("session", [str(n) for n in range(len(corpus))]))


@pytest.mark.parametrize(
    "a, b, differ",
    [
        ("duration=3", "duration=9", None),
        ("snr=26", "duration=3", None),
        ("band=telephone", "band=3900", None),
        ("snr=12", "duration=3", "signal-to-noise ratio (12 dB against 30 dB and more)"),
        ("band=telephone,snr=20", "snr=22", "bandwidth (by 4.5 kHz)"),
        ("band=telephone,snr=12", "snr=25", "bandwidth (by 4.5 kHz) and signal-to-noise ratio (12 dB against 25 dB)"),
    ],
)
def test_simulation_promises_too_much_most_of_all_where_the_sides_differ(a, b, differ):
    conditions = Condition.parse(a), Condition.parse(b)
    said = describe_simulation([copies.CopyOf("", "", np.zeros(2), {}, "noise")], conditions)
    assert said.startswith("The conditions of 1 of the 1 copies that the calibration rests on are simulated")
    assert (
        ("here by far" in said) == (differ is not None) and f"since A and B differ in {differ}: " in said
    ) or not differ


def test_copies_and_recordings_are_told_apart_and_add_up(corpus, matcher):
    found = matcher.match(([measured()] * 2, [measured(snr=25.0)]), (2, 1), without={corpus["speaker"][0]})
    domain, rows = found.scorer.config.calibration["domain"], dict(found.rows)
    trials = found.scorer.config.calibration["num_same_speaker"]
    assert trials and domain["recordings"] == (SPEAKERS - 1) * RECORDINGS == sum(domain["counts"]["sex"].values())
    used = [int(re.search(r"of (\d+) copies", rows[f"Conditions of {side}"])[1]) for side in "AB"]
    assert sum(used) == domain["copies"] and max(used) <= domain["recordings"] == domain["measured"]
    assert f"in {domain['copies']} copies, whose ranges follow" in describe_in_words(domain)
    told = f"{domain['copies']} copies of {domain['recordings']} recordings, embedded by"
    assert told in rows["Matched calibration"]
    assert any(f"of the {domain['copies']} copies that the calibration rests on" in text for text in found.remarks)


@pytest.mark.parametrize("alike", [True, False])
def test_recordings_out_of_reach_are_counted_for_each_side(alike):
    made, not_made = copies.CopyOf("", "", np.zeros(2), {}), copies.CopyOf("noisier", "", np.zeros(2), None)
    half, few = [made, not_made] * 4, [made] * 6 + [not_made] * 2
    assert describe_out_of_reach((few, few), alike) is None
    said = describe_out_of_reach((half, half), alike)
    one = "4 of the 8 calibration recordings could not be brought to the conditions of "
    told = f"{one}the case" if alike else f"{one}A and 4 could not be brought to the conditions of B"
    assert said == f"{told}: those that could may differ from it in other ways."


def test_speakers_with_one_recording_do_not_count_for_same_speaker_trials(corpus, matcher):
    once = [row for row in range(len(corpus)) if row % RECORDINGS == 0 or row < 2 * RECORDINGS]
    few = CaseMatcher(
        *(matcher.copies.embedder, matcher.autoencoder, matcher.scorer, corpus.select(once), "few"),
        cache=matcher.copies.folder,
    )
    with pytest.raises(UserError, match="its same-speaker trials are of 2 speakers of few, and at least 5 are needed"):
        few.match(([measured()], [measured()]), (1, 1))


def test_what_is_not_matched_is_named(matched):
    (said,) = (remark for remark in matched.remarks if remark.startswith("Matched to the case are"))
    assert all(word in said for word in ("Room", "coder", "session", "those of sample", "counts as noise"))


def test_copies_are_kept_for_the_next_case_like_it(matched, matcher, monkeypatch):
    def never(*_):
        raise AssertionError("computed again")

    again = CaseMatcher(
        matcher.copies.embedder, matcher.autoencoder, matcher.scorer, matcher.corpus, cache=matcher.copies.folder
    )
    monkeypatch.setattr(copies, "measure_recording", never)
    found = again.match(([measured(1.42, 11.7)], [measured(1.38, 12.3)]), (1, 1))
    assert found.scorer.calibration_offset == matched.scorer.calibration_offset
    assert {remark.replace("the calibration corpus", "sample") for remark in found.remarks} == set(matched.remarks)
    several = again.match(([measured()] * 2, [measured()]), (2, 1))
    assert several.scorer.config.calibration["domain"]["recordings_a_side"] == [1, 2]


def test_copies_of_other_audio_with_the_same_id_size_and_time_are_not_taken(tmp_path, tiny_embedder):
    """As two corpora have it that were unpacked from one archive: recordings of one length, in two conditions."""
    made = []
    for name, loudness in (("one", 1.0), ("other", 0.5)):
        path = tmp_path / name / "r.wav"
        path.parent.mkdir()
        samples = load_audio(resource(VOICES) / "1688" / "ls_1688-01.opus") * loudness
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(np.round(32_767 * samples).astype("<i2").tobytes())
        os.utime(path, (1e9, 1e9))
        made.append(load_corpus(path.parent))
    condition = Condition.parse("snr=5,band=telephone")

    def copy_of(corpus):
        kept = copies.Copies(tiny_embedder, "embedder", tmp_path / "cache")
        return kept.of(corpus, [condition])[0][0]

    first, second = map(copy_of, made)
    assert not first.reason and not second.was_kept
    assert second.quality["level"] == pytest.approx(first.quality["level"] - 6.02, abs=0.1)
    assert all(copy_of(corpus).was_kept for corpus in made)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_new_cache_is_closed_to_other_users_and_one_that_is_there_stays_as_it_is(tmp_path):
    (tmp_path / "shared").mkdir(mode=0o755)
    for name, mode in (("new", 0o700), ("shared", 0o755)):
        copies._write(tmp_path / name / "copies.npz", {"a": copies.CopyOf("", "", np.ones(5, np.float32), {})})
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == mode


def test_a_damaged_cache_is_computed_anew(tmp_path, caplog):
    path, kept = tmp_path / "copies.npz", copies.CopyOf("", "less speech", np.ones(50, np.float32), {"snr": 20.0})
    copies._write(path, {"a": kept})
    (whole,) = copies._read(path).values()
    assert whole.embedding.tolist() == [1.0] * 50 and (whole.note, whole.quality) == (kept.note, kept.quality)
    written = path.read_bytes()
    place = written.index(np.ones(50, np.float32).tobytes())
    torn = written[:place] + b"?" + written[place + 1 :]
    for damaged in (b"PK nothing", b"", written[:200], written[:-9], torn):
        path.write_bytes(damaged)
        caplog.clear()
        assert copies._read(path) == {} and "damaged" in caplog.text


def test_copies_that_cannot_be_kept_are_used_all_the_same(tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    copies._write(tmp_path / "file" / "copies.npz", {"a": copies.CopyOf("noisier", "", np.zeros(256), None)})
    assert "they cannot be kept" in caplog.text


def test_what_a_corpus_cannot_give_is_refused_with_the_reason(corpus, matcher, monkeypatch):
    few = CaseMatcher(matcher.copies.embedder, matcher.autoencoder, matcher.scorer, corpus.select(range(6)), "few")
    with pytest.raises(UserError, match=r"of at least 5 speakers, only 2 of few have recordings"):
        few.match(([measured()], [measured()]), (1, 1))
    with pytest.raises(UserError, match="no column speaker"):
        CaseMatcher(few.copies.embedder, few.autoencoder, few.scorer, corpus.remove_columns("speaker"))
    monkeypatch.setattr(
        matcher.copies, "of", lambda *_: [[copies.CopyOf("noisier", "", np.zeros(256), None)] * len(corpus)]
    )
    with pytest.raises(UserError, match=r"18 left out: noisier"):
        matcher.match(([measured(snr=25.0)], [measured(snr=25.0)]), (1, 1))


def test_speakers_of_the_reference_population_are_left_out(corpus, matcher):
    scorer = load_scorer(resource(SCORER))
    scorer.known_speakers = lambda names, role: sorted(set(names))[:1] if role == "reference" else []
    found = CaseMatcher(
        matcher.copies.embedder, matcher.autoencoder, scorer, corpus, "sample", cache=matcher.copies.folder
    ).match(([measured()], [measured()]), (1, 1))
    assert found.scorer.config.calibration["num_speakers"] == SPEAKERS - 1
    assert any(remark.endswith("who are in the reference population: 1.") for remark in found.remarks)


def test_recordings_without_a_speaker_are_counted(corpus, matcher):
    names = [None, *corpus["speaker"][1:]]
    some = corpus.remove_columns("speaker").add_column("speaker", names)
    parts = matcher.copies.embedder, matcher.autoencoder, matcher.scorer
    found = CaseMatcher(*parts, some, "sample", cache=matcher.copies.folder).match(
        ([measured()], [measured()]), (1, 1)
    )
    told = "Of sample, 1 recording names no speaker, and is left out of the matched calibration."
    assert told in found.remarks


def test_speakers_of_recordings_of_the_reference_population_are_left_out_whatever_their_names(corpus, matcher):
    scorer = load_scorer(resource(SCORER))
    known = recording_digests(corpus.select(range(2)), read_files=True)  # of one speaker
    scorer.known_recordings = lambda digests, role: known_again(digests, known)
    found = CaseMatcher(
        matcher.copies.embedder, matcher.autoencoder, scorer, corpus, "sample", cache=matcher.copies.folder
    ).match(([measured()], [measured()]), (1, 1))
    assert found.scorer.config.calibration["num_speakers"] == SPEAKERS - 1
    assert any(remark.endswith("who are in the reference population: 1.") for remark in found.remarks)


def test_speakers_of_the_case_are_left_out_and_named(corpus, matcher):
    someone = corpus["speaker"][0]
    found = matcher.match(([measured()], [measured()]), (1, 1), without={someone, "nobody of the corpus"})
    assert found.scorer.config.calibration["num_speakers"] == SPEAKERS - 1
    assert found.remarks[0].endswith(f"who are those of the case, as far as names and files tell: {someone}.")


@pytest.fixture
def case(corpus, tmp_path):
    """Two recordings of a voice outside the calibration corpus, as noisy telephone calls; and that corpus as a csv."""
    from balr_hf.audio import load_audio
    from balr_hf.conditions.copies import write_flac

    paths = [tmp_path / "a.flac", tmp_path / "b.flac"]
    whole = load_corpus(resource("data/sample"), vectors=())
    last = [row for row, name in enumerate(whole["speaker"]) if name == sorted(set(whole["speaker"]))[-1]]
    for path, number in zip(paths, (0, 1), strict=True):
        samples = load_audio(whole[last[number]]["audio"])
        write_flac(path, Condition.parse("snr=12,band=telephone").apply(samples, number))
    rows = [f"{row['id']},{row['audio']['path']},{row['speaker']}" for row in corpus]
    shutil.copy(paths[1], tmp_path / "same-sound.flac")
    rows = [f"{row},{sex}" for row, sex in zip(rows, corpus["sex"], strict=True)]
    rows.append(f"known,{tmp_path / 'same-sound.flac'},somebody,male")  # who is of the case, and is to be left out
    (tmp_path / "calibration.csv").write_text("\n".join(["id,audio,speaker,sex", *rows]) + "\n")
    return paths, tmp_path / "calibration.csv"


def test_explain_and_the_pipeline_match_alike(case, balr, monkeypatch, tmp_path):
    import json

    from transformers import pipeline

    import balr_hf  # noqa: F401  # registers the task

    monkeypatch.setattr(copies, "cache_folder", lambda: tmp_path / "cache")
    (a, b), calibration = case
    status, said = balr(
        *("explain", "--match", calibration, "--within", "sex", "--html", tmp_path / "page.html", "--json", a, b)
    )
    assert status == 0
    found = json.loads(said[said.index("{\n") : said.rindex("\n}") + 2])
    assert len(found["calibration"]["matched"]) == 2 and found["calibration"]["num_speakers"] == SPEAKERS
    assert "matched without the speakers of the case: somebody" in said
    details = dict(found["details"])
    assert {"Matched calibration", "Conditions of A", "Conditions of B"} <= details.keys()
    before = load_scorer(resource(SCORER))
    assert f", SHA-256 {model_digest(before)}; its calibration" in details["Scorer before matching"]
    assert details["Scorer before matching"].endswith(before.config.calibration["digest"])
    assert "; its calibration, with the record of it, SHA-256 " in details["Scorer after matching"]
    assert "Scorer's file" not in details and found["calibration"]["within"] == "sex"
    assert sum("somebody" in caution for caution in found["cautions"]) == 1
    page = (tmp_path / "page.html").read_text()
    assert "Matched calibration" in page and "Conditions of A" in page
    compare = pipeline("speaker-comparison", match=calibration, match_cache=tmp_path / "cache", match_within="sex")
    result = compare(str(a), str(b))
    assert found["no_verdict"] == result["no_verdict"] == ["outside"] and found["llr"] is None
    assert result["withheld_llr"] == pytest.approx(found["withheld_llr"])
    assert {one["measure"] for one in found["deviations"] if one["is_beyond"]} == {"filtered"}
    assert sum("somebody" in caution for caution in result["cautions"]) == 1
    status, said = balr("explain", "--match", calibration, "--no-calibrated", a, b)
    assert status == 2 and "--match calibrates the scorer" in said
    status, said = balr("explain", "--within", "sex", a, b)
    assert status == 2 and "--within is for --match" in said
    status, said = balr("explain", "--match-b", "sex=male", a, b)
    assert status == 2 and "--match-b is for --match" in said
    for name in ("match_across", "match_a"):
        with pytest.raises(ConfigError, match=f"{name} is for the trials of match"):
            pipeline("speaker-comparison", **{name: "session"})
    with pytest.raises(ConfigError, match="match_within is for the trials of match"):
        pipeline("speaker-comparison", match_within="sex")


def test_a_matched_scorer_that_is_saved_computes_the_case_again(case, balr, monkeypatch, tmp_path):
    import json

    def explained(*words):
        status, said = balr("explain", "--json", *words, *paths)
        assert status == 0, said
        return json.loads(said[said.index("{\n") : said.rindex("\n}") + 2])

    monkeypatch.setattr(copies, "cache_folder", lambda: tmp_path / "cache")
    paths, calibration = case
    saved = tmp_path / "for this case"
    first = explained("--match", calibration, "--save-scorer", saved)
    details = dict(first["details"])
    assert details["Scorer after matching"].startswith(f"saved in {saved}, SHA-256 {model_digest(load_scorer(saved))}")
    assert "computed for an earlier case" not in details["Copies for A"]
    again = explained(f"scorer.checkpoint_path={saved}")
    assert again["llr"] == first["llr"] and again["interval"] == first["interval"]
    matched = [text for text in first["cautions"] if text.startswith("Matched to the case are net speech")]
    assert len(matched) == 1 and not any("saved for it" in text for text in first["cautions"])
    a, b = first["calibration"]["matched"]
    of = f"The calibration was matched to one case, and saved for it (A was {a}, B was {b})"
    start = again["cautions"].index(f"{of}: for other recordings, match anew.")
    told = [text.removeprefix("Said when the calibration was matched: ") for text in again["cautions"][start + 1 :]]
    assert matched[0] in told and set(first["cautions"]) <= {*again["cautions"], *told}
    assert "calibration that was matched to the case that it was saved for (" in again["propositions"][-1]
    assert "calibration that was matched to the case (" in first["propositions"][-1]
    kept = explained("--match", calibration)
    number = re.search(r"(\d+) computed for an earlier case", dict(kept["details"])["Copies for A"])
    assert number is not None and int(number[1]) > 0 and kept["llr"] == first["llr"]
    anew = explained("--match", calibration, "--no-match-cache")
    assert "computed for an earlier case" not in dict(anew["details"])["Copies for A"] and anew["llr"] == first["llr"]


@pytest.mark.parametrize(
    "words, reason",
    [
        (["--save-scorer", "new"], "--save-scorer is for --match"),
        (["--no-match-cache"], "--no-match-cache is for --match"),
        (["--match", "any.csv", "--save-scorer", "."], "--save-scorer . is there already"),
    ],
)
def test_settings_of_matching_that_cannot_be_kept_are_refused(case, balr, words, reason):
    status, said = balr("explain", *words, *case[0])
    assert status == 2 and reason in said
