import errno
import json
import os
from pathlib import Path

import pytest

from balr_hf import files
from balr_hf.files import (
    atomic_folder,
    atomic_path,
    new_run_folder,
    replace_folder,
    split_path,
    write_file,
    write_json,
)


def content(folder: Path) -> dict[str, str]:
    """Every file under `folder`, hidden ones too."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("old", [{}, {"a.txt": "old"}], ids=["new", "replaced"])
def test_file_is_there_after_success(tmp_path, old):
    for name, text in old.items():
        (tmp_path / name).write_text(text)
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
        assert content(tmp_path) == {**old, temporary.name: "new"}, "visible only when it is complete"
    assert content(tmp_path) == {"a.txt": "new"}


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("old", [{}, {"a.txt": "old"}], ids=["new", "replaced"])
def test_failed_file_leaves_what_was_there(tmp_path, old, failure):
    for name, text in old.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(failure), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise failure
    assert content(tmp_path) == old


def test_file_that_was_never_written_is_an_error_and_keeps_the_old(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.txt"):
        pass
    assert content(tmp_path) == {"a.txt": "old"}


def test_folders_of_a_file_are_made(tmp_path):
    with atomic_path(tmp_path / "x" / "y" / "a.txt") as temporary:
        temporary.write_text("new")
    assert content(tmp_path) == {"x/y/a.txt": "new"}


def test_folder_replaces_the_old_one_whole(tmp_path):
    folder = tmp_path / "x" / "corpus"
    with atomic_folder(folder) as temporary:
        (temporary / "a").write_text("1")
        (temporary / "b").write_text("1")
    assert content(tmp_path) == {"x/corpus/a": "1", "x/corpus/b": "1"}
    with atomic_folder(folder) as temporary:
        (temporary / "b").write_text("2")
        assert content(folder) == {"a": "1", "b": "1"}
    assert content(tmp_path) == {"x/corpus/b": "2"}
    assert [path.name for path in folder.parent.iterdir()] == ["corpus"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("exists", [False, True])
def test_failed_folder_leaves_what_was_there(tmp_path, exists, failure):
    folder = tmp_path / "corpus"
    if exists:
        folder.mkdir()
        (folder / "a").write_text("old")
    with pytest.raises(failure), atomic_folder(folder) as temporary:
        (temporary / "a").write_text("half")
        raise failure
    assert content(tmp_path) == ({"corpus/a": "old"} if exists else {})
    assert list(tmp_path.iterdir()) == ([folder] if exists else [])


def test_relative_folder_is_made_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with atomic_folder(Path("corpus")) as temporary:
        (temporary / "a").write_text("1")
    assert content(tmp_path) == {"corpus/a": "1"}


def test_folder_that_cannot_be_replaced_stays(tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a").write_text("old")
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "never made", tmp_path / "corpus")
    assert content(tmp_path) == {"corpus/a": "old"}


def test_link_to_a_folder_is_replaced_without_a_trace(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a").write_text("old")
    (tmp_path / "corpus").symlink_to(tmp_path / "disk")
    with atomic_folder(tmp_path / "corpus") as temporary:
        (temporary / "a").write_text("new")
    assert (tmp_path / "corpus" / "a").read_text() == "new"
    assert {path.name for path in tmp_path.iterdir()} == {"disk", "corpus"}


def test_json_is_written_whole(tmp_path):
    write_json(tmp_path / "a.json", {"b": [1, 2.5, None]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"b": [1, 2.5, None]}
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"b": object()})
    assert json.loads((tmp_path / "a.json").read_text()) == {"b": [1, 2.5, None]}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_runs_are_numbered(tmp_path):
    default = str(tmp_path / "runs" / "train")
    for name in ("train", "train2", "train3"):
        folder = new_run_folder(None, default)
        assert folder == tmp_path / "runs" / name
        (folder / "log").write_text("used")
    assert content(tmp_path) == {f"runs/{name}/log": "used" for name in ("train", "train2", "train3")}


def test_gap_in_the_numbers_is_filled(tmp_path):
    for name in ("train", "train3"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "log").touch()
    assert new_run_folder(tmp_path / "train", "unused") == tmp_path / "train2"


def test_empty_folder_is_used(tmp_path):
    (tmp_path / "train").mkdir()
    assert new_run_folder(tmp_path / "train", "unused") == tmp_path / "train"


def test_folder_that_exists_is_used_if_that_is_fine(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "log").write_text("used")
    assert new_run_folder(tmp_path / "train", "unused", exist_ok=True) == tmp_path / "train"
    assert content(tmp_path) == {"train/log": "used"}


@pytest.mark.parametrize("exist_ok", [False, True])
def test_file_in_the_place_of_a_run_folder_is_an_error(tmp_path, exist_ok):
    (tmp_path / "train").write_text("a file")
    with pytest.raises(FileExistsError, match="train"):
        new_run_folder(tmp_path / "train", "unused", exist_ok=exist_ok)
    assert content(tmp_path) == {"train": "a file"}


def kill_while_writing(run_python, folder, code: str) -> None:
    """Runs code that is killed in the middle, as by SIGKILL."""
    script = (
        f"import os, signal\nfrom pathlib import Path\nfrom balr_hf import files\nfolder = Path({str(folder)!r})\n"
    )
    done = run_python("-c", script + code, check=False)
    assert done.returncode == -9, done.stderr


def write_next_to(run_python, folder) -> None:
    """Another process writes into the same folder."""
    path = str(folder / "b.json")
    run_python("-c", f"from pathlib import Path; from balr_hf.files import write_json; write_json(Path({path!r}), 1)")


KILL = "os.kill(os.getpid(), signal.SIGKILL)"


def test_what_a_killed_process_left_is_cleaned_by_the_next(run_python, tmp_path):
    kill_while_writing(
        run_python, tmp_path, f"with files.atomic_path(folder / 'a.txt') as path: path.write_text('half'); {KILL}"
    )
    kill_while_writing(run_python, tmp_path, f"with files.atomic_folder(folder / 'run') as path: {KILL}")
    assert list(tmp_path.glob(".*.tmp"))
    write_next_to(run_python, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"]


# Does one thing after the other to a folder, each in a child of its own that is killed before its first, second, ...
# call that changes files, until it comes to its end. After each kill, one child reads and another one writes.
KILLED_AT_EVERY_STEP = """
import os, shutil, signal, sys, warnings
from pathlib import Path
from balr_hf import files
warnings.simplefilter("ignore")
root, way, exchanges = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "exchanged"
CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.symlink", "open", "shutil.rmtree"}
folder = root / ("corpus" + "x" * (200 if way == "long" else 0))

