# R's answers for weights, offsets and residuals in Cox models. Run with:  Rscript tests/reference/reference_weights.R
# Needs R with the survival package. Reads cases/cox_weights.csv, writes data/ and output_weights/.
#
# A frequency is answered by repeating rows, a sampling weight by coxph(weights = , robust = TRUE).

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
setwd(dirname(normalizePath(script)))
library(survival)
source("data.R")
source("common.R")
options(warn = 2)

fitted_model <- function(case, frame) {
  terms <- c(case$formula, if (case$strata != "") "strata(s)", if (case$offset != "") "offset(off)")
  arguments <- list(as.formula(paste(response(case), "~", paste(terms, collapse = " + "))), data = frame, ties = case$ties,
                    control = coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 60), x = TRUE, y = TRUE)
  if (case$weights_kind == "sampling") {
    arguments$weights <- quote(w)
    arguments$robust <- TRUE
  }
  # with entry R wants to be told who is who; each row is its own where the case has no cluster
  if (case$cluster != "" || (case$weights_kind == "sampling" && case$entry != "")) arguments$cluster <- quote(id)
  do.call(coxph, arguments)
}

# The cumulative hazard at covariates and offset zero, by its formula: basehaz() takes the mean of the offset.
hazard_at_zero <- function(case, frame, fit) {
  theta <- exp(as.vector(fit$x %*% coef(fit)) + (if (case$offset != "") frame$off else 0))
  weight <- if (case$weights_kind == "sampling") frame$w else rep(1, nrow(frame))
  entry <- if (case$entry == "") rep(-1, nrow(frame)) else frame[[case$entry]]
  found <- NULL
  for (stratum in levels(frame$s)) {
    inside <- frame$s == stratum
    total <- 0
    for (t in sort(unique(frame$duration[inside & frame$churned == 1]))) {
      at_risk <- inside & entry < t & frame$duration >= t
      tied <- at_risk & frame$duration == t & frame$churned == 1
      d <- sum(tied)
      share <- if (case$ties == "efron") (seq_len(d) - 1) / d else rep(0, d)
      total <- total + mean(weight[tied]) * sum(1 / (sum((weight * theta)[at_risk]) - share * sum((weight * theta)[tied])))
      found <- rbind(found, data.frame(stratum = stratum, time = t, hazard = total))
    }
  }
  if (case$offset == "" && !grepl("*", case$formula, fixed = TRUE)) {
    theirs <- basehaz(fit, centered = FALSE)
    strata <- if (is.null(theirs$strata)) rep("all", nrow(theirs)) else sub("^s=", "", as.character(theirs$strata))
    theirs <- theirs$hazard[match(paste(found$stratum, found$time), paste(strata, theirs$time))]
    stopifnot(isTRUE(all.equal(found$hazard, theirs, tolerance = 1e-10)))
  }
  found
}

emit_residuals <- function(case, frame, fit) {
  terms <- names(coef(fit))
  first <- !duplicated(frame$row)  # of repeated rows, each has the same residual
  emit("residuals", case = case$case, row = frame$row[first], martingale = number(residuals(fit, "martingale")[first]),
       deviance = number(residuals(fit, "deviance")[first]))
  score <- as.matrix(residuals(fit, "score"))[first, , drop = FALSE]
  dfbeta <- as.matrix(residuals(fit, "dfbeta"))[first, , drop = FALSE]
  schoenfeld <- as.matrix(residuals(fit, "schoenfeld"))
  scaled <- as.matrix(residuals(fit, "scaledsch"))
  order_of <- order(as.integer(frame$s), frame$duration, -frame$churned)
  events <- order_of[frame$churned[order_of] == 1]
  once <- !duplicated(frame$row[events])
  for (j in seq_along(terms)) {
    emit("residuals_by_term", case = case$case, term = terms[j], row = frame$row[first], score = number(score[, j]),
         dfbeta = number(dfbeta[, j]))
    emit("residuals_by_event", case = case$case, term = terms[j], row = frame$row[events][once],
         stratum = as.character(frame$s[events][once]), time = number(frame$duration[events][once]),
         schoenfeld = number(schoenfeld[once, j]), scaled = number(scaled[once, j]))
  }
}

run_cox_weights <- function(case) {
  frame <- case_data(case)
  if (case$reference != "") {
    pair <- strsplit(case$reference, "=", fixed = TRUE)[[1]]
    frame[[pair[1]]] <- relevel(frame[[pair[1]]], ref = pair[2])
  }
  frame$s <- joined(frame, columns(case$strata))
  frame$row <- seq_len(nrow(frame)) - 1
  if (case$weights != "") frame$w <- frame[[case$weights]]
  if (case$offset != "") frame$off <- frame[[case$offset]]
  frame$id <- if (case$cluster == "") frame$row else frame[[case$cluster]]
  if (case$weights_kind == "frequency") frame <- frame[rep(seq_len(nrow(frame)), frame$w), ]
  fit <- fitted_model(case, frame)
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
       score = number(fit$score), df = p)
  base <- hazard_at_zero(case, frame, fit)
  emit("cox_baseline", case = case$case, stratum = base$stratum, time = number(base$time),
       cumulative_hazard = number(base$hazard))
  if (case$residuals == "yes") emit_residuals(case, frame, fit)
}

dir.create("output_weights", showWarnings = FALSE)
each_case("cox_weights.csv", run_cox_weights)
for (name in names(rows)) write_output(name, "output_weights")
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), "output_weights/session_info.txt")
