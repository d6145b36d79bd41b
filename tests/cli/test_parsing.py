import dataclasses
import importlib
import inspect
import re

import pytest

from balr_hf.cli import binarize, extract, score_trials, train
from balr_hf.cli.commands import COMMANDS
from balr_hf.errors import ConfigError


def test_flags_and_overrides_set_the_same_fields():
    by_flag = train.COMMAND.parse(["a", "b", "--epochs", "5", "--batch-size", "32", "--no-shuffle", "--losses", "mse"])
    by_override = train.COMMAND.parse(
        ["a", "b", "trainer.epochs=5", "data.batch_size=32", "data.shuffle=False", "trainer.losses=[mse]"]
    )
    for section in ("trainer", "data", "trainer.losses"):
        assert by_flag.section(section) == by_override.section(section)
    assert (by_flag.section("trainer").epochs, by_flag.section("data").shuffle) == (5, False)
    assert by_flag.losses == by_override.losses == ("mse",)


def test_every_setting_has_a_flag_and_an_override():
    for command in (extract.COMMAND, binarize.COMMAND, train.COMMAND, score_trials.COMMAND):
        positionals = ["x"] * len(command._positionals())
        for section in command.sections:
            for field, name in section.fields():
                if field.name == section.selects:
                    continue
                kind = field.metadata.get("type", field.type)
                text = {int: "7", float: "0.4", bool: str(not field.default)}.get(kind, "word")
                text = field.metadata["among"][-1] if "among" in field.metadata else text
                flag = "--" + name.replace("_", "-")
                words = [flag if not field.default else f"--no-{flag[2:]}"] if kind is bool else [flag, text]
                by_flag = command.parse([*positionals, *words]).section(section.path)
                by_override = command.parse([*positionals, f"{section.path}.{field.name}={text}"]).section(
                    section.path
                )
                assert by_flag == by_override
                assert getattr(by_flag, field.name) != field.default, field.name


def test_overrides_may_stand_anywhere():
    words = ["data.batch_size=4", "--device", "cpu", "a", "trainer.epochs=2", "b", "--exist-ok", "trainer.seed=3"]
    arguments = train.COMMAND.parse(words)
    assert (arguments.train, arguments.val, arguments.exist_ok) == ("a", "b", True)
    assert (arguments.section("data").batch_size, arguments.section("trainer").seed) == (4, 3)


def test_existing_file_that_looks_like_an_override_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus=1.csv").touch()
    assert extract.COMMAND.parse(["corpus=1.csv"]).input == "corpus=1.csv"


def test_switches_work_both_ways():
    assert extract.COMMAND.parse(["x", "--force"]).force is True
    assert extract.COMMAND.parse(["x", "--no-force"]).force is False
    assert extract.COMMAND.parse(["x", "--no-save-output"]).save_output is False
    assert extract.COMMAND.parse(["--save-output", "x"]).save_output is True


@pytest.mark.parametrize(
    "words", [["--audio-formats", "wav,flac"], ["--audio-formats", "wav", "--audio-formats", "flac"]]
)
def test_lists_may_be_repeated_or_joined(words):
    arguments = extract.COMMAND.parse([*words, "x"])
    assert (arguments.audio_formats, arguments.input) == (("wav", "flac"), "x")


def test_loss_settings_reach_their_loss():
    words = ["a", "b", "trainer.losses=[mse, arcface]", "trainer.losses.arcface.weight=1", "--arcface-margin", "0.5"]
    arguments = train.COMMAND.parse(words)
    assert dataclasses.asdict(arguments.section("trainer.losses.arcface")) == {
        "margin": 0.5,
        "type_of_triplets": "all",
        "weight": 1.0,
    }
    assert arguments.section("trainer.losses.triplet").margin == 0.3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "trainer.epoch=5",
            r"unknown key trainer\.epoch \(in trainer\.epoch=5\): section trainer has input_dim, .*epochs",
        ),
        ("trainer.losses.mse.wait=1", r"section trainer\.losses\.mse has weight"),
        ("trainr.epochs=5", r"unknown override trainr\.epochs=5: balr train has the sections .*trainer, data"),
        ("trainer.epochs=many", r"bad value 'many' for trainer\.epochs: expected int \(section trainer: .*epochs"),
        ("data.shuffle=perhaps", r"bad value 'perhaps' for data\.shuffle"),
    ],
)
def test_unknown_key_or_bad_value_names_key_value_and_valid_keys(override, message):
    with pytest.raises(ConfigError, match=message):
        train.COMMAND.parse(["a", "b", override])


def test_settings_come_from_a_file_too(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "trainer:\n  epochs: 7\n  losses: [mse, sparsity]\ndata: {batch_size: 16}\nscorer: {n_iterations: 3}\n"
    )
    words = ["a", "b", "--config-path", str(tmp_path), "--config-name", "mine", "trainer.seed=2", "data.batch_size=8"]
    arguments = train.COMMAND.parse(words)
    assert (arguments.section("trainer").epochs, arguments.section("trainer").seed) == (7, 2)
    assert arguments.section("data").batch_size == 8  # what was typed wins
    assert arguments.losses == ("mse", "sparsity")
    with pytest.raises(ConfigError, match=r"no configuration at .*other\.yaml"):
        train.COMMAND.parse(["a", "b", "--config-path", str(tmp_path), "--config-name", "other"])


def test_help_names_every_flag_and_section(capsys):
    with pytest.raises(SystemExit) as exit:
        train.COMMAND.parse(["--help"])
    text = capsys.readouterr().out
    assert exit.value.code == 0
    for expected in ("--learning-rate", "[default: 0.001]", "--resume-from", "trainer.losses.arcface.*", "examples:"):
        assert expected in text


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_takes_json_prints_it(name, root):
    """In its own file, or in one that it shares with others; else the option would do nothing."""
    module = importlib.import_module(COMMANDS[name][0])
    if "json" not in {field.name for field in dataclasses.fields(module.COMMAND.options)}:
        return
    source = inspect.getsource(module)
    shared = re.findall(r"from balr_hf\.cli\.(?!printing|parsing|sections)(\w+) import", source)
    sources = [source, *((root / "balr_hf" / "cli" / f"{other}.py").read_text(encoding="utf-8") for other in shared)]
    assert any(re.search(r"print_json\(|arguments\.json\b", one) for one in sources)
