# Competing causes: cumulative incidence, Gray's test, Fine and Gray's model.
# Run with:  Rscript tests/reference/competing.R      Needs R with survival and cmprsk. Writes output_competing/.
#
# Which reference is which: `survfit` the infinitesimal jackknife, `cuminc` the delta method and Gray's test, `finegray`
# with `coxph` the default model, `crr` the other one. Where R has no answer it is written out here from R's own pieces,
# and the script stops if that differs from R where R has one:
#   - survfit (3.5.3) takes no heed of `cluster` in multi-state curves: its influence values, summed by cluster, squared;
#   - finegray takes no heed of weights in the distribution of censoring: the rows that stay, split at every event, with
#     weights from survfit(weights = );
#   - frequencies are repeated rows.

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
setwd(dirname(normalizePath(script)))
suppressMessages({library(survival); library(cmprsk)})
source("common.R")

# --- data --------------------------------------------------------------------------------------------------------------

# Days with heavy ties, censoring and other causes on the same days, entries among the events, groups and strata that differ.
daily <- function() {
  set.seed(20261122)
  n <- 180
  group <- sample(c("a", "b", "c"), n, TRUE, c(0.5, 0.3, 0.2))
  stratum <- sample(0:1, n, TRUE)
  x <- round(rnorm(n), 2)
  life <- 1 + rpois(n, exp(2.6 - 0.2 * x + 0.2 * (group == "b") - 0.1 * stratum))
  end <- sample(4:24, n, TRUE)
  cause <- 1 + rbinom(n, 1, plogis(-0.3 + 0.6 * x + 0.4 * (group == "c")))
  entry <- ifelse(runif(n) < 0.35, sample(1:9, n, TRUE), 0)
  duration <- pmax(pmin(life, end), entry + 1)
  data.frame(entry, duration, outcome = ifelse(life <= end, cause, 0), group, stratum, x, user = sample(0:69, n, TRUE),
             users = 1 + rpois(n, 0.7), drawn = round(runif(n, 0.5, 3), 2))
}
# Times that are all different, three causes, and the last row an event.
moments <- function() {
  set.seed(20261123)
  n <- 70
  life <- rexp(n) + 0.1
  end <- runif(n, 0.2, 2)
  outcome <- ifelse(life <= end, sample(1:3, n, TRUE), 0)
  duration <- round(pmin(life, end), 4)
  outcome[which.max(duration)] <- 1
  data.frame(entry = 0, duration, outcome, group = sample(c("a", "b"), n, TRUE), stratum = 0, x = round(rnorm(n), 2),
             user = seq_len(n) - 1, users = 1, drawn = 1)
}
# Churn, censoring and other causes on day 0 already; a group without the second cause.
early <- function() {
  set.seed(20261124)
  n <- 60
  group <- sample(c("a", "b"), n, TRUE)
  outcome <- sample(0:2, n, TRUE)
  outcome[group == "b" & outcome == 2] <- 0
  data.frame(entry = 0, duration = sample(0:6, n, TRUE), outcome, group, stratum = 0, x = round(rnorm(n), 2),
             user = seq_len(n) - 1, users = 1, drawn = 1)
}
sets <- list(daily = daily(), moments = moments(), early = early())
rows_of <- function(name) transform(sets[[name]], row = seq_len(nrow(sets[[name]])), status = factor(outcome))

# --- cumulative incidence ----------------------------------------------------------------------------------------------

