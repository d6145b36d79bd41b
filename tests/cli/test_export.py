"""What `balr export` refuses before it exports anything; tests/test_export.py tests what it writes."""

import sys

import pytest


@pytest.fixture
def installed(monkeypatch):
    """The packages that an export needs, or, where they are missing, modules that stand for them."""
    from types import SimpleNamespace

    for name in ("onnx", "onnxscript", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, sys.modules.get(name, SimpleNamespace(__version__="0")))


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("embeddings.model.features.dither=1", "dither=1.0: an exported model adds no noise"),
        ("embeddings.model.features.num_mel_bins=40", "features of 40 mel bins, but the embedder takes 80"),
        ("encoder.model.internal_dim=100", "encoder.model.internal_dim=100, but"),
    ],
)
def test_settings_that_cannot_be_exported_are_refused(balr, tmp_path, installed, setting, says):
    status, said = balr("export", tmp_path / "onnx", setting)
    assert (status, says in said) == (1, True), said
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_left_alone(balr, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    status, said = balr("export", tmp_path)
    assert (status, "exists already" in said) == (1, True), said
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_what_is_not_installed_is_named(balr, tmp_path, installed, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    status, said = balr("export", tmp_path / "onnx")
    assert (status, 'needs onnxruntime, which is not installed: pip install "balr_hf[onnx]"' in said) == (1, True)
