"""The words of the report on warnings, in Traditional Chinese; a part of the catalogue in `messages_zh_hant`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["WARNING"]

WARNING: Mapping[str, str] = MappingProxyType(
    {
        "warning.title": "門檻與等級：何時預警",
        # idle risk
        "idle.silent": "閒置{first_days}天的用戶，流失機率為{first_share}（{first_range}），"
        "此時距判定流失還有{first_left}天{items}。",
        "idle.silent_item": "{days}天：{share}（{range}），還有{left}天",
        "idle.all": "在活躍日之間的{n}個間隔中，{share}（{range}）以流失結束，即基準流失率，也是閒置第0天的起始風險。",
        "idle.registration": "始於註冊的{n}個間隔分開計算：其中{share}（{range}）以流失結束。",
        "idle.crossings": "風險達到各水準的時間：{items}。",
        "idle.crossing": "閒置第{day}天（{range}）達{risk}",
        "idle.crossing_open": "閒置第{day}天（第{low}天或之後）達{risk}",
        "idle.crossing_alone": "閒置第{day}天達{risk}",
        "idle.intervals": "在流失前恢復活躍的用戶中，半數在{half}天（{half_range}）內恢復，"
        "九成在{most}天（{most_range}）內恢復。",
        "idle.groups": "依{column}分組，閒置{days}天後：組別{high}的風險最高，為{high_share}（{high_range}）；"
        "組別{low}的風險最低，為{low_share}（{low_range}）。",
        "idle.no_tiers": "未要求預警等級，所以此處不設門檻：門檻須對應預警的目的（價值與成本、命中率，"
        "或每日容量）才有意義。請見研究設定檔的 [warning.tiers]。",
        "idle.figure": "各閒置天數的流失風險",
        "idle.figure_by": "各閒置天數的流失風險，依{column}分組",
        "idle.caption": "在每個閒置日結束時，仍閒置的用戶中後來流失的占比。圓點：達到指定風險水準之處。",
        "idle.caption_by": "有其他間隔時，不含始於註冊的間隔。",
        "idle.caption_bands": "下方長條：用戶處於各預警等級的閒置日；細條：僅部分用戶。",
        "idle.alt": "各閒置天數的流失機率。{lines}。",
        "idle.alt_line": "{group}：{shares}",
        "idle.alt_point": "第{day}天為{share}",
        "idle.later": "後續間隔",
        "idle.line": "{group}，{gaps}",
        "idle.since": "自註冊起",
        "idle.table": "選定閒置天數的流失風險",
        "idle.day": "已閒置",
        "idle.left": "距判定流失天數",
        "idle.n": "仍閒置的間隔",
        "idle.churn": "流失機率",
        "idle.hazard": "次日恢復活躍",
        "idle.n_since": "自註冊起仍閒置",
        "idle.churn_since": "流失機率（自註冊起閒置）",
        "idle.days_cell": "{day}天",
        "idle.table_note": "間隔是指從一個活躍日到下一個活躍日；後續間隔是指並非始於註冊的間隔。上下限僅就各單日成立。",
        "idle.crossings_table": "風險達到下列水準的閒置日",
        "idle.group": "用戶",
        "idle.crossings_note": "日數取自相鄰整日之間以直線連接的曲線；上下限為曲線的信賴區間涵蓋該風險的日子。短橫線："
        "風險一開始就高於該水準，或在流失前未達該水準。",
        "idle.more_rows": "共{m}組，此處列出前{n}組；全部見 result.json。",
        "idle.intervals_table": "恢復活躍所需天數（在流失前恢復活躍的用戶）",
        "idle.intervals_col": "{share}恢復所需天數",
        "idle.intervals_note": "不含始於註冊的間隔。",
        "idle.notes": "關於閒置風險的注意事項",
        "idle.notes_by": "關於各組閒置風險的注意事項",
        # value by day
        "worth_day.best": "若在同一個閒置日接觸所有仍閒置的用戶，以第{day}天最好，此時其中{churn}後來會流失："
        "每千個非始於註冊的間隔，價值為{value}（{range}）。",
        "worth_day.best_since": "就始於註冊的間隔而言，以第{day}天最好，此時仍閒置者中有{churn}後來會流失："
        "每千個這類間隔，價值為{value}（{range}）。",
        "worth_day.nobody": "若在同一個閒置日接觸所有仍閒置的用戶，沒有任何一天值回成本。",
        "worth_day.nobody_since": "就始於註冊的間隔而言，沒有任何一天值回成本。",
        "worth_day.flat": "第{first}至{last}天的價值相近（達最高值的95%以上）。",
        "worth_day.flat_one": "其他日子的價值都不到最高值的95%。",
        "worth_day.loses": "早於第{first}天或晚於第{last}天，接觸所有人都會虧損。",
        "worth_day.loses_first": "早於第{first}天，接觸所有人會虧損。",
        "worth_day.loses_last": "晚於第{last}天，接觸所有人會虧損。",
        "worth_day.others": "若接觸所挽留的比設定更多、更少、更早或更晚（另試{n}條曲線），"
        "最佳日在第{first}至{last}天之間。",
        "worth_day.others_one": "若接觸所挽留的比設定更多、更少、更早或更晚（另試{n}條曲線），最佳日都是第{first}天。",
        "worth_day.others_some": "若接觸所挽留的比設定更多、更少、更早或更晚（另試{n}條曲線），"
        "最佳日在第{first}至{last}天之間；其中{m}條曲線下，不應接觸任何人。",
        "worth_day.others_some_one": "若接觸所挽留的比設定更多、更少、更早或更晚（另試{n}條曲線），"
        "其中{m}條曲線下不應接觸任何人；其餘的最佳日為第{first}天。",
        "worth_day.others_nobody": "若接觸所挽留的比設定更多、更少、更早或更晚，沒有任何一天值回成本。",
        "worth_day.figure": "在各日接觸所有仍閒置用戶的價值",
        "worth_day.caption": "每個間隔接觸一次，依研究設定計算（{worth}）。0表示不接觸任何人。規則可能優於任何單一日："
        "規則會區分用戶。",
        "worth_day.worth": "{tier}，{objective}",
        "worth_day.alt": "在各閒置日接觸所有仍閒置用戶，每千個間隔的淨效益。{lines}。",
        "worth_day.alt_best": "第{day}天最高，為{value}",
        "worth_day.alt_nobody": "每天都低於0",
        # rules on the risk
        "surface.figure": "流失風險圖上的規則，依閒置天數與{variable}",
        "surface.caption": "色塊：仍閒置的用戶中後來流失的占比，{variable}以閒置開始當日結束時為準；"
        "每個級距包含其下限。線條：規則自哪一天起成立。",
        "surface.alt": "依閒置天數與{variable}的流失機率，顏色越濃機率越高，並標出規則的輪廓。{rules}。",
        # tiers over time
        "timeline.last": "在{date}，{n}名尚未流失的用戶中，{items}。",
        "timeline.item": "{n}名（{share}）屬於等級{tier}",
        "timeline.figure": "各預警等級的用戶數變化",
        "timeline.caption": "各日期依當日結束時的已知資料，套用現行規則；規則以截至{date}的資料訂定。用戶會留在等級中，"
        "直到流失或恢復活躍；首次預警的人數會較少。",
        "timeline.alt": "各日期在各預警等級的用戶數。最多時：{lines}。",
        "timeline.alt_item": "{tier}：{date}有{n}名",
        # tiers
        "tiers.heading": "預警等級",
        "tiers.intro": "門檻須對應目的才有意義。每位流失用戶都會經過每一個閒置日，"
        "所以任何只看閒置天數的規則都能找出全部流失；日子訂得越晚，就是以提前天數換取命中率。"
        "以下規則是就研究設定的等級用途而言最好的；用途不同，規則也不同。學習資料為{m}名用戶的{n}個間隔，"
        "其中{share}以流失結束。",
        "tiers.rule": "等級{tier}（{objective}）：{rule}。每天預警{alerts}次，命中率為{precision}（{range}），"
        "而全部間隔中有{base}以流失結束；平均在流失前{lead}天預警。",
        "tiers.rule_no_lead": "等級{tier}（{objective}）：{rule}。每天預警{alerts}次，命中率為{precision}（{range}），"
        "而全部間隔中有{base}以流失結束。",
        "tiers.rule_value": "每千個間隔的價值為{value}（{range}），尚未就從眾多規則中挑選作修正。",
        "tiers.empty": "等級{tier}（{objective}）沒有規則：不接觸任何人。原因與接近的選項見下方附註。",
        "tiers.less": "若接觸所挽留的較少（{saving}），等級{tier}的最佳規則會是{rule}；"
        "屆時現行規則的價值會比它少{loss}。",
        "tiers.less_same": "若接觸所挽留的較少（{saving}），等級{tier}的規則仍是最佳。",
        "tiers.less_nobody": "若接觸所挽留的較少（{saving}），等級{tier}以不接觸任何人為最佳。",
        "tiers.sure": "確定程度：就這些資料所能分辨，等級{tier}有{n}條規則可能是最佳；"
        "各規則最早的預警落在閒置第{first}至{last}天之間。",
        "tiers.sure_one": "確定程度：就等級{tier}而言，資料中沒有其他同樣好的規則。",
        "tiers.figure": "誰屬於哪個等級",
        "tiers.caption": "每一帶是{variable}的一個級距，以閒置開始當日結束時為準。用戶屬於規則成立的最高等級。",
        "tiers.caption_alone": "用戶屬於規則成立的最高等級。",
        "tiers.alt": "預警等級。{rules}。",
        "tiers.alt_rule": "{tier}：{rule}",
        "tiers.table": "預警等級，由高至低",
        "tiers.tier": "等級",
        "tiers.rule_col": "規則",
        "tiers.alerts_per_day": "每日預警數",
        "tiers.precision": "命中率",
        "tiers.recall": "有預警的流失占比",
        "tiers.lead_recall": "同左，依提前天數加權",
        "tiers.lead_days": "提前天數",
        "tiers.value": "每千個間隔的價值",
        "tiers.note": "首次預警，每個間隔在每個等級最多一次，以訓練期間（{first}至{last}）計；"
        "較高等級已預警的間隔不再計入。命中率請對照基準流失率：全部間隔中有{base}以流失結束。提前天數："
        "構成流失的{days}天中所剩的天數。上下限（{level}）將規則視為事先固定。",
        "tiers.thresholds": "門檻的確定程度",
        "tiers.part": "規則的部分",
        "tiers.threshold": "門檻",
        "tiers.fitted": "取整前",
        "tiers.frequency": "重抽樣中相同的占比",
        "tiers.range": "重抽樣中的範圍",
        "tiers.thresholds_note": "在{n}次用戶重抽樣中，規則取整前具有相同門檻的占比；"
        "範圍只計規則含有此形式部分的重抽樣。",
        "tiers.may_be": "可能是最佳的規則",
        "tiers.form": "形式",
        "tiers.n_rules": "規則數",
        "tiers.best_of": "其中最佳",
        "tiers.days": "最早預警的閒置日",
        "tiers.may_be_note": "在{level}的信賴水準下，全部規則中的最佳規則在此之列。僅適用於以價值為目標的等級。",
        "tiers.sensitivity": "若接觸所挽留的更多、更少、更早或更晚",
        "tiers.saving": "對接觸的假設",
        "tiers.best": "屆時的最佳規則",
        "tiers.chosen": "現行規則的價值",
        "tiers.loss": "現行規則少得的占比",
        "tiers.sensitivity_note": "在隨機分派的召回活動實測之前，接觸能挽留多少只是假設。價值以每千個間隔計。",
        "tiers.as_stated": "依設定",
        "tiers.notes": "關於預警等級的注意事項",
        # what tiers are for
        "objective.value": "以價值為目標：每挽留一名用戶價值{value}，每次接觸成本{cost}；挽留率曲線為{saving}",
        "objective.precision": "命中率至少{target}%",
        "objective.capacity": "每天最多{n}則首次預警",
        "saving.plateau": "平台型，最高{top}，第{middle}天減半，寬度{width}天",
        "saving.linear": "直線型，最高{top}，至第{idle_days}天降為零",
        "saving.table": "閒置第{first}至{last}天的數值表",
        # later days
        "backtest.title": "後續日期：預警等級的表現",
        "backtest.how": "預警等級以{origins}結束時的已知資料訂定，共{n}次，再以各日期之後{days}天內開始的間隔評估："
        "共{gaps}個間隔，其中{base}以流失結束。規則事先都未見過這些日子。",
        "backtest.how_frozen": "現有的預警等級以{origins}之後{days}天內開始的間隔評估：共{gaps}個間隔，"
        "其中{base}以流失結束，全都在規則未見過的日子（評估{n}次）。",
        "backtest.tier": "等級{tier}：在後續日期，每天預警{alerts}次，首次預警的命中率為{precision}（{range}），"
        "而全部間隔中有{base}以流失結束；平均在流失前{lead}天預警，涵蓋{recall}的流失。",
        "backtest.tier_no_lead": "等級{tier}：在後續日期，每天預警{alerts}次，"
        "首次預警的命中率為{precision}（{range}），而全部間隔中有{base}以流失結束；涵蓋{recall}的流失。",
        "backtest.tier_value": "每千個間隔的價值為{value}（{range}）。",
        "backtest.tier_empty": "等級{tier}在後續日期未接觸任何人。",
        "backtest.worth_more": "依等級{tier}接觸，每千個間隔的價值比{other}高{value}（{range}）。",
        "backtest.worth_less": "依等級{tier}接觸，每千個間隔的價值比{other}低{value}（{range}）。",
        "backtest.worth_alike": "依等級{tier}接觸與{other}相比，價值沒有明確差異："
        "每千個間隔的差異為{value}（{range}）。",
        "backtest.nobody": "不接觸任何人",
        "backtest.everybody": "在閒置首日接觸所有人",
        "backtest.rule_named": "固定規則「{rule}」",
        "backtest.capacity": "若每天可處理{n}則首次預警，並以最緊急者優先，"
        "每天{alerts}則預警即可涵蓋{recall}的流失（依提前天數加權為{lead_recall}）。",
        "backtest.accuracy": "單看準確率意義不大：以用戶日計，一律判定{horizon}天內無人流失，"
        "準確率就有{always_no}；預警等級為{fitted}，以相同資訊所能達到的最高為{best}。",
        "backtest.accuracy_short": "以{horizon}天內計，一律判定不會流失的準確率為{always_no}，預警等級為{fitted}："
        "這不是判斷力，而是算術，閒置不滿{safe}天者本來就不可能這麼快流失。",
        "backtest.figure_value": "預警等級在後續日期的價值",
        "backtest.caption_value": "每個起算日以其後的日子評估；0的橫線為不接觸任何人。在每個起算日都虧損者不列。",
        "backtest.figure_precision": "首次預警在後續日期的命中率",
        "backtest.caption_precision": "每個起算日以其後的日子評估；虛線：全部間隔中以流失結束的占比。",
        "backtest.alt": "各等級與規則在各起算日的表現，以其後{days}天評估。首次預警的命中率，全部起算日合計：{tiers}。",
        "backtest.alt_item": "{tier}為{share}",
        "backtest.figure_gains": "每日首次預警數與所涵蓋的流失",
        "backtest.caption_gains": "用戶依流失的可能性與剩餘天數排序，以各起算日的已知資料為準。圓點：預警等級與規則。",
        "backtest.alt_gains": "最緊急的首次預警所涵蓋的流失占比，對照每日預警數。",
        "backtest.alt_gains_half": "每天{n}則預警涵蓋其中一半。",
        "backtest.policies": "後續日期的預警等級與其他規則，全部起算日合計",
        "backtest.policy": "規則",
        "backtest.tier_named": "依資料訂定，等級「{tier}」",
        "backtest.any": "依資料訂定，任一等級",
        "backtest.nobody_cell": "不接觸任何人",
        "backtest.everybody_cell": "閒置首日接觸所有人",
        "backtest.capacity_cell": "每日{n}則預警",
        "backtest.best_cell": "準確率最高者",
        "backtest.policies_note": "首次預警，每個間隔最多一次。全部間隔中有{base}以流失結束：隨機預警的命中率即為此值。"
        "接觸所有人就能涵蓋所有人；代價見價值欄。上下限（{level}）將用戶視為彼此獨立。",
        "backtest.differences": "預警等級與其他規則的淨效益比較",
        "backtest.tier_col": "等級",
        "backtest.other_col": "比較對象",
        "backtest.difference": "每千個間隔的差異",
        "backtest.p": "p 值（Holm）",
        "backtest.differences_note": "以相同的間隔比較，接觸的價值依該等級的設定；上下限（{level}）依用戶配對計算。"
        "各等級的接觸包含更高等級的接觸。",
        "backtest.accuracy_table": "準確率，對照一律判定不會流失",
        "backtest.horizon": "流失期限",
        "backtest.within": "{days}天內",
        "backtest.base_rate": "流失占比",
        "backtest.always_no": "一律判定不會",
        "backtest.accuracy_col": "準確率",
        "backtest.foretold_right": "預測流失的命中率",
        "backtest.found": "預測到的流失占比",
        "backtest.accuracy_note": "以尚未流失用戶的用戶日計。用戶屬於某等級，且在期限內仍可能流失時，視為預測流失。"
        "準確率最高的規則，在先前的間隔有過半流失時判定會流失。",
        "backtest.rules": "各起算日的規則",
        "backtest.origin_col": "訂定所用資料截至",
        "backtest.rule_col": "規則",
        "backtest.notes": "關於後續日期的注意事項",
        # limits
        "warning.limits": "以上無法說明的事",
        "warning.limit_effect": "接觸能否留住用戶：風險只說明誰可能流失，不說明接觸能留住誰。要知道這一點，"
        "接觸對象須隨機決定。",
        "warning.limit_later": "規則在後續日期的表現：規則的數字來自用來挑選規則的同一批日子。回測則以其後的日子評估。",
        "warning.limit_judged": "現有等級日後的表現：等級的數字來自用來挑選等級的同一批日子。"
        "下一節以後續日期評估用相同方式訂定的等級。",
        "warning.limit_saving": "價值取決於研究設定中的 saved_value、contact_cost 與 saving。",
        "warning.limit_same": "此處假定未來與研究期間相似；附註說明風險是否變動。",
        # summary
        "summary.idle": "閒置{days}天的用戶，流失機率為{share}（{range}），此時距判定流失還有{left}天。",
        "summary.tier": "等級{tier}在符合{rule}時預警，命中率為{precision}（{range}），平均在流失前{lead}天預警；"
        "全部間隔中有{base}以流失結束。",
        "summary.tier_no_lead": "等級{tier}在符合{rule}時預警，命中率為{precision}（{range}）；"
        "全部間隔中有{base}以流失結束。",
        "summary.tier_rule": "等級{tier}在符合{rule}時預警。",
        "summary.backtest": "在規則未見過的後續日期，等級{tier}的預警命中率為{precision}（{range}），"
        "而全部間隔中有{base}以流失結束；平均在流失前{lead}天預警，每天預警{alerts}次。",
        "summary.backtest_no_lead": "在規則未見過的後續日期，等級{tier}的預警命中率為{precision}（{range}），"
        "而全部間隔中有{base}以流失結束；每天預警{alerts}次。",
        "backtest.summary_more": "依此等級接觸，每千個間隔的價值比{other}高{value}（{range}）。",
        "backtest.summary_less": "依此等級接觸，每千個間隔的價值比{other}低{value}（{range}）。",
        "backtest.summary_alike": "依此等級接觸與{other}相比，價值沒有明確差異：每千個間隔的差異為{value}（{range}）。",
        # methods
        "method.idle_risk": "閒置風險：在長度超過d天的間隔中，長度超過規則閒置天數者的占比，只計開始得夠早、"
        "結果已完全可知的間隔；變異數以用戶區塊線性化計算，上下限在 logit 尺度上對稱。",
        "method.tiers": "預警等級：在門檻網格上精確搜尋所得的最佳規則，最多兩組條件（符合任一組即可），"
        "每組最多三個條件；最高等級優先，每個間隔在每個等級預警一次。不確定性以用戶區塊重抽樣估計。",
        "method.backtest": "回測：等級以各起算日的已知資料訂定，再對照其後日子開始的間隔，這些間隔全都追蹤至結束；"
        "差異依用戶配對計算，並以 Holm 法校正。",
        # words of the figures
        "plot_idle.title": "流失占比，附{level}信賴區間",
        "plot_idle.axis": "閒置天數",
        "plot_idle.crossings": "圓點：{risks}，附區間",
        "plot_idle.later": "後續間隔",
        "plot_idle.registration": "自註冊起",
        "plot_idle.only_later": "不含始於註冊的間隔",
        "plot_idle.many": "共{n}組，多數以灰色表示",
        "plot_idle.bands": "下方：預警等級；細條：僅部分用戶",
        "plot_value_day.title": "每千個間隔的淨效益，附{level}信賴區間",
        "plot_value_day.axis": "接觸的閒置日",
        "plot_value_day.best": "圓點：最佳日",
        "plot_value_day.nobody": "每天都低於0：不接觸任何人最好",
        "plot_value_day.thin": "細線：若接觸所挽留的更多、更少、更早或更晚",
        "plot_value_day.cut": "遠低於0的值已截去",
        "plot_value_day.later": "後續間隔",
        "plot_value_day.registration": "自註冊起",
        "plot_value_day.only_later": "不含始於註冊的間隔",
        "plot_value_day.many": "共{n}組，多數以灰色表示",
        "plot_value_day.day": "第{day}天",
        "plot_value_day.name": "{name}：第{day}天",
        "plot_value_day.name_nobody": "{name}：不接觸",
        "plot_surface.title": "流失占比，依閒置天數與{variable}",
        "plot_surface.axis": "閒置天數",
        "plot_surface.rules": "線條：自此進入該等級或更高等級",
        "plot_surface.some": "虛線：僅部分用戶，依{others}",
        "plot_surface.step": "{low}–{high}%",
        "plot_timeline.n_users": "各預警等級的用戶數",
        "plot_timeline.share": "尚未流失的用戶屬於各預警等級的占比",
        "plot_timeline.fitted": "線的左側：訂定等級所用的日子",
        "plot_backtest.value": "每千個間隔的淨效益，附{level}信賴區間",
        "plot_backtest.precision": "首次預警的命中率，附{level}信賴區間",
        "plot_backtest.row_precision": "用戶日的命中率，附{level}信賴區間",
        "plot_backtest.lead_recall": "有預警的流失，依提前天數計，附{level}信賴區間",
        "plot_backtest.origin": "起算日；以其後{days}天評估",
        "plot_backtest.any": "任一等級",
        "plot_backtest.base_rate": "全部間隔",
        "plot_backtest.gains": "最緊急的首次預警所涵蓋的流失",
        "plot_backtest.alerts": "每日首次預警數",
        "plot_backtest.recall": "涵蓋即計入",
        "plot_backtest.weighted": "依提前天數加權",
        "plot_backtest.rules": "各等級在閒置幾天後預警",
        "plot_backtest.idle_days": "閒置天數",
        "plot_backtest.always": "所有人",
        "plot_tiers.title": "預警等級，依閒置天數與{variable}",
        "plot_tiers.title_alone": "預警等級，依閒置天數",
        "plot_tiers.axis": "閒置天數；第{idle_days}天流失",
        "plot_tiers.from": "{tier}，自第{day}天起",
    }
)
