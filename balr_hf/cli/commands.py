"""The commands of `balr`: each with its module and its line in the help."""

COMMANDS = {
    "inspect": ("balr_hf.cli.inspect", "Measure what is in recordings: speech, noise, bandwidth, clipping."),
    "measure": ("balr_hf.cli.measure", "Measure voices as a phonetician would: F0, formants, voice quality, rate."),
    "channels": ("balr_hf.cli.channels", "Save each channel of a recording as a recording of its own."),
    "degrade": ("balr_hf.cli.degrade", "Copy a corpus brought to recording conditions: noise, band, codec, duration."),
    "extract": ("balr_hf.cli.extract", "Extract speaker embeddings from audio."),
    "binarize": ("balr_hf.cli.binarize", "Turn speaker embeddings into binary attributes."),
    "train": ("balr_hf.cli.train", "Train the binary-attribute autoencoder."),
    "score train": ("balr_hf.cli.score_train", "Fit a scorer to a reference population."),
    "score calibrate": ("balr_hf.cli.score_calibrate", "Make the scores of a scorer readable as likelihood ratios."),
    "score test": ("balr_hf.cli.score_trials", "Score a list of trials and evaluate it."),
    "score compare": ("balr_hf.cli.score_compare", "Compare two systems on the same trials, with intervals."),
    "validate": ("balr_hf.cli.validate", "Validate a whole system: a report that a laboratory can file."),
    "describe": ("balr_hf.cli.describe", "Say what a system's attributes go with: F0, formants, the recording."),
    "detectors": (
        "balr_hf.cli.detectors",
        "Have a system learn to notice voices at the same time, a changed speed, and rooms.",
    ),
    "explain": ("balr_hf.cli.explain", "Compare two recordings and explain the result."),
    "assemble": ("balr_hf.cli.assemble", "Join an embedder, an autoencoder and a scorer in one folder."),
    "verify": ("balr_hf.cli.verify", "Check whether models, vectors and results still belong together."),
    "push": ("balr_hf.cli.push", "Upload a model, a scorer or a corpus to the Hub."),
    "export": ("balr_hf.cli.export", "Export the way from audio to attributes as one ONNX file."),
    "convert": ("balr_hf.cli.convert", "Convert checkpoints of BALR and WeSpeaker to this package's format."),
}
