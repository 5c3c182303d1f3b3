"""The configuration seeds, checked before anything is built from them."""

from __future__ import annotations

import csv
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from synapse.errors import SynapseError

Name = Annotated[str, Field(min_length=1)]
Row = TypeVar("Row", bound=BaseModel)


class TrackedEvent(BaseModel):
    """A row of seeds/tracking_plan.csv; columns we do not know are the reader's own."""

    model_config = ConfigDict(extra="ignore")
    event_name: Name
    is_active_signal: bool


class FunnelStep(BaseModel):
    """A row of seeds/funnels.csv."""

    model_config = ConfigDict(extra="ignore")
    funnel_name: Name
    step_number: Annotated[int, Field(ge=1)]
    step_name: Name
    event_name: Name
    window_hours: Annotated[int, Field(ge=1)]


class ModelPrice(BaseModel):
    """A row of seeds/model_prices.csv: prices in cents per million tokens."""

    model_config = ConfigDict(extra="ignore")
    model: Name
    valid_from: date
    input_price_cents_per_million: Annotated[Decimal, Field(ge=0)]
    output_price_cents_per_million: Annotated[Decimal, Field(ge=0)]


def _read(path: Path, row_type: type[Row]) -> list[tuple[int, Row]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SynapseError(f"{path} cannot be read as UTF-8 text: {error}") from error
    reader = csv.DictReader(text.splitlines())
    required = [name for name, info in row_type.model_fields.items() if info.is_required()]
    missing = [name for name in required if name not in (reader.fieldnames or [])]
    if missing:
        raise SynapseError(
            f"{path} line 1 lacks the column(s) {', '.join(missing)}: add them to the header"
        )
    rows: list[tuple[int, Row]] = []
    for line, raw in enumerate(reader, start=2):
        try:
            rows.append((line, row_type.model_validate(raw)))
        except ValidationError as error:
            first = error.errors()[0]
            raise SynapseError(
                f"{path} line {line}, column {first['loc'][0]}: {first['msg']} "
                f"(it holds {first['input']!r}); correct the row and run again"
            ) from error
    return rows


def check_configuration(project_dir: Path) -> None:
    """Check the configuration seeds; raises SynapseError naming file, line and column."""
    seeds = project_dir / "seeds"
    _unique(seeds / "tracking_plan.csv", [
        (line, (row.event_name,)) for line, row in _read(seeds / "tracking_plan.csv", TrackedEvent)
    ])  # fmt: skip
    _unique(seeds / "model_prices.csv", [
        (line, (row.model, str(row.valid_from)))
        for line, row in _read(seeds / "model_prices.csv", ModelPrice)
    ])  # fmt: skip
    path = seeds / "funnels.csv"
    steps = _read(path, FunnelStep)
    _unique(path, [(line, (row.funnel_name, str(row.step_number))) for line, row in steps])
    funnels: dict[str, list[FunnelStep]] = {}
    for line, step in steps:
        funnel = funnels.setdefault(step.funnel_name, [])
        funnel.append(step)
        if funnel[0].window_hours != step.window_hours:
            raise SynapseError(
                f"{path} line {line}: funnel {step.funnel_name} has two windows "
                f"({funnel[0].window_hours} and {step.window_hours} hours); a funnel has one"
            )
    for name, funnel in funnels.items():
        if sorted(step.step_number for step in funnel) != list(range(1, len(funnel) + 1)):
            raise SynapseError(
                f"{path}: the steps of funnel {name} are not numbered 1 to {len(funnel)}"
            )


def _unique(path: Path, keys: list[tuple[int, tuple[str, ...]]]) -> None:
    seen: dict[tuple[str, ...], int] = {}
    for line, key in keys:
        if key in seen:
            raise SynapseError(
                f"{path} line {line} repeats {'/'.join(key)} of line {seen[key]}: keep one of them"
            )
        seen[key] = line
