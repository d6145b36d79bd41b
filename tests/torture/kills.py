"""Kills commands at random instants, and checks that nothing is lost and that a rerun gives what one whole run gives.

Each command runs in a process that is forked from this one, which has imported everything. Half of them are killed
before a random one of their calls that change files, the others after a random time.
"""

import contextlib
import faulthandler
import hashlib
import importlib.util
import json
import os
import random
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

INPUTS = Path()  # what the commands start from; set by `prepare`

SMALL_BATCHES = ("data.batch_size=16", "data.N_classes_per_batch=4", "data.M_samples_per_class=4")

# Python's audit events for calls that change files; opening a file to write is another.
CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "shutil.rmtree", "shutil.copyfile"}


# How long a process may take, in seconds, and the exit status of one that took longer.
LONGEST, HUNG = 120.0, 124

# How often a command is killed in one folder before it may run to its end.
MOST_KILLS = 3


def forked(
    act: Callable[[], object],
    log: Path,
    kill_at: int | None = None,
    kill_after: float | None = None,
    longest: float = LONGEST,
) -> int:
    """Runs something in a process of its own; gives its exit status, negative if a signal ended it.

    Args:
        act: what runs; what it returns is the exit status.
        log: gets what it says.
        kill_at: it is killed before its first, second, ... call that changes files.
        kill_after: it is killed after so many seconds.
        longest: how long it may take, in seconds; after that it is ended with the status `HUNG`.
    """
    pid = os.fork()
    if not pid:
        status = 99
        try:
            with log.open("wb") as file:
                for number in (1, 2):
                    os.dup2(file.fileno(), number)
            faulthandler.dump_traceback_later(longest - 10)
            sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
            _count_changes(kill_at, log)
            status = int(act() or 0)
        except SystemExit as ended:
            status = int(ended.code or 0)
        except BaseException:
            import traceback

            traceback.print_exc()
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + longest
    while not (found := os.waitpid(pid, os.WNOHANG))[0]:
        time.sleep(0.002)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return HUNG
    return os.waitstatus_to_exitcode(found[1])


