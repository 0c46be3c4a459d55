"""Reads the queries of dbt's models from the checkout.

Commands that only read run these, not the views in the database: any login that may build can replace those,
and they would then run with the rights of whoever reads them.
"""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, StrictUndefined

from loader.project import CHECKOUT

MODELS = CHECKOUT / "models"


@cache
def model_query(name: str) -> str:
    """Returns the query of a model, which reads tables and views of media and media_ops only.

    The models that it reads become subqueries. Raises jinja2.UndefinedError if one of them uses a macro other
    than ref and source.
    """
    (file,) = MODELS.rglob(f"{name}.sql")
    template = Environment(undefined=StrictUndefined).from_string(file.read_text(encoding="utf-8"))
    return template.render(
        ref=lambda model: f"({model_query(model)}) as {model}",
        source=lambda schema, table: f"{schema}.{table}",
    )
