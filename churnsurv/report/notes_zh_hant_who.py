"""What results of who churns say of themselves, in Traditional Chinese; a part of `notes_zh_hant_diagnosis`.

Keys are the templates of `churnsurv.notes.note` as they stand in the code; the fields are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["WHO"]

WHO: Mapping[str, str] = MappingProxyType(
    {
        "{some}, {others}": "{some}、{others}",
        "{some} and {others}": "{some}、{others}",
        "{some}; {others}": "{some}；{others}",
        "{names}, ...": "{names}……",
        "'{name}'": "「{name}」",
        "{group} ({users})": "{group}（{users}）",
        "{group} (day {day})": "{group}（第{day}天）",
        "{group} ({n})": "{group}（{n}）",
        "{name} ({day})": "{name}（{day}）",
        "{reason} ({n})": "「{reason}」（{n}次）",
        "{reason} ({n}, modelled all the same)": "「{reason}」（{n}次，仍納入模型）",
        "{code} ({n})": "{code}（{n}筆）",
        "{value} ({n})": "「{value}」（{n}次）",
        "{value} ({known} of {n})": "「{value}」（{n}次中的{known}次）",
        "{reason} {share}": "「{reason}」{share}",
        "{reason} {share} in {group}": "「{group}」的「{reason}」{share}",
        "{kind} ({what})": "「{kind}」（{what}）",
        "{what} ({model})": "{model}：{what}",
        "stage": "階段",
        "channel": "通路",
        "cohort": "註冊月份",
        "month": "月份",
        "tenure": "註冊至最後一次活躍的天數",
        "n_investments": "投資次數",
        "total_amount": "累計投資金額",
        "max_amount": "單筆最高投資金額",
        "ever_boosted": "曾投資加碼產品",
        "boosted_share": "投資中加碼產品的占比",
        "login_interval": "相鄰活躍日的間隔天數",
        "balance": "餘額",
        "registration_gap": "間隔是否自註冊開始",
        "none": "無",
        "all": "全部用戶",
        "(all)": "全部用戶",
        "(touched)": "可能受影響的用戶",
        "(untouched)": "未受影響的用戶",
        "(none)": "無值",
        "(missing)": "無值",
        "(small)": "人數少的各組",
        "(small untouched)": "人數少的未受影響各組",
        "other": "其他",
        "other bursts": "其他註冊高峰",
        "{n} users have no stage: their {variable} is null, or below 0, where the first stage begins.": (
            "{n}名用戶沒有階段：其{variable}無值，或低於0（第一個階段的起點）。"
        ),
        "{n} users registered before the log: their counts begin with it and not with their life, so that they are "
        "left out.": "{n}名用戶在紀錄開始前已註冊：其累計數自紀錄開始起算，而非自註冊起算，因此不納入。",
        "{n} users registered before the log are left out: their first days were not seen.": (
            "{n}名用戶在紀錄開始前已註冊，不納入：看不到他們最初的日子。"
        ),
        "Nobody can churn before day {first}, so that churn by day {days} is 0.": (
            "第{first}天之前不可能有人流失，因此至第{days}天的流失為0。"
        ),
        "{variable}: the tables cannot tell it, so that it is left out.": "{variable}：資料表無法得知，因此從略。",
        "stage: no user was ever in {stage}.": "階段：從來沒有用戶處於{stage}。",
        "stage: only {users} {was} ever in {stage}; stages are not pooled.": (
            "階段：只有{users}曾處於{stage}；階段不予合併。"
        ),
        "stage: all users stay in {stage}, so that stages tell nothing. They are cut from {variable}; investments "
        "are events of kind 'invest'.": (
            "階段：所有用戶都停留在{stage}，因此階段沒有資訊。階段依{variable}劃分；投資是指種類為 invest 的事件。"
        ),
        "stage by channel: {cells} of fewer than {least} users {verb} no probability of churn.": (
            "階段與通路交叉：有{cells}少於{least}名用戶，不列流失比例。"
        ),
        "stage by channel: no horizon is reached by all cells, so that there is no probability of churn.": (
            "階段與通路交叉：沒有任何一個天數是所有格子都追蹤得到的，因此不列流失比例。"
        ),
        "stage by channel: {days} days is the longest horizon that all cells reach.": (
            "階段與通路交叉：{days}天是所有格子都追蹤得到的最長天數。"
        ),
        "since registration": "自註冊起算",
        "since the stage began": "自進入該階段起算",
        "{variable}: no curve reaches day {day} {since} in {groups}: left out.": (
            "{variable}：{since}，{groups}的曲線未達第{day}天，因此從略。"
        ),
        "{variable}: fewer than {least} users were followed to day {day} {since} in {groups}: without limits, and "
        "the estimate rests on few.": (
            "{variable}：{since}，{groups}追蹤至第{day}天的用戶少於{least}名：不附上下限，估計值只依據少數用戶。"
        ),
        "{name}: {groups} has fewer than {least} users and is pooled as {other}.": (
            "{name}：{groups}少於{least}名用戶，併為{other}。"
        ),
        "{name}: {groups} has fewer than {least} users and is pooled as {other}, together with those already "
        "called {other}.": "{name}：{groups}少於{least}名用戶，連同原本就稱為{other}者，併為{other}。",
        "{name}: {groups} have fewer than {least} users each and are pooled as {other}.": (
            "{name}：{groups}各少於{least}名用戶，併為{other}。"
        ),
        "{name}: {groups} have fewer than {least} users each and are pooled as {other}, together with those "
        "already called {other}.": "{name}：{groups}各少於{least}名用戶，連同原本就稱為{other}者，併為{other}。",
        "Compared are users alive at the end of day {alive} on what was known at the end of day {window}; churned "
        "are those whose first spell ended by day {horizon}. Left out: {late} registered less than {horizon} days "
        "before the end of the log, {gone} no longer alive after day {alive}, {early} registered before the log.": (
            "比較對象是第{alive}天結束時尚未流失的用戶，依據為第{window}天結束時已知的資訊；流失者是首次使用期間在第"
            "{horizon}天以前結束的用戶。未納入：註冊距紀錄結束不到{horizon}天者{late}，第{alive}天之後已不活躍者"
            "{gone}名，紀錄開始前已註冊者{early}名。"
        ),
        "The suggested cut is the most striking of those tried: its p-value is corrected for the search and for "
        "the number of variables and groups; its ratio is likely to be nearer to 1 in new data.": (
            "建議的切點是所有嘗試過的切點中最突出的一個：其 p 值已就切點的搜尋以及變數與組別的個數校正；換成新資料時，"
            "比值很可能更接近1。"
        ),
        "What users did last in the window still tells a little of how idle they were at its end, for {days} days "
        "more: without any effect, ratios may be off by about one in a hundred.": (
            "用戶在這段期間最後做了什麼，仍透露少許結束時已閒置多久的訊息，影響可延續{days}天：即使毫無效應，比值也可"
            "能有約百分之一的偏差。"
        ),
        "Differences tell who churned, not what a change of behaviour would do.": (
            "這些差異說明誰流失，不說明改變行為會帶來什麼。"
        ),
        "Descriptive. Values are totals up to the last active day of the first spell: a longer spell leaves more "
        "time for everything, so churned users have less of it also where nothing has an effect. There are no "
        "p-values and no ratios; the early form gives all users the same window.": (
            "僅為描述。數值是首次使用期間至最後活躍日為止的總計：使用期間較長，做任何事的時間也較多，因此即使毫無效應，"
            "流失用戶的數值也較低。這裡沒有 p 值，也沒有比值；最初幾天的比較才讓所有用戶有相同長度的期間。"
        ),
        "Retained are users who still lived at the end of the log, however late they registered.": (
            "留存用戶是紀錄結束時尚未流失的用戶，不論註冊得多晚。"
        ),
        "Retained are users who still lived at the end of the log, however late they registered. Left out: {early} "
        "registered before the log.": (
            "留存用戶是紀錄結束時尚未流失的用戶，不論註冊得多晚。未納入：紀錄開始前已註冊者{early}名。"
        ),
        "Pooled as 'other', being small: {groups}.": "人數少而併為「其他」者：{groups}。",
        "Nothing to compare, since all or none churned: {groups}.": "全部流失或無人流失，無從比較者：{groups}。",
        "{n} {are} shown without a comparison: fewer than 5 users are expected in one of the four cells.": (
            "有{n}個切點只列出而不比較：四格中有一格的預期人數少於5名。"
        ),
        "{variable}: {users} of {n} without a value left out.": "{variable}：{n}名中有{users}無值，不納入。",
        "Without a cut, since all users have the same value or none: {variables}.": (
            "所有用戶的值都相同或無值，因此沒有切點：{variables}。"
        ),
        "Expected registrations: a negative binomial regression on {terms}, of the {days} days without bursts; "
        "variance m + {extra} m² of a day with mean m. P-values are its upper tail, the estimates' own error "
        "counted in.": (
            "預期的註冊數：就沒有註冊高峰的{days}天，以{terms}為解釋項作負二項迴歸；平均為 m 的一天，變異數為 m + "
            "{extra} m²。p 值取其上尾，已計入估計本身的誤差。"
        ),
        "holm": "Holm 法",
        "bonferroni": "Bonferroni 法",
        "hommel": "Hommel 法",
        "fdr_bh": "Benjamini-Hochberg 法",
        "fdr_by": "Benjamini-Yekutieli 法",
        "a constant level": "固定水準",
        "a straight trend": "直線趨勢",
        "a smooth trend with {n} knots": "有{n}個節點的平滑趨勢",
        "two yearly waves": "兩個年週期波",
        "the day of the week": "星期",
        "Weekdays are not told apart: that takes 28 days and 100 registrations. What they do counts as chance "
        "variation, so that only large bursts are found.": (
            "未區分星期：這需要28天與100筆註冊。星期的差異計為隨機變動，因此只找得到較大的註冊高峰。"
        ),
        "Weeks were not judged: fewer than 8 of them don't say how much weeks vary.": (
            "未判讀各週：少於8週，無法得知各週之間的變動有多大。"
        ),
        "P-values are adjusted by {method}; bursts have at most {alpha}.": (
            "p 值的校正方法：{method}；註冊高峰的 p 值至多為{alpha}。"
        ),
        "P-values are adjusted by {method}; bursts have at most {alpha}; days and weeks have half of it each.": (
            "p 值的校正方法：{method}；註冊高峰的 p 值至多為{alpha}，日與週各占一半。"
        ),
        "Far fewer registrations than expected on {days}, which are no reference either.": (
            "有{days}的註冊數遠低於預期，同樣不作為參照。"
        ),
        "The search went round in a circle; days that were a burst in any part of it are no reference.": (
            "搜尋未能收斂而反覆循環；其中任何一步曾屬於註冊高峰的日子，都不作為參照。"
        ),
        "Nobody registered before {first} or after {last}: {days} days of the log at its ends are left out.": (
            "{first}之前與{last}之後無人註冊：紀錄頭尾共{days}天不納入。"
        ),
        "{users} registered before the first day of the log, {first}: left out.": (
            "{users}在紀錄的第一天{first}之前已註冊，不納入。"
        ),
        "{users} registered before the first day of the log: left out.": "{users}在紀錄的第一天之前已註冊，不納入。",
        "The users have no column 'channel': hazard ratios are not adjusted for it.": (
            "用戶資料沒有「channel」欄：風險比未就通路校正。"
        ),
        "Hazard ratios of burst users are an association: those who come in a burst may differ from others in much "
        "that the model does not know. They are compared with all users registered outside bursts.": (
            "註冊高峰用戶的風險比是關聯：在註冊高峰進來的用戶，可能在許多模型不知道的方面與其他用戶不同。比較對象是在"
            "註冊高峰以外註冊的全部用戶。"
        ),
        "Hazard ratios: {warning}": "風險比：{warning}",
        "No hazard ratios: {fault}": "沒有風險比：{fault}",
        "{bursts} of fewer than {least} users have one hazard ratio, {label}.": (
            "用戶少於{least}名的{bursts}共用一個風險比，稱為{label}。"
        ),
        "{matched} of {n} bursts lie within {days} days of an event of the calendar; so do {share} % of all days. "
        "A match of days is no proof that the event brought the users.": (
            "{n}個註冊高峰中，有{matched}個與日曆事件相距{days}天以內；全部日子中則有{share}%如此。日期相符並不證明這"
            "些用戶是事件帶來的。"
        ),
        "No burst near {alone} of {n} events in these days: {names}.": (
            "這段期間的{n}個事件中，有{alone}個附近沒有註冊高峰：{names}。"
        ),
        "{n} events of the calendar lie outside {first} to {last}.": "日曆中有{n}個事件不在{first}至{last}之間。",
        "Value is margin less cost of a user, costs by channel taken as exact; 'sure' is its chance to exceed what "
        "is asked for by the normal law of the estimate, an approximation. Verdicts hold together (Holm).": (
            "用戶價值為每名用戶的毛利減去成本，各通路的成本視為精確值；判定旁的機率，是依估計值的常態近似，價值超過要"
            "求水準的機率。各項判定同時成立（Holm 法）。"
        ),
        "Fewer than {least} users of {channels} were followed to day {day}: intervals are rough.": (
            "{channels}追蹤至第{day}天的用戶少於{least}名：區間只是粗略的。"
        ),
        "Without a margin there is no value and no verdict: channels are compared in days.": (
            "沒有毛利就沒有價值，也沒有判定：各通路以天數比較。"
        ),
        "Without costs there is no value and no verdict: costs of 0 are to be stated.": (
            "沒有成本就沒有價值，也沒有判定：成本為0時也須寫明。"
        ),
        "{channel} is followed to day {last} only: it has no figures for {days} days.": (
            "{channel}只追蹤至第{last}天：沒有{days}天的數字。"
        ),
        "{channel}: all users bring the same, so that nothing is known of chance: watch it.": (
            "{channel}：所有用戶帶來的收益都相同，無從得知隨機變動的大小，因此列為觀察。"
        ),
        "{channel}: no conversion by day {day}. Of the users who had not invested nobody was followed beyond day "
        "{last}.": "{channel}：至第{day}天的首次投資比例無法估計。尚未投資的用戶中，無人追蹤超過第{last}天。",
        "{channel}: no mean days until churn within {days} days. Of the users who had not churned nobody was "
        "followed beyond day {last}.": (
            "{channel}：{days}天內的平均流失前天數無法估計。尚未流失的用戶中，無人追蹤超過第{last}天。"
        ),
        "{users} of {n} registered less than {days} days before the end of the log: they count for the days that "
        "they were followed for. That takes them to be like those registered earlier.": (
            "{n}名中有{users}註冊距紀錄結束不到{days}天：只計入其已被追蹤的天數。這等於假設他們與較早註冊的用戶相同。"
        ),
        "Costs are the sums of 'amount' over the users registered in the log.": (
            "每名用戶的成本，是 amount 欄的總和除以紀錄期間註冊的用戶數。"
        ),
        "No cost is known of {channels}: no value and no verdict for it.": (
            "{channels}的成本未知：沒有價值，也沒有判定。"
        ),
        "costs": "成本表",
        "margin": "毛利表",
        "rewards": "獎勵",
        "of users who did not register in the log": "屬於未在紀錄期間註冊的用戶",
        "before registration or after the log": "早於註冊或晚於紀錄",
        "{table}: {rows} {why} {are} left out.": "{table}：{rows}{why}，不予採用。",
        "costs: {rows} {are} dated outside the log, {first} to {last}, and left out.": (
            "成本表：{rows}的日期不在紀錄期間（{first}至{last}），不予採用。"
        ),
        "{table}: no user in the log has {names}.": "{table}：紀錄中沒有用戶屬於{names}。",
        "Left out: {parts}. {reason}": "從略：{parts}。{reason}",
        "The users have no column 'channel'; name theirs under [columns.users].": (
            "用戶資料沒有「channel」欄；請在 [columns.users] 指定對應的欄位。"
        ),
        "All users are in one stage ({stage}), by {variable}.": "依{variable}劃分，所有用戶都在同一個階段（{stage}）。",
        "All users have the same stage, channel and month of registration, as far as is known.": (
            "就已知資訊而言，所有用戶的階段、通路與註冊月份都相同。"
        ),
        "The users do not differ in anything that the tables tell of their behaviour.": (
            "就資料表所記錄的行為而言，用戶之間沒有差異。"
        ),
        "lifecycle stages": "生命週期階段",
        "churn by stage, channel and cohort": "依階段、通路與註冊月份的流失",
        "churn by channel": "依通路的流失",
        "churned against retained users in their first days": "最初幾天流失與留存用戶的對照",
        "churned against living users over their first spells": "首次使用期間流失與仍活躍用戶的對照",
        "bursts of registrations": "註冊高峰",
        "the value of channels": "通路的價值",
        "reasons of churn": "流失的原因",
        "reasons of churn by group": "各組的流失原因",
        "problems that users met": "用戶遇到的問題",
        "returns watched day by day": "逐日監測回訪",
        "returns after dates": "事件日之後的回訪",
        "There is no feedback of users: sources.feedback has user_id, date and reason.": (
            "沒有用戶的回答：sources.feedback 應有 user_id、date 與 reason 欄。"
        ),
        "No event is of the kind {kinds} or {last}: see why.problems.": (
            "沒有種類為{kinds}或{last}的事件：見 why.problems。"
        ),
        "Returns are watched up to the day before {day}: the last day is not there in full.": (
            "回訪只監測到{day}的前一天：最後一天的資料不完整。"
        ),
        "Satisfaction is left out. {fault}": "滿意度從略。{fault}",
    }
)
