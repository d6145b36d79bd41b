"""What is typed is never ignored: overrides in Hydra's forms, configuration files, choices, and misspelt words."""

import json
import re
import subprocess
import sys
import textwrap

import pytest

from balr_hf.cli import binarize, explain, extract, push, score_train, score_trials, train
from balr_hf.cli.models import load_embedder, scorer_configuration, scorer_name
from balr_hf.errors import ConfigError, UserError


@pytest.mark.parametrize("plus", ["", "+", "++"])
def test_hydras_pluses_are_accepted(plus):
    arguments = train.COMMAND.parse(["a", "b", f"{plus}trainer.epochs=7"])
    assert arguments.section("trainer").epochs == 7


@pytest.mark.parametrize(
    ("command", "words", "name", "value"),
    [
        (extract, ["x", "save_dir=out"], "save_dir", "out"),
        (extract, ["x", "device=cpu"], "device", "cpu"),
        (extract, ["x", "force=true"], "force", True),
        (binarize, ["x", "exist_ok=true"], "exist_ok", True),
        (binarize, ["x", "--exist-ok"], "exist_ok", True),
        (train, ["a", "b", "exist_ok=True"], "exist_ok", True),
    ],
)
def test_options_are_overrides_too(command, words, name, value):
    assert getattr(command.COMMAND.parse(words), name) == value


def test_models_without_a_choice_may_be_named():
    extract.COMMAND.parse(["x", "embeddings.model=wespeaker"])
    binarize.COMMAND.parse(["x", "encoder.model=autoencoder"])
    explain.COMMAND.parse(["a", "b", "embeddings.model=wespeaker", "encoder.model=autoencoder"])
    with pytest.raises(ConfigError, match=r"embeddings\.model=ecapa: expected embeddings\.model=wespeaker"):
        extract.COMMAND.parse(["x", "embeddings.model=ecapa"])


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (train, ["a", "b", "data.normalize_mean=true", "data.normalize_var=false"]),
        (extract, ["x", "embeddings.model.features.frontend=fbank"]),
    ],
)
def test_settings_without_effect_are_accepted_and_said(command, words, caplog):
    caplog.set_level("INFO", "balr_hf")
    command.COMMAND.parse(words)
    for override in [word for word in words if "=" in word]:
        assert f"{override} has no effect" in caplog.text


def test_settings_that_a_command_does_not_use_are_said(caplog):
    extract.COMMAND.parse(["x", "data.batch_size=8", "data.M_samples_per_class=4", "--sampler", "nxm"])
    assert "No effect in balr extract: data.M_samples_per_class, data.sampler" in caplog.text
    caplog.clear()
    binarize.COMMAND.parse(["x", "data.batch_size=8"])
    assert "No effect in balr binarize: data.batch_size" in caplog.text
    caplog.clear()
    train.COMMAND.parse(["a", "b", "data.batch_size=8"])
    extract.COMMAND.parse(["x", "data.num_workers=2"])
    assert not caplog.text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--N-classes-per-batch", "4", "data.batch_size=8"], None),
        (["data.num_workers=4"], "No effect in balr train: data.num_workers"),
        (
            ["--sampler", "none", "--N-classes-per-batch", "4", "data.M_samples_per_class=2", "--batch-size", "8"],
            "No effect in balr train with data.sampler=none: data.N_classes_per_batch, data.M_samples_per_class",
        ),
        (["data.sampler=none", "data.M_samples_per_class=2", "trainer.losses=[mse, sparsity]"], None),
    ],
)
def test_settings_of_batches_that_training_does_not_use_are_said(words, said, caplog):
    arguments = train.COMMAND.parse(["a", "b", *words])
    train._warn_idle(arguments, train._losses(arguments))
    assert caplog.messages == ([] if said is None else [said])


def test_a_new_scorer_is_fitted_without_an_old_one(balr, few):
    status, said = balr("score", "train", few, "scorer.checkpoint_path=runs/scorer/train")
    assert status == 2 and "score train fits a new scorer, and reads none" in said


