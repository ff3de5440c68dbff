"""What results of why they leave say of themselves, in Traditional Chinese; a part of `notes_zh_hant_diagnosis`.

Keys are the templates of `churnsurv.notes.note` as they stand in the code; the fields are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["WHY"]

WHY: Mapping[str, str] = MappingProxyType(
    {
        "{known} of {n} churns up to {until} have a reason ({share}). An answer belongs to a churn if it comes "
        "from the day of the last activity to {days} days after the churn, and not after the day of a return; the "
        "first counts. Churns of the last {days} days of the log are not asked about: not all their answers can be "
        "in.": (
            "截至{until}的{n}次流失中，{known}次有原因（{share}）。自最後一次活躍當日起，至流失後{days}天為止，且不晚"
            "於回流當日的回答，才屬於該次流失；以第一筆為準。紀錄最後{days}天的流失不列入：其回答還不可能全部到齊。"
        ),
        "Weighted shares hold if, among users alike in {variables}, answering has nothing to do with the reason; "
        "no table can show that. The bounds need no assumption.": (
            "加權占比成立的條件是：在{variables}相近的用戶之間，是否回答與原因無關；這無法由任何表格證明。範圍界限則"
            "不需要任何假設。"
        ),
        "Up to {share} of the churns of a group ({group}) have an estimated chance below {rare} to have their "
        "reason known: one answer there stands for up to {n} churns.": (
            "某一組（{group}）有多達{share}的流失，其原因已知的估計機率低於{rare}：該處的一筆回答最多代表{n}次流失。"
        ),
        "No model of who answers: all shares are those of users who did. The bounds need no assumption.": (
            "沒有「哪些人回答」的模型：所有占比都是已回答者的占比。範圍界限則不需要任何假設。"
        ),
        "Answers without a reason: {codes}. Their churns count as silent.": (
            "沒有對應原因的回答：{codes}。其流失計為未回答。"
        ),
        "The mapping has codes that nobody gave: {codes}.": "對照表中有無人回答的代碼：{codes}。",
        "{n} rows of the feedback are equal to another (user, time, code, route): taken once.": (
            "回答表有{n}列與另一列相同（用戶、時間、代碼、管道）：只計一次。"
        ),
        "{n} churns have several reasons told at the same time (or on the same day, where that is all that is "
        "known): the code that comes first in the alphabet counts.": (
            "{n}次流失在同一時間有數個原因（若只知道日期，則為同一天）：以代碼排序在前者為準。"
        ),
        "{n} rows of the feedback cannot be used; see the rejects of the log.": (
            "回答表有{n}列無法使用；見紀錄的剔除清單。"
        ),
        "{n} answers are of users who had not churned: kept apart.": "{n}筆回答來自尚未流失的用戶：另行保留。",
        "{n} spells of users registered before the log are left out: their origin is not known.": (
            "紀錄開始前已註冊用戶的{n}段使用期間不納入：起算日未知。"
        ),
        "Weighted shares outside of their bounds: {rows}. The share of these churns cannot be that: the chances to "
        "answer are off there, or rest on few answers.": (
            "加權占比超出範圍界限者：{rows}。這些流失的占比不可能如此：該處的回答機率有偏差，或只依據少數回答。"
        ),
        "Incidences are not split by {columns}: it is known of the churned only.": (
            "隨時間的流失占比未依{columns}拆分：只有流失用戶才知道這項資訊。"
        ),
        "Models by behaviour are left out: {fault}": "依行為的模型從略：{fault}",
        "Models from day {day} on: fewer than {least} churns with a known reason for a coefficient in {reasons}.": (
            "自第{day}天起的模型：下列原因中，每個係數對應的原因已知的流失少於{least}次：{reasons}。"
        ),
        "{reason}, from day {day} on: no models. {fault}": "「{reason}」，自第{day}天起：沒有模型。{fault}",
        "{reason}, from day {day} on: {warning}": "「{reason}」，自第{day}天起：{warning}",
        "Not in the model of who answers, which has no finite fit with it: {terms}.": (
            "未納入「哪些人回答」的模型者（納入後沒有有限的估計值）：{terms}。"
        ),
        "Of the other {n} churns {known} have a reason: too few for weights. All shares are plain.": (
            "其餘{n}次流失中，{known}次有原因：太少，無法加權。所有占比都未加權。"
        ),
        "Too few answers for all of the model of who answers: without {terms}.": (
            "回答太少，不足以估計「哪些人回答」的完整模型：未含{terms}。"
        ),
        "{known} of {n} churns have a reason: too few, or too few without one, for a model of who answers. "
        "Weighted shares are the plain ones.": (
            "{n}次流失中，{known}次有原因：有原因者太少，或沒有原因者太少，無法建立「哪些人回答」的模型。加權占比即為"
            "未加權的占比。"
        ),
        "the numbers": "有數值者",
        "a missing number": "無數值者",
        "per doubling": "每增加一倍",
        "per unit": "每增加1單位",
        "{variable}, {unit}": "{variable}，{unit}",
        "{variable} up to {high}, {unit}": "{variable}至多{high}，{unit}",
        "{variable} above {low}, {unit}": "{variable}高於{low}，{unit}",
        "{variable} from {low} to {high}, {unit}": "{variable}介於{low}與{high}之間，{unit}",
        "{variable}: (missing)": "{variable}：無值",
        "{variable}: every value has too few answers to be a part of the model of who answers.": (
            "{variable}：每個值的回答都太少，無法納入「哪些人回答」的模型。"
        ),
        "{variable}: everybody answered of {values}.": "{variable}：{values}全部都有回答。",
        "{variable}: everybody answered of {values}; a reason told there speaks for nobody else.": (
            "{variable}：{values}全部都有回答；該處的原因不代表其他任何人。"
        ),
        "{variable}: hardly anybody answered of {values}. Whoever is silent there is taken for one of {reference}: "
        "no weight can make up for reasons that nobody told.": (
            "{variable}：{values}幾乎無人回答。該處未回答者視同「{reference}」：無人說過的原因，任何加權都無法補足。"
        ),
        "{variable}: {n} numbers are missing or infinite, with {known} answers. They are taken for the median ("
        "{median}).": "{variable}：有{n}個數值缺漏或為無限大，其中{known}個有回答。以中位數（{median}）代替。",
        "Observational: users with a problem are compared with users alike in {variables} and in their active days "
        "before. Nobody has drawn by lot who has one. A share is churn that would not have been without the "
        "problem only if nothing else does.": (
            "觀察性結果：遇到問題的用戶，與{variables}及先前活躍天數相近的用戶比較。誰遇到問題並非抽籤決定。只有在沒"
            "有其他差異的前提下，占比才是「沒有該問題就不會發生的流失」。"
        ),
        "{gaps} gaps of {users} users that began up to {until}, so that it is known of each whether {days} days "
        "passed without a return: {churned} did. A later gap is left out however it went.": (
            "{users}名用戶在{until}以前開始的{gaps}個間隔，每一個都已知是否連續{days}天沒有活躍：其中{churned}個如此。"
            "更晚的間隔不論結果如何，一律不納入。"
        ),
        "A share is of churns at the activities that there were: some of those users would have left at a later "
        "one. Shares of several kinds need not add up to that of all.": (
            "占比是就實際發生過的活躍日計算的流失占比：其中有些用戶會在之後的活躍日離開。各類問題的占比相加，不必等於"
            "全部合計的占比。"
        ),
        "Left out: {gaps} of users registered before the log, of whom the days before a gap are not known.": (
            "未納入：紀錄開始前已註冊用戶的{gaps}，其間隔之前的日子未知。"
        ),
        "Left out: {gaps} that began with a problem without estimate.": "未納入：以沒有估計值的問題開始的{gaps}。",
        "{n} of {all} problems ({kinds}) happened on days without activity: not known when the gap began, they say "
        "nothing of it; the gap after it knows them as past ones.": (
            "{all}次問題（{kinds}）中，有{n}次發生在沒有活躍行為的日子：間隔開始時尚未得知，因此與該間隔無關；下一個"
            "間隔將其計為先前的問題。"
        ),
        "{cells} of {variables} with few churned or returned gaps ({n} gaps) count as one.": (
            "依{variables}分出的格子中，有{cells}流失或再度活躍的間隔太少（共{n}個間隔），合併為一格。"
        ),
        "Of the answers the last of the {days} days before a gap counts, its first day included, each topic alone "
        "and not adjusted for problems, which may be what the answer is about. Who answers is not random: those "
        "who do not are a level of their own.": (
            "回答以間隔之前{days}天內（含間隔第一天）的最後一筆為準，各主題分開計算，且未就問題校正，因為回答談的可能"
            "正是那些問題。誰回答並非隨機：未回答者自成一類。"
        ),
        "{answers} cannot be used: see answer_rejects.": "{answers}無法使用：見 answer_rejects。",
        "Here {kinds} is no activity, though it is by the rule of the log: days with nothing else would all have "
        "the problem. Gaps are between days with {others}; who has only problems for {days} days has churned.": (
            "依紀錄的規則，{kinds}算活躍行為，在此則不算：否則只有這類事件的日子，每一天都帶有該問題。間隔是有"
            "{others}的日子之間的間隔；連續{days}天只有問題的用戶算作流失。"
        ),
        "Too few days with several problems to tell doses apart: {kinds}.": (
            "一天遇到多次問題的日子太少，無法區分次數：{kinds}。"
        ),
        "The lasting effects are not adjusted for {variables}.": "持續的效應未就{variables}校正。",
        "Lasting effects of {kinds} are not estimated: too few days or users after them.": (
            "未估計{kinds}的持續效應：其後的日子或用戶太少。"
        ),
        "Lasting effects are not estimated: {fault}": "未估計持續的效應：{fault}",
        "{times}": "{times}次",
        "{first}-{last}": "{first}至{last}次",
        "{least}+": "{least}次以上",
        "any": "任何次數",
        "that day": "當天",
        "none that day": "當天沒有",
        "none in {days} days": "{days}天內沒有",
        "{first}-{last} days before": "前{first}至{last}天",
        "in {days} days, {lag} days before": "{lag}天之前的{days}天內",
        "dose": "次數",
        "recency": "時間遠近",
        "score": "分數",
        "third": "三分位",
        "one point more": "高一分",
        "one point less": "低一分",
        "answered": "已回答",
        "not answered": "未回答",
        "low": "低分",
        "middle": "中間",
        "high": "高分",
        "{third} ({score})": "{third}（{score}）",
        "{third} ({low} to {high})": "{third}（{low}至{high}）",
        "it never occurs in the log": "紀錄中從未發生",
        "no gap began with it": "沒有間隔以其開始",
        "all scores are the same": "所有分數都相同",
        "all scores lie in one third of them": "所有分數都落在同一個三分位",
        "no gap without it to compare with, all else equal": "其他條件相同時，沒有不帶此問題的間隔可供比較",
        "gaps like its own": "這類間隔",
        "its gaps": "這些間隔",
        "its gaps that others can be compared with": "可供比較的這些間隔",
        "the gaps to compare with": "對照的間隔",
        "of {gaps} fewer than {least} would end in churn": "{gaps}中，預期以流失結束者少於{least}個",
        "of {gaps} fewer than {least} would end in a return": "{gaps}中，預期再度活躍者少於{least}個",
        "{gaps} are, in effect, those of fewer than {least} users": "{gaps}實際上等於只來自不到{least}名用戶",
        "none of {gaps} ended in churn: the hazard ratio has no limit": "{gaps}沒有一個以流失結束：風險比沒有界限",
        "all of {gaps} ended in churn: the hazard ratio has no limit": "{gaps}全部以流失結束：風險比沒有界限",
        "more than half of the gaps are those of levels without an estimate": "超過一半的間隔屬於沒有估計值的類別",
        "its model cannot be fitted: {fault}": "模型無法估計：{fault}",
        "beside the others its hazard ratio has no limit, or no steps reach it": (
            "與其他項目並列時，其風險比沒有界限，或估計無法收斂"
        ),
        "it cannot be told apart from {others}: each goes with the others": "無法與{others}區分：彼此總是同時出現",
        "the number of active days": "活躍天數",
        "What is expected is learnt from {train} days and anew every {refit} days, without the {guard} days before "
        "and without days within an alarm or a rise.": (
            "預期的回訪數由{train}天的資料學習，每{refit}天重新學習一次，不含最近的{guard}天，也不含警報或上升期間的"
            "日子。"
        ),
        "Limits let {alarms} a year pass on average, over {charts} together, if nothing changes and days go on to "
        "vary as they did.": "若沒有任何變化，且各日的變動一如以往，{charts}合計平均每年容許{alarms}。",
        "{n} false alarm": "{n}次誤報",
        "{n} false alarms": "{n}次誤報",
        "So few are rarer than the {years} simulated years of a limit can show: the limits are carried on beyond "
        "them, with an exponential tail.": (
            "如此少的誤報，比界線所模擬的{years}年能呈現的還罕見：超出部分以指數尾部外推。"
        ),
        "Too small to be watched alone: {groups}; watched together as {name}.": (
            "人數太少而不單獨監測：{groups}；合併監測，稱為{name}。"
        ),
        "Too small to be watched alone: {groups}; too few even together, watched with all others only as {name}.": (
            "人數太少而不單獨監測：{groups}；合併為{name}後仍太少，只併入全部用戶一起監測。"
        ),
        "New, and not counted before {days} days are there to learn from: {groups}.": (
            "新出現的組，在累積{days}天可供學習之前不計入：{groups}。"
        ),
        "Groups were sized anew: {groups} {verb} no chart any more, the last one up to {day}.": (
            "各組重新依人數劃分：{groups}不再有監測圖，最後一張到{day}為止。"
        ),
        "a kind of holiday": "某種假日",
        "a kind of holiday ({kinds})": "某種假日（{kinds}）",
        "{days} watched {are} not judged: left out, or of {holiday} that the days learnt from have none of.": (
            "監測期間有{days}未判讀：已指定排除，或屬於學習期間沒有出現過的{holiday}。"
        ),
        "{days} watched {are} not judged in some charts: left out, or of {holiday} that the days learnt from have "
        "none of.": "監測期間有{days}在部分監測圖中未判讀：已指定排除，或屬於學習期間沒有出現過的{holiday}。",
        "{days} left out as asked.": "依指定排除{days}。",
        "Of {groups} some expectations could not be learnt anew, since alarms, rises and days left out leave too "
        "few days: the last one is kept, and its trend goes no further.": (
            "{groups}的部分預期無法重新學習，因為扣除警報、上升與排除的日子後，剩下的天數太少：沿用上一次的預期，其趨"
            "勢不再延伸。"
        ),
        "Returns of {group} have been higher since {day}: that is the new level.": (
            "自{day}起，{group}的回訪較高：這是新的水準。"
        ),
        "The alarm of {group} was over on {day} although returns did not come back: it had lasted for as long as "
        "there is to learn from, and is the usual now.": (
            "{group}的警報在{day}結束，但回訪並未恢復：其持續時間已與可供學習的期間一樣長，現已視為常態。"
        ),
        "Of a season nothing is known but its trend: days of one year do not tell it from change.": (
            "季節因素除趨勢外無從得知：一年的資料無法區分季節與變化。"
        ),
        "Watched from {day} on: before it there is too little to learn from.": (
            "自{day}起監測：在此之前可供學習的資料太少。"
        ),
        "The users have no column 'channel': all of them are watched together.": (
            "用戶資料沒有「channel」欄：全部用戶一起監測。"
        ),
        "{days} to leave out, outside {first} to {last}: {names}.": (
            "要排除的日子中，有{days}不在{first}至{last}之間：{names}。"
        ),
        "Days hang together: what is special about one lasts for some days. The limits count it.": (
            "各日之間有關聯：某一天的特殊狀況會延續數日。上下限已將此計入。"
        ),
        "Hazards of return by idle day, weekday, holidays and a straight trend, are learnt on the days before a "
        "shock alone. Whatever else was new on the days judged counts as done by the shock: this is no experiment.": (
            "依閒置天數、星期、假日與直線趨勢的回訪速度（風險率），只由事件之前的日子學習。判讀期間其他任何新狀況，都"
            "會算在該事件上：這不是實驗。"
        ),
        "Hazards of return by idle day, weekday and holidays, are learnt on the days before a shock alone. "
        "Whatever else was new on the days judged counts as done by the shock: this is no experiment.": (
            "依閒置天數、星期與假日的回訪速度（風險率），只由事件之前的日子學習。判讀期間其他任何新狀況，都會算在該事"
            "件上：這不是實驗。"
        ),
        "Users lost counts returns missed on the days judged, each with what it changes in the chance of churn; "
        "after those days hazards are taken to be as before the shock.": (
            "「損失的用戶」計入判讀期間缺少的回訪，每一次按其對流失機率的改變計算；此後的回訪速度視為與事件之前相同。"
        ),
        "Only users who were active on the date or later are judged: on the date itself there are none.": (
            "只判讀事件日當天或之後曾活躍的用戶：事件日當天本身沒有這樣的用戶。"
        ),
        "Too small to be looked at alone, together as {name}: {groups}.": (
            "人數太少而不單獨分析，合併為{name}：{groups}。"
        ),
        "{name}: {days} after the date {do} not count: left out, or of a kind of holiday that the days before have "
        "none of.": "{name}：事件日之後有{days}不計入：已指定排除，或屬於先前日子沒有出現過的某種假日。",
        "Beyond chance and the calendar, days before {name} vary by {spread} % in {group}. Limits count it, by "
        "Student's law with {df} degrees of freedom, as if days after the date varied as much.": (
            "除隨機與日曆因素外，{group}在{name}之前各日的變動為{spread}%。上下限已將此計入，採自由度{df}的 Student "
            "t 分布，並假設事件日之後各日的變動與此相同。"
        ),
        "{window} ({group})": "{window}（{group}）",
        "{window} ({group}, churned)": "{window}（{group}，流失用戶）",
        "{name}: nobody returned on {windows}. The ratio given is that of half a return: read its upper limit. "
        "That of {all}, a mean of logarithms, hangs on it.": (
            "{name}：{windows}無人回訪。所列比值以半次回訪計算：請看其上限。{all}的比值是對數的平均，也受其影響。"
        ),
        "{name} still shows in {groups} on the last day judged: users lost does not count what comes later. "
        "{advice}": "到最後判讀日，{name}在{groups}仍看得出影響：「損失的用戶」不含之後的部分。{advice}",
        "Raise after above {days} where the log has the days.": "若紀錄的天數足夠，請將 after 提高到{days}以上。",
        "Another shock, or the end of the log, cuts the days judged: to raise after does not add any.": (
            "判讀期間被另一個事件或紀錄結束截斷：提高 after 也不會增加天數。"
        ),
        "{name} has {dates}, not {most}: no more dates have as many days before them that are in the log and "
        "belong to no other shock.": (
            "{name}有{dates}，而非{most}個：再沒有其他日期，之前有同樣多天在紀錄中且不屬於其他事件。"
        ),
        "{few} A placebo p-value cannot fall below {low}.": "{few}安慰劑 p 值不可能低於{low}。",
        "{name}: on {n} of {dates} placebo dates the mean effect of all days has a p-value below {alpha}, where "
        "{share} % are to be expected on average.": (
            "{name}：{dates}個安慰劑日期中，有{n}個的全期間平均效應 p 值低於{alpha}；平均而言，預期有{share}%如此。"
        ),
        "{seen} {verdict}": "{seen}{verdict}",
        "As many come about in {share} % of logs whose days are alike: limits may be too narrow here; placebo "
        "p-values do not need them.": (
            "在各日沒有差別的紀錄中，只有{share}%會出現這麼多：此處的上下限可能過窄；安慰劑 p 值則不依賴上下限。"
        ),
        "Dates near each other share days and reject together: days that are alike bring that about, too.": (
            "相近的日期有共同的日子，會一起被判為有效應：各日沒有差別時也會如此。"
        ),
        "Users lost takes it that users who return stay in their stage.": (
            "「損失的用戶」假設回訪的用戶停留在原本的階段。"
        ),
        "{name}: none of the days after the date counts: left out.": "{name}：事件日之後沒有任何一天可計入，因此從略。",
        "{name}: fewer than {least} days before the date count: left out.": (
            "{name}：事件日之前可計入的日子少於{least}天，因此從略。"
        ),
        "{name}: {reason}: left out.": "{name}：{reason}，因此從略。",
        "too few users of {group} return to say what to expect": "{group}回訪的用戶太少，無從得知預期為何",
        "users of {group} are there on {days} of the days before the date, and {least} are needed": (
            "事件日之前，{group}只有{days}天有用戶，而至少需要{least}天"
        ),
        "all users of {group} return on every day before the date, and no hazard can be learnt": (
            "事件日之前，{group}的用戶每天全部回訪，無法學習回訪速度"
        ),
        "on the days judged there are no users of {group} to reach": "判讀期間，{group}沒有可能受影響的用戶",
        "Days on which {names} may still show are not compared with.": "{names}可能仍有影響的日子，不作為對照。",
        "{first} and {second} begin on one day, {day}, and cannot be told apart.": (
            "{first}與{second}在同一天（{day}）開始，無法區分。"
        ),
        "{name} ({day}) has fewer than {least} days before it that belong to no other shock: left out.": (
            "{name}（{day}）之前不屬於其他事件的日子少於{least}天，因此從略。"
        ),
        "{name} has too short a time before it: the log begins on {first}, and {idle} idle days and {before} days "
        "to compare with are needed.": (
            "{name}之前的時間太短：紀錄自{first}開始，而需要{idle}個閒置天數，再加上{before}天作為對照。"
        ),
        "{name} is followed for {days} days only: the log ends.": "{name}只追蹤{days}天：紀錄到此結束。",
        "{name} is the last day of the log: nobody was followed after it. Wait for some days, or load them.": (
            "{name}是紀錄的最後一天：之後沒有任何追蹤。請再等幾天，或載入後續資料。"
        ),
        "{name} lies outside the log, {first} to {last}.": "{name}不在紀錄期間（{first}至{last}）。",
        "{name} overlaps with {next}: it is judged up to the day before, {day}. What it still does afterwards "
        "cannot be told from that one.": (
            "{name}與{next}重疊：只判讀到後者的前一天{day}。此後仍有的影響，無法與後者區分。"
        ),
        "{name} overlaps with {next}: it is judged up to the day before, {day}. What it still does afterwards "
        "counts as done by {next}.": "{name}與{next}重疊：只判讀到後者的前一天{day}。此後仍有的影響，會算在{next}上。",
        "day {days}": "第{days}天",
        "day {days} after": "結束後第{days}天",
        "during": "事件期間",
        "all days": "全部日子",
    }
)
