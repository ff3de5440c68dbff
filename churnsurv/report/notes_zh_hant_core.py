"""What counts, the data, curves and models say of themselves, in Traditional Chinese; a part of `messages_zh_hant`.

Keys are the templates of `churnsurv.notes.note` as they stand in the code; the fields are the same. The first room is
what `counted` counts, each with its measure word.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["NOTES"]

NOTES: Mapping[str, str] = MappingProxyType(
    {
        # so many of something
        "{n} alarm": "{n}次警報",
        "{n} alarms": "{n}次警報",
        "{n} alert": "{n}則預警",
        "{n} alerts": "{n}則預警",
        "{n} answer": "{n}筆回答",
        "{n} answers": "{n}筆回答",
        "{n} burst": "{n}個註冊高峰",
        "{n} bursts": "{n}個註冊高峰",
        "{n} cell": "{n}格",
        "{n} cells": "{n}格",
        "{n} chart": "{n}張監測圖",
        "{n} charts": "{n}張監測圖",
        "{n} churn": "{n}次流失",
        "{n} churns": "{n}次流失",
        "{n} coefficient": "{n}個係數",
        "{n} coefficients": "{n}個係數",
        "{n} column": "{n}個欄位",
        "{n} columns": "{n}個欄位",
        "{n} contact": "{n}次接觸",
        "{n} contacts": "{n}次接觸",
        "{n} cut": "{n}個切點",
        "{n} cuts": "{n}個切點",
        "{n} day": "{n}天",
        "{n} days": "{n}天",
        "{n} event": "{n}起事件",
        "{n} events": "{n}起事件",
        "{n} first spell": "{n}段首次使用期間",
        "{n} first spells": "{n}段首次使用期間",
        "{n} gap": "{n}個間隔",
        "{n} gaps": "{n}個間隔",
        "{n} group": "{n}組",
        "{n} groups": "{n}組",
        "{n} living user": "{n}名尚未流失的用戶",
        "{n} living users": "{n}名尚未流失的用戶",
        "{n} missing value": "{n}個缺漏值",
        "{n} missing values": "{n}個缺漏值",
        "{n} more contact": "{n}次其他接觸",
        "{n} more contacts": "{n}次其他接觸",
        "{n} opt-out": "{n}筆拒絕聯絡",
        "{n} opt-outs": "{n}筆拒絕聯絡",
        "{n} other": "{n}個",
        "{n} others": "{n}個",
        "{n} placebo date": "{n}個安慰劑日期",
        "{n} placebo dates": "{n}個安慰劑日期",
        "{n} response": "{n}筆回應",
        "{n} responses": "{n}筆回應",
        "{n} row": "{n}列",
        "{n} rows": "{n}列",
        "{n} silent user": "{n}名閒置中的用戶",
        "{n} silent users": "{n}名閒置中的用戶",
        "{n} spell": "{n}段使用期間",
        "{n} spells": "{n}段使用期間",
        "{n} such row": "{n}列",
        "{n} such rows": "{n}列",
        "{n} user": "{n}名用戶",
        "{n} users": "{n}名用戶",
        "{n} value": "{n}個值",
        "{n} values": "{n}個值",
        "{n} assignment": "{n}筆分派",
        "{n} assignments": "{n}筆分派",
        "{some} and {n} more": "{some}，另有{n}個",
        # problems of the tables
        "Rows without a user id can't be used; look at the export.": "沒有用戶編號的列無法使用；請檢查匯出的資料。",
        "The users table has no usable row for these ids; check that both tables are complete.": (
            "用戶表中沒有這些編號的可用資料列；請確認兩個資料表都完整。"
        ),
        "Rows without a date can't be used; look at the export.": "沒有日期的列無法使用；請檢查匯出的資料。",
        "Write dates as 2024-05-01 and times as 2024-05-01 09:30, with an offset if need be.": (
            "日期請寫成 2024-05-01，時間請寫成 2024-05-01 09:30，必要時加上時差。"
        ),
        "Give each event a kind, or let every event count with ChurnRule(activity=None).": (
            "請為每個事件標明種類，或以 ChurnRule(activity=None) 讓所有事件都算活躍行為。"
        ),
        "Check the zone of the times and the date of registration.": "請檢查時間的時區與註冊日期。",
        "Amounts must be finite numbers without thousands separators; leave missing ones empty.": (
            "金額必須是有限的數字，不含千分位符號；缺漏者請留空。"
        ),
        "Balances must be finite numbers without thousands separators.": "餘額必須是有限的數字，不含千分位符號。",
        "Floats of 9e12 or more can't be added exactly: give them as decimals or in a larger unit.": (
            "9e12以上的浮點數無法精確加總：請改用十進位數，或換成較大的單位。"
        ),
        "A user has several different rows; the earliest registration is kept.": (
            "同一名用戶有數列不同的資料；保留註冊最早的一列。"
        ),
        "An answer without a reason says nothing; look at the export.": "沒有原因的回答無從解讀；請檢查匯出的資料。",
        "Answers of days that the log does not cover can't be joined to it; check observed_until.": (
            "紀錄未涵蓋的日子，其回答無法對上；請檢查 observed_until。"
        ),
        "These users registered after the log ends; check observed_until.": (
            "這些用戶在紀錄結束後才註冊；請檢查 observed_until。"
        ),
        "Equal user rows count once.": "相同的用戶列只計一次。",
        "Rows equal in all columns are kept: they may be true repeats. If the export doubled them, drop them first.": (
            "各欄都相同的列予以保留，因為可能確實重複發生。若是匯出時重複，請先刪除。"
        ),
        "No event is {kind}. See ChurnRule.": "沒有任何事件是{kind}。請見 ChurnRule。",
        "No event is {kind}. Did you mean {nearest}? See ChurnRule.": (
            "沒有任何事件是{kind}。是否指{nearest}？請見 ChurnRule。"
        ),
        "These kinds do not count as activity: {kinds}.": "以下種類不算活躍行為：{kinds}。",
        "Nobody can be seen to churn in one day.": "只有一天的紀錄，看不出任何人流失。",
        "The log covers {length} days; nobody can be seen to churn by a rule of {idle_days} idle days.": (
            "紀錄涵蓋{length}天；以閒置{idle_days}天為規則，看不出任何人流失。"
        ),
        "Events before {first} or after {last} are left out.": "早於{first}或晚於{last}的事件不予採用。",
        "They registered before the log begins: their first spells are left out unless assumed to be first.": (
            "他們在紀錄開始前已註冊：除非假定紀錄中的第一段就是首次使用期間，否則其首次使用期間不予採用。"
        ),
        "Registrations begin on {registered}, events on {events}. If earlier events are missing, set observed_from="
        "{first}, or users who were active before look as if they had churned.": (
            "註冊自{registered}開始，事件自{events}開始。若缺少更早的事件，請設定 observed_from={first}，否則先前活躍"
            "的用戶看起來會像已流失。"
        ),
        "The last day has {n} events; the same weekday has about {usual}. If it is half loaded, set observed_until "
        "to the day before, or users look idle who are not.": (
            "最後一天有{n}起事件；同一個星期幾通常約有{usual}起。若當天資料只載入一部分，請把 observed_until 設為前一"
            "天，否則未閒置的用戶看起來會像閒置。"
        ),
        "nearly everybody would have churned": "幾乎所有人都會算作流失",
        "users would look idle who are not": "未閒置的用戶看起來會像閒置",
        "Nearly all events lie up to {bulk}; if the log went on to {last}, {then}. Set observed_until to the day "
        "that the log is complete to, perhaps {perhaps}.": (
            "幾乎所有事件都在{bulk}以前；若紀錄真的到{last}為止，{then}。請把 observed_until 設為紀錄完整的最後一天，"
            "可能是{perhaps}。"
        ),
        "Days without one event in the middle of a busy log are probably missing from the export.": (
            "紀錄密集，中間卻有完全沒有事件的日子，匯出時可能遺漏。"
        ),
        "{share} of the users have no activity in the log.": "{share}的用戶在紀錄中沒有任何活躍行為。",
        "{share} of the users were active within {idle_days} days of the end of the log: whether they churn is not "
        "decided yet, and the spell they are in is censored.": (
            "{share}的用戶在紀錄結束前{idle_days}天內曾活躍：是否流失尚無法判定，目前的使用期間予以設限。"
        ),
        "under 1%": "不到1%",
        "over 99%": "99%以上",
        "{column} is missing for {share} of the users.": "{share}的用戶缺少{column}。",
        "{column} is {value} for everybody: it can't explain anything.": (
            "所有人的{column}都是{value}：無法用來解釋任何差異。"
        ),
        "Investments and redemptions below zero count as they stand: a negative investment lowers totals and "
        "balances. If the source means redemptions by them, give them that kind and a positive amount.": (
            "負數的投資與贖回照原樣計算：負的投資會降低總額與餘額。若來源資料以負數表示贖回，請改為贖回的種類與正數金"
            "額。"
        ),
        "1 investment or redemption has a negative amount. They count as they stand: a negative investment is an "
        "investment that lowers totals and balances. Check what the source means by them.": (
            "有1筆投資或贖回的金額為負數，照原樣計算：負的投資是降低總額與餘額的投資。請確認來源資料的用意。"
        ),
        "{n} investments and redemptions have a negative amount. They count as they stand: a negative investment "
        "is an investment that lowers totals and balances. Check what the source means by them.": (
            "有{n}筆投資或贖回的金額為負數，照原樣計算：負的投資是降低總額與餘額的投資。請確認來源資料的用意。"
        ),
        "Several balances of one user on one day: the latest counts, of equal times the highest.": (
            "同一名用戶同一天有數筆餘額：以最晚的為準，時間相同則取最高的。"
        ),
        "{horizon} days lie beyond the longest follow-up, {longest} days: its figures are left out.": (
            "{horizon}天超出最長的追蹤時間{longest}天：該天的數字從略。"
        ),
        "Nobody can churn before day {first}: on day {horizon} all groups are alike. Choose a later day.": (
            "第{first}天之前不可能有人流失：在第{horizon}天，各組都相同。請選擇較晚的一天。"
        ),
        # behaviour over time
        "features": "特徵",
        "features of the last days alone": "只看最近幾天的特徵",
        "lag is {lag}: {what} forget how long a user had been idle only after {safe} days, {times} times the idle "
        "days. Before, they may show effects where there are none: as of 31 days ago the number of investments has "
        "z = -17 among 300,000 users on whom it has no effect, as of 61 days ago -0.5. Leave lag as it is, or read "
        "small effects with care.": (
            "lag 為{lag}：{what}要到{safe}天後（閒置天數的{times}倍），才不再透露用戶先前閒置了多久。在此之前，沒有效"
            "應之處也可能看似有效應：在投資次數毫無效應的30萬名用戶中，31天前的投資次數 z = -17，61天前則為-0.5。請勿"
            "更動 lag，或謹慎解讀小的效應。"
        ),
        # curves and models
        "no curve for {groups}: nobody of the group is ever at risk ({duration} equals {entry}).": (
            "{groups}沒有曲線：該組始終無人處於風險中（{duration}等於{entry}）。"
        ),
        "{rows} churned on the day of entry ({duration} equals {entry}): nobody is at risk on that day, so that "
        "such a row carries no risk and no event.": (
            "{rows}在進入觀察的當天流失（{duration}等於{entry}）：當天無人處於風險中，這樣的列不計風險暴露，也不計流"
            "失。"
        ),
        "1 stratum has no churn and adds nothing to the estimates: {names}.": (
            "有1層沒有流失，對估計沒有貢獻：{names}。"
        ),
        "{n} strata have no churn and add nothing to the estimates: {names}.": (
            "有{n}層沒有流失，對估計沒有貢獻：{names}。"
        ),
        "{n} users at risk": "{n}名仍在追蹤的用戶",
        "{n} rows at risk": "{n}列仍在追蹤的資料",
        "{who} of stratum {stratum}": "{stratum}層的{who}",
        "{who} (in {n} strata)": "{who}（共{n}層）",
        "on day {day}, {events} of {who} churn ({share}). Above 20% the treatment of ties pulls coefficients "
        "towards zero; such days hold {held} of all churns here. Take the true effects to be larger in size than "
        "the estimates, or fit with ties='grouped'.": (
            "第{day}天，{who}中有{events}個流失（{share}）。超過20%時，同日流失的處理方式會把係數拉向零；這樣的日子占"
            "全部流失的{held}。請把真正的效應視為大於估計值，或改用 ties='grouped' 估計。"
        ),
        "{coefficients} is estimated from {churns}: the estimates say little. Take fewer covariates.": (
            "由{churns}估計{coefficients}：估計值能說明的很少。請減少共變數。"
        ),
        "{coefficients} are estimated from {churns}: the estimates say little. Take fewer covariates.": (
            "由{churns}估計{coefficients}：估計值能說明的很少。請減少共變數。"
        ),
        "{name}: {level} ({rows}) has nobody at risk on a day with churn, so it has no coefficient.": (
            "{name}：{level}（{rows}）在有流失的日子無人處於風險中，因此沒有係數。"
        ),
        "{values} of {name} forms the category {category}.": "{name}有{values}，歸為{category}一類。",
        "{values} of {name} form the category {category}.": "{name}有{values}，歸為{category}一類。",
        "{unknown} of {churns} churns has no known {cause}: censored on its day, like the {others} of other "
        "causes. If some of them were {asked}, its hazard is underestimated.": (
            "{churns}次流失中，有{unknown}次的{cause}未知：在當天設限，與其他原因的{others}次相同。其中若有{asked}，"
            "其風險率就被低估。"
        ),
        "{unknown} of {churns} churns have no known {cause}: censored on their day, like the {others} of other "
        "causes. If some of them were {asked}, its hazard is underestimated.": (
            "{churns}次流失中，有{unknown}次的{cause}未知：在當天設限，與其他原因的{others}次相同。其中若有{asked}，"
            "其風險率就被低估。"
        ),
        "{n} of {churns} churns has no known {cause}: they are the cause {unknown}, and the incidences of the "
        "others are lower limits. See bounds().": (
            "{churns}次流失中，有{n}次的{cause}未知：歸為{unknown}，其他原因的發生率只是下限。請見 bounds()。"
        ),
        "{n} of {churns} churns have no known {cause}: they are the cause {unknown}, and the incidences of the "
        "others are lower limits. See bounds().": (
            "{churns}次流失中，有{n}次的{cause}未知：歸為{unknown}，其他原因的發生率只是下限。請見 bounds()。"
        ),
        "no churn has the {cause} {never}: no curve for it.": "沒有流失的{cause}是{never}：沒有它的曲線。",
        "everybody at risk churned on day {days}: such a day says nothing of the covariates and is left out; "
        "survival is 0 from then on.": (
            "第{days}天，仍在追蹤者全數流失：這樣的一天無法說明共變數，不予採用；此後仍活躍的比例為0。"
        ),
        "limits and p-values are those of the profile of Firth's penalised likelihood.": (
            "上下限與 p 值取自 Firth 懲罰概似的側寫。"
        ),
        "a lasso penalty chooses coefficients by the same data: there are no standard errors or intervals that "
        "would hold after the choice.": "lasso 懲罰以同一份資料挑選係數：挑選之後，沒有仍然成立的標準誤或區間。",
        "estimates are pulled towards zero by the penalty; the standard errors and intervals do not hold that bias.": (
            "懲罰把估計值拉向零；標準誤與區間未包含此偏誤。"
        ),
        # tests
        "{weighting} test": "{weighting} 檢定",
        "{weighting} test for trend": "{weighting} 趨勢檢定",
        "stratified {test}": "分層 {test}",
        "{test}, robust score by {cluster}": "{test}（以{cluster}為單位的穩健得分）",
        "{test}, robust score by row": "{test}（以資料列為單位的穩健得分）",
        "likelihood-ratio test": "概似比檢定",
        "penalised {test}": "懲罰{test}",
        "score test": "得分檢定",
        "Wald test": "Wald 檢定",
        "robust Wald test": "穩健 Wald 檢定",
        "{test}, rows taken as independent": "{test}（各列視為獨立）",
        "{test}, weights taken as frequencies": "{test}（權重視為次數）",
        # the sweep of rules
        "under {days} idle days: {said}": "以閒置{days}天為規則：{said}",
        "there is no first spell": "沒有首次使用期間",
        "more than half of the group stay to its last day, {last}": "該組過半數留到其最後一天，即第{last}天",
        "the group is followed to day {last} only": "該組只追蹤到第{last}天",
        "nobody churned": "無人流失",
        "no churned user is followed for {horizon} days after churn, only {last}": (
            "沒有任何流失用戶在流失後被追蹤滿{horizon}天，最多{last}天"
        ),
    }
)