def content(path):
    return {name: (path / name).read_text() for name in sorted(os.listdir(path))} if path.is_dir() else None

def begin():
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    place = root / "elsewhere" if way == "link" else folder
    if way != "new":
        place.mkdir()
        for name in ("config.json", "weights"):
            (place / name).write_text("old")
    if way == "link":
        folder.symlink_to(place)

def write():
    swap = {"added": files.added_to_folder, "changed": files.changed_folder}.get(way, files.atomic_folder)
    with swap(folder) as temporary:
        for name in ("config.json", "weights"):
            (temporary / name).write_text("new")

def child(act, kill_at=None):
    pid = os.fork()
    if pid:
        return os.WTERMSIG(os.waitpid(pid, 0)[1])
    if not exchanges:
        files.exchange = lambda one, other: False
    seen = 0
    def hook(event, arguments):
        nonlocal seen
        if event in CHANGES or event.startswith("ctypes."):
            seen += 1
            if seen == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
    if kill_at is not None:
        sys.addaudithook(hook)
    act()
    os._exit(0)

old = None if way == "new" else {"config.json": "old", "weights": "old"}
new = {"config.json": "new", "weights": "new"}
missing = 0
for step in range(1, 200):
    begin()
    if child(write, step) == 0:
        break
    missing += not folder.exists() and old is not None
    def read():
        files.restore_folder(folder)
        assert content(folder) in (old, new), (step, content(folder))
    assert child(read) == 0 and content(folder) in (old, new), (step, content(folder))
    begin()
    child(write, step)
    assert child(write) == 0 and content(folder) == new, (step, content(folder))
    left = {path.name for path in root.iterdir()} - {folder.name, "elsewhere"}
    assert not left, (step, left)
