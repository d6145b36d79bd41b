"""Loading a corpus: a csv of a million rows, compared with a row-by-row reader."""

import csv
import subprocess
import sys
import tempfile
from pathlib import Path

from measuring import against, table

ROWS = 1_000_000


def write(path: Path, rows: int) -> None:
    """Write a csv that names recordings; they need not exist for the csv to be loaded."""
    with path.open("w") as file:
        file.write("id,audio,speaker,sex\n")
        file.writelines(f"r{n},audio/{n // 1000}/{n}.flac,s{n // 100},f\n" for n in range(rows))


def row_by_row(path: Path) -> list[dict]:
    """Read the csv as a simple script would."""
    with path.open(newline="") as file:
        return [{**row, "audio": Path(path.parent, row["audio"])} for row in csv.DictReader(file)]


def in_a_process(function: str, path: Path) -> tuple[float, int]:
    """Run one call in a process of its own; return its seconds, and its bytes beyond those of the imports."""
    script = (
        "import sys, time\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\n"
        "import datasets, torch\n"
        "from balr_hf import load_corpus\n"
        "from loading import row_by_row\n"
        "from measuring import held_memory, peak_memory\n"
        "before, start = held_memory(), time.perf_counter()\n"
        f"found = {function}(Path({str(path)!r}))\n"
        "print(time.perf_counter() - start, peak_memory() - before, len(found))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    took, memory, _ = done.stdout.split()
    return float(took), int(memory)


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for count in (ROWS // 16, ROWS // 4, ROWS):
            path = Path(folder, f"{count}.csv")
            write(path, count)
            (base, base_memory), (ours, memory) = (in_a_process(f, path) for f in ("row_by_row", "load_corpus"))
            whole = count == ROWS
            rows.append(
                [
                    f"{count:,}",
                    f"{base:.2f} s, {base_memory / 1e6:.0f} MB",
                    against(ours, 10, ".2f", " s", at_most=True) if whole else f"{ours:.2f} s",
                    f"{1e6 * ours / count:.2f} us",
                    against(memory / 1e9, 1, ".2f", " GB", at_most=True) if whole else f"{memory / 1e9:.2f} GB",
                ]
            )
    table("Loading a csv", ["rows", "row by row (csv.DictReader)", "load_corpus", "per row", "memory"], rows)


if __name__ == "__main__":
    main()