def _count_changes(kill_at: int | None, log: Path) -> None:
    seen = 0
    counted = os.open(log.with_suffix(".count"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC)

    def hook(event: str, arguments: tuple) -> None:
        nonlocal seen
        if event in CHANGES or (event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")):
            seen += 1
            if seen == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            os.pwrite(counted, b"%d" % seen, 0)

    sys.addaudithook(hook)


def balr(*words: object) -> Callable[[], int]:
    def run() -> int:
        from balr_hf.cli.main import main

        return main([str(word) for word in words])

    return run


@dataclass
class Command:
    """A command that is killed.

    Attributes:
        first: does it, in a folder.
        again: does it after a kill; by default as `first`.
        before: the names of what it finds in the folder, copied from `inputs`.
        read: gives what it made, to be compared; it fails if that is not there.
        keeps: whether `read` must succeed after every kill, because there was something before.
    """

    first: Callable[[Path], Callable[[], int]]
    read: Callable[[Path], dict]
    again: Callable[[Path], Callable[[], int]] | None = None
    before: tuple[str, ...] = ()
    keeps: bool = False


def vector_files(folder: Path) -> dict:
    """Reads every vector file under a folder, and the csv beside them."""
    from balr_hf import load_corpus
    from balr_hf.data import vector_matrix

    corpus = load_corpus(folder)
    found = {kind: vector_matrix(corpus, kind)[0] for kind in ("embedding", "ba") if kind in corpus.column_names}
    return {"ids": list(corpus["id"]), **found}


def weights(folder: Path) -> dict:
    """Reads a model's weights and its configuration; fails if they do not belong together."""
    from safetensors.numpy import load_file

    from balr_hf.checkpoints import resolve_checkpoint

    folder = resolve_checkpoint(folder)
    config = json.loads((folder / "config.json").read_text())
    config = {name: value for name, value in config.items() if "date" not in str(value) and name != "_name_or_path"}
    return {"config": json.dumps(config, sort_keys=True), **load_file(folder / "model.safetensors")}


def trained(folder: Path) -> dict:
    history = json.loads((folder / "history.json").read_text())
    both = {f"{name} {key}": value for name in ("best", "last") for key, value in weights(folder / name).items()}
    return {"history": json.dumps(history), **both}


def training(folder: Path, *where: object) -> Callable[[], int]:
    settings = ["trainer.epochs=6", "trainer.val_period=3", "trainer.save_period=2", "trainer.log_with=none"]
    return balr("train", INPUTS / "vectors", INPUTS / "vectors", *settings, *SMALL_BATCHES, *where)


def resume(folder: Path) -> Callable[[], int]:
    """Trains on from the state if there is one."""
    run = folder / "run"
    has_state = (run / "state").exists() or any(run.glob(".state.*/state"))  # which was moved aside
    return training(folder, *(["--resume-from", run] if has_state else ["--save-dir", run, "--exist-ok"]))


def calibrating(folder: Path) -> Callable[[], int]:
    words = ["score", "calibrate", "--allow-overlap", INPUTS / "vectors", INPUTS / "trials.tsv"]
    return balr(*words, f"scorer.checkpoint_path={folder / 'scorer'}")


def preparing(folder: Path) -> Callable[[], int]:
    """Writes what would be uploaded, unless that is there: the command takes no folder that exists."""
    if (folder / "card").exists():
        return lambda: 0
    return balr("push", INPUTS / "scorer", "me/scorer", "--prepare", folder / "card")


def texts(folder: Path) -> dict:
    return {path.name: path.read_text() for path in sorted(folder.iterdir()) if path.suffix in (".md", ".json")}


def serve_hub() -> None:
    """Serves a Hub in a process of its own, and has this process and those that it forks take it for the Hub.

    It has to be called before `huggingface_hub` is imported, and ends with the process that called it.
    """
    path = Path(__file__).parents[1] / "hub" / "server.py"
    spec = importlib.util.spec_from_file_location("balr_hf_torture_hub_server", path)
    assert spec is not None and spec.loader is not None and "huggingface_hub" not in sys.modules
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    hub = module.HubServer()
    caller = os.getpid()
    if not os.fork():
        threading.Thread(target=_end_with, args=(caller,), daemon=True).start()
        hub.serve_forever()
    hub.server_close()
    os.environ |= {"HF_ENDPOINT": hub.url, "HF_TOKEN": hub.token, "HF_HUB_DISABLE_XET": "1"}
    os.environ |= {"HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1,localhost"}


def _end_with(caller: int) -> None:
    while os.getppid() == caller:
        time.sleep(0.2)
    os._exit(0)


def online(act: Callable[[], int]) -> Callable[[], int]:
    """Does something with the Hub that [`serve_hub`] serves."""

    def run() -> int:
        from huggingface_hub import constants

        constants.HF_HUB_OFFLINE = False
        return act()

    return run


def pushing(folder: Path) -> Callable[[], int]:
    """Uploads a model to where the repository of the folder already has another one."""
    named = folder / "repository"
    if not named.exists():
        id = f"me/{secrets.token_hex(8)}"
        status = forked(online(balr("push", INPUTS / "scorer", id)), folder.parent / "first")
        assert status == 0, (folder.parent / "first").read_text()
        named.write_text(id)
    return online(balr("push", INPUTS / "system", named.read_text()))


def stored(folder: Path) -> dict:
    """Reads what the repository of a folder holds, every file of it; fails if one lacks or is damaged."""
    from huggingface_hub import HfApi, constants

    constants.HF_HUB_OFFLINE = False
    id, api = (folder / "repository").read_text(), HfApi()
    own = id.partition("/")[2].encode()
    with tempfile.TemporaryDirectory() as cache:
        files = {name: api.hf_hub_download(id, name, cache_dir=cache) for name in api.list_repo_files(id)}
        found = {name: Path(path).read_bytes().replace(own, b"NAME") for name, path in files.items()}
    return {name: hashlib.sha256(content).hexdigest() for name, content in found.items()}


def extracting(folder: Path, *words: object) -> Callable[[], int]:
    return balr("extract", INPUTS / "few.csv", "--save-dir", folder / "out", "data.batch_size=4", *words)


COMMANDS = {
    "extract to files": Command(extracting, lambda f: vector_files(f / "out")),
    "extract to a Dataset": Command(
        lambda f: extracting(f, "--save-format", "dataset"),
        lambda f: vector_files(f / "out"),
    ),
    "extract again into a Dataset": Command(
        lambda f: balr("extract", f / "vectors", "--save-dir", f / "vectors", "--force", "data.batch_size=8"),
        lambda f: vector_files(f / "vectors"),
        before=("vectors",),
        keeps=True,
    ),
    "binarize files": Command(
        lambda f: balr("binarize", f / "files", "--save-dir", f / "out"),
        lambda f: vector_files(f / "out"),
        before=("files",),
    ),
    "binarize a Dataset in its place": Command(
        lambda f: balr("binarize", f / "vectors", "--save-dir", f / "vectors", "--force"),
        lambda f: vector_files(f / "vectors"),
        before=("vectors",),
        keeps=True,
    ),
    "train": Command(lambda f: training(f, "--save-dir", f / "run"), lambda f: trained(f / "run"), resume),
    "score train": Command(
        lambda f: balr("score", "train", INPUTS / "vectors", "--save-dir", f / "scorer", "--exist-ok"),
        lambda f: weights(f / "scorer"),
        before=("scorer",),
        keeps=True,
    ),
    "score calibrate": Command(calibrating, lambda f: weights(f / "scorer"), before=("scorer",), keeps=True),
    "assemble": Command(
        lambda f: balr("assemble", *[INPUTS / "system"] * 3, f / "made", "--exist-ok"),
        lambda f: weights(f / "made"),
        before=("made",),
        keeps=True,
    ),
    "push": Command(pushing, stored, keeps=True),
    "push --prepare": Command(preparing, lambda f: texts(f / "card")),
}


def prepare(inputs: Path, sample: Path, recordings: int = 24) -> None:
    """Makes what the commands start from, in a process of its own."""
    global INPUTS
    INPUTS = inputs
    inputs.mkdir(parents=True)
    header, *lines = (sample / "metadata.csv").read_text().splitlines()
    by_speaker: dict[str, list[str]] = {}
    for line in lines:
        by_speaker.setdefault(line.split(",")[2], []).append(line)
    some = [line for of_one in by_speaker.values() for line in of_one[:2]][:recordings]
    absolute = [line.replace(",", f",{sample}/", 1) for line in some]
    (inputs / "few.csv").write_text("\n".join([header, *absolute]) + "\n")
    names = [line.split(",")[0] for line in some]
    pairs = [(a, b) for number, a in enumerate(names) for b in names[number + 1 :]]
    (inputs / "trials.tsv").write_text("enrollment\ttest\n" + "".join(f"{a}\t{b}\n" for a, b in pairs))

    def make() -> int:
        import balr_hf
        from balr_hf.defaults import resource

        system = resource("models/system-small")
        status = 0
        status |= balr("extract", inputs / "few.csv", "--save-dir", inputs / "files")()
        status |= balr("extract", inputs / "few.csv", "--save-dir", inputs / "vectors", "--save-format", "dataset")()
        status |= balr("binarize", inputs / "vectors", "--save-dir", inputs / "vectors")()
        status |= balr("score", "train", inputs / "vectors", "--save-dir", inputs / "scorer")()
        shutil.copytree(system, inputs / "system")
        balr_hf.SpeakerComparisonModel.from_pretrained(system).save_pretrained(inputs / "made")
        return status

    status = forked(make, inputs / "log")
    assert status == 0, (inputs / "log").read_text()


def equal(one: dict, other: dict) -> bool:
    """Compares two results: texts exactly, embeddings as closely as batches of another size allow."""
    if one.keys() != other.keys():
        return False
    for name, value in one.items():
        if isinstance(value, np.ndarray) and name == "embedding":
            if value.shape != other[name].shape or not np.allclose(value, other[name], atol=1e-4):
                return False
        elif isinstance(value, np.ndarray):
            if not np.array_equal(value, other[name]):
                return False
        elif value != other[name]:
            return False
    return True


def leftovers(folder: Path) -> list[str]:
    """What a killed process left and nobody cleaned."""
    return [path.name for path in folder.rglob(".*") if path.suffix in (".tmp", ".old", ".parts")]


@dataclass
class Counts:
    """How often what happened.

    Attributes:
        kills: processes that were killed.
        reruns: runs after the last kill in a folder, which went to their end.
        equal: those of them that ended with what a whole run gives.
        lost: what was there and was not found after a kill, and reruns that failed.
        tracebacks: reruns that ended with one.
        left: temporary files and folders that were there after a rerun.
    """

    kills: int = 0
    reruns: int = 0
    equal: int = 0
    lost: int = 0
    tracebacks: int = 0
    left: int = 0


def torture(
    name: str, work: Path, kills: int, choose: random.Random, until: float = float("inf")
) -> tuple[Counts, list[str]]:
    """Kills one command so many times, up to `MOST_KILLS` times in one folder before it may run to its end.

    Returns:
        the counts, and what was wrong.
    """
    command, counts, wrong = COMMANDS[name], Counts(), []
    work.mkdir(parents=True)
    folder, log = work / "folder", work / "log"

    def begin() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for part in command.before:
            shutil.copytree(INPUTS / part, folder / part)

    def checked(expected: list[dict], what: str) -> bool:
        def compare() -> int:
            found = command.read(folder)
            return 0 if any(equal(found, one) for one in expected) else 3

        status = forked(compare, work / "read")
        if status:
            wrong.append(f"{name}: {what} {'differs' if status == 3 else 'is lost: ' + _last(work / 'read')}")
        return status == 0

    begin()
    undisturbed = command.first(folder)
    known = [_result(command.read, folder, work)] if command.keeps else []
    started = time.monotonic()
    assert forked(undisturbed, log) == 0, log.read_text()
    seconds = time.monotonic() - started
    steps = int(log.with_suffix(".count").read_text() or 0)
    whole = _result(command.read, folder, work)
    while counts.kills < kills and (not counts.kills or time.monotonic() < until):
        begin()
        run = command.first
        for _ in range(choose.randint(1, MOST_KILLS)):
            how = (
                {"kill_at": choose.randint(1, steps)}
                if choose.random() < 0.5
                else {"kill_after": choose.uniform(0, seconds)}
            )
            status = forked(run(folder), log, **how)
            run = command.again or command.first
            if status != -signal.SIGKILL:
                break  # it came to its end before that
            counts.kills += 1
            if command.keeps and not checked([*known, whole], f"after {how}, what was there"):
                counts.lost += 1
        if (command.again is None or status != 0) and (status := forked(run(folder), log)) != 0:
            wrong.append(f"{name}: the rerun ended with {status}: {_last(log)}")
            counts.tracebacks += "Traceback" in log.read_text(errors="replace")
            counts.lost += 1
            continue
        counts.reruns += 1
        counts.equal += checked([whole], f"after {how}, the rerun")
        left = leftovers(folder)
        counts.left += len(left)
        wrong += [f"{name}: after {how}, {left} is left"] if left else []
    return counts, wrong


def _last(log: Path) -> str:
    return " / ".join(log.read_text(errors="replace").strip().splitlines()[-3:])[-400:]


def _result(read: Callable[[Path], dict], folder: Path, work: Path) -> dict:
    """Reads in a process of its own, so that this one stays without threads."""
    import pickle

    def dump() -> int:
        (work / "result").write_bytes(pickle.dumps(read(folder)))
        return 0

    assert forked(dump, work / "read") == 0, (work / "read").read_text()
    return pickle.loads((work / "result").read_bytes())
