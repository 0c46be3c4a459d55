"""The `format` section of a feed in feeds.yml."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

SAMPLE = datetime(2023, 11, 28)


class Format(BaseModel):
    """How a feed's files are written: type, encoding, delimiter, and the notation of dates and numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["csv"] = "csv"
    delimiter: str = ","
    encoding: str = "utf-8"
    date: str = "%Y-%m-%d"
    decimal: Literal[".", ","] = "."
    header_row: Annotated[int, Field(ge=1, strict=True)] = 1
    currency: str = ""
    fractional: Literal["reject", "round"] = "reject"

    @model_validator(mode="after")
    def _is_usable(self) -> Format:
        if len(self.delimiter) != 1 or self.delimiter in '"\r\n\0':
            raise ValueError("delimiter: give one character, not a quote or a line break")
        if self.currency != self.currency.strip() or re.search(r"[0-9+%-]", self.currency):
            raise ValueError("currency: give only the sign, without spaces, digits, +, - or %")
        try:
            read = datetime.strptime(SAMPLE.strftime(self.date), self.date)
        except (ValueError, re.error) as error:
            raise ValueError(f"date: {self.date!r} is not a usable date format ({error})") from error
        if read.date() != SAMPLE.date():
            raise ValueError(f"date: {self.date!r} does not contain year, month and day")
        return self
