"""What results of thresholds, tiers and backtests say of themselves, in Traditional Chinese; a part of the catalogue.

Keys are the templates of `churnsurv.notes.note` as they stand in the code; the fields are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["NOTES"]

NOTES: Mapping[str, str] = MappingProxyType(
    {
        # rules, groups and saving curves
        "contact nobody": "不接觸任何人",
        "{conditions} and {condition}": "{conditions} 且 {condition}",
        "({conditions}) or ({others})": "（{conditions}）或（{others}）",
        "{variable} {sign} {threshold}": "{variable} {sign} {threshold}",
        "{variable} {sign}": "{variable} {sign}",
        "idle_days": "閒置天數",
        "P(churn)": "流失機率",
        "score": "分數",
        "value over waiting": "優於等待的價值",
        "value over waiting ({tier})": "優於等待的價值（{tier}）",
        "as stated": "依設定",
        "lower limits": "下限",
        "upper limits": "上限",
        "top {value}": "最高挽留率{value}",
        "middle {value}": "半數點第{value}天",
        "idle_days {value}": "降至零的第{value}天",
        "s times {value}": "挽留率乘以{value}",
        "all users": "全體用戶",
        "below {cut}": "低於{cut}",
        "{low} to below {high}": "{low}至未滿{high}",
        "{cut} and above": "{cut}以上",
        "{some} | {others}": "{some}｜{others}",
        # idle risk
        "Gaps that began by {last}, {days} days before the end of the log: what became of them is known.": (
            "只計{last}以前開始的間隔，即紀錄結束前{days}天：其結果均已可知。"
        ),
        "All gaps that began by {last}; those that the log cuts off are censored.": (
            "計入{last}以前開始的所有間隔；被紀錄截斷者視為設限。"
        ),
        "The risk begins above {risk} % and has no crossing there: {groups}.": (
            "下列組別的風險一開始就高於{risk}%，因此沒有達到該水準的日子：{groups}。"
        ),
        "{group} at registration": "{group}（始於註冊）",
        "P(gap > {days}) of later gaps moved by {change} points a year ({low} to {high} at {level} %), {changed}.": (
            "後續間隔長於{days}天的機率，每年變動{change}個百分點（{level}%信賴區間：{low} 至 {high}），{changed}。"
        ),
        "by chance alone": "未超出機遇範圍",
        "more than chance explains": "超出機遇所能解釋的範圍",
        "Groups of fewer than {n} gaps are pooled as 'other': {groups}.": (
            "不足{n}個間隔的組別合併為「其他」：{groups}。"
        ),
        "{group} ({n})": "{group}（{n}）",
        # tiers
        "Fitted to the {n} gaps between active days that began from {first} to {last}, all followed for {days} "
        "days; {registration} of them began at registration. {when}": (
            "以{first}至{last}之間開始的{n}個活躍日間隔訂定，全部追蹤{days}天；其中{registration}個始於註冊。{when}"
        ),
        "Variables are as of the end of the first day of a gap.": "變數以間隔首日結束時為準。",
        "Variables are as of the end of the first day of a gap, and of each idle day where they change.": (
            "變數以間隔首日結束時為準；會變動者則以各閒置日結束時為準。"
        ),
        "Limits (level {level}) take users as independent and the rule as fixed beforehand. The rule was chosen on "
        "the same gaps, so that its figures are somewhat too good: judge it on later days.": (
            "上下限（信賴水準{level}）將用戶視為彼此獨立、規則視為事先固定。規則是就同一批間隔挑選的，所以數字會稍微"
            "偏好：請以後續日期評估。"
        ),
        "{name} crosses thresholds while users are silent ({n} gaps, {share}); a rule is taken to hold by the "
        "value at the end of each idle day.": (
            "{name}在用戶閒置期間會跨過門檻（{n}個間隔，{share}）；規則是否成立，以各閒置日結束時的值為準。"
        ),
        "{name}: {n} gaps ({share}) began without a value; {value} stands in for it.": (
            "{name}：{n}個間隔（{share}）開始時沒有值，以{value}代替。"
        ),
        "{name}: {n} gaps ({share}) began without a value, and no condition on it holds for them. If none means 0, "
        'fit with missing={{"{name}": 0}}.': (
            "{name}：{n}個間隔（{share}）開始時沒有值，與它有關的條件對這些間隔都不成立。若沒有值就是0，請在設定檔將"
            "{name}的缺漏值設為0。"
        ),
        "{name} counts events that are no activity under this churn rule, so that it may change while a user is "
        "silent; the tiers were fitted to its value when the gap began.": (
            "{name}所計的事件在此流失規則下不算活躍行為，所以可能在用戶閒置期間變動；等級以間隔開始時的值訂定。"
        ),
        "{tier}: {text}": "等級「{tier}」：{text}",
        "{tier}: thresholds are rounded, which {cost} in training; the best rule was {rule}.": (
            "等級「{tier}」：門檻經過取整，在訓練期間{cost}；取整前的最佳規則為「{rule}」。"
        ),
        "costs {share} of its {what}": "使{what}減少{share}",
        "adds {share} to its {what}": "使{what}增加{share}",
        "net benefit": "淨效益",
        "lead-weighted recall": "依提前天數加權的流失涵蓋率",
        "{tier}: the rule is the best of all; {what} is told among the {n} rules nearest to it, because variables "
        "move in silence.": (
            "等級「{tier}」：此規則為全部規則中最佳；由於變數在閒置期間會變動，{what}只就最接近的{n}條規則計算。"
        ),
        "what resamples choose": "重抽樣的選擇",
        "what resamples choose, how optimistic the choice is and which rules may be best": (
            "重抽樣的選擇、挑選造成的高估程度，以及哪些規則可能最佳"
        ),
        "{tier}: choosing the best of all rules makes the value look better than it is by about {share} "
        "(bootstrap).": "等級「{tier}」：從全部規則中挑出最佳者，會使價值看起來約高估{share}（bootstrap 估計）。",
        "{tier}: the rule hangs on the saving curve. With {saving}, {rule} is best, and this rule misses {share} "
        "of its value.": (
            "等級「{tier}」：規則取決於挽留率曲線的假設。若改為「{saving}」，最佳規則是「{rule}」，現行規則的價值會比"
            "它少{share}。"
        ),
        "{tier}: as far as the data can tell, contacting nobody may be as good.": (
            "等級「{tier}」：就資料所能分辨，不接觸任何人可能一樣好。"
        ),
        "contacting nobody is best: on no idle day does what a contact saves outweigh what it costs. A lower cost, "
        "a higher saved_value or a curve that saves more would change that.": (
            "以不接觸任何人為最佳：沒有任何一個閒置日，接觸所挽留的價值高於成本。成本較低、saved_value 較高，或挽留率"
            "較高的曲線，才會改變這個結果。"
        ),
        "the tier is empty: higher tiers leave it no gap to alert.": "此等級沒有用戶：較高的等級沒有留下可預警的間隔。",
        "the tier is empty: no rule has a lower bound of precision of {target}. The nearest target that is met is "
        "about {amount}, by: {rule}.": (
            "此等級沒有用戶：沒有任何規則的命中率下限達到{target}。能達到的最接近目標約為{amount}，規則為「{rule}」。"
        ),
        # tiers of a capacity
        "{tier}: on no day more than {n} first alerts, those of the highest P(churn) (idle_days - d) / idle_days "
        "first, as training gaps of their cell tell it; the others wait while the rule holds. Figures are of the "
        "alerts that come of it, equals drawn by lot. The rule alone would alert {alone} a day on average; on "
        "{share} of the days all of the capacity is used.": (
            "等級「{tier}」：每天最多{n}則首次預警，依流失機率乘以剩餘天數占比由高至低排序（以訓練期間同類間隔估計）；"
            "其餘用戶在規則仍成立時等候。數字以實際發出的預警計，同分者抽籤。若不設上限，此規則平均每天會預警{alone}"
            "次；有{share}的日子用滿容量。"
        ),
        "{tier}: of the candidates within {near} of the best, the one with the fewest alerts is taken; the best "
        "would have {missed} more lead-weighted recall in training.": (
            "等級「{tier}」：在與最佳者相差{near}以內的候選規則中，採用預警最少者；最佳者在訓練期間的加權流失涵蓋率會"
            "多{missed}。"
        ),
        "{tier}: resamples choose the best rule {limit}, the limit under which this rule was found.": (
            "等級「{tier}」：重抽樣時{limit}挑選最佳規則，與找出此規則時的條件相同。"
        ),
        "without a limit": "不設上限",
        "with {factor} times as many on average": "以平均{factor}倍為上限",
        # tiers of a score
        "P(churn) is the chance that a gap which is silent for d days lasts for more than {days}, from a Cox fit "
        "of return on gap time ({formula}) to the {n} gaps that began from {first} to {last}, all followed for "
        "{days} days. Covariates are as of the end of the first day of a gap, and act alike on all idle days "
        "(proportional hazards of return).": (
            "流失機率是已閒置d天的間隔持續超過{days}天的機率，由恢復活躍的 Cox 模型（{formula}）估計，以{first}至"
            "{last}開始、全部追蹤{days}天的{n}個間隔訂定。變數以間隔首日結束時為準，並假定在各閒置日的作用相同（恢復"
            "活躍的風險率成比例）。"
        ),
        "Limits (level {level}) take users as independent, and score and cuts as fixed beforehand. Both were "
        "learnt from the same gaps, so that the figures are somewhat too good: judge them on later days. Resamples "
        "choose cuts anew and keep the score.": (
            "上下限（信賴水準{level}）將用戶視為彼此獨立，並將分數與切點視為事先固定。兩者都由同一批間隔習得，所以數"
            "字會稍微偏好：請以後續日期評估。重抽樣時重選切點，分數不變。"
        ),
        "Cuts of a score that was given, fitted to the {n} gaps between active days that began from {first} to "
        "{last}, all followed for {days} days. The score of a day is taken as known at its end: whether it looks "
        "ahead cannot be seen from it.": (
            "外部提供的分數之切點，以{first}至{last}開始、全部追蹤{days}天的{n}個活躍日間隔訂定。各日的分數視為當日結"
            "束時已知：分數是否用到之後的資訊，無從得知。"
        ),
        "Limits (level {level}) take users as independent, and score and cuts as fixed beforehand. The cuts were "
        "chosen on the same gaps, so that the figures are somewhat too good, and more so if the score was learnt "
        "from them too: judge them on later days. Resamples choose cuts anew and keep the score.": (
            "上下限（信賴水準{level}）將用戶視為彼此獨立，並將分數與切點視為事先固定。切點就同一批間隔挑選，所以數字"
            "會稍微偏好；若分數也由這些間隔習得，偏差更大：請以後續日期評估。重抽樣時重選切點，分數不變。"
        ),
        "score: {n} of {days} idle days of these gaps ({share}) have no row of their own and carry the last one "
        "before, for up to {longest} days.": (
            "分數：這些間隔的{days}個閒置日中，有{n}個（{share}）沒有當日的資料列，沿用先前最近一筆，最長沿用"
            "{longest}天。"
        ),
        "score: {n} of {days} idle days lie before the first score of their user. {never} gaps never have a score, "
        "and no alert.": (
            "分數：{days}個閒置日中，有{n}個早於該用戶的第一筆分數。{never}個間隔始終沒有分數，也沒有預警。"
        ),
        "score: of {n} rows these are left out: {rows}.": "分數：{n}列中，下列各列不計：{rows}。",
        "{n} without a value": "{n}列沒有值",
        "{n} of unknown users": "{n}列的用戶不在紀錄中",
        "{n} with dates outside the log": "{n}列的日期在紀錄期間之外",
        "{n} without a user id": "{n}列沒有用戶編號",
        "{n} without a date": "{n}列沒有日期",
        "{n} with a date that cannot be read": "{n}列的日期無法讀取",
        "{n} that are there already": "{n}列重複",
        "{tier}: the cut is rounded, which costs {share} of its {what} in training; the best rule was {rule}.": (
            "等級「{tier}」：切點經過取整，在訓練期間使{what}減少{share}；取整前的最佳規則為「{rule}」。"
        ),
        "{tier}: the cut hangs on the saving curve. With {saving}, this one misses {share} of the value of the "
        "best.": "等級「{tier}」：切點取決於挽留率曲線的假設。若改為「{saving}」，現行切點的價值會比最佳者少{share}。",
        "{tier}: on no day more than {n} first alerts, those of the highest {first} first; the others wait while "
        "the score is above the cut. Figures are of the alerts that come of it, equals drawn by lot. The cut alone "
        "would alert {alone} a day on average.": (
            "等級「{tier}」：每天最多{n}則首次預警，依{first}由高至低排序；其餘用戶在分數仍高於切點時等候。數字以實際"
            "發出的預警計，同分者抽籤。若不設上限，此切點平均每天會預警{alone}次。"
        ),
        "P(churn) (idle_days - d) / idle_days": "流失機率乘以剩餘天數占比",
        "{tier}: the first day of a gap above the cut, idle day d, is worth {value} s(d) where the gap ends in "
        "churn, less {cost} of the contact. Waiting is not weighed: the score is taken as it is.": (
            "等級「{tier}」：間隔首次高於切點的閒置第d天，若該間隔以流失結束，價值為{value}乘以挽留率s(d)，減去接觸成"
            "本{cost}。未衡量等待的價值：分數依原樣採用。"
        ),
        "{tier}: {variable} is {value} s(d) P(churn) - {cost} of a contact on idle day d, less what waiting for "
        "the best later day is worth; the highest since the last activity.": (
            "等級「{tier}」：{variable}是閒置第d天接觸的價值，即{value}乘以挽留率s(d)與流失機率，減去成本{cost}，再減"
            "去等到之後最佳日的價值；取上次活躍以來的最高值。"
        ),
        "the tier is empty: no gap that ends in churn is left for it to alert.": (
            "此等級沒有用戶：以流失結束的間隔，已全由較高的等級預警。"
        ),
        "the tier is empty: no cut has a lower bound of precision of {target}. The nearest target that is met is "
        "about {amount}, by: {rule}.": (
            "此等級沒有用戶：沒有任何切點的命中率下限達到{target}。能達到的最接近目標約為{amount}，規則為「{rule}」。"
        ),
        # hysteresis
        "Hysteresis ({widths}): {kept}": "緩衝（{widths}）：{kept}",
        "{variable} {width}": "{variable} {width}",
        "it moves no threshold of these tiers.": "這些等級的門檻都不受影響。",
        "{tier} while {rule}": "「{tier}」（只要「{rule}」仍成立）",
        "up to the next activity a user stays in {ways}. A higher tier is entered at once.": (
            "在下次活躍之前，用戶留在{ways}。符合較高等級時立即升級。"
        ),
        "A share of a threshold of 0 is 0: {conditions} is as wide as without it.": (
            "門檻為0時，其比例仍為0：「{conditions}」不受緩衝影響。"
        ),
        "Hysteresis ({widths}): up to the next activity a user stays in a tier while its rule, that of the origin, "
        "holds with these thresholds moved by that share of them. A higher tier is entered at once.": (
            "緩衝（{widths}）：在下次活躍之前，只要起算日的規則在門檻依此比例放寬後仍成立，用戶就留在該等級。符合較高"
            "等級時立即升級。"
        ),
        "Within a silence users change their tier {changes} times per 1,000 gaps, {falls} of them down or out; "
        "without hysteresis {changes_without} and {falls_without}.": (
            "在閒置期間，每千個間隔有{changes}次等級變動，其中{falls}次為降級或離開；若無緩衝，則分別為"
            "{changes_without}次與{falls_without}次。"
        ),
        "{said} Here a score is that of the state at the beginning of a gap: it only rises in silence, so that "
        "hardly anybody has a tier to be held in.": (
            "{said}此處的分數以間隔開始時的狀態為準：閒置期間只會上升，所以緩衝幾乎沒有作用。"
        ),
        # later days
        "A scheme that had seen days through {date} is judged on the gaps that began in the {days} days after it; "
        "all of them are followed to their end.": (
            "現有的等級所用資料截至{date}，以其後{days}天內開始的間隔評估；這些間隔全都追蹤至結束。"
        ),
        "At each origin rules are fitted to what was known at its end, and judged on the gaps that began in the "
        "{days} days after it; all of them are followed to their end.": (
            "在每個起算日，規則以當日結束時的已知資料訂定，再以其後{days}天內開始的間隔評估；這些間隔全都追蹤至結束。"
        ),
        "Per first alert a gap counts once in a tier; per row a user counts on every idle day on which the rule "
        "holds. Limits (level {level}) take users as independent and the rules as given.": (
            "以首次預警計時，每個間隔在每個等級只計一次；以資料列計時，用戶在規則成立的每個閒置日都計入。上下限（信賴"
            "水準{level}）將用戶視為彼此獨立、規則視為既定。"
        ),
        "Before {origins} the log has no gap of which all is known, so that there is nothing to rank users by: the "
        "gains curve and policies of a capacity leave this out, and there is no 'most accurate'.": (
            "在{origins}之前，紀錄中沒有結果已完全可知的間隔，無從排序用戶：增益曲線與容量策略不含此部分，也沒有「準"
            "確率最高者」。"
        ),
        "{said} Alerts of {tiers} are drawn by lot.": "{said}{tiers}的預警以抽籤決定。",
        "Where alerts are limited, no calendar day has more than that many first alerts, the most urgent first; "
        "the others wait while the rule holds. Gaps that began before and after the days judged stand in line, "
        "too. Alerts are counted by the day on which their gap began, so that their number a day may differ a "
        "little. Equals draw lots: figures are means over them, and their limits take the chances as given.": (
            "預警數設有上限時，任何一天的首次預警都不超過上限，最緊急者優先；其餘用戶在規則仍成立時等候。評估期間之前"
            "與之後開始的間隔也一起排隊。預警依間隔開始的日期計數，所以每日數目可能略有出入。同分者抽籤：數字為各種抽"
            "籤結果的平均，上下限將抽中機率視為既定。"
        ),
        "{said} Here they are judged by it, too; assign takes the value of the day, and may give other tiers.": (
            "{said}此處的評估也以該值為準；實際分級時採用當日的值，等級可能不同。"
        ),
        "{name}: {n} of the {gaps} gaps judged ({share}) began without a value: no score, and no alert.": (
            "{name}：評估的{gaps}個間隔中，有{n}個（{share}）開始時沒有值：沒有分數，也沒有預警。"
        ),
        "{n} of the {gaps} gaps judged ({share}) began with numbers for which the formula has no value, such as "
        "one beyond the bounds of a spline: no score, and no alert.": (
            "評估的{gaps}個間隔中，有{n}個（{share}）開始時的數值超出公式可計算的範圍（例如在樣條的邊界之外）：沒有分"
            "數，也沒有預警。"
        ),
        "the gaps judged": "評估的間隔",
        "the gaps judged and those in line with them": "評估的間隔及一起排隊的間隔",
        "score: {n} of {days} idle days of {whose} ({share}) have no row of their own and carry the last one "
        "before, for up to {longest} days.": (
            "分數：{whose}的{days}個閒置日中，有{n}個（{share}）沒有當日的資料列，沿用先前最近一筆，最長沿用{longest}"
            "天。"
        ),
        "score: {n} of {days} idle days of {whose} lie before the first score of their user. {never} gaps never "
        "have a score, and no alert.": (
            "分數：{whose}的{days}個閒置日中，有{n}個早於該用戶的第一筆分數。{never}個間隔始終沒有分數，也沒有預警。"
        ),
        "{n} unknown user": "{n}列的用戶不在紀錄中",
        "{n} outside log": "{n}列的日期在紀錄期間之外",
        "{n} no score": "{n}列沒有分數",
        "{n} missing user id": "{n}列沒有用戶編號",
        "{n} missing date": "{n}列沒有日期",
        "{n} unparsable date": "{n}列的日期無法讀取",
        "{n} repeated": "{n}列重複",
        "{tier}: {precision}; {value}.": "等級「{tier}」：{precision}；{value}。",
        "{tier}: {said}.": "等級「{tier}」：{said}。",
        "{before} of first alerts right in training, {later} of first alerts right on later days": (
            "首次預警的命中率在訓練期間為{before}，在後續日期為{later}"
        ),
        "{before} per 1,000 gaps in training, {later} per 1,000 gaps on later days": (
            "每千個間隔的價值在訓練期間為{before}，在後續日期為{later}"
        ),
        "Test days of neighbouring origins overlap: some gaps are judged more than once, by rules of each origin.": (
            "相鄰起算日的評估期間重疊：有些間隔由各起算日的規則評估不只一次。"
        ),
        "{tier}: {n} of {origins} origins give the rule {rule}.": (
            "等級「{tier}」：{origins}個起算日中，有{n}個訂出規則「{rule}」。"
        ),
        # alerts of a day
        "The tiers were fitted to what was known by {date}: on {day} they could not have been there.": (
            "等級以截至{date}的已知資料訂定：在{day}當時還不可能有這些等級。"
        ),
        "{who} without {name}: {value} stands in for it.": "{who}沒有{name}的值，以{value}代替。",
        "{who} without {name}: no condition on it holds for them.": "{who}沒有{name}的值：與它有關的條件都不成立。",
        "{who} without {name}: no score, and in no tier.": "{who}沒有{name}的值：沒有分數，不屬於任何等級。",
        "score: {n} of {users} have no row on the day itself and carry the last one before, for up to {days}.": (
            "分數：{users}中，有{n}名沒有當日的資料列，沿用先前最近一筆，最長沿用{days}。"
        ),
        "score: {users} without any score so far: in no tier.": "分數：{users}至今沒有任何分數，不屬於任何等級。",
        "No margin was given: what is at risk in money is not told.": "未提供毛利：無法說明有流失風險的金額。",
        "margin: not known of {n} of {users} in a tier.": "毛利：等級中的{users}裡，有{n}名沒有毛利資料。",
        "margin: {rows} of users that the log does not know.": "毛利：{rows}的用戶不在紀錄中。",
        "A score that is given is no chance: the risk is not told.": "外部提供的分數不是機率：不說明風險。",
        "The risk is not known: no gap has been followed for {days} days by {last}.": (
            "風險未知：截至{last}，沒有任何間隔追蹤滿{days}天。"
        ),
        "The risk is not known: no gap that began by {start} has been followed for {days} days by {last}.": (
            "風險未知：{start}以前開始的間隔中，截至{last}沒有任何一個追蹤滿{days}天。"
        ),
        "the {n} gaps": "{n}個間隔",
        "the {n} gaps of {some} users, drawn by their ids from {all}": (
            "{n}個間隔（{some}名用戶，依用戶編號從{all}名中抽出）"
        ),
        "nothing else": "並無其他劃分",
        "{names}, drawn to that of all of them as if {n} more had it": (
            "依規則對{names}所作的劃分，並向整體占比收縮（如同再加{n}個間隔）"
        ),
        "The risk is the share that ended in churn of {gaps} that began from {first} to {last} and were silent for "
        "as long, by idle day and the pieces into which the rules cut {looked}. Limits take users as independent.": (
            "風險是{first}至{last}開始、閒置同樣久的{gaps}中以流失結束的占比，按閒置日計算；{looked}。上下限將用戶視"
            "為彼此獨立。"
        ),
        "No gap had ended in churn by then: the risk is 0, without limits.": (
            "至當時為止，沒有間隔以流失結束：風險為0，沒有上下限。"
        ),
        "No gap was ever silent for as long as some of these users: their risk is not known.": (
            "部分用戶閒置之久，沒有任何間隔可比：其風險未知。"
        ),
        "The risk is the chance to churn of the score, fitted to gaps that began from {first} to {last}. Limits "
        "are of the fit, its coefficients clustered by user.": (
            "風險是分數模型的流失機率，以{first}至{last}開始的間隔訂定。上下限為模型的上下限，係數依用戶分群計算。"
        ),
        # parts of a study
        "idle risk": "閒置風險",
        "idle risk by group": "各組的閒置風險",
        "warning tiers": "預警等級",
        "value by day": "各日的接觸價值",
        "risk by idle days and band": "依閒置天數與級距的風險",
        "users in the tiers over time": "各等級用戶數的變化",
        "tiers on later days": "等級在後續日期的表現",
        "alerts of the last day": "最後一天的預警",
        "Rules of tiers look at {names} and idle days. {reason}": "等級的規則只看{names}與閒置天數。{reason}",
        "Rules of tiers look at idle days alone. {reason}": "等級的規則只看閒置天數。{reason}",
    }
)
