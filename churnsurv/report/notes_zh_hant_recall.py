"""What results of campaigns say of themselves, in Traditional Chinese; a part of the catalogue in `messages_zh_hant`.

Keys are the templates of `churnsurv.notes.note` as they stand in the code; the fields are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["NOTES"]

NOTES: Mapping[str, str] = MappingProxyType(
    {
        # what a reader must know of a lift
        "Not to be read as an experiment: {check}, {where}: {words}": "不可當作實驗解讀：{check}，{where}：{words}",
        "{users} of {n} could not be followed for {days} days yet: they count for the days that they were followed "
        "for, and are not failures.": "{n}中有{users}尚未追蹤滿{days}天：只計入已追蹤的天數，並未當作未回流。",
        "Days and money are of all users assigned, what came after a return included: those who returned are no "
        "random part of them, so nothing is compared among them alone.": (
            "天數與金額以所有分派的用戶計，含回流之後的部分：回流者並非其中隨機的一部分，所以不單獨比較回流者。"
        ),
        "{n} arms are compared with one control: p-values by {method}; limits hold for all of them together.": (
            "{n}組與同一個對照組比較；p 值的校正方法：{method}；上下限對所有組同時成立。"
        ),
        "{n} arms are compared with one control: p-values by {method}; limits hold each alone.": (
            "{n}組與同一個對照組比較；p 值的校正方法：{method}；上下限只就各組單獨成立。"
        ),
        "Rows with adjusted = True are adjusted for {names}, all known before the assignment; curves are not "
        "adjusted.": "「校正後」的數字已就{names}校正，這些都在分派前已知；曲線未校正。",
        "Amounts are skewed: limits are the outer ones of bootstrap-t and normal, p-values 0.001 at least.": (
            "金額分布偏斜：上下限取 bootstrap-t 與常態近似中較寬者，p 值至少為0.001。"
        ),
        "Amounts are skewed, and users too many to resample: their limits are moved outwards for skewness.": (
            "金額分布偏斜，且用戶太多而不重抽樣：上下限已就偏斜向外調整。"
        ),
        "Limits of some amounts are normal: with so many users their skewness moves no limit.": (
            "部分金額的上下限採常態近似：用戶數夠多，偏斜不影響上下限。"
        ),
        "net_value has no costs of contacts and no rewards: none were given.": (
            "淨值未扣除接觸成本與獎勵：未提供這些資料。"
        ),
        "net_value has no costs of contacts: none were given.": "淨值未扣除接觸成本：未提供這些資料。",
        "net_value has no rewards: none were given.": "淨值未扣除獎勵：未提供這些資料。",
        "Rewards promised that may still be released after day {day} are counted as paid in net_value: choose a "
        "horizon beyond their release window to see what becomes of them.": (
            "已承諾、在第{day}天之後仍可能發放的獎勵，在淨值中視為已支付：若要知道其結果，請選擇超過發放期限的觀察期。"
        ),
        "Subgroups by {columns}: an effect that is clear in one group and not in another is no sign that they "
        "differ; heterogeneity_p_value is the test of that.": (
            "依{columns}的分群：效果在某一分群明確、在另一分群不明確，並不表示兩者不同；這要看異質性的 p 值。"
        ),
        "{campaign}, {arm}: {said}.": "{campaign}，{arm}：{said}。",
        "no hazard ratio, as nobody of the control returned": "對照組無人回流，沒有回流速度比",
        "no hazard ratio, as nobody of the arm returned": "該組無人回流，沒有回流速度比",
        "no hazard ratio, as it is not finite": "回流速度比不是有限值，不列出",
        "{campaign}: an arm of {n} is too small to adjust for {covariates} covariates.": (
            "{campaign}：有一組只有{n}名用戶，不足以就{covariates}個共變數校正。"
        ),
        "{name} is the same for all, and nothing to adjust for.": "{name}對所有用戶都相同，無須校正。",
        "{name} is missing for {n} rows, which count with the mean of the others.": (
            "{name}有{n}列缺漏，以其餘各列的平均數代替。"
        ),
        "{campaign}, {arm}: one user makes up {share} of the variance of {outcome}, and no limits can be trusted "
        "then.": "{campaign}，{arm}：單一用戶占{outcome}變異數的{share}，此時的上下限都不可信。",
        "reinvested": "再投資金額",
        "net_value": "淨值",
        "Assignments or events are dates without a time of day: all activity on the day of assignment counts as a "
        "return, also what came before the assignment, in every arm alike.": (
            "分派或事件只有日期而沒有時刻：分派當天的所有活躍行為都視為回流，包括分派之前發生的；各組一律如此。"
        ),
        "The log begins less than 30 days before {n} assignments: less is known of before.": (
            "有{n}筆分派距紀錄開始不滿30天：對分派前所知較少。"
        ),
        "{n} assigned users registered before the log begins; one not seen in it before the assignment counts as "
        "idle since the day before it begins.": (
            "有{n}名受分派的用戶在紀錄開始前就已註冊；分派前未在紀錄中出現者，視為自紀錄開始前一天起閒置。"
        ),
        "{table}: 1 row is left out; .problems lists them with their reasons.": "{table}：排除1列；原因見問題清單。",
        "{table}: {n} rows are left out; .problems lists them with their reasons.": (
            "{table}：排除{n}列；原因見問題清單。"
        ),
        "the table of assignments": "分派表",
        "the table of rewards": "獎勵表",
        "Events have no amount: nothing is known of what was invested.": "事件沒有金額：無從得知投資了多少。",
        # without lots
        "Observational: nobody drew lots. Differences are effects only if users who are alike in {names} were "
        "contacted by chance; what is not among these can be behind all of it (see the E-values).": (
            "觀察性比較：未經隨機分派。只有在{names}相近的用戶是否被接觸純屬機遇時，差異才是效果；不在其中的因素可能"
            "就是差異的全部來源（見 E 值）。"
        ),
        "Rows with adjusted=False are weighted by the inverse of the chance of the arm; with adjusted=True they "
        "are doubly robust: right if the chances, or the linear regressions of the outcome, are.": (
            "未校正的數字以接觸機率的倒數加權；校正後的數字為雙重穩健估計：接觸機率或結果的線性迴歸有一者正確即可。"
        ),
        "A hazard ratio is not given: weighted, it is not that of users who are alike.": (
            "不列回流速度比（風險比）：加權後的比值並非相近用戶之間的比值。"
        ),
        # those who were reached
        "The effect on those reached because of the arm holds if the arm acts through the contact alone, and "
        "reaches nobody less than the control does. No effect on others is told by it.": (
            "對因分派而被接觸到者的效果，須在該組只透過接觸起作用、且不會比對照組少接觸任何人時才成立。這不說明對其他"
            "人的效果。"
        ),
        'Rows "as treated" compare those reached with those not reached in the same arm: they differ in much '
        "else (who can be reached uses the app more), so that this is no effect of the contact.": (
            "「依實際接觸」的數字比較同一組中接觸到與未接觸到的用戶：兩者在許多方面都不同（接觸得到的人較常使用 app），"
            "所以不是接觸的效果。"
        ),
        "Opening is taken as the contact: a message that is seen and not opened still acts, and all that it does "
        "is put down to those who opened. Take this effect as an upper end, and the one on those delivered to as "
        "the answer.": (
            "以開啟訊息視為接觸：看到而未開啟的訊息仍可能有作用，卻全算在開啟者身上。此效果請視為上限，並以送達者的效"
            "果作為答案。"
        ),
        "{arm}: no more users were reached than in the control ({share} and {control}), so that nothing can be "
        "told of those reached.": "{arm}：接觸到的用戶不比對照組多（{share}與{control}），無法說明被接觸者的效果。",
        # checks
        "sample ratio": "分派比例",
        "share over time": "各週占比",
        "left out": "排除的資料",
        "follow-up": "追蹤",
        "balance of the arms": "各組平衡",
        "A/A before": "接觸前的 A/A 檢查",
        "contamination": "對照組受接觸",
        "immortal time": "不死時間",
        "overlaps": "活動重疊",
        "overlap": "機率重疊",
        "balance after weighting": "加權後的平衡",
        "{n} clusters": "{n}個群集",
        "{arms} users": "各組用戶數：{arms}",
        "{arms} clusters": "各組群集數：{arms}",
        "{found}. Nobody said what was planned: give shares= to have it tested.": (
            "{found}。未說明原定比例：提供原定比例才能檢定。"
        ),
        "{found} by inverse propensity, {total} assigned": "依傾向分數倒數計為{found}，實際分派{total}",
        "{n} of {total} are in {arm}, {planned} were planned": "{total}中有{n}在{arm}，原定{planned}",
        "{found}: as chance would have it.": "{found}：在機遇範圍內。",
        "{found}: chance does not do that. Users were lost or added after the draw, or the plan was another one; "
        "until it is known which, the lift may be that of who was lost.": (
            "{found}：超出機遇範圍。抽籤後有用戶流失或加入名單，或原定比例並非如此；在查明之前，所見的提升可能只是名"
            "單變動的結果。"
        ),
        "The share of {arm} is steady over the weeks of assignment.": "{arm}的占比在分派的各週大致穩定。",
        "The share of {arm} runs from {low} to {high} over the weeks of assignment. Users of different weeks "
        "differ and are followed for different times: name the week (or the day) in strata=.": (
            "{arm}的占比在分派的各週間由{low}到{high}不等。不同週的用戶不同，追蹤時間也不同：請將週別（或日期）設為分"
            "層。"
        ),
        "Left out: {shares} of the rows.": "排除的資料列占比：{shares}。",
        "{said} An arm lost more than the others: who is left is no longer drawn at random. See .problems.": (
            "{said}有一組排除得比其他組多：留下的用戶已不再是隨機抽出的。明細見問題清單。"
        ),
        "Followed for {days} days: {shares}.": "追蹤滿{days}天的占比：{shares}。",
        "{said} The arms were assigned at different times, so that days after the assignment are those of other "
        "weeks in one arm than in the other: name the week of assignment in strata=.": (
            "{said}各組的分派時間不同，分派後的同一天在各組落在不同的週：請將分派的週別設為分層。"
        ),
        "Largest difference: {name} in {arm}, {difference} standard deviations.": (
            "最大差異在{arm}：{name}，相差{difference}個標準差。"
        ),
        "{said} Arms drawn at random do not differ so much in what was known before. Where their shares changed "
        "over time, name the week in strata=; where something chose the users of an arm, use "
        "design='observational'.": (
            "{said}隨機抽出的各組，在事前已知的特徵上不會相差這麼多。若各組占比隨時間改變，請將週別設為分層；若某組的"
            "用戶是挑選出來的，請改用觀察性設計。"
        ),
        "{name}, a user: {mean} in {arm}, {other} in the control, before anybody was contacted": (
            "在接觸任何人之前，{name}（每名用戶平均）：{arm}為{mean}，對照組為{other}"
        ),
        "{before}: no effect, as there can be none.": "{before}：沒有效果，本來也不可能有。",
        "{before}. A lift of this kind is there without the campaign.": (
            "{before}。這樣的提升在沒有召回活動時就已存在。"
        ),
        "Nobody in {arm} was contacted.": "{arm}沒有人被接觸。",
        "{n} of {total} users in {arm} were contacted ({ways})": "{arm}的{total}名用戶中，有{n}名被接觸（{ways}）",
        "{n} were delivered a message": "{n}名收到訊息",
        "{n} opened one": "{n}名開啟訊息",
        "{n} had a second contact": "{n}名有第二次接觸",
        "{found}: the lift is that of the assignment, and less than that of the contact. exposure='delivered' asks "
        "for the latter.": "{found}：所見的提升是分派的效果，比接觸本身的效果小。若要後者，請以訊息送達者估計。",
        "{found}: the difference is less than that of the contact. Check how arms were written down; leaving these "
        "users out, or moving them, is right only if they were meant for the contact on the day of assignment.": (
            "{found}：所見的差異比接觸本身的差異小。請查核各組是如何登記的；只有在這些用戶於分派當天就預定接觸時，才"
            "可將其排除或改組。"
        ),
        "{n} of {total} users are in another campaign, too, within {days} days.": (
            "{total}名用戶中，有{n}名在{days}天內也參加另一個召回活動。"
        ),
        "{said} Their arms go together (most with {campaign}): the lift is in part that of the other campaign. "
        "Compare users with the same arm there, by strata=, or leave them out.": (
            "{said}兩邊的組別彼此相關（與{campaign}最明顯）：所見的提升有一部分屬於另一個活動。請以分層比較在該活動同"
            "組的用戶，或將其排除。"
        ),
        "{said} Their arms there do not depend on the arm here: the lift is that of this campaign amid the others.": (
            "{said}他們在另一邊的組別與此處無關：所見的提升是此活動在其他活動並行下的效果。"
        ),
        "Between the assignment and the message {users} of {arm} returned; at the pace of the control {expected} "
        "would have.": "從分派到發送訊息之間，{arm}有{users}回流；若與對照組同速，應有{expected}名。",
        "{share} of the users have a chance of the arm below 2 or above 98 %; weighted, the users of an arm are "
        "worth {worth} of their number, or more. Few users who stand for many make wide limits.": (
            "{share}的用戶接受接觸的機率低於2%或高於98%；加權後，各組用戶的有效人數至少為實際人數的{worth}。少數用戶"
            "代表多數人時，上下限就會變寬。"
        ),
        "The largest difference of a covariate is {difference} standard deviations after weighting; below 0.1 is "
        "taken as balanced. Above it, add powers or other covariates.": (
            "加權後共變數的最大差異為{difference}個標準差；低於0.1視為平衡。若高於此值，請加入次方項或其他共變數。"
        ),
        # names
        "tenure at assignment": "分派時的註冊天數",
        "pre_active_days": "分派前活躍天數",
        "pre_invested": "分派前投資金額",
        "pre_balance": "分派前餘額",
        "pre_idle_days": "分派前閒置天數",
        "holm": "Holm 法",
        "dunnett": "Dunnett 法",
        "bonferroni": "Bonferroni 法",
        "hommel": "Hommel 法",
        "fdr_bh": "Benjamini-Hochberg 法",
        "fdr_by": "Benjamini-Yekutieli 法",
        "no correction": "無（未校正）",
        # parts of a study
        "what campaigns brought back": "召回活動帶回的成果",
        "what they brought back by group": "各分群帶回的成果",
        "campaigns as they ran": "召回活動的進行過程",
    }
)