def test_formats_may_be_repeated_in_either_form():
    for words in (["--audio-formats", "wav", "--audio-formats=flac"], ["--audio-formats=wav", "--audio-formats=flac"]):
        assert extract.COMMAND.parse(["x", *words]).audio_formats == ("wav", "flac")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["scorer.f=0.3"], r"scorer\.f is a setting of scorer=maxllr, but the scorer is beta"),
        (
            ["--drop-in", "0.2"],
            r"scorer\.drop_in is a setting of scorer=dna and scorer=speech, but",
        ),
        (["scorer.K=3"], r"scorer\.K=3: the attributes of a corpus are binary, active or not, so that K is 2\."),
        (["--K", "3"], r"scorer\.K=3: the attributes of a corpus are binary"),
        (["scorer=dna", "scorer.K=3"], r"scorer\.K is a setting of scorer=beta, but the scorer is dna"),
        (
            ["scorer.iterations=3"],
            r"unknown key scorer\.iterations: the scorer beta has .*mean n_iterations\?",
        ),
        (["scorer=bta"], r"unknown scorer 'bta' .*did you mean beta\?"),
    ],
)
def test_setting_that_the_scorer_lacks_is_an_error(words, message):
    arguments = score_train.COMMAND.parse(["x", *words])
    with pytest.raises(ConfigError, match=message):
        scorer_configuration(arguments, scorer_name(arguments) or "beta")


@pytest.mark.parametrize("scorer", ["beta", "dna", "maxllr", "speech"])
def test_iterations_are_accepted_for_every_scorer(scorer):
    arguments = score_train.COMMAND.parse(["x", f"scorer={scorer}", "scorer.n_iterations=7"])
    assert scorer_configuration(arguments, scorer).get("n_iterations", 7) == 7


def test_setting_of_a_loss_that_is_not_chosen_is_an_error():
    arcface = r"arcface\.weight is set, but trainer\.losses=\[mse, triplet\] does not have arcface; add it: "
    for words, message in (
        (["trainer.losses.arcface.weight=1"], arcface + "--losses mse,triplet,arcface$"),
        (["--arcface-weight", "1"], arcface + "--losses mse,triplet,arcface$"),
        (["--losses", "mse", "--triplet-margin", "0.9"], r"does not have triplet; add it: --losses mse,triplet$"),
        (["trainer.losses.arcfce.weight=1"], r"does not have arcfce; did you mean arcface\?$"),
        (["trainer.losses.tripet.margin=1"], r"does not have tripet; did you mean triplet\?$"),
    ):
        arguments = train.COMMAND.parse(["a", "b", *words])
        with pytest.raises(ConfigError, match=message):
            train._losses(arguments)


def test_what_chooses_may_be_a_flag():
    (loss,) = train._losses(train.COMMAND.parse(["a", "b", "--losses", "mse"]))
    assert loss.name == "mse"
    arguments = score_train.COMMAND.parse(["x", "--scorer", "maxllr", "--f", "0.3"])
    assert scorer_configuration(arguments, scorer_name(arguments))["f"] == 0.3


@pytest.mark.parametrize("override", ["trainer.losses.mse=2", "trainer.losses.mse._target_=my.losses.Mine"])
def test_section_that_is_given_a_value_is_refused(override):
    with pytest.raises(ConfigError, match=r"trainer\.losses\.mse is a section with keys of its own"):
        train.COMMAND.parse(["a", "b", override])


