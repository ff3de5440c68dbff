# R's answers for the reference tests. Run with:  Rscript tests/reference/reference.R
# Needs R with the survival package (Debian: r-base-core r-cran-survival). Reads cases/*.csv, writes data/ and output/.

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
setwd(dirname(normalizePath(script)))
library(survival)
source("data.R")
source("common.R")
options(warn = 2)

probabilities <- c(0.1, 0.25, 0.5, 0.75, 0.9)

# ---- Kaplan-Meier: survfit for three interval types, quantiles, infinitesimal jackknife with clusters -----------------
run_kaplan_meier <- function(case) {
  frame <- case_data(case)
  frame$g <- joined(frame, columns(case$by))
  for (group in levels(frame$g)) {
    part <- frame[frame$g == group, ]
    fits <- lapply(c("log-log", "log", "plain"), function(conf) {
      arguments <- list(as.formula(paste(response(case), "~ 1")), data = part, conf.type = conf,
                        conf.int = as.numeric(case$level))
      if (case$cluster != "") {
        part$id <- part[[case$cluster]]
        arguments$data <- part
        arguments$cluster <- quote(id)
      }
      do.call(survfit, arguments)
    })
    names(fits) <- c("log-log", "log", "plain")
    fit <- fits[["plain"]]
    # summary() is the documented way to the standard error of S itself; the fit holds that of log S.
    emit("kaplan_meier", case = case$case, group = group, time = number(fit$time), n_at_risk = number(fit$n.risk),
         n_events = number(fit$n.event), n_censored = number(fit$n.censor), survival = number(fit$surv),
         std_error = number(summary(fit, times = fit$time)$std.err),
         "lower log-log" = number(fits[["log-log"]]$lower), "upper log-log" = number(fits[["log-log"]]$upper),
         "lower log" = number(fits$log$lower), "upper log" = number(fits$log$upper),
         "lower plain" = number(fits$plain$lower), "upper plain" = number(fits$plain$upper))
    for (conf in names(fits)) {
      q <- quantile(fits[[conf]], probabilities)
      emit("quantiles", case = case$case, ci = conf, group = group, probability = number(probabilities),
           time = number(as.vector(q$quantile)), lower = number(as.vector(q$lower)), upper = number(as.vector(q$upper)))
    }
  }
}

# ---- Log-rank ---------------------------------------------------------------------------------------------------------
# survdiff() takes no late entry. The formula itself (Mantel 1966 with the hypergeometric variance), for any entry:
mantel <- function(entry, duration, churned, g, strata) {
  k <- nlevels(g)
  observed <- expected <- numeric(k)
  variance <- matrix(0, k, k)
  for (s in levels(strata)) {
    in_s <- strata == s
    for (t in sort(unique(duration[in_s & churned == 1]))) {
      at_risk <- in_s & entry < t & duration >= t
      n_g <- as.vector(table(g[at_risk]))
      d_g <- as.vector(table(g[at_risk & duration == t & churned == 1]))
      n <- sum(n_g)
      d <- sum(d_g)
      observed <- observed + d_g
      expected <- expected + d * n_g / n
      if (n > 1) variance <- variance + d * (n - d) / (n - 1) * (diag(n_g / n, k) - tcrossprod(n_g / n))
    }
  }
  list(observed = observed, expected = expected, variance = variance)
}

