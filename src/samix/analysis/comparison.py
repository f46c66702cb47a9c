"""Table and report of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

KEYS = ["backbone", "host", "group", "variant", "policy", "alpha"]
_HEAD = (
    "group",
    "variant",
    "policy",
    "alpha",
    "top-1 (%)",
    "last epoch (%)",
    "gain over plain",
    "trials",
    "seconds per epoch",
    "times plain",
    "pre-training (s)",
    "peak memory (MB)",
)
_METHOD = """\
* Top-1 (%) of a trial is the median of its validation accuracies after each of the last 10 epochs, or after
  all of them if there are fewer; not the best epoch. If a training has several networks and heads, the
  momentum network's comes before the online one's, and the mixed head's before the plain one's. In
  self-supervised training it is that of the linear classifier on frozen features. The last epoch's accuracy
  is given beside it: after few epochs the median still contains those of the beginning.
* The tables show mean ± sample standard deviation over the seeds that finished. The gain is the mean ±
  standard deviation of the differences to the plain row (no mixing) of the same backbone, host and seed.
* Seconds per epoch are wall-clock, validation and checkpoints included, of the training itself, as they were
  when it was done; of the seeds, the least, since a disturbance of a training can only add. The pre-training
  of a frozen Mixer comes on top and has its own column.
