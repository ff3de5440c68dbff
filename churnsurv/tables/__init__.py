"""Schemas of the public tables, the column vocabulary, and the mixin that makes a dataclass a result."""

from churnsurv.tables.layout import Column, Schema
from churnsurv.tables.missing import is_missing
from churnsurv.tables.result import SCHEMAS, Result, plain, schema

__all__ = ["SCHEMAS", "Column", "Result", "Schema", "is_missing", "plain", "schema"]
