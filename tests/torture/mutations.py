"""Damage, done at random but repeatably: to bytes, to texts, and to each value of a configuration."""

import copy
import random
from collections.abc import Iterator
from typing import Any

# What nobody would write where a number, a text, a list or a mapping belongs.
WRONG_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 3, 2**31, 2**63, 10**30, 0.5, -0.5, 1e-300, 1e300, float("nan"), float("inf"), "",
    "x", "1", "\0", "x" * 1000, [], [1], ["x"], [[]], {}, {"x": 1}, [None], "../../etc/passwd", "=1+1", "\x1b[2J",
]  # fmt: skip


def wrong_values(settings: dict[str, Any], choose: random.Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """Goes through copies of settings in each of which one value, at any depth, is wrong, missing or new."""
    places = list(_places(settings))
    while True:
        changed = copy.deepcopy(settings)
        place = choose.choice(places)
        *above, last = place
        target = changed
        for key in above:
            target = target[key]
        what = choose.random()
        if what < 0.1 and isinstance(target, dict):
            del target[last]
            yield f"{'.'.join(map(str, place))} missing", changed
            continue
        if what < 0.15 and isinstance(target, dict):
            last = choose.choice(["x", "", "auto_map", "torch_dtype", "quantization_config", "_name_or_path", "dtype"])
        value = choose.choice(WRONG_VALUES)
        target[last] = value
        yield f"{'.'.join(map(str, place))}={value!r:.40}", changed


def _places(settings: Any, before: tuple = ()) -> Iterator[tuple]:
    """The paths to all values, but to few of long lists."""
    items = settings.items() if isinstance(settings, dict) else list(enumerate(settings))[:2]
    for key, value in items:
        yield (*before, key)
        if isinstance(value, dict | list):
            yield from _places(value, (*before, key))


def damaged(content: bytes, choose: random.Random) -> bytes:
    """A copy of a file's content that is cut, has wrong bytes, or lacks, repeats or gains some."""
    kind = choose.randrange(8)
    size = len(content)
    if kind == 0:
        return content[: choose.randrange(size + 1)]
    if kind == 1:
        return content[choose.randrange(size + 1) :]
    if kind == 2:
        return bytes(choose.randrange(256) for _ in range(choose.randrange(200)))
    if kind == 3:
        start = choose.randrange(size + 1)
        return content[:start] + b"\0" * choose.randrange(1, 500) + content[start + choose.randrange(500) :]
    if kind == 4:
        start, stop = sorted((choose.randrange(size + 1), choose.randrange(size + 1)))
        return content[:stop] + content[start:]
    if kind == 5:
        start = choose.randrange(size + 1)
        inserted = [
            b"\xff\xfe",
            b"\x80",
            b'"',
            b"\n",
            b",,,",
            b"\r",
            b"\x1b[2J",
            b"=1+1",
            b"9" * 400,
            b"nan",
            b"inf",
            b"x" * 140_000,
        ]
        return content[:start] + choose.choice(inserted) + content[start:]
    changed = bytearray(content)
    for _ in range(choose.choice([1, 1, 2, 10, 100])):
        if changed:
            changed[choose.randrange(min(len(changed), 200 if kind == 6 else len(changed)))] = choose.randrange(256)
    return bytes(changed)
