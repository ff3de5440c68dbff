"""The words of the report on campaigns, in Traditional Chinese; a part of the catalogue in `messages_zh_hant`.

Campaigns are the one place where a report may say that something was brought about: where users were drawn into arms
and no check is broken.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["RECALL"]

RECALL: Mapping[str, str] = MappingProxyType(
    {
        "recall.title": "召回活動帶回的成果",
        "recall.campaign": "召回活動{campaign}",
        "recall.all": "所有召回活動合計",
        "recall.who": "{n}名用戶隨機分派到{arms}，{m}名分派到{control}；後者呈現沒有召回活動時的情形。",
        "recall.assigned": "所有分派的用戶都計入，不論接觸是否送達，也不論是否回流：若只比較回流的用戶，"
        "比較的就是召回活動自己挑出來的用戶。分派當天為第1天。",
        "recall.who_observed": "{n}名用戶接受{arms}，{m}名在{control}。未經隨機分派：用戶經過加權，"
        "互相比較者在已知之處相近，但在未知之處仍可能不同。所有數字都不能證明效果。",
        "recall.clear": "{arm}：每千名用戶在{days}天內因此{difference}（{range}）回流：此組回流{value}人，"
        "{control}回流{control_value}人。",
        "recall.unclear": "{arm}：效果無法與機遇區分：每千名用戶在{days}天內因此增減的回流人數，"
        "介於{low}與{high}之間。",
        "recall.observed": "{arm}：每千名用戶在{days}天內的回流人數，比{control}中相近的用戶{difference}（{range}）。",
        "recall.broken": "{arm}：每千名用戶在{days}天內的回流人數，比{control}{difference}（{range}），"
        "但不可視為此組的效果：有檢查未通過。",
        "recall.untold": "{arm}：用戶太少，無法判斷。",
        "recall.more": "多{n}人",
        "recall.fewer": "少{n}人",
        "recall.item": "{arm}為{value}（{range}）",
        "recall.item_alone": "{arm}為{value}",
        "recall.days": "{days}天中平均的未回流天數，各組減對照組：{items}。",
        "recall.money": "{days}天內再投資的淨值{less}，每千名用戶，各組減對照組：{items}。",
        "recall.less_rewards": "（已扣除獎勵）",
        "recall.less_cost": "（已扣除接觸成本）",
        "recall.less_both": "（已扣除獎勵與接觸成本）",
        "recall.stay": "{days}天內的存續天數，即距最後一次活躍未滿{idle}天的天數，每千名用戶，各組減對照組：{items}。",
        "recall.stay_short": "{days}天內無法得知用戶是否留下：需要{needed}天的觀察期，即流失規則天數的兩倍。",
        "recall.adjusted": "數字已就{names}校正，這些都在分派前已知；曲線未校正。",
        "recall.broken_first": "{check}，{where}：{words}",
        "recall.broken_heading": "不可當作實驗解讀",
        # figures and tables
        "recall.curves": "各天的回流比例：{campaign}",
        "recall.curves_caption": "分派的用戶中，到當天結束時已有活躍行為的比例（Kaplan-Meier）。下方："
        "尚未回流且仍在追蹤的用戶數。",
        "recall.curves_alt": "各組各天的回流比例。第{day}天：{items}。",
        "recall.curves_item": "{arm}為{share}",
        "recall.over_time": "各天多回流的人數：{campaign}",
        "recall.over_time_caption": "各組減「{control}」，每千名用戶。消退的效果會回到0："
        "這表示召回活動只是把原本就會發生的回流提前。",
        "recall.over_time_alt": "各天的回流人數，各組減對照組，每千名用戶。第{day}天：{items}。",
        "recall.forest": "各組帶來的成果：{campaign}",
        "recall.forest_caption": "各組與「{control}」比較，第1天至第{days}天。不含「無效果」的區間為藍色。",
        "recall.forest_observed": "各組與「{control}」中相近的用戶比較，第1天至第{days}天；不能證明效果。"
        "不含「無差異」的區間為藍色。",
        "recall.forest_alt": "{outcome}，依組別：{items}。",
        "recall.groups": "依{column}的回流情形：{campaign}",
        "recall.groups_caption": "每千名用戶在{days}天內多回流的人數，依分群及全體用戶。"
        "效果在某一分群明確、在另一分群不明確，並不表示兩者不同：這要看 p 值的檢定。",
        "recall.groups_alt": "{arm}對回流的效果，依{column}：{items}。",
        "recall.monitor": "召回活動的進行過程：{campaign}",
        "recall.monitor_caption": "每天結束時所能得出的結論；不論查看多頻繁，上下限都成立。在1的線以上，"
        "表示該組帶回了用戶。",
        "recall.monitor_alt": "各日的回流勝算比。{items}。",
        "recall.monitor_lift": "若每天查看，{day}即可判定{arm}有提升。",
        "recall.monitor_none": "若每天查看，{day}即可放棄{arm}：沒有值得追求的提升。",
        "recall.monitor_open": "若每天查看，到{day}為止仍無法對{arms}下判斷。",
        "recall.table": "所有成果指標：{campaign}",
        "recall.table_note": "各組減「{control}」{adjusted}；比值：各組除以「{control}」。"
        "上下限的信賴水準為{level}{together}。只有在上下限不含「無效果」時，才列出每多一人回流須接觸的用戶數。",
        "recall.table_adjusted": "（已就先前已知的特徵校正）",
        "recall.table_together": "，對所有組同時成立",
        "recall.outcome": "成果指標",
        "recall.groups_table": "每千名用戶在{days}天內多回流的人數，依{column}：{campaign}",
        "recall.group": "用戶",
        "recall.groups_p": "各分群相同：p 值",
        "recall.checks": "解讀前的檢查",
        "recall.check": "檢查",
        "recall.check_campaign": "召回活動",
        "recall.check_arm": "組",
        "recall.verdict": "判定",
        "recall.found": "檢查發現",
        "recall.verdict.fine": "正常",
        "recall.verdict.look": "須查看",
        "recall.verdict.broken": "未通過",
        "recall.every_arm": "全部",
        "recall.checks_note": "「未通過」表示各組的差異不只在於接觸，上述各項都不是接觸的效果；「須查看」則未必如此。",
        "recall.notes": "關於召回活動的注意事項",
        # summary
        "summary.recall_clear": "{campaign}：每千名用戶在{days}天內的回流人數，因{arm}而{difference}（{range}）；"
        "這是效果最確定的一組。",
        "summary.recall_clear_one": "{campaign}：每千名用戶在{days}天內的回流人數，因{arm}而{difference}（{range}）。",
        "summary.recall_none": "{campaign}：沒有任何一組多帶回的用戶超出機遇範圍。",
        "summary.recall_observed": "{campaign}（未經隨機分派，不能證明效果）：每千名用戶在{days}天內的回流人數，"
        "接受{arm}者比未接受的相近用戶{difference}（{range}）。",
        "summary.recall_broken": "{campaign}不可當作實驗解讀：{check}這項檢查未通過，各組之間的差異並非效果。",
        "summary.recall_money": "每千名用戶的淨值為{value}（{range}）。",
        "summary.recall_stay": "每千名用戶帶來的存續天數為{value}（{range}）。",
        "method.recall": "召回活動：用戶依分派的組別比較。回流比例為 Kaplan-Meier 估計；尚未追蹤到觀察期終點的用戶，"
        "其天數與金額以權重補足（Bang 與 Tsiatis），每名用戶追蹤結束的日期為已知。",
        "method.recall_observed": "未經隨機分派的召回活動：由接觸機率與結果的迴歸作雙重穩健估計；"
        "若有同時影響兩者的隱藏因素，估計就會有偏誤。",
        # words that figures write
        "plot_recall.returned": "回流比例，附{level}信賴區間",
        "plot_recall.day": "自分派起的天數（分派當天為第1天）",
        "plot_recall.first_day": "自首次接觸起的天數（當天為第1天）",
        "plot_recall.at_risk": "未回流",
        "plot_recall.difference": "比對照組多回流的人數，每千名用戶",
        "plot_recall.of_control": "比「{control}」多回流的人數，每千名用戶",
        "plot_recall.pointwise": "逐日{level}",
        "plot_recall.band": "所有天合計{level}",
        "plot_recall.dotted": "陰影：逐日{level}；點線：所有天合計",
        "plot_recall.many": "{n}條線，多數以灰色表示",
        "plot_recall.policies": "各策略下的回流比例，附{level}信賴區間",
        "plot_lift.return_probability": "回流人數，每千名用戶",
        "plot_lift.risk_ratio": "回流比例之比",
        "plot_lift.users_per_return": "每多一人回流須接觸的用戶數",
        "plot_lift.days_to_return": "未回流天數",
        "plot_lift.hazard_ratio": "回流速度比（風險比）",
        "plot_lift.active_days": "活躍天數，每千名用戶",
        "plot_lift.reinvested": "再投資金額，每千名用戶",
        "plot_lift.net_value": "淨值，每千名用戶",
        "plot_lift.days_live": "存續天數，每千名用戶",
        "plot_lift.thousands": "{outcome}（萬）",
        "plot_lift.millions": "{outcome}（億）",
        "plot_lift.intervals": "{level}信賴區間",
        "plot_lift.against": "與「{control}」比較，{level}信賴區間",
        "plot_lift.and": "{one}；{other}",
        "plot_lift.of_arm": "{arm}：{outcome}",
        "plot_lift.less": "較少",
        "plot_lift.more": "較多",
        "plot_lift.sooner": "較早",
        "plot_lift.later": "較晚",
        "plot_lift.overall": "全體用戶",
        "plot_lift.group": "{arm}，{group}",
        "plot_lift.same": "各分群相同：p = {p}",
        "plot_lift.same_small": "各分群相同：p < 0.001",
        "plot_monitor.monitor": "每天的回流勝算，各組比對照組；{level}上下限在所有天都成立",
        "plot_monitor.decided": "{day}：{decision}",
        "plot_monitor.open": "尚無定論；e 值{e_value}",
        "plot_monitor.of_arm": "{arm}：{text}",
        "plot_monitor.smallest": "虛線：值得追求的最小提升，{ratio}",
    }
)
