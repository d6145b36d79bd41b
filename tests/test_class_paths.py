import sys
from collections import OrderedDict

import pytest

from balr_hf.class_paths import check_keywords, import_class
from balr_hf.errors import ConfigError


def test_class_is_imported_by_its_path():
    assert import_class("collections.OrderedDict", dict, "mapping") is OrderedDict


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        (
            "no_such_package.Thing",
            "cannot import the mapping no_such_package.Thing: No module named",
        ),
        ("collections..Thing", "cannot import the mapping"),
        ("collections.Thing", "the module collections has no class Thing"),
        ("collections.namedtuple", "has no class namedtuple"),
        ("collections.deque", r"collections.deque cannot be a mapping: it is not a subclass of builtins\.dict"),
    ],
)
def test_a_path_that_names_nothing_fit_says_what_is_wrong(path, wrong):
    with pytest.raises(ConfigError, match=wrong):
        import_class(path, dict, "mapping")


def test_a_bug_in_the_users_module_is_not_hidden(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "module_with_bug.py").write_text("1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        import_class("module_with_bug.Thing", dict, "mapping")
    assert "module_with_bug" not in sys.modules


class Thing:
    def __init__(self, size, colour="red"): ...


class Special(Thing):
    def __init__(self, *, shape="round", **kwargs):
        super().__init__(**kwargs)


class Plain(Thing):
    def __init__(self, shape="round"): ...


def test_keywords_are_those_of_the_class_and_of_the_bases_to_which_it_passes_them_on():
    check_keywords(Special, Thing, {"size": 1, "shape": "flat"}, "the thing")
    with pytest.raises(ConfigError, match="the thing has no setting weight: expected shape, size, colour"):
        check_keywords(Special, Thing, {"size": 1, "weight": 2}, "the thing")
    with pytest.raises(ConfigError, match="the thing needs a value for size; its settings are shape, size, colour"):
        check_keywords(Special, Thing, {"colour": "blue"}, "the thing")
    with pytest.raises(ConfigError, match="has no setting colour: expected shape"):
        check_keywords(Plain, Thing, {"colour": "blue"}, "the thing")
    check_keywords(Plain, Thing, {}, "the thing")