@pytest.fixture
def own_loss(tmp_path, monkeypatch):
    """A module with a loss of a user's own: `own_losses.Balance`."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_losses.py").write_text(
        textwrap.dedent(
            """
            from balr_hf import AutoEncoderLoss

            class Balance(AutoEncoderLoss):
                def forward(self, embeddings, labels, binary, reconstruction, latent):
                    return latent.mean().square()
            """
        )
    )
    yield "own_losses.Balance"
    sys.modules.pop("own_losses", None)


def test_losses_of_the_users_own_are_named_as_they_were_given(own_loss):
    words = ["trainer.losses=[mse]", f"trainer.losses.mine._target_={own_loss}", "trainer.losses.mine.weight=2"]
    mse, mine = train._losses(train.COMMAND.parse(["a", "b", *words, f"trainer.losses.other._target_={own_loss}"]))[:2]
    assert (mse.name, mine.name, type(mine).__name__, mine.weight) == ("mse", "mine", "Balance", 2)
    twice = train._losses(train.COMMAND.parse(["a", "b", *words, f"trainer.losses.other._target_={own_loss}"]))
    assert [loss.name for loss in twice] == ["mse", "mine", "other"]
    _, plain = train._losses(train.COMMAND.parse(["a", "b", f"trainer.losses=[mse,{own_loss}]"]))
    assert (plain.name, plain.weight) == ("Balance", 1)


def test_run_and_card_name_the_class_of_an_own_loss_and_batches_need_no_size(
    own_loss, balr, make_corpus, tmp_path, fresh_accelerate
):
    make_corpus(20, 6).save_to_disk(tmp_path / "corpus")
    words = ["train", *[tmp_path / "corpus"] * 2, "--save-dir", tmp_path / "run", "--input-dim", 16, "--epochs", 1]
    status, said = balr(*words, "--N-classes-per-batch", 8, "--M-samples-per-class", 4, "--log-with", "none")
    assert status == 0, said
    assert "batches hold 32 recordings" in said
    assert json.loads((tmp_path / "run" / "run.json").read_text())["data"]["batch_size"] == 32

    more = [f"trainer.losses.balance._target_={own_loss}", "--batch-size", 64, "--log-with", "none"]
    words[words.index("--save-dir") + 1] = tmp_path / "own"
    status, said = balr(*words, *more)
    assert status == 0, said
    assert "data.batch_size is not set" not in said
    recorded = json.loads((tmp_path / "own" / "run.json").read_text())["losses"]
    assert recorded["balance"] == {"class": "own_losses.Balance", "weight": 1.0}
    assert "class" not in recorded["mse"]
    assert "val/balance" in (tmp_path / "own" / "history.json").read_text()
    status, said = balr("push", tmp_path / "own", "me/own", "--license", "mit", "--prepare", tmp_path / "card")
    assert status == 0, said
    assert "balance (class own_losses.Balance, weight 1.0)" in (tmp_path / "card" / "README.md").read_text()

    status, said = balr(*words, "--N-classes-per-batch", 8, "--M-samples-per-class", 4, "--batch-size", 64)
    assert (status, "Invalid batch_size (64)" in said) == (2, True)


def test_samplers_may_be_named_as_hydra_does():
    arguments = train.COMMAND.parse(["a", "b", "data.sampler._target_=my.module.MySampler"])
    assert arguments.section("data").sampler == "my.module.MySampler"


def test_scorer_of_the_users_own_is_fitted_saved_and_used(tmp_path, make_corpus, balr, monkeypatch):
    (tmp_path / "my_scorers.py").write_text(
        textwrap.dedent(
            """
            import torch
            from balr_hf.scoring.configuration_scorers import ScorerConfig
            from balr_hf.scoring.modeling_scorer import Scorer


            class MyConfig(ScorerConfig):
                model_type = "my-scorer"

                def __init__(self, bonus: float = 1.0, **kwargs):
                    self.bonus = bonus
                    super().__init__(**kwargs)


            class MyScorer(Scorer):
                config_class = MyConfig

                def __init__(self, config):
                    super().__init__(config)
                    self.post_init()

                def _fit(self, counts):
                    pass

                def _attribute_scores(self, enroll, test):
                    same = (enroll[..., 0] > 0) == (test[..., 0] > 0)
                    return torch.where(same, self.config.bonus, -self.config.bonus).double()


            class AnotherConfig(MyConfig):
                model_type = "my-other-scorer"
                malus: float = 1.0


            class Another(MyScorer):
                config_class = AnotherConfig
                parameter_names = ("rate",)

                def _initial_buffers(self):
                    rate = torch.ones(self.config.num_attributes, dtype=torch.float64)
                    return super()._initial_buffers() | {"rate": rate}
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    make_corpus(6, 3, attributes=16).save_to_disk("corpus")
    (tmp_path / "trials.csv").write_text("enrollment\ttest\ns0\ts1\ns0\ts3\n")
    own = ["scorer._target_=my_scorers.MyScorer"]
    status, said = balr("score", "train", "corpus", "--save-dir", "fitted", *own, "scorer.bonus=2.5")
    assert status == 0, said
    assert json.loads((tmp_path / "fitted" / "config.json").read_text())["bonus"] == 2.5
    words = ["corpus", "trials.csv", "--save-dir", "scored", "--bootstrap", "0", "scorer.checkpoint_path=fitted"]
    status, said = balr("score", "test", *words, *own)
    assert status == 0, said
    status, said = balr("score", "test", *words, *own, "scorer.bonus=9")
    assert status == 2 and "scorer.bonus=9, but the scorer was fitted with 2.5" in said
    status, said = balr("score", "train", "corpus", *own, "scorer.bonsu=1")
    assert status == 2 and "did you mean bonus?" in said
    inherited = ["--save-dir", "another", "scorer._target_=my_scorers.Another", "scorer.bonus=1.5", "scorer.malus=2"]
    status, said = balr("score", "train", "corpus", *inherited)
    assert status == 0, said
    config = json.loads((tmp_path / "another" / "config.json").read_text())
    assert (config["bonus"], config["malus"]) == (1.5, 2)
    words = ["corpus", "trials.csv", "--bootstrap", "0", "--plots", "scorer.checkpoint_path=another"]
    status, said = balr("score", "test", *words, "scorer=my_scorers.Another")
    assert status == 0 and "No plot of the parameters: it shows those of the package's scorers" in said, said
    status, said = balr("score", "train", "corpus", "scorer._target_=collections.OrderedDict")
    assert status == 2 and "it is not a subclass of" in said