curves <- read.csv(text = "case,data,by,entry,weights,cluster
daily,daily,,,,
daily by group,daily,group,,,
daily entry,daily,group,yes,,
daily frequency,daily,,yes,frequency,
daily sampling,daily,group,,sampling,
daily sampling entry,daily,,yes,sampling,
daily cluster,daily,,,,user
daily cluster entry,daily,group,yes,,user
daily cluster sampling,daily,,yes,sampling,user
moments,moments,group,,,
early,early,group,,,", colClasses = "character")

run_curves <- function(case) {
  all <- rows_of(case$data)
  if (case$weights == "frequency") all <- transform(all[rep(all$row, all$users), ], row = seq_len(sum(all$users)))
  groups <- if (case$by == "") list(all = all) else split(all, all[[case$by]])
  for (name in names(groups)) {
    d <- groups[[name]]
    d$weight <- if (case$weights == "sampling") d$drawn else 1
    late <- case$entry == "yes"
    y <- if (late) with(d, Surv(entry, duration, status)) else with(d, Surv(duration, status))
    fit <- survfit(y ~ 1, d, id = row, weights = weight, influence = TRUE)
    causes <- setdiff(levels(d$status), "0")
    for (k in seq_along(causes)) {
      error <- fit$std.err[, k + 1]
      mine <- fit$influence.pstate[, -1, k + 1] * d$weight  # the first column is before all times
      stopifnot(max(abs(sqrt(colSums(mine^2)) - error)) < 1e-12)
      if (case$cluster != "") error <- sqrt(colSums(rowsum(mine, d[[case$cluster]])^2))
      emit("curves", case = case$case, group = name, cause = causes[k], time = number(fit$time),
           incidence = number(fit$pstate[, k + 1]), std_error = number(error), n_at_risk = number(fit$n.risk[, 1]),
           n_events = number(fit$n.event[, k + 1]))
    }
  }
}

deltas <- read.csv(text = "case,data,by
daily,daily,
daily by group,daily,group
moments,moments,group
early,early,", colClasses = "character")
run_delta <- function(case) {
  d <- rows_of(case$data)
  fit <- cuminc(d$duration, d$outcome, if (case$by == "") rep("all", nrow(d)) else d$group)
  for (name in setdiff(names(fit), "Tests")) {
    one <- fit[[name]]
    last <- !duplicated(one$time, fromLast = TRUE)
    part <- strsplit(name, " ")[[1]]
    emit("delta", case = case$case, group = part[1], cause = part[2], time = number(one$time[last]),
         incidence = number(one$est[last]), std_error = number(sqrt(one$var[last])))
  }
}

# --- Gray's test -------------------------------------------------------------------------------------------------------

grays <- read.csv(text = "case,data,strata,rho
daily,daily,,0
daily rho 1,daily,,1
daily rho -0.5,daily,,-0.5
daily strata,daily,stratum,0
daily strata rho 2,daily,stratum,2
moments,moments,,0
early,early,,0", colClasses = "character")
run_gray <- function(case) {
  d <- rows_of(case$data)
  strata <- if (case$strata == "") rep(1, nrow(d)) else d$stratum
  found <- cuminc(d$duration, d$outcome, d$group, strata, rho = as.numeric(case$rho))$Tests
  emit("gray", case = case$case, cause = rownames(found), statistic = number(found[, "stat"]),
       p_value = number(found[, "pv"]), df = found[, "df"])
}

# --- Fine and Gray -----------------------------------------------------------------------------------------------------

models <- read.csv(text = "case,data,cause,covariates,ties,entry,strata,weights,censoring,cluster
daily,daily,1,x|group,efron,,,,,
daily other cause,daily,2,x|group,efron,,,,,
daily breslow,daily,1,x|group,breslow,,,,,
daily strata,daily,1,x|group,efron,,yes,,,
daily entry,daily,1,x|group,efron,yes,,,,
daily entry strata,daily,1,x|group,efron,yes,yes,,,
daily cluster,daily,1,x|group,efron,yes,,,,user
daily frequency,daily,1,x|group,efron,yes,,frequency,,
daily frequency cluster,daily,1,x|group,efron,yes,,frequency,,user
daily sampling,daily,1,x|group,efron,,,sampling,weighted,
daily sampling entry,daily,1,x|group,efron,yes,yes,sampling,weighted,user
daily sampling finegray,daily,1,x|group,efron,yes,,sampling,unweighted,
moments,moments,2,x|group,efron,,,,,
early,early,1,x|group,efron,,,,,", colClasses = "character")

control <- coxph.control(eps = 1e-14, iter.max = 100, toler.chol = 1e-15)
design <- function(d, covariates) {
  x <- list()
  for (name in columns(covariates)) {
    levels <- sort(unique(d[[name]]))[-1]
    if (name == "x") x$x <- d$x
    else for (level in levels) x[[paste0(name, ": ", level)]] <- as.numeric(d[[name]] == level)
  }
  do.call(cbind, x)
}
# Rows that stay, split at each event of the cause; G and H of weighted rows, in the order in which finegray has them.
expanded <- function(d, cause, censoring_weight) {
  out <- list()
  for (s in unique(d$stratum)) {
    of <- which(d$stratum == s)
    u <- sort(unique(c(d$entry[of], d$duration[of])))  # whole numbers in the order of the times
    start <- match(d$entry[of], u)
    stop <- match(d$duration[of], u) - ifelse(d$outcome[of] == 0, 0, 0.2)
    w <- censoring_weight[of]
    G <- survfit(Surv(start, stop, d$outcome[of] == 0) ~ 1, weights = w)
    H <- survfit(Surv(-stop, -start, rep(1, length(of))) ~ 1, weights = w)
    before_G <- function(t) c(1, G$surv)[1 + findInterval(match(t, u) - 0.1, G$time)]
    # entered before t: the curve of reversed times just after -t
    before_H <- function(t) c(1, H$surv)[1 + findInterval(-match(t, u) + 0.1, H$time)]
    K <- function(t) before_G(t) * before_H(t)
    times <- sort(unique(d$duration[of][d$outcome[of] == cause]))
    for (i in of) {
      own <- data.frame(row = i, start = d$entry[i], stop = d$duration[i], event = as.numeric(d$outcome[i] == cause), share = 1)
      if (d$outcome[i] != 0 && d$outcome[i] != cause && any(times > d$duration[i])) {
        after <- times[times > d$duration[i]]
        own <- rbind(own, data.frame(row = i, start = c(d$duration[i], after[-length(after)]), stop = after, event = 0,
                                     share = K(after) / K(d$duration[i])))
      }
      out[[length(out) + 1]] <- own
    }
  }
  do.call(rbind, out)
}
run_model <- function(case) {
  d <- rows_of(case$data)
  if (case$weights == "frequency") d <- transform(d[rep(d$row, d$users), ], row = seq_len(sum(d$users)))
  if (case$entry == "") d$entry <- if (case$data == "early") -1 else 0
  if (case$strata == "") d$stratum <- 0
  d$weight <- if (case$weights == "sampling") d$drawn else 1
  x <- design(d, case$covariates)
  by_definition <- expanded(d, case$cause, if (case$censoring == "weighted") d$weight else rep(1, nrow(d)))
  fit_to <- function(long, case_weights) coxph(
    Surv(start, stop, event) ~ x[long$row, , drop = FALSE] + strata(d$stratum[long$row]), long, weights = case_weights,
    cluster = (if (case$cluster == "") d$row else d[[case$cluster]])[long$row], ties = case$ties, control = control)
  fit <- fit_to(by_definition, by_definition$share * d$weight[by_definition$row])
  if (case$censoring != "weighted") {
    d$stratum <- factor(d$stratum)
    split <- if (nlevels(d$stratum) > 1) finegray(Surv(entry, duration, status) ~ row + strata(stratum), d, id = row, etype = case$cause)
             else finegray(Surv(entry, duration, status) ~ row, d, id = row, etype = case$cause)
    long <- data.frame(row = split$row, start = split$fgstart, stop = split$fgstop, event = split$fgstatus)
    theirs <- fit_to(long, split$fgwt * d$weight[long$row])
    stopifnot(max(abs(coef(theirs) - coef(fit))) < 1e-9, max(abs(theirs$var / fit$var - 1)) < 1e-8)
    fit <- theirs
  }
  emit("model", case = case$case, term = colnames(x), estimate = number(coef(fit)), std_error = number(sqrt(diag(fit$var))))
  emit("model_covariance", case = case$case, row = rep(seq_len(ncol(x)), ncol(x)), column = rep(seq_len(ncol(x)), each = ncol(x)),
       covariance = number(as.vector(fit$var)))
  emit("model_fit", case = case$case, n_events = sum(d$outcome == case$cause), log_likelihood_null = number(fit$loglik[1]),
       log_likelihood = number(fit$loglik[2]))
  if (case$strata == "" && case$weights == "") run_prediction(case, d, x, fit)
}
# The same rows once more as a plain frame, so that survfit knows the columns.
run_prediction <- function(case, d, x, fit) {
  split <- finegray(Surv(entry, duration, status) ~ row, d, id = row, etype = case$cause)
  names(split)[names(split) == "row"] <- "at"
  frame <- data.frame(split, as.data.frame(x)[split$at, , drop = FALSE], check.names = FALSE)
  frame$who <- (if (case$cluster == "") d$row else d[[case$cluster]])[split$at]
  terms <- paste0("`", colnames(x), "`", collapse = " + ")
  again <- coxph(as.formula(paste("Surv(fgstart, fgstop, fgstatus) ~", terms)), frame, weights = fgwt, cluster = who,
                 ties = case$ties, control = control)
  stopifnot(max(abs(coef(again) - coef(fit))) < 1e-9)
  new <- as.data.frame(x)[c(1, 5, 9), , drop = FALSE]
  for (type in c("log-log", "plain")) {
    found <- summary(survfit(again, new, conf.type = type), times = sort(unique(d$duration[d$outcome == case$cause])))
    n <- length(found$time)
    emit("prediction", case = case$case, ci = type, row = rep(c(0, 4, 8), each = n), time = number(rep(found$time, 3)),
         incidence = number(1 - as.vector(found$surv)), lower = number(1 - as.vector(found$upper)),
         upper = number(1 - as.vector(found$lower)))
  }
}

crrs <- read.csv(text = "case,data,cause,covariates,weights
daily,daily,1,x|group,
daily other cause,daily,2,x|group,
daily frequency,daily,1,x,frequency
moments,moments,1,x|group,
early,early,1,x|group,", colClasses = "character")
run_crr <- function(case) {
  d <- rows_of(case$data)
  if (case$weights == "frequency") d <- d[rep(d$row, d$users), ]
  x <- design(d, case$covariates)
  # on day 0 crr takes G after the censorings of the day instead of before them; a day later it does not
  later <- if (any(d$duration == 0)) 1 else 0
  fit <- crr(d$duration + later, d$outcome, x, failcode = case$cause, gtol = 1e-13, maxiter = 200)
  emit("crr", case = case$case, term = colnames(x), estimate = number(fit$coef), std_error = number(sqrt(diag(fit$var))))
  emit("crr_fit", case = case$case, log_likelihood_null = number(fit$loglik.null), log_likelihood = number(fit$loglik))
}

dir.create("output_competing", showWarnings = FALSE)
every <- function(cases, run) for (i in seq_len(nrow(cases))) run(as.list(cases[i, ]))
every(curves, run_curves)
every(deltas, run_delta)
every(grays, run_gray)
every(models, run_model)
every(crrs, run_crr)
for (name in names(rows)) write_output(name, "output_competing")
for (name in c("curves", "deltas", "grays", "models", "crrs"))
  write.csv(get(name), paste0("output_competing/cases_", name, ".csv"), row.names = FALSE, quote = FALSE)
all_sets <- do.call(rbind, lapply(names(sets), function(name) cbind(data = name, sets[[name]])))
write.csv(all_sets, "output_competing/data.csv", row.names = FALSE, quote = FALSE, na = "")
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), "output_competing/session_info.txt")
