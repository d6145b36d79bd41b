"""Extract embeddings from a corpus that others made, with other column names, numbered speakers and no ids.

The audio may be files or samples that are decoded already.

    python examples/corpus_with_decoded_audio.py
    python examples/corpus_with_decoded_audio.py NAME/DATASET validation speaker_id

The arguments are a dataset on the Hub with an `audio` column, one of its splits, and its column of speakers. Without
arguments, the script makes a stand-in from the sample corpus. It does not need torchcodec. Where torchcodec is
installed, `load_speech(row["audio"])` and the pipelines take its `AudioDecoder`s too.
"""

import sys

import datasets

from balr_hf import WespeakerModel, load_corpus
from balr_hf.defaults import EMBEDDER, SAMPLE_CORPUS, resource
from balr_hf.quality import load_speech


def stand_in() -> datasets.Dataset:
    """Make a corpus with an `Audio` column, the speakers as a `ClassLabel`, and no ids."""
    recordings = load_corpus(resource(SAMPLE_CORPUS) / "test.csv").select(range(16))
    theirs = recordings.select_columns(["audio", "speaker"]).rename_column("speaker", "speaker_id")
    return theirs.class_encode_column("speaker_id").cast_column("audio", datasets.Audio(sampling_rate=16000))


def decoded(theirs: datasets.Dataset) -> datasets.Dataset:
    """Replace the files of a corpus by samples: `{"array": ..., "sampling_rate": ...}`."""
    files = theirs.cast_column("audio", datasets.Audio(decode=False))
    samples = [{"array": load_speech(audio), "sampling_rate": 16000} for audio in files["audio"]]
    return theirs.remove_columns("audio").add_column("audio", samples)


name, split, speaker = sys.argv[1:] or (None, None, "speaker_id")
theirs = datasets.load_dataset(name, split=split) if name else stand_in()
embedder = WespeakerModel.from_pretrained(resource(EMBEDDER))

for kind, dataset in {"files": theirs, "samples": decoded(theirs)}.items():
    corpus = embedder.extract_embeddings(load_corpus(dataset.rename_column(speaker, "speaker")))
    first = corpus[0]
    print(
        f"{kind}: {len(corpus)} recordings; the first, {first['id']} of {first['speaker']}: {first['embedding'][:3]}"
    )
