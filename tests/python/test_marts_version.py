"""A change of the SQL behind the figures needs a decision: must the days already built be built again?"""

from __future__ import annotations

import hashlib
import re

from loader.project import CHECKOUT

# The number in macros/incremental/marts_version.sql, and the digest of the SQL for which it was last decided.
DECIDED = (2, "7c85d7dd78801107")
SQL = ("models/staging", "models/intermediate", "models/marts", "macros/figures")
COMMENTS = re.compile(r"\{#.*?#\}|--[^\n]*", re.DOTALL)


def digest() -> str:
    """Returns a digest of the SQL that computes figures, without comments and line breaks."""
    found = hashlib.sha256()
    for directory in SQL:
        for file in sorted((CHECKOUT / directory).glob("*.sql")):
            words = COMMENTS.sub(" ", file.read_text(encoding="utf-8")).split()
            found.update(" ".join([file.name, *words]).encode())
    return found.hexdigest()[:16]


def test_a_change_of_the_sql_needs_a_decision_whether_to_recompute_every_day() -> None:
    macro = (CHECKOUT / "macros/incremental/marts_version.sql").read_text(encoding="utf-8")
    (number,) = re.findall(r"set version = (\d+) ", macro)
    assert (int(number), digest()) == DECIDED, (
        "the SQL behind the figures has changed: if any figure of any day changes with it, raise the number"
        " in macros/incremental/marts_version.sql, and the next build recomputes every day; then write"
        f" DECIDED = ({number}, {digest()!r}) into this test, with the number as it is then"
    )
