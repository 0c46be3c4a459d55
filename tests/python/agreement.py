"""Compares the model with the product's tables; raises AssertionError where they differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from model import Attempt, Model, Path
from model_files import LEVELS

Table = list[dict[str, Any]]
Tables = Mapping[str, Table]
Versions = dict[tuple[str, str], tuple[str, str]]  # table and id → row version and content

DIMENSIONS = {
    "campaign": "campaigns",
    "strategy": "strategies",
    "placement": "placements",
    "creative": "creatives",
}
COUNTS = ("impressions", "clicks", "conversions")
RATIOS = ("ctr", "cpc", "cpa", "roas")
FIGURES = (*COUNTS, "revenue", "spend", *RATIOS)
ITEM = ("rank", "id", "name", *FIGURES)
"""An item's fields in top_campaigns, as specified; figures added later are not compared."""
STAGED = (
    "client_id",
    "date",
    *(f"{level}_name" for level in LEVELS),
    "impressions",
    "clicks",
    "ctr",
    "conversions",
    "conversion_revenue",
)


def check_equal(what: str, found: Any, expected: Any) -> None:
    """Compares two mappings or lists; the message shows only the differences."""
    if found == expected:
        return
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        lines = [
            f"  {key}\n    product {found.get(key, 'nothing')}\n    model   {expected.get(key, 'nothing')}"
            for key in sorted({*found, *expected}, key=repr)
            if key not in found or key not in expected or found[key] != expected[key]
        ]
    else:
        lines = [f"  product {found}", f"  model   {expected}"]
    raise AssertionError("\n".join((f"{what} differ", *lines)))


def paired_attempts(model: Model, tables: Tables) -> list[tuple[Attempt, dict[str, Any]]]:
    """Pairs each attempt with its row of ingestion_logs, by URI and order."""
    logs = sorted(tables["ingestion_logs"], key=lambda log: int(log["run_number"]))
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    expected: dict[str, list[Attempt]] = defaultdict(list)
    for log in logs:
        found[log["object_uri"]].append(log)
    for attempt in model.attempts:
        expected[attempt.object.uri].append(attempt)
    check_equal(
        "attempts",
        {key: [summary_of_log(log) for log in rows] for key, rows in found.items()},
        {key: [summary_of_attempt(attempt) for attempt in rows] for key, rows in expected.items()},
    )
    return [pair for key, rows in expected.items() for pair in zip(rows, found[key], strict=True)]


def summary_of_log(log: Mapping[str, Any]) -> tuple[Any, ...]:
    """Returns what is compared of a row of ingestion_logs."""
    again, retracted = log["same_content_as"] is not None, log["retracted_at"] is not None
    outcome = log["status"], log["failure"], log["records_loaded"], again, retracted and not again
    return *outcome, log["last_modified"]


def summary_of_attempt(attempt: Attempt) -> tuple[Any, ...]:
    """Returns the same of an attempt."""
    again, modified = attempt.same_as is not None, attempt.object.last_modified.replace(tzinfo=None)
    return attempt.status, attempt.failure, len(attempt.rows), again, attempt.retracted, modified


def check_loaded(model: Model, tables: Tables) -> None:
    """Compares every attempt, every staged row and every reject."""
    staged, rejected = (
        by_run(tables["staging_media_raw"], "ingestion_run_id"),
        by_run(tables["rejected_rows"], "run_id"),
    )
    for attempt, log in paired_attempts(model, tables):
        which = f"{attempt.object.uri}, run {log['run_number']}"
        rows = sorted((tuple(row[column] for column in STAGED) for row in staged[log["id"]]), key=repr)
        check_equal(f"staged rows of {which}", rows, sorted((tuple(row) for row in attempt.rows), key=repr))
        # Which rejected rows of an unreadable file are kept is not defined.
        if attempt.status == "success" or attempt.rejects:
            found = sorted((row["line_number"], row["reason"]) for row in rejected[log["id"]])
            check_equal(
                f"rejects of {which}", found, [(reject.line, reject.reason) for reject in attempt.rejects]
            )
            check_equal(f"records_failed of {which}", log["records_failed"], len(attempt.rejects))
        if attempt.status == "success":
            check_equal(f"run_date of {which}", log["run_date"], attempt.run_date)


