"""Parts that all benchmarks of speed share: alternating measurements, the machine, tables and JSON files."""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

Rows = list[dict[str, Any]]
LIBRARIES = ("torch", "torchvision", "timm", "accelerate", "pillow", "kedro", "mlflow")


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--json", type=Path, help="write settings, machine and rows to this file as well")
    made.add_argument("--threads", type=int, help="CPU threads; default: torch's own choice")
    made.add_argument("--rounds", type=int, default=7, help="measurements of each thing; the median counts")
    return made


def alternate(
    work: Mapping[str, Callable[[], None]], rounds: int, wait: Callable[[], None]
) -> dict[str, float]:
    """Median seconds of each piece of work; all take turns, so that a drift of the machine meets them alike.

    One unmeasured round comes first. wait: called before each look at the clock, lets the device finish.
    """
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for number in range(rounds + 1):
        for name, do in work.items():
            wait()
            began = time.perf_counter()
            do()
            wait()
            if number:
                seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(taken) for name, taken in seconds.items()}


def waiting_for(device: torch.device) -> Callable[[], None]:
    """Let the device finish what it was given."""
    return torch.cuda.synchronize if device.type == "cuda" else lambda: None


def table(rows: Rows, columns: Sequence[str] | None = None) -> str:
    """Rows as a Markdown table; numbers with three digits."""
    names = list(columns or rows[0])
    lines = [names, ["---"] * len(names), *([_shown(row.get(name)) for name in names] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def finish(rows: Rows, arguments: argparse.Namespace, notes: str = "") -> None:
    """Print the table, and write the file of --json if it is given."""
    record = {
        "command": " ".join(["python", *_relative(sys.argv)]),
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "settings": {key: value for key, value in vars(arguments).items() if key != "json"},
        "rows": rows,
        "notes": notes,
    }
    print(describe(record))
    print()
    print(table(rows))
    if notes:
        print(f"\n{notes}")
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(record, indent=2, default=str) + "\n")


def describe(record: Mapping[str, Any]) -> str:
    """Machine, versions and date in one line."""
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    return f"{record['machine']}; {versions}; {record['date']}"


def machine() -> str:
    """Processors, threads and GPU of this machine, in words."""
    can = torch.cpu.get_capabilities()
    cpu = can.get("cpu_name", platform.processor() or platform.machine())
    units = ", ".join(name for name in ("amx_bf16", "avx512_bf16", "avx512_f", "avx2") if can.get(name))
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    threads = f"{torch.get_num_threads()} threads"
    cores = can.get("num_logical_cores", "?")
    return f"{cpu} ({units or 'no vector units known'}), {cores} cores, {threads}{gpu}"


def _relative(argv: Sequence[str]) -> list[str]:
    """The command as it is typed at the root of the project, without the file it writes."""
    script, options = Path(argv[0]), list(argv[1:])
    if "--json" in options:
        place = options.index("--json")
        del options[place : place + 2]
    return [str(Path(script.parent.name) / script.name), *options]


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return "" if value is None else str(value)