def write_config(folder, text: str) -> list[str]:
    (folder / "mine.yaml").write_text(textwrap.dedent(text))
    return ["--config-path", str(folder), "--config-name", "mine"]


def test_defaults_of_a_file_are_composed(tmp_path):
    words = write_config(tmp_path, "defaults:\n  - _self_\n  - scorer: maxllr\nscorer: {f: 0.3}\n")
    arguments = score_train.COMMAND.parse(["x", *words])
    assert scorer_name(arguments) == "maxllr"
    assert scorer_configuration(arguments, "maxllr")["f"] == 0.3
    words = write_config(tmp_path, "defaults:\n  - scorer: dna\n  - override trainer/losses: [mse]\n")
    assert scorer_name(score_train.COMMAND.parse(["x", *words])) == "dna"
    assert train.COMMAND.parse(["a", "b", *words]).losses == ("mse",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("defaults: [base]\n", "cannot compose the default 'base'"),
        ("defaults: [{trainr: x}]\n", "unknown section 'trainr': expected .*did you mean trainer"),
        ("trainr: {epochs: 5}\n", "unknown section 'trainr': expected .*did you mean trainer"),
        ("- a\n- b\n", "must hold sections"),
    ],
)
def test_file_that_would_be_ignored_is_refused(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        train.COMMAND.parse(["a", "b", *write_config(tmp_path, text)])


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["extrat", "x"], "did you mean extract?"),
        (["score", "tset", "x"], "did you mean score test?"),
        (["extract", "x", "--forc"], "unknown flag --forc; did you mean --force?"),
        (["train", "a", "b", "trainer.epoch=3"], "did you mean epochs?"),
        (["train", "a", "b", "trainr.epochs=3"], "did you mean trainer?"),
    ],
)
def test_misspelt_words_are_answered_with_the_right_ones(balr, words, hint):
    status, said = balr(*words)
    assert status == 2
    assert hint in said
    assert len(said.strip().splitlines()) == 1


EXPLAINED = r" \(balr (score )?\w+ --help explains all\)$"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "degrade a b",
            r"unexpected word b: expected balr degrade \[OPTIONS\] INPUT, for example: balr degrade corpus.csv "
            rf"--condition snr=10,noise=babble --save-dir \S+{EXPLAINED}",
        ),
        ("extract a b", rf"unexpected word b: .* --save-dir{EXPLAINED}"),
        ("degrade", rf"missing INPUT: expected balr degrade .* --condition .*{EXPLAINED}"),
        ("score test a", rf"missing TRIALS: expected balr score test \[OPTIONS\] TEST TRIALS .*{EXPLAINED}"),
        ("score calibrate a b c", rf"unexpected word c: expected balr score calibrate .*{EXPLAINED}"),
        (
            "degrade a snr=10",
            r"unknown override snr=10: .* --condition follows it in one word: --condition KEY=VALUE,",
        ),
        (
            "validate s c t eer=1",
            r"unknown override eer=1: .* --adequate follows it in one word: --adequate KEY=VALUE,",
        ),
    ],
)
def test_words_too_many_or_too_few_are_answered_with_what_is_expected(balr, words, message):
    status, said = balr(*words.split())
    assert status == 2
    assert re.search(message, said.strip()), said


