"""Whether calibrations that are matched to a case hold what they promise: the table in `README.md`.

A calibration is matched to the conditions of a case as `balr explain --match` does it, on some speakers of a corpus,
and is then measured on recordings of others. Where a case of the table has one group of people for both, these are
divided into halves by a seed, and each half is calibrated on and measured on in turn; else all speakers of the one
group calibrate, and those of the other are measured on. Beside the figures stands what the cross-validation of the
calibration said of itself. What was computed of recordings is kept in a folder.

Usage:
    python benchmarks/matched.py CORPUS.csv NOISE.csv KEEP [--system FOLDER] [--seeds 2] [--only NAME]

The corpus is `speech/dev`, with the columns `audio`, `speaker`, `source`, `sex`, `age` and `session`.
"""

import argparse
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
import transformers
from tqdm.auto import tqdm

from balr_hf import BinaryAttributeAutoEncoder, WespeakerModel, load_corpus
from balr_hf.audio import AudioError
from balr_hf.conditions import Condition, recording_seed
from balr_hf.data import add_vector_column, fixed_length_column
from balr_hf.defaults import SYSTEM, resource
from balr_hf.domain import Limits
from balr_hf.embeddings.passes import embed_waveforms
from balr_hf.errors import UserError
from balr_hf.matching import CaseMatcher
from balr_hf.matching.copies import CLEAN, NARROWER, NOISIER
from balr_hf.metrics import compute_metrics
from balr_hf.metrics.intervals import bootstrap_intervals, speaker_draws, speakers_by_kind, widening
from balr_hf.quality import heard, load_speech, measure_recording, reason_to_refuse, stretches_of
from balr_hf.scoring.auto import load_scorer
from balr_hf.scoring.breakdown import keep_chosen
from balr_hf.scoring.calibration_fits import doubt_of, fit_affine
from balr_hf.scoring.made_trials import make_trials
from balr_hf.scoring.trials import score_trials, side_counts, side_speakers

# Recordings of each speaker that are measured on, at most.
OF_EACH = 4
WIDE = ("speechocean762", "alphanumeric", "speech_commands", "librispeech")
STRONG = np.log(10)
# Fewer speakers are too few for an interval.
FEWEST = 10
ADULT = 18

Row = dict[str, Any]
Group = Callable[[Row], bool]


def of(*sources: str) -> Group:
    return lambda row: row["source"] in sources


def aged(child: bool) -> Group:
    return lambda row: row["source"] == "speechocean762" and (row["age"] < ADULT) == child


@dataclass(frozen=True)
class Case:
    """A case of the table.

    Attributes:
        name: as the table calls it.
        a, b: what becomes of the recordings that are measured on.
        measured: whose these are.
        calibrated: who calibrates; those who are measured on, in halves, by default.
        within, across: as of `balr explain --match`, for what calibrates and what is measured on.
        calibrated_across: `across` for what calibrates, if that is another.
        one_session: whether only recordings of each speaker's first session are measured on.
    """

    name: str
    a: str
    b: str
    measured: Group
    calibrated: Group | None = None
    within: str | None = "source"
    across: str | None = None
    calibrated_across: str | None = field(default="as measured")
    one_session: bool = False


CUT = "duration=2.5"
PHONE = f"{CUT},band=telephone"
NOISY = "duration=2,snr=20"
CASES = (
    Case("wide-band recordings as they are", CUT, CUT, of(*WIDE)),
    Case("telephone band against wide-band", PHONE, CUT, of(*WIDE)),
    Case("pink noise of 10 dB on one side", f"{CUT},snr=10", CUT, of(*WIDE)),
    Case("recorded noise of 10 dB on one side", f"{CUT},snr=10,noise=recorded", CUT, of(*WIDE)),
    Case("learners of English on other learners", NOISY, NOISY, of("speechocean762")),
    Case("learners, calibrated on browsers' microphones", CUT, CUT, of("speechocean762"), of("speech_commands")),
    Case("browsers' microphones, calibrated on learners", CUT, CUT, of("speech_commands"), of("speechocean762")),
    Case("own phones, calibrated on learners", CUT, CUT, of("alphanumeric"), of("speechocean762")),
    Case("Mandarin and English words, calibrated on English", CUT, CUT, of("dspspeech20"), of(*WIDE)),
    Case("Arabic words, calibrated on English", CUT, CUT, of("arabic_speech_commands"), of(*WIDE)),
    Case("children on other children", NOISY, NOISY, aged(True), within="sex"),
    Case("children, calibrated on adults", NOISY, NOISY, aged(True), aged(False), within="sex"),
    Case("adults on other adults", NOISY, NOISY, aged(False), within="sex"),
    Case("calls, calibrated on other calls", CUT, CUT, of("wuw2"), within="sex", across="session"),
    Case(
        "calls, calibrated without --across session",
        *(CUT, CUT, of("wuw2")),
        within="sex",
        across="session",
        calibrated_across=None,
    ),
    Case(
        "calls, calibrated on filtered wide-band recordings",
        *(CUT, CUT, of("wuw2"), of("speechocean762", "alphanumeric")),
        within="sex",
        across="session",
        calibrated_across=None,
    ),
    Case(
        "calls of one session, calibrated on filtered wide-band recordings",
        *(CUT, CUT, of("wuw2"), of("speechocean762", "alphanumeric")),
        within="sex",
        one_session=True,
    ),
)