def by_run(rows: Iterable[dict[str, Any]], column: str) -> dict[str, Table]:
    """Groups rows by their run."""
    groups: dict[str, Table] = defaultdict(list)
    for row in rows:
        groups[row[column]].append(row)
    return groups


def paths(tables: Tables) -> dict[str, dict[str, Path]]:
    """Returns the path of names of each dimension row, by level and id."""
    found: dict[str, dict[str, Path]] = {}
    parent: dict[str, Path] = {}
    for level, above in zip(LEVELS, ("client", *LEVELS), strict=False):
        parent = {
            row["id"]: (*(parent[row[f"{above}_id"]] if parent else (row["client_id"],)), row["name"])
            for row in tables[DIMENSIONS[level]]
        }
        for row in tables[DIMENSIONS[level]]:
            check_equal(f"client of {level} {row['name']}", row["client_id"], parent[row["id"]][0])
        assert len(set(parent.values())) == len(parent), f"duplicate {level}"
        found[level] = parent
    return found


def check_marts(model: Model, tables: Tables) -> None:
    """Compares the seven tables that dbt owns."""
    found = paths(tables)
    check_equal(
        "dimensions", {level: set(names.values()) for level, names in found.items()}, model.dimensions()
    )
    ids = {path: key for names in found.values() for key, path in names.items()}
    daily = {}
    for row in tables["daily_metrics"]:
        path = found["creative"][row["creative_id"]]
        for depth, level in enumerate(LEVELS, start=2):
            check_equal(f"{level} of {path}", found[level][row[f"{level}_id"]], path[:depth])
        check_equal(f"client of {path}", row["client_id"], path[0])
        daily[row["date"], path] = exact(row | {"revenue": row["conversion_revenue"]})
    assert len(daily) == len(tables["daily_metrics"]), "duplicate row of daily_metrics"
    check_equal("daily_metrics", daily, {key: exact(vars(figures)) for key, figures in model.daily().items()})
    for table, prefix, expected in (
        ("weekly_summaries", "week", model.weekly(ids.__getitem__)),
        ("monthly_summaries", "month", model.monthly(ids.__getitem__)),
    ):
        summaries = {
            (row["client_id"], row[f"{prefix}_start"], row[f"{prefix}_end"]): summary(row)
            for row in tables[table]
        }
        assert len(summaries) == len(tables[table]), f"duplicate {prefix}"
        check_equal(table, summaries, {key: summary(row) for key, row in expected.items()})


def exact(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns a row's figures as text, so that the scale is compared too: 1.50 is not 1.5."""
    return tuple(f"{column}={row[column]}" for column in FIGURES)


def summary(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a summary's figures and its ranked items."""
    top = {
        name: [{key: f"{item[key]}" for key in ITEM if key in item} for item in row[name]] for name in TOPS
    }
    return {"figures": exact(row), **top}


TOPS = ("top_campaigns", "top_creatives")


def versions(tables: Tables) -> Versions:
    """Returns every mart row's version and content."""
    return {
        (table, row["id"]): (
            row["xmin"],
            repr({k: v for k, v in row.items() if k not in ("xmin", "updated_at")}),
        )
        for table in (*DIMENSIONS.values(), "daily_metrics", "weekly_summaries", "monthly_summaries")
        for row in tables[table]
    }


def check_untouched(before: Versions, after: Versions) -> None:
    """Checks that a row whose content is the same was not written: it has the same row version."""
    rewritten = [
        f"{table} {content}"
        for (table, key), (version, content) in after.items()
        if (table, key) in before and before[table, key][1] == content and before[table, key][0] != version
    ]
    assert not rewritten, "\n  ".join(("rows were written although nothing in them changed:", *rewritten))


def check_same_ids(before: Tables, after: Tables) -> None:
    """Checks that a rebuild gives the same rows the same ids."""
    for table in (*DIMENSIONS.values(), "daily_metrics", "weekly_summaries", "monthly_summaries"):
        found, expected = (
            {
                row["id"]: {k: v for k, v in row.items() if k not in ("xmin", "created_at", "updated_at")}
                for row in of[table]
            }
            for of in (after, before)
        )
        check_equal(f"{table} built from scratch", found, expected)