def test_help_is_in_groups_and_offers_nothing_that_is_refused(capsys):
    with pytest.raises(SystemExit):
        train.COMMAND.parse(["--help"])
    text = capsys.readouterr().out
    for heading in ("trainer.*: how long and how to train", "corpus and device:", "configuration file:"):
        assert heading in text
    assert "trainer.losses=..." in text and "{no,fp16,bf16}" in text
    with pytest.raises(SystemExit):
        score_trials.COMMAND.parse(["--help"])
    text += capsys.readouterr().out
    overrides = [line for line in text.splitlines() if line.startswith("  ") and ".*: " in line]
    for line in overrides:
        path, keys = line.strip().split(".*: ")
        for key in keys.split(", "):
            assert f"{path}.{key}" not in ("trainer.losses.losses", "scorer.scorer")


def test_help_says_which_settings_count_and_can_be_copied(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    texts = {}
    for command in (extract, binarize, train, push):
        with pytest.raises(SystemExit):
            command.COMMAND.parse(["--help"])
        texts[command] = capsys.readouterr().out
        settings, examples = texts[command].split("examples:\n")
        assert examples == command.COMMAND.epilog.removeprefix("examples:\n") + "\n"
        assert max(map(len, settings.split("positional arguments:")[0].splitlines()[1:])) < 60
    assert "extract uses batch_size" in texts[extract]
    assert "have no effect here" in " ".join(texts[binarize].split())
    assert "trainer.losses.arcface.*: ArcFace speaker" in texts[train]
    assert texts[push].startswith("usage: balr push [OPTIONS] SOURCE REPO\n")


@pytest.fixture
def wespeaker_folder(tmp_path):
    """A folder as WeSpeaker's downloads are."""
    import torch

    from balr_hf import WespeakerConfig, WespeakerModel

    arguments = {"feat_dim": 80, "embed_dim": 8, "pooling_func": "TSTP", "two_emb_layer": False, "m_channels": 2}
    folder = tmp_path / "wespeaker"
    folder.mkdir()
    torch.save(
        WespeakerModel(WespeakerConfig.from_wespeaker("ResNet18", arguments)).state_dict(), folder / "avg_model.pt"
    )
    (folder / "config.yaml").write_text(f"model: ResNet18\nmodel_args: {json.dumps(arguments)}\n")
    return folder


def test_folder_with_a_model_is_that_model(wespeaker_folder, tmp_path):
    def load(*words):
        return load_embedder(extract.COMMAND.parse(["x", *words]))

    assert load(f"embeddings.model.model_dir={wespeaker_folder}").config.embed_dim == 8
    (tmp_path / "cache").mkdir()
    with pytest.raises(UserError, match=r"holds no model .* nothing says what to download"):
        load(f"embeddings.model.model_dir={tmp_path / 'cache'}")
    with pytest.raises(UserError, match="names another one: give one of them"):
        load(f"embeddings.model.model_dir={wespeaker_folder}", "embeddings.model.model_repo=me/other")


def test_fitted_scorer_with_other_settings_is_refused(tmp_path, make_corpus, balr, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_corpus(6, 3, attributes=16).save_to_disk("corpus")
    (tmp_path / "trials.csv").write_text("enrollment\ttest\ns0\ts1\ns0\ts3\n")
    assert balr("score", "train", "corpus", "--save-dir", "fitted", "scorer=maxllr")[0] == 0
    words = ["score", "test", "corpus", "trials.csv", "--bootstrap", "0", "scorer.checkpoint_path=fitted"]
    status, said = balr(*words, "scorer.f=0.3")
    assert status == 2 and "scorer.f=0.3, but the scorer was fitted with 0.5" in said
    assert balr(*words, "scorer.f=0.5")[0] == 0


def test_fault_of_ours_is_a_traceback(monkeypatch, balr):
    def fail(*_):
        raise ValueError("a bug")

    monkeypatch.setattr(extract, "run", fail)
    with pytest.raises(ValueError, match="a bug"):
        balr("extract", "x")


@pytest.fixture
def small(tmp_path, make_corpus, monkeypatch):
    """A corpus with embeddings and attributes, and trials, in the working folder."""
    monkeypatch.chdir(tmp_path)
    make_corpus(8, 4, attributes=16).save_to_disk("corpus")
    pairs = [f"s{a}\ts{b}" for a in range(0, 32, 4) for b in range(a + 1, 32, 3)]
    (tmp_path / "trials.csv").write_text("\n".join(["enrollment\ttest", *pairs]) + "\n")
    return tmp_path


def printed(capfd, *words: str) -> dict:
    from balr_hf.cli.main import main

    capfd.readouterr()
    assert main(list(words)) == 0
    return json.loads(capfd.readouterr().out)


def test_figures_are_printed_as_json(small, capfd):
    found = printed(capfd, "score", "train", "corpus", "--save-dir", "fitted", "--json")
    assert (found["speakers"], found["recordings"], found["saved_in"]) == (8, 32, "fitted")
    settings = ["corpus", "trials.csv", "scorer.checkpoint_path=fitted", "--json"]
    found = printed(capfd, "score", "calibrate", *settings, "--allow-overlap", "--save-dir", "calibrated")
    assert {"method", "raw", "calibrated", "saved_in"} <= set(found)
    found = printed(capfd, "score", "test", *settings, "--bootstrap", "0", "--save-dir", "scored")
    saved = json.loads((small / "scored" / "metrics.json").read_text())
    assert found == {**saved, "saved_in": "scored"}
    assert saved["at_eer"]["tp"] + saved["at_eer"]["fn"] == saved["same_speaker"]


def test_training_prints_its_history_as_json(small, capfd):
    sizes = ["trainer.input_dim=16", "trainer.internal_dim=8", "trainer.epochs=2", "trainer.log_with=none"]
    batches = ["data.N_classes_per_batch=4", "data.M_samples_per_class=2", "data.batch_size=8"]
    found = printed(capfd, "train", "corpus", "corpus", "--save-dir", "run", "--json", *sizes, *batches)
    assert (found["epochs"], found["saved_in"]) == (2, "run")
    assert found["history"] == json.loads((small / "run" / "history.json").read_text())


def test_steps_print_their_counts_as_json(few, tmp_path, capfd):
    found = printed(capfd, "extract", str(few), "--save-dir", str(tmp_path / "out"), "--json")
    assert (found["recordings"], found["computed"], found["there_already"], found["skipped"]) == (12, 12, 0, [])


def test_completion_is_taken_by_bash_and_completes(balr, tmp_path):
    status, script = balr("--show-completion", "bash")
    assert status == 0
    (tmp_path / "completion.sh").write_text(script)

    def complete(*words: str) -> list[str]:
        quoted = " ".join(words)
        call = f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _shtab_balr; echo ${{COMPREPLY[@]}}"
        command = ["bash", "-c", f"source {tmp_path / 'completion.sh'}; {call}"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    subprocess.run(["bash", "-n", tmp_path / "completion.sh"], check=True)
    assert complete("balr", "ext") == ["extract"]
    assert complete("balr", "score", "tr") == ["train"]
    assert "--save-dir" in complete("balr", "extract", "--save")


def test_completion_is_installed_for_the_shell(balr, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/bin/bash")
    assert balr("--install-completion")[0] == 0
    assert (tmp_path / ".local/share/bash-completion/completions/balr").is_file()
    status, said = balr("--show-completion", "fish")
    assert status == 2 and "expected bash, zsh, tcsh" in said


def test_completion_needs_no_torch(run_python):
    code = "import sys; from balr_hf.cli.completion import parser; parser(); assert 'torch' not in sys.modules"
    run_python("-c", code, cold=True)


def test_value_of_a_flag_that_takes_pairs_is_no_override():
    from balr_hf.cli.degrade import COMMAND

    arguments = COMMAND.parse(["in.csv", "--condition", "snr=10,noise=hum", "--save-dir", "out"])
    assert arguments.condition == "snr=10,noise=hum"
