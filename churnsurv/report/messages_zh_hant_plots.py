"""Words that figures write, beside the rooms of their sections: Chinese, a part of `messages_zh_hant`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["PLOTS"]

PLOTS: Mapping[str, str] = MappingProxyType(
    {
        # every figure
        "plot_any.missing_glyphs": "有{n}個字元沒有可用的字型，以 U+ 碼表示。請安裝 Noto Sans CJK 等字型。",
        "plot_any.not_estimated": "未估計",
        "plot_any.units": "1e8 1e8 2 億; 1e4 1e4 2 萬",
        "plot_any.months": "1月 2月 3月 4月 5月 6月 7月 8月 9月 10月 11月 12月",
        "plot_any.bracketed": "{text}（{more}）",
        "plot_any.comma": "、",
        "plot_any.unit.days": "天",
        "plot_any.band.below": "低於{high}",
        "plot_any.band.between": "{low}至未滿{high}",
        "plot_any.band.above": "{low}以上",
        "plot_any.band.missing": "（無值）",
        "plot_any.band.other": "其他",
        "plot_any.mark.all": "全部用戶",
        "plot_any.mark.at": "{where}：{text}",
        "plot_any.mark.at_risk": "追蹤中{n}人",
        "plot_any.mark.day": "第{day}天",
        "plot_any.mark.days": "{n}天",
        "plot_any.mark.idle_day": "閒置第{day}天",
        "plot_any.mark.idle_days": "閒置{day}天",
        "plot_any.mark.next": "；",
        "plot_any.mark.of": "{one}，{other}",
        "plot_any.mark.to": "{low} 至 {high}",
        "plot_any.mark.users": "{n}名用戶",
        # one kind of figure each
        "plot_structure.of_churned": "占全部流失用戶的{share}",
        "plot_structure.of_cell": "{share}在{horizon}天內由該階段流失",
        "plot_life.users_on": "{date}結束時各階段的用戶數",
        "plot_profile.below": "{cut}以下",
        "plot_bursts.told": "註冊{n}人；預期{expected}",
        "plot_value.judged": "{value} {verdict}",
        "plot_reasons.reasons_of": "流失用戶的原因占比，附{level}信賴區間：{group}",
        "plot_over_time.of_group": "已流失的占比，依原因：{group}",
        "plot_over_time.unknown": "未知",
        "plot_returns.told": "實際{n}人；預期{expected}",
        "plot_returns.evidence": "證據{score}，達{limit}即警報",
        "plot_shocks.told": "為預期風險率的{ratio}",
        "plot_shocks.span": "{first} 至 {last}",
        "plot_idle.lane_all": "閒置第{days}天的全部用戶",
        "plot_idle.lane_some": "閒置第{days}天的部分用戶",
        "plot_tiers.on_days": "閒置第{days}天",
        "plot_value_day.per_gaps": "每千個間隔{value}",
        "plot_value_day.best_day": "最佳日",
        "plot_value_day.saving.top": "最高挽留率{value}",
        "plot_value_day.saving.middle": "半數點第{value}天",
        "plot_value_day.saving.idle_days": "第{value}天",
        "plot_value_day.saving.s times": "挽留率乘以{value}",
        "plot_value_day.saving.lower limits": "挽留率下限",
        "plot_value_day.saving.upper limits": "挽留率上限",
        "plot_backtest.and": "且",
        "plot_backtest.per_gaps": "每千個間隔{value}",
        "plot_backtest.a_day": "每日{n}則預警",
        "plot_backtest.caught": "涵蓋{share}的流失",
        "plot_backtest.policy.everybody": "接觸所有人",
        "plot_backtest.policy.per_day": "每日{n}則預警",
        "plot_recall.per_users": "每千名用戶{value}",
        "plot_recall.all_days": "所有天合計{range}",
        "plot_lift.scales": "1e8 1e8 millions; 1e4 1e4 thousands",
        "plot_lift.told.thousands": "{value}萬",
        "plot_lift.told.millions": "{value}億",
        "plot_monitor.e_value": "e 值{e_value}",
        "plot_monitor.decision.lift": "有提升",
        "plot_monitor.decision.no lift worth having": "沒有值得追求的提升",
        "plot_monitor.decision.go on": "繼續",
    }
)
