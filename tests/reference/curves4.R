# R's answers for weighted curves, arcsine intervals, cumulative hazards, restricted means, conditional survival and mean
# cumulative numbers of churns. Run with:  Rscript tests/reference/curves4.R
# Needs R with the survival package. Reads cases/curves.csv and data/ (made by reference.R), writes output_curves/.
#
# A frequency is answered by repeating rows, a sampling weight by survfit(weights = , robust = TRUE).

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
setwd(dirname(normalizePath(script)))
library(survival)
options(warn = 2)
source("common.R")

fitted_curve <- function(case, part, ...) {
  arguments <- list(as.formula(paste(response(case), "~ 1")), data = part, conf.int = as.numeric(case$level), ...)
  sampling <- case$weights_kind == "sampling"
  if (sampling) arguments <- c(arguments, list(weights = quote(w), robust = TRUE))
  # with entry R wants to be told who is who; each row is its own where the case has no cluster
  if (case$cluster != "" || (sampling && case$entry != "")) arguments$cluster <- quote(id)
  do.call(survfit, arguments)
}

run_curves <- function(case) {
  frame <- case_data(case)
  frame$g <- joined(frame, columns(case$by))
  frame$id <- if (case$cluster == "") seq_len(nrow(frame)) else frame[[case$cluster]]
  frame$w <- if (case$weights == "") 1 else frame[[case$weights]]
  if (case$weights_kind == "frequency") frame <- frame[rep(seq_len(nrow(frame)), frame$w), ]
  robust <- case$cluster != "" || case$weights_kind == "sampling"
  horizon <- as.numeric(case$horizon)
  alive_at <- as.numeric(case$alive_at)
  for (group in levels(frame$g)) {
    part <- frame[frame$g == group, ]
    fits <- lapply(c("log-log", "log", "plain", "arcsin"), function(conf) fitted_curve(case, part, conf.type = conf))
    names(fits) <- c("log-log", "log", "plain", "arcsin")
    fit <- fits$plain
    limits <- lapply(fits, function(f) cbind(f$lower, f$upper))
    emit("curves", case = case$case, group = group, time = number(fit$time), n_at_risk = number(fit$n.risk),
         n_events = number(fit$n.event), survival = number(fit$surv),
         std_error = number(summary(fit, times = fit$time)$std.err),
         "lower log-log" = number(limits[["log-log"]][, 1]), "upper log-log" = number(limits[["log-log"]][, 2]),
         "lower log" = number(limits$log[, 1]), "upper log" = number(limits$log[, 2]),
         "lower plain" = number(limits$plain[, 1]), "upper plain" = number(limits$plain[, 2]),
         "lower arcsine" = number(limits$arcsin[, 1]), "upper arcsine" = number(limits$arcsin[, 2]),
         cumulative_hazard = number(fit$cumhaz), hazard_error = number(fit$std.chaz))
    # print(survfit, rmean = ) has Greenwood's error only; the robust one is the sum of squares of the influences
    area <- summary(fit, rmean = horizon)$table
    error <- area[["se(rmean)"]]
    if (robust) {
      influence <- as.vector(residuals(fit, times = horizon, type = "auc", weighted = FALSE)) * part$w^(case$weights_kind == "sampling")
      error <- sqrt(sum(rowsum(influence, as.character(part$id))^2))
    }
    emit("rmst", case = case$case, group = group, horizon = horizon, estimate = number(area[["rmean"]]),
         std_error = number(error))
    if (max(part$duration) > alive_at) {
      # R's curve from start.time has the churns of that very day in it; ours is of those who outlived the day
      later <- fitted_curve(case, part, conf.type = "log", start.time = alive_at + 1e-6)
      after <- later$time > alive_at
      emit("conditional", case = case$case, group = group, alive_at = alive_at, time = number(later$time[after] - alive_at),
           survival = number(later$surv[after]), std_error = number(summary(later, times = later$time[after])$std.err),
           lower = number(later$lower[after]), upper = number(later$upper[after]))
    }
  }
}

# Users who churn, return and churn again, followed for 60 to 300 days: one row for each thing that happens.
make_recurrent <- function() {
  set.seed(20261104)
  happenings <- NULL
  for (user in 1:80) {
    end <- sample(60:300, 1)
    frailty <- rgamma(1, 2, 2)
    origin <- 0
    repeat {
      churn <- origin + 30 + floor(rexp(1, frailty / 40))
      if (churn > end) break
      happenings <- rbind(happenings, data.frame(user_id = user, what = "churn", day = churn))
      origin <- churn + 1 + floor(rexp(1, 1 / 25))
      if (origin > end) break
      happenings <- rbind(happenings, data.frame(user_id = user, what = "return", day = origin))
    }
    happenings <- rbind(happenings, data.frame(user_id = user, what = "end", day = end))
  }
  happenings$channel <- ifelse(happenings$user_id %% 3 == 0, "invitation", "organic")
  happenings
}

run_recurrent <- function(happenings) {
  kept <- happenings[happenings$what != "return", ]
  before <- c(0, head(kept$day, -1))
  before[!duplicated(kept$user_id)] <- 0
  times <- data.frame(id = kept$user_id, from = before, to = kept$day, churned = kept$what == "churn", channel = kept$channel)
  times <- times[times$to > times$from, ]
  for (group in c("all", "invitation", "organic")) {
    part <- if (group == "all") times else times[times$channel == group, ]
    fit <- survfit(Surv(from, to, churned) ~ 1, data = part, id = id, cluster = id)
    emit("mean_cumulative", group = group, time = number(fit$time), n_at_risk = number(fit$n.risk),
         n_events = number(fit$n.event), mean = number(fit$cumhaz), std_error = number(fit$std.chaz))
  }
}

dir.create("output_curves", showWarnings = FALSE)
each_case("curves.csv", run_curves)
happenings <- make_recurrent()
write.csv(happenings, "output_curves/recurrent.csv", row.names = FALSE, quote = FALSE)
run_recurrent(happenings)
for (name in names(rows)) write_output(name, "output_curves")
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), "output_curves/session_info.txt")
