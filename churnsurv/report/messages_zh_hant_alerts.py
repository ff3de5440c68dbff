"""The words of the report on today's alerts, in Traditional Chinese; a part of the catalogue in `messages_zh_hant`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["ALERTS"]

ALERTS: Mapping[str, str] = MappingProxyType(
    {
        "alerts.title": "今日預警：{date}",
        "alerts.how_many": "{date}結束時，{living}名尚未流失的用戶中有{n}名（{share}）處於預警等級：{tiers}。",
        "alerts.in_tier": "{tier}{n}名",
        "alerts.nobody": "{date}結束時，{living}名尚未流失的用戶中無人處於預警等級。",
        "alerts.changes": "與前一天相比：{items}。",
        "alerts.new": "新增{n}名",
        "alerts.upgraded": "升至較高等級{n}名",
        "alerts.lowered": "降至較低等級{n}名",
        "alerts.continued": "留在原等級{n}名",
        "alerts.resolved": "{n}名離開預警等級：{items}。",
        "alerts.resolved_by_activity": "{n}名恢復活躍",
        "alerts.resolved_by_churn": "{n}名已流失",
        "alerts.resolved_by_state": "{n}名不再符合規則的條件",
        "alerts.expected": "若這些用戶的走向與過去條件相同的用戶一樣，{of}名中約有{n}名（{range}）會流失。",
        "alerts.list": "此處不列出個別用戶。應接觸的名單見每日執行（churnsurv score）所產生的清單。",
        "alerts.table": "各預警等級的用戶",
        "alerts.tier": "等級",
        "alerts.n": "用戶數",
        "alerts.fresh": "今日新增",
        "alerts.idle": "閒置天數中位數",
        "alerts.left": "剩餘天數中位數",
        "alerts.risk": "預期流失比例",
        "alerts.table_note": "剩餘天數：若持續閒置，距判定流失的天數。"
        "預期流失比例：各用戶風險的平均，括號內為其{level}下限的平均至上限的平均。",
        "alerts.reasons": "用戶進入等級所符合的條件",
        "alerts.fired": "成立的條件",
        "alerts.more_rows": "共{m}項，列出人數最多的{n}項。",
        "alerts.notes": "關於預警的注意事項",
    }
)