* Peak memory is the GPU's, or on a CPU that of the whole process with its libraries.
* A policy that the backbone, the host or the loss cannot work with is refused before anything trains. A trial
  that failed is tried again by the same command, which reuses those that finished."""


def comparison_table(trials: pd.DataFrame) -> pd.DataFrame:
    """One row per variant, backbone and host, in the order of the trials.

    Args: trials, one row per training with KEYS, seed, status, and if it finished top1 and top1_last (%),
    seconds_per_epoch, peak_memory_mb and, of a frozen Mixer, pretraining_seconds.
    Returns: KEYS, top1_mean, top1_std (sample standard deviation, NaN for one seed), the same of top1_last,
    gain_mean, gain_std (of the differences to the plain row, seed by seed), trials that finished, failed,
    refused, and the least of the seeds' seconds_per_epoch, relative_cost (to the plain row),
    pretraining_seconds and peak_memory_mb. NaN if there is no such figure.
    """
    costs = ["seconds_per_epoch", "peak_memory_mb", "pretraining_seconds"]
    trials = trials.reindex(columns=[*KEYS, "seed", "status", "top1", "top1_last", *costs])
    trials = trials.assign(gain=trials["top1"] - _of_plain(trials, ["backbone", "host", "seed"], "top1"))
    for status in ("finished", "failed", "refused"):
        trials[status] = trials["status"].str.startswith(status)
    groups = trials.groupby(KEYS, sort=False)
    table = pd.DataFrame(
        {
            "top1_mean": groups["top1"].mean(),
            "top1_std": groups["top1"].std(),
            "top1_last_mean": groups["top1_last"].mean(),
            "top1_last_std": groups["top1_last"].std(),
            "gain_mean": groups["gain"].mean(),
            "gain_std": groups["gain"].std(),
            "trials": groups["finished"].sum(),
            "failed": groups["failed"].sum(),
            "refused": groups["refused"].sum(),
            # what disturbs a training, such as the start of the first one, can only add to its cost
            **{name: groups[name].min() for name in costs},
        }
    ).reset_index()
    plain_cost = _of_plain(table, ["backbone", "host"], "seconds_per_epoch")
    return table.assign(relative_cost=table["seconds_per_epoch"] / plain_cost)


def comparison_markdown(table: pd.DataFrame) -> str:
    """The table as Markdown, one per backbone and host; columns without a figure are left out."""
    parts = []
    for (backbone, host), rows in table.groupby(["backbone", "host"], sort=False):
        cells = [_HEAD, *map(_cells, rows.to_dict("records"))]
        columns = [column for column in zip(*cells, strict=True) if set(column[1:]) - {"-", ""}]
        lines = [list(line) for line in zip(*columns, strict=True)]
        lines.insert(1, ["---" if name in _HEAD[:3] else "---:" for name in lines[0]])
        body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        parts.append(f"## {backbone} ({host})\n\n{body}")
    return "\n\n".join(parts)


def comparison_report(trials: pd.DataFrame, table: pd.DataFrame, about: Mapping[str, Any]) -> str:
    """The page: command and circumstances, tables and pictures, failures, and how the numbers are made.

    Args: about, with run (see RunInfoDataset), card of the data set, devices (words by name), date.
    """
    run, card = about["run"], about["card"]
    facts = {
        "date": about["date"],
        "environment": run["environment"],
        "data set": f"{card['name']}, {card['image_size']} px",
        "images": ", ".join(f"{count} {split}" for split, count in card["counts"].items()),
        "checksum": card["checksum"],
        "host": _values(trials["host"]),
        "epochs": _values(trials["epochs"]),
        "seeds": _values(trials["seed"]),
        **about["devices"],
        "commit": run.get("commit", "unknown") + _dirty(run),
        **run["versions"],
    }
    lines = [f"| {name} | {value} |" for name, value in facts.items()]
    parts = [
        f"# samix: {run['pipeline']}",
        f"    {run['command']}",
        "\n".join(["| | |", "|---|---|", *lines]),
        comparison_markdown(table),
        *_problems(trials),
        "## All trials\n\n![Top-1 of each trial and their means](results.png)",
        "## Accuracy against cost\n\n![Top-1 over seconds per epoch](cost.png)",
        f"## How the numbers are made\n\n{_METHOD}",
    ]
    return "\n\n".join(parts) + "\n"


def _of_plain(rows: pd.DataFrame, keys: list[str], figure: str) -> pd.Series:
    """For each row the figure of the plain one (the first of policy none) that has the same keys."""
    found = rows[rows["policy"] == "none"].drop_duplicates(keys).set_index(keys)[figure]
    wanted = pd.MultiIndex.from_frame(rows[keys])
    return pd.Series(found.reindex(wanted).to_numpy(dtype=float), index=rows.index)


def _cells(row: Mapping[Any, Any]) -> tuple[str, ...]:
    plain = row["policy"] == "none"
    trials = str(row["trials"]) + (f" ({row['failed']} failed)" if row["failed"] else "")
    top1 = "refused" if row["refused"] else spread(row["top1_mean"], row["top1_std"])
    return (
        str(row["group"]),
        str(row["variant"]).replace("|", r"\|"),
        str(row["policy"]),
        "-" if plain else f"{row['alpha']:g}",
        top1,
        "-" if row["refused"] else spread(row["top1_last_mean"], row["top1_last_std"]),
        "-" if plain else spread(row["gain_mean"], row["gain_std"], "+"),
        trials,
        _number(row["seconds_per_epoch"], ".2f"),
        _number(row["relative_cost"], ".2f"),
        _number(row["pretraining_seconds"], ".0f"),
        _number(row["peak_memory_mb"], ".0f"),
    )


def _number(value: float, form: str) -> str:
    return "-" if pd.isna(value) else format(value, form)


def _values(column: pd.Series) -> str:
    return ", ".join(str(value) for value in column.drop_duplicates())


def _dirty(run: Mapping[str, Any]) -> str:
    return " (with uncommitted changes)" if run.get("dirty") == "true" else ""


def _problems(trials: pd.DataFrame) -> list[str]:
    """Each refused variant once, and each failed trial."""
    bad = trials[trials["status"] != "finished"]
    told = {
        f"* {row['variant']} on {row['backbone']} ({row['host']})"
        + (f", seed {row['seed']}" if row["status"].startswith("failed") else "")
        + f": {row['status']}": None
        for row in bad.to_dict("records")
    }
    return ["## Refused and failed\n\n" + "\n".join(told)] if told else []


def spread(mean: float, std: float, sign: str = "") -> str:
    """Mean and standard deviation; "+" as sign shows that of a gain. "-" if there is no figure."""
    if pd.isna(mean):
        return "-"
    return f"{mean:{sign}.2f}" if pd.isna(std) else f"{mean:{sign}.2f} ± {std:.2f}"
