"""What the attributes of a system go with, and whether that holds for speakers and conditions that were not used.

    python benchmarks/describing.py --describe librispeech/train.csv librispeech/test.csv --check speech/dev/dev.csv
    python benchmarks/describing.py --system runs/system --describe corpus.csv --check other.csv

Recordings of the corpora in `--describe` are cut to segments of 3.5 s, at most four of a speaker, and the attributes
are described on them. Then what was fitted on them is applied to the recordings of `--check`.
"""

import argparse
import shutil
import tempfile
import wave
from collections import Counter
from pathlib import Path

import numpy as np
from measuring import against, table

SECONDS, EACH = 3.5, 4


def cut(corpora: list[str], folder: Path) -> Path:
    """Write the segments and a csv of them into a folder; gives the csv."""
    from balr_hf import load_audio, load_corpus
    from balr_hf.audio import SAMPLING_RATE

    rows, taken, length = ["id,audio,speaker,sex,source"], Counter(), int(SECONDS * SAMPLING_RATE)
    for corpus in corpora:
        for row in load_corpus(corpus, vectors=()):
            if row["speaker"] is None or taken[row["speaker"]] >= EACH:
                continue
            samples = load_audio(row["audio"])
            for start in range(0, len(samples) - length + 1, length):
                if taken[row["speaker"]] >= EACH:
                    break
                taken[row["speaker"]] += 1
                path = folder / f"{row['speaker']}-{taken[row['speaker']]}.wav"
                with wave.open(str(path), "wb") as file:
                    file.setnchannels(1)
                    file.setsampwidth(2)
                    file.setframerate(SAMPLING_RATE)
                    pcm = np.clip(samples[start : start + length], -1, 1) * 32_767
                    file.writeframes(pcm.round().astype("<i2").tobytes())
                source = row.get("source") or Path(corpus).parent.name
                rows.append(f"{path.stem},{path.name},{row['speaker']},{row.get('sex') or ''},{source}")
    csv = folder / "segments.csv"
    csv.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return csv


def measured(dataset, cache: Path) -> tuple:
    """The recordings that have attributes and measures, with both: `(recordings, voice, recording, attributes)`."""
    from balr_hf import vector_matrix
    from balr_hf.data.skipped import Skipped
    from balr_hf.describing.corpus import measure_recordings
    from balr_hf.describing.measures import RECORDING, VOICE, matrix

    bits, present = vector_matrix(dataset, "ba")
    dataset = dataset.select(np.flatnonzero(present))
    found = [figures for _, figures in measure_recordings(dataset, cache)]
    rows = [row for row, one in enumerate(found) if not isinstance(one, Skipped)]
    figures = [found[row] for row in rows]
    return dataset.select(rows), matrix(figures, VOICE), matrix(figures, RECORDING), bits[rows].astype(bool)


def at_least(areas: list[float | None], least: float) -> int:
    """How many areas are above a limit."""
    return sum(area is not None and area > least for area in areas)


