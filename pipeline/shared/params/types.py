"""What all classes of parameters have in common: their base and the types of their fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _whole(value: Any) -> Any:
    """The integer that YAML writes as a float: `1e6` and `40e9` are counts, 1.5 is none."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Integer = Annotated[int, BeforeValidator(_whole)]
Count = Annotated[Integer, Field(ge=0)]
PositiveCount = Annotated[Integer, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveFraction = Annotated[float, Field(gt=0.0, le=1.0)]
Seconds = Annotated[float, Field(ge=0.0)]
Days = Annotated[float, Field(ge=0.0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
OUTSIDE = "a place outside the chain"
Place = Annotated[str, OUTSIDE]
"""A file, folder or URL that each `dvc repro` lists for the stage of the parameter's section
(outside.py): something added, changed or gone there runs that stage again."""
Precision = Literal["float32", "bfloat16"]  # of matrix products; weights stay float32


class Section(BaseModel):
    """Frozen, and strict: an unknown key or another type is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )
