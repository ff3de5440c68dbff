"""What results of who churns and why say of themselves, in Traditional Chinese; a part of `messages_zh_hant`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from churnsurv.report.notes_zh_hant_who import WHO
from churnsurv.report.notes_zh_hant_why import WHY

__all__ = ["NOTES"]

NOTES: Mapping[str, str] = MappingProxyType({**WHO, **WHY})