class Listener:
    """Brings recordings to conditions, measures and embeds them, and keeps what it found.

    Args:
        system (str): folder of the system.
        noises: recordings of noise.
        keep (Path): folder.
    """

    def __init__(self, system: str, noises: list[np.ndarray], keep: Path):
        self.embedder = WespeakerModel.from_pretrained(system)
        self.autoencoder = BinaryAttributeAutoEncoder.from_pretrained(system)
        self.noises, self.keep = noises, keep
        self._model = self.embedder.for_inference()

    def copies(self, corpus: datasets.Dataset, text: str) -> datasets.Dataset:
        """The recordings in a condition, with `source_id`, `ba`, and their measures as the column `measures`."""
        path = self.keep / "measured" / (text.replace(":", "-").replace("=", "-") + ".npz")
        known: dict[str, Any] = dict(np.load(path, allow_pickle=True)["found"].item()) if path.is_file() else {}
        condition = Condition.parse(text)
        for row in tqdm([row for row in corpus if row["id"] not in known], desc=text, mininterval=10):
            known[row["id"]] = self._copy(row, condition)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, found=np.array(known, dtype=object))
        found = [known[name] for name in corpus["id"]]
        made = [number for number, one in enumerate(found) if one is not None]
        part = corpus.select(made).remove_columns("audio")
        part = part.add_column("source_id", part["id"])
        bits = self.autoencoder.encode(torch.from_numpy(np.stack([found[number][0] for number in made]))).numpy()
        part = add_vector_column(part, "ba", fixed_length_column(bits))
        return part.add_column("measures", [found[number][1] for number in made])

    def _copy(self, row: Row, condition: Condition) -> tuple[np.ndarray, Row] | None:
        """The embedding and the measures of a recording in a condition; None if it cannot be brought to it."""
        samples = load_speech(row["audio"])
        try:
            copy = condition.apply(samples, recording_seed(row["id"], 99), noises=self.noises)
        except AudioError:
            return None
        quality, spoken = measure_recording(copy)
        if reason_to_refuse(quality) is not None or quality.snr is None or quality.bandwidth is None:
            return None
        used = heard(copy, stretches_of(copy, spoken))
        vectors = embed_waveforms(self._model, self.embedder.feature_extractor, [used], torch.device("cpu"))
        return vectors[0], quality.to_dict()


def some_of_each(corpus: datasets.Dataset) -> datasets.Dataset:
    """At most `OF_EACH` recordings of each speaker and session, drawn by their names as the matching does."""
    rows_of: dict[tuple[str, str], list[int]] = {}
    for number, row in enumerate(zip(corpus["speaker"], corpus["session"], strict=True)):
        rows_of.setdefault(row, []).append(number)
    names = corpus["id"]
    chosen = (sorted(rows, key=lambda row: recording_seed(names[row], 0))[:OF_EACH] for rows in rows_of.values())
    return corpus.select(sorted(row for rows in chosen for row in rows))


def of_the_condition(copies: datasets.Dataset) -> tuple[datasets.Dataset, Row]:
    """The copies that are like their median, as the matching understands it, and that median."""
    names = ("net_speech", "snr", "bandwidth")
    values = np.array([[one[name] for name in names] for one in copies["measures"]])
    values[:, 1] = np.minimum(values[:, 1], CLEAN + 1)
    kept = np.arange(len(values))
    for _ in range(2):  # the median of those that are alike
        middle = np.median(values[kept], axis=0)
        alike = abs(values[:, 1] - middle[1]) <= NOISIER + (middle[1] > CLEAN)
        alike &= abs(values[:, 2] - middle[2]) <= NARROWER
        kept = np.flatnonzero(alike & (abs(values[:, 0] / middle[0] - 1) <= 0.2))
    return copies.select(kept), {**dict(zip(names, middle.tolist(), strict=True)), "clipping": 0.0, "tone_share": 0.0}


@dataclass
class Found:
    """The trials of a case: natural-log LRs before and within bounds, and what the calibrations said of themselves."""

    llrs: list[np.ndarray] = field(default_factory=list)
    held: list[np.ndarray] = field(default_factory=list)
    labels: list[np.ndarray] = field(default_factory=list)
    enroll: list[np.ndarray] = field(default_factory=list)
    test: list[np.ndarray] = field(default_factory=list)
    covered: list[np.ndarray] = field(default_factory=list)
    promised: list[Row] = field(default_factory=list)
    remarks: tuple[str, ...] = ()
    refused: list[str] = field(default_factory=list)
    strong: int = 0
    strong_with_verdict: int = 0


