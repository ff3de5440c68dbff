"""The words of the printed report, in Traditional Chinese; a part of the catalogue in `messages_zh_hant`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["PDF"]

PDF: Mapping[str, str] = MappingProxyType(
    {
        "pdf.figure": "圖",
        "pdf.table": "表",
        "pdf.page": "第{page}頁",
        "pdf.pages": "第{page}頁，共{pages}頁",
        "pdf.continued": "表 {n}（續）",
        "pdf.sections": "章節",
        "pdf.only": "僅含完整報告中的：{names}",
        "pdf.study": "研究",
        "pdf.data": "資料",
        "pdf.seed": "亂數種子",
        "pdf.made": "製作工具",
        "pdf.hash": "{name}，SHA-256 {digits}…",
        "pdf.missing": "製作本文件的電腦沒有字型可顯示其中{n}個字元，這些字元以 U+ 加字碼表示。"
        "請安裝含有這些字元的字型（中文可用 Noto Sans CJK），再重新產生報告。",
    }
)