def main() -> None:
    from balr_hf import SpeakerComparisonModel
    from balr_hf.attributes.binarization import compute_binary_attributes
    from balr_hf.data.reading import load_corpus
    from balr_hf.defaults import SYSTEM, resource
    from balr_hf.describing import Group, Meaning
    from balr_hf.describing.association import Ranks, auc
    from balr_hf.describing.corpus import cache_folder
    from balr_hf.describing.description import DESCRIBED, FALSE_DISCOVERIES, FEWEST, WEAKLY
    from balr_hf.describing.measures import VOICE
    from balr_hf.describing.prediction import discriminant, together
    from balr_hf.embeddings.extraction import compute_embeddings
    from balr_hf.system.describing import describe_system

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--system", default=str(resource(SYSTEM)))
    parser.add_argument("--describe", nargs="+", required=True, help="corpora with speakers, and their sex")
    parser.add_argument("--check", required=True, help="a corpus of other speakers and conditions")
    parser.add_argument("--name", default="segments of 3.5 s", help="what the corpora are called in descriptions")
    parser.add_argument("--save", help="folder to write attributes.json to, such as that of the system")
    parser.add_argument("--permutations", type=int, default=1_000)
    arguments = parser.parse_args()
    cache = cache_folder()
    system = SpeakerComparisonModel.from_pretrained(arguments.system, with_descriptions=False)
    folder = Path(tempfile.mkdtemp())
    try:
        csv = cut(arguments.describe, folder)
        found, dataset, skipped = describe_system(
            system, csv, arguments.name, arguments.permutations, cache=cache, progress=True
        )
        used, voice, recording, bits = measured(dataset, cache)
    finally:
        shutil.rmtree(folder)

    if arguments.save is not None:
        print("Saved", found.save(Path(arguments.save)))
    all_of = found.attributes
    voices, recordings = [one.voice_auc for one in all_of], [one.recording_auc for one in all_of]
    single = [one.associations[0].auc if one.associations else None for one in all_of]
    codes = np.unique(used["speaker"], return_inverse=True)[1]
    female = np.array([str(sex).lower().startswith("f") for sex in used["sex"]], dtype=float)
    whole = together(np.column_stack([voice, recording, female]), bits, codes).values.tolist()
    ceilings = [one.ceiling for one in all_of]
    rows = []
    for words, areas in (
        ("best single measure", single),
        ("measures of the voice together", voices),
        *((f"the same, {sex} speakers alone", [one.within[sex] for one in all_of]) for sex in found.population.by_sex),
        ("measures of the recording together", recordings),
        ("voice, recording and sex together", whole),
        ("the same speaker's other segments", ceilings),
    ):
        known = [area for area in areas if area is not None]
        rows.append([words, f"{np.median(known):.3f}", *(at_least(areas, least) for least in (0.65, 0.7, 0.8))])
    about = f"{found.population.describe()}, {len(skipped)} skipped"
    table(
        f"What attributes go with: {about}", ["on held-out speakers", "median AUC", "> 0.65", "> 0.70", "> 0.80"], rows
    )
    count = found.count()
    tested = [one for one in all_of if one.associations]
    rows = [[f"class: {meaning}", count["meaning"][meaning]] for meaning in Meaning]
    rows += [[f"group: {group}", count["group"][group]] for group in Group]
    rows += [[f"association at a false-discovery rate of {FALSE_DISCOVERIES:.0%}", sum(o.q <= 0.05 for o in tested)]]
    rows += [[f"active and inactive in at least {FEWEST} segments", len(tested)]]
    table("Classes and groups", ["", "attributes"], rows)

    others, _ = compute_embeddings(system.embedder, load_corpus(arguments.check, vectors=()))
    others, _ = compute_binary_attributes(system.autoencoder, others)
    _, heard, _, states = measured(others, cache)
    enough = np.minimum(states.sum(0), (~states).sum(0)) >= FEWEST
    joint = auc(discriminant(voice, bits, heard), states)
    ranks = Ranks(heard).areas(states)
    names = [measure.name for measure in VOICE]
    rows = []
    for meaning in (Meaning.DESCRIBED, Meaning.WEAKLY_DESCRIBED):
        members = [one for one in all_of if one.meaning is meaning and enough[one.attribute]]
        areas = np.array([joint[one.attribute] for one in members])
        best = []
        for one in members:
            first = next(a for a in one.associations if a.measure in names)
            area = ranks[one.attribute, names.index(first.measure)]
            best.append(area if first.higher else 1 - area)
        if not members:
            continue
        share = 100 * float((areas > WEAKLY).mean())
        rows.append(
            [
                meaning,
                f"{len(members)} of {count['meaning'][meaning]}",
                f"{np.median(areas):.3f}",
                against(share, 95, ".0f", " %") if meaning is Meaning.DESCRIBED else f"{share:.0f} %",
                f"{100 * float((areas > DESCRIBED).mean()):.0f} %",
                f"{np.median(best):.3f}",
                f"{100 * float((np.array(best) > 0.5).mean()):.0f} %",
            ]
        )
    header = [
        "class",
        "attributes that vary there",
        "median AUC",
        "> 0.60",
        "> 0.70",
        "best measure alone",
        "same direction",
    ]
    table(f"On {len(heard)} recordings of {Path(arguments.check).name}, of which nothing was fitted", header, rows)


if __name__ == "__main__":
    main()