class Measuring:
    """Measures the cases."""

    def __init__(self, corpus: datasets.Dataset, listener: Listener, system: str, seeds: int):
        self.corpus, self.listener, self.scorer, self.seeds = corpus, listener, load_scorer(system), seeds

    def of(self, case: Case) -> Found:
        measured = self.corpus.filter(case.measured)
        if case.one_session:
            first = dict(zip(measured["speaker"][::-1], measured["session"][::-1], strict=True))
            measured = measured.filter(lambda row: row["session"] == first[row["speaker"]])
        sides = [self.listener.copies(some_of_each(measured), text) for text in (case.a, case.b)]
        (one, middle_a), (other, middle_b) = map(of_the_condition, sides)
        if case.a == case.b:
            copies, pair = labelled(one, "A"), ("A", "A")
        else:
            copies, pair = datasets.concatenate_datasets([labelled(one, "A"), labelled(other, "B")]), ("A", "B")
        found = Found()
        for calibrating, tested in self._parts(case, copies):
            self._measure(case, calibrating, tested, pair, (middle_a, middle_b), found)
        return found

    def _parts(self, case: Case, copies: datasets.Dataset) -> Any:
        if case.calibrated is not None:
            yield self.corpus.filter(case.calibrated), copies
            return
        speakers = sorted(set(copies["speaker"]))
        for seed in range(self.seeds):
            order = np.random.default_rng(seed).permutation(len(speakers))
            halves = [{speakers[number] for number in order[half::2]} for half in range(2)]
            for half, others in (halves, halves[::-1]):
                own = self.corpus.filter(case.measured).filter(lambda row, half=half: row["speaker"] in half)
                yield own, copies.filter(lambda row, others=others: row["speaker"] in others)

    def _measure(
        self,
        case: Case,
        calibrating: datasets.Dataset,
        tested: datasets.Dataset,
        pair: tuple[str, str],
        middles: tuple[Row, Row],
        found: Found,
    ) -> None:
        across = case.across if case.calibrated_across == "as measured" else case.calibrated_across
        matcher = CaseMatcher(
            *(self.listener.embedder, self.listener.autoencoder, self.scorer, calibrating, "the corpus"),
            cache=self.listener.keep / "matching",
            within=case.within,
            across=across,
        )
        try:
            matched = matcher.match(([middles[0]], [middles[1]]), (1, 1))
        except UserError as error:
            found.refused.append(str(error))
            return
        scorer = matched.scorer
        trials = make_trials(tested, 1, 1, seed=1, pairs=[pair])
        names = side_speakers(tested, trials.sides)
        assert names is not None
        trials = keep_chosen(tested, trials, names, within=case.within, across=case.across)
        enroll, test = names[trials.enroll], names[trials.test]
        labels = enroll == test
        counts = side_counts(tested, trials.sides)
        raw = score_trials(scorer, counts, trials)
        llrs = score_trials(scorer, counts, trials, calibrated=True)
        bounds = scorer.bounds or (-np.inf, np.inf)
        slope, offset = fit_affine(raw, labels, doubt=doubt_of(min(speakers_by_kind(labels, enroll, test))))
        ends = np.array([scorer.llr_interval(llr) for llr in llrs])
        theirs = slope * raw + offset
        held = np.clip(llrs, *bounds)
        found.llrs.append(llrs)
        found.held.append(held)
        found.labels.append(labels)
        found.enroll.append(enroll)
        found.test.append(test)
        found.covered.append((ends[:, 0] <= theirs) & (theirs <= ends[:, 1]))
        found.promised.append(scorer.config.calibration)
        found.remarks = matched.remarks
        measures = dict(zip(tested["id"], tested["measures"], strict=True))
        for number in np.flatnonzero(np.where(labels, -held, held) >= STRONG):
            sides = [trials.sides[side[number]][0] for side in (trials.enroll, trials.test)]
            told = scorer.explain(
                *(counts[side[number]] for side in (trials.enroll, trials.test)),
                quality=tuple([measures[name]] for name in sides),
                limits=Limits(filtered=1),  # which was set by what is found here
            )
            found.strong += 1
            found.strong_with_verdict += told.has_verdict


def labelled(copies: datasets.Dataset, condition: str) -> datasets.Dataset:
    """The copies with the name of their condition, which their ids end with."""
    ids = [f"{name}@{condition}" for name in copies["id"]]
    copies = copies.remove_columns("id").add_column("id", ids)
    return copies.add_column("condition", [condition] * len(copies))