run_logrank <- function(case) {
  frame <- case_data(case)
  frame$g <- joined(frame, columns(case$by))
  frame$s <- joined(frame, columns(case$strata))
  frame$from <- if (case$entry == "") -1 else frame[[case$entry]]
  hand <- mantel(frame$from, frame$duration, frame$churned, frame$g, frame$s)
  rank <- nlevels(frame$g) - 1
  difference <- (hand$observed - hand$expected)[-1]
  statistic <- as.vector(difference %*% solve(hand$variance[-1, -1], difference))
  if (case$entry == "") {
    formula <- if (case$strata == "") Surv(duration, churned) ~ g else Surv(duration, churned) ~ g + strata(s)
    theirs <- survdiff(formula, data = frame)
    stopifnot(isTRUE(all.equal(statistic, theirs$chisq, tolerance = 1e-9)))
    statistic <- theirs$chisq
    reference <- "survdiff"
  } else {
    # The same statistic is the score test of the conditional likelihood, one stratum for each risk set.
    sets <- do.call(rbind, lapply(split(seq_len(nrow(frame)), frame$s), function(rows) {
      part <- frame[rows, ]
      do.call(rbind, lapply(unique(part$duration[part$churned == 1]), function(t) {
        at_risk <- part[part$from < t & part$duration >= t, ]
        data.frame(g = at_risk$g, case = at_risk$duration == t & at_risk$churned == 1, set = paste(at_risk$s, t))
      }))
    }))
    exact <- suppressWarnings(coxph(Surv(rep(1, nrow(sets)), case) ~ g + strata(set), data = sets, ties = "exact",
                                    control = coxph.control(iter.max = 0)))
    stopifnot(isTRUE(all.equal(statistic, exact$score, tolerance = 1e-7)))
    reference <- "Mantel's formula, checked against the conditional score test of coxph(ties = \"exact\")"
  }
  robust <- NA
  if (case$cluster != "") {
    # Robust score test: Breslow's score residuals at beta = 0, which are the log-rank ones, summed by cluster.
    frame$id <- frame[[case$cluster]]
    formula <- as.formula(paste("Surv(from, duration, churned) ~ g", if (case$strata != "") "+ strata(s)"))
    robust <- coxph(formula, data = frame, ties = "breslow", cluster = id)$rscore
    reference <- "coxph(ties = \"breslow\", cluster = )$rscore"
    statistic <- robust
  }
  emit("logrank", case = case$case, statistic = number(statistic), df = rank,
       p_value = number(pchisq(statistic, rank, lower.tail = FALSE)), reference = reference)
  emit("logrank_groups", case = case$case, group = levels(frame$g), n = as.vector(table(frame$g)),
       observed = number(hand$observed), expected = number(hand$expected),
       variance = number(diag(hand$variance)))
}

# ---- Cox --------------------------------------------------------------------------------------------------------------
run_cox <- function(case) {
  frame <- case_data(case)
  if (case$reference != "") {
    pair <- strsplit(case$reference, "=", fixed = TRUE)[[1]]
    frame[[pair[1]]] <- relevel(frame[[pair[1]]], ref = pair[2])
  }
  frame$s <- joined(frame, columns(case$strata))
  formula <- as.formula(paste(response(case), "~", case$formula, if (case$strata != "") "+ strata(s)"))
  arguments <- list(formula, data = frame, ties = case$ties, control = coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 60))
  if (case$cluster != "") {
    frame$id <- frame[[case$cluster]]
    arguments$data <- frame
    arguments$cluster <- quote(id)
  }
  fit <- do.call(coxph, arguments)
  limits <- confint(fit, level = as.numeric(case$level))
  naive <- if (is.null(fit$naive.var)) fit$var else fit$naive.var
  z <- coef(fit) / sqrt(diag(fit$var))
  emit("cox", case = case$case, term = names(coef(fit)), estimate = number(coef(fit)), std_error = number(sqrt(diag(fit$var))),
       naive_std_error = number(sqrt(diag(naive))), statistic = number(z), p_value = number(2 * pnorm(-abs(z))),
       lower = number(limits[, 1]), upper = number(limits[, 2]))
  p <- length(coef(fit))
  emit("cox_covariance", case = case$case, row = rep(seq_len(p), p), column = rep(seq_len(p), each = p),
       covariance = number(as.vector(fit$var)), naive = number(as.vector(naive)))
  emit("cox_fit", case = case$case, n = fit$n, n_events = fit$nevent, log_likelihood_null = number(fit$loglik[1]),
       log_likelihood = number(fit$loglik[2]), likelihood_ratio = number(2 * diff(fit$loglik)), wald = number(fit$wald.test),
       score = number(fit$score), robust_score = number(if (is.null(fit$rscore)) NA else fit$rscore), df = p)
  # With an interaction R warns that its centred curve is of no use; ours is the one at zero.
  base <- suppressWarnings(basehaz(fit, centered = FALSE))
  strata <- if (is.null(base$strata)) rep("all", nrow(base)) else sub("^s=", "", as.character(base$strata))
  rises <- unlist(lapply(split(base$hazard, factor(strata, unique(strata))), function(h) diff(c(0, h)) > 0))
  base <- base[rises, ]
  if (nrow(base) == 0) return(invisible())  # covariates so far from zero that the hazard there underflows
  stratum <- if (is.null(base$strata)) "all" else sub("^s=", "", as.character(base$strata))
  emit("cox_baseline", case = case$case, stratum = stratum, time = number(base$time), cumulative_hazard = number(base$hazard))
}

dir.create("output", showWarnings = FALSE)
each_case("kaplan_meier.csv", run_kaplan_meier)
each_case("logrank.csv", run_logrank)
each_case("cox.csv", run_cox)
for (name in names(rows)) write_output(name, "output")
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), "output/session_info.txt")