print(step - 1, missing)
"""


@pytest.mark.parametrize("exchanged", ["exchanged", "renamed"])
@pytest.mark.parametrize("way", ["new", "replaced", "link", "long", "added", "changed"])
def test_killed_at_every_step_of_a_swap_the_old_or_the_new_folder_is_there(run_python, tmp_path, way, exchanged):
    done = run_python("-c", KILLED_AT_EVERY_STEP, tmp_path / "root", way, exchanged)
    steps, missing = map(int, done.stdout.split())
    assert steps >= 4
    if exchanged == "exchanged" and files.exchange(tmp_path, tmp_path / "root"):
        assert missing == 0, "nothing was ever out of its place"
    if way == "replaced" and exchanged == "renamed":
        assert missing, "otherwise nothing was put back"


def moved_aside(folder: Path, host: str, pid: int) -> Path:
    """Moves a folder aside as its replacement does."""
    old = folder.with_name(f".{folder.name}.{host}.{pid}.01234567.old")
    old.mkdir()
    folder.rename(old / folder.name)
    return old


def test_a_folder_that_a_living_process_replaces_is_waited_for(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    old = moved_aside(tmp_path / "run", files._HOST, os.getpid())
    monkeypatch.setattr(files, "_PATIENCE", 0.1)
    files.restore_folder(tmp_path / "run")
    assert not (tmp_path / "run").exists(), "it is the living process's"
    monkeypatch.setattr(files, "_PATIENCE", 30)
    monkeypatch.setattr(files.time, "sleep", lambda seconds: (tmp_path / "run").mkdir())
    files.restore_folder(tmp_path / "run")
    assert old.exists()


def test_a_folder_that_another_machine_lost_is_put_back_after_a_while(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    moved_aside(tmp_path / "run", "another-machine", os.getpid())
    monkeypatch.setattr(files, "_PATIENCE", 0.1)
    files.restore_folder(tmp_path / "run")
    assert content(tmp_path) == {"run/mine.txt": "mine"}


def test_temporary_files_of_a_living_process_stay(tmp_path):
    with atomic_path(tmp_path / "a.txt") as path:
        path.write_text("half")
        files.remove_leftovers(tmp_path)
        assert path.exists()
    assert (tmp_path / "a.txt").read_text() == "half"


@pytest.mark.parametrize(
    "path", ["a/b.txt", "b.txt", "/b.txt", "//b.txt", "a//b.txt", "a/", "/a/", "", "/", "a/ü_emb.npy"]
)
def test_path_is_split_as_os_path_does(path):
    assert split_path(path) == os.path.split(path)
    assert split_path(Path(path)) == os.path.split(Path(path))


def test_one_of_many_files_is_written_whole_where_its_folder_went_and_the_disk_takes_parts(tmp_path, monkeypatch):
    write, path = os.write, tmp_path / "new" / "a_emb.npy"
    monkeypatch.setattr(os, "write", lambda handle, content: write(handle, content[:3]))
    for content in (b"the first", b"the second", b""):
        write_file(str(path), content)
        assert path.read_bytes() == content and os.listdir(path.parent) == [path.name]
        path.unlink()
        path.parent.rmdir()


def test_one_of_many_files_that_fails_keeps_the_old(tmp_path, monkeypatch):
    path = tmp_path / "a_emb.npy"
    path.write_bytes(b"old")

    def full(handle, content):
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="the disk is full"):
        write_file(str(path), b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == [path.name]


def written_at_once(path: Path) -> None:
    with atomic_path(path) as temporary:
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT)
        try:
            os.write(handle, b"new")
        finally:
            os.close(handle)


@pytest.mark.parametrize("write", [written_at_once, lambda path: write_file(str(path), b"new")], ids=["one", "many"])
def test_an_error_of_the_system_names_the_file_and_not_its_temporary_name(tmp_path, monkeypatch, write):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError) as raised:
        write(tmp_path / "folder")
    assert (raised.value.filename, raised.value.filename2) == (str(tmp_path / "folder"), None)

    def full(handle, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError) as raised:
        write(tmp_path / "file")
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(tmp_path / "file"))
    assert os.listdir(tmp_path) == ["folder"]