def share(hits: np.ndarray, found: Found, kind: bool) -> str:
    """The share of the trials of a kind that are hit, with its interval by draws of the speakers."""
    labels = np.concatenate(found.labels)
    value = float(hits[labels == kind].mean())
    names, codes = np.unique(np.concatenate([*found.enroll, *found.test]), return_inverse=True)
    enroll, test = codes.reshape(2, -1)
    if len(names) < FEWEST:
        return f"{value:.1%} (too few)"
    drawn = []
    for weights in speaker_draws(len(names), enroll, test, labels, 1_000):
        chosen = weights[0] if kind else weights[1]
        drawn.append(float(hits[labels == kind] @ chosen / chosen.sum()))
    low, high = value + widening(len(names)) * (np.quantile(drawn, [0.025, 0.975]) - value)
    told = f" ({100 * max(0, low):.1f} to {100 * min(1, high):.1f})" if max(drawn) > min(drawn) else ""
    return f"{value:.1%}{told}"


def promised_share(promised: list[Row], kind: str) -> float:
    """The share of the cross-validated trials of a kind that mislead by a factor of ten, by their percentiles."""
    sign = -1 if kind == "same_speaker" else 1
    shares = [(sign * np.array(one["validation"][kind]) > STRONG).mean() for one in promised]
    return float(np.mean(shares))


def show(case: Case, found: Found) -> None:
    """Print the row of a case."""
    labels, held, llrs = (np.concatenate(parts) for parts in (found.labels, found.held, found.llrs))
    enroll, test = np.concatenate(found.enroll), np.concatenate(found.test)
    metrics = compute_metrics(held, labels)
    speakers = len({*enroll, *test})
    intervals = bootstrap_intervals(held, labels, enroll, test) if speakers >= FEWEST else {}
    interval = f"({intervals['cllr'][0]:.2f} to {intervals['cllr'][1]:.2f})" if "cllr" in intervals else "(too few)"
    least = np.mean(
        [compute_metrics(one, kinds)["cllr_min"] for one, kinds in zip(found.held, found.labels, strict=True)]
    )
    promise = np.mean([one["validation"]["cllr"] for one in found.promised])
    calibrating = sorted({one["num_same_speaker_speakers"] for one in found.promised})
    cells = [
        case.name,
        "-".join(str(number) for number in dict.fromkeys((calibrating[0], calibrating[-1]))),
        f"{speakers}; {labels.sum():,}, {(~labels).sum():,}",
        f"{promise:.2f}",
        f"{metrics['cllr']:.2f} {interval}",
        f"{least:.2f}",
        f"{promised_share(found.promised, 'same_speaker'):.0%}; {share(llrs < -STRONG, found, True)}",
        f"{promised_share(found.promised, 'different_speaker'):.0%}; {share(llrs > STRONG, found, False)}",
        f"{(held != llrs)[labels].mean():.0%}, {(held != llrs)[~labels].mean():.0%}",
        f"{np.concatenate(found.covered).mean():.0%}",
        f"{found.strong_with_verdict} of {found.strong}",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, help="csv with the recordings and their speakers")
    parser.add_argument("noise", type=Path, help="csv with recordings of noise")
    parser.add_argument("keep", type=Path, help="folder for what is computed of recordings")
    parser.add_argument("--system", default=str(resource(SYSTEM)), help="folder of the system")
    parser.add_argument("--seeds", type=int, default=2, help="how often the speakers are divided into halves")
    parser.add_argument("--only", default="", help="the cases whose names hold this text")
    parser.add_argument("--remarks", action="store_true", help="also print the cautions of the last calibration")
    arguments = parser.parse_args()
    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    logging.disable(logging.INFO)
    noises = [load_speech(row["audio"]) for row in load_corpus(arguments.noise, vectors=())]
    listener = Listener(arguments.system, noises, arguments.keep)
    measuring = Measuring(load_corpus(arguments.corpus, vectors=()), listener, arguments.system, arguments.seeds)
    titles = (
        "case",
        "speakers that calibrate",
        "speakers measured; trials of one, of two",
        "Cllr promised",
        "Cllr (95 %)",
        "least",
        "same-speaker LR < 1/10: promised; found",
        "different-speaker LR > 10: promised; found",
        "held at a bound, of one, of two",
        "within the interval",
        "misleading by 10 or more with a verdict",
    )
    print(f"| {' | '.join(titles)} |\n| --- |{' --- |' * (len(titles) - 1)}")
    for case in CASES:
        if arguments.only in case.name:
            found = measuring.of(case)
            for reason in found.refused:
                print(f"{case.name}: {reason}", file=sys.stderr)
            if found.llrs:
                show(case, found)
            if arguments.remarks:
                print("\n".join(f"    {remark}" for remark in found.remarks))


if __name__ == "__main__":
    main()
