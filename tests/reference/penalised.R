# R's answers for penalised Cox models. Run with:  Rscript tests/reference/penalised.R
# Needs R with the packages survival and glmnet. Reads cases/penalised*.csv and data/, writes output_penalised/.
#
# Our definition: b maximises  loglik(b) / W - penalty * sum_j f_j [l1_ratio |s_j b_j| + (1 - l1_ratio) / 2 (s_j b_j)^2],
# W the sum of weights (of rows with duration > entry), s_j the standard deviation over these rows with divisor W,
# f_j 0 or 1.
#
# glmnet(family = "cox", standardize = TRUE) maximises the same with Breslow's ties, lambda = penalty and
# alpha = l1_ratio: its manual writes 2/n before the log-likelihood, its code 1/n (found by the slopes, and stopped on
# below where they are not). Two things to convert: penalty.factor is rescaled to a mean of one, so that
# lambda = penalty * sum(f) / p; and a path with entry or strata stops early unless glmnet.control says otherwise.
#
# coxph(ridge(x, theta, scale = TRUE)) maximises loglik(b) - theta / 2 * sum v_j b_j^2 with v_j = var(x_j), divisor n - 1:
# theta = penalty * (n - 1). It scales without weights; with sampling weights the columns are divided by s_j before.
#
# Effective degrees of freedom are the trace of I (I + P)^-1; the sum of fit$df is that where all terms are in one ridge().
#
# cv.glmnet(grouped = TRUE): deviance 2 (saturated - loglik) of all rows less that of the rows without the fold, by
# event of the fold; ours is without the saturated log-likelihoods, which the penalty does not move. They are written
# to cv_folds.csv: -sum d log d over the days with d events.

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
setwd(dirname(normalizePath(script)))
suppressMessages({library(survival); library(glmnet)})
source("common.R")
options(warn = 2)
glmnet.control(epsnr = 1e-13, mxitnr = 1000)
THRESH <- 1e-16

problem_of <- function(case) {
  frame <- case_data(case)
  frame$row <- seq_len(nrow(frame)) - 1
  if (case$weights_kind == "frequency") frame <- frame[rep(seq_len(nrow(frame)), frame[[case$weights]]), ]
  if (case$entry != "") frame <- frame[frame[[case$entry]] < frame$duration, ]
  x <- model.matrix(as.formula(paste("~", case$formula)), frame)
  terms <- attr(terms(as.formula(paste("~", case$formula))), "term.labels")[attr(x, "assign")]
  x <- x[, -1, drop = FALSE]
  weight <- if (case$weights_kind == "sampling") frame[[case$weights]] else rep(1, nrow(frame))
  center <- colSums(weight * x) / sum(weight)
  list(frame = frame, x = x, free = terms %in% columns(case$unpenalised), weight = weight,
       s = sqrt(colSums(weight * sweep(x, 2, center)^2) / sum(weight)), stratum = joined(frame, columns(case$strata)),
       offset = if (case$offset == "") NULL else frame[[case$offset]],
       y = if (case$entry == "") Surv(frame$duration, frame$churned)
           else Surv(frame[[case$entry]], frame$duration, frame$churned))
}
coxph_with <- function(p, x, ...) {
  d <- list(y = p$y, x = x, stratum = p$stratum, off = if (is.null(p$offset)) rep(0, nrow(x)) else p$offset, w = p$weight)
  coxph(y ~ x + strata(stratum) + offset(off), data = d, weights = w, robust = FALSE, ...)
}
at <- function(p, b, ties) {  # log-likelihood and score at coefficients b
  fit <- coxph_with(p, p$x, ties = ties, init = b, control = coxph.control(iter.max = 0))
  list(value = fit$loglik[1], score = colSums(as.matrix(residuals(fit, "score", weighted = TRUE))))
}
glmnet_with <- function(p, alpha, penalty, ...) {
  y <- if (nlevels(p$stratum) > 1) stratifySurv(p$y, as.integer(p$stratum)) else p$y
  share <- sum(!p$free) / length(p$free)
  glmnet(p$x, y, family = "cox", alpha = alpha, lambda = penalty * share, thresh = THRESH, maxit = 1e7, weights = p$weight,
         offset = p$offset, penalty.factor = as.numeric(!p$free), ...)
}

run_lasso <- function(case, p, penalty, alpha) {
  fit <- glmnet_with(p, alpha, penalty)
  b <- as.numeric(coef(fit))
  here <- at(p, b, "breslow")
  # glmnet's own distance from the conditions of the maximum, as a share of the penalty
  slope <- here$score / p$s / sum(p$weight) - ifelse(p$free, 0, penalty * (1 - alpha) * p$s * b)
  corner <- ifelse(p$free, 0, penalty * alpha)
  left <- max(ifelse(b == 0, pmax(abs(slope) - corner, 0), abs(slope - corner * sign(b)))) / penalty
  stopifnot(left < 2e-5)
  emit("fit", case = case$case, effective_df = fit$df, log_likelihood = number(here$value),
       log_likelihood_null = number(at(p, 0 * b, "breslow")$value), left = number(left),
       deviance_explained = if (case$offset == "") number(fit$dev.ratio) else "")
  emit("coefficients", case = case$case, term = colnames(p$x), estimate = number(b), std_error = "",
       deviation = number(p$s))
}

run_ridge <- function(case, p, penalty) {
  n <- nrow(p$x)
  weighted <- case$weights_kind == "sampling"
  x <- if (weighted) sweep(p$x, 2, p$s, "/") else p$x
  theta <- if (weighted) penalty * sum(p$weight) else penalty * (n - 1)
  d <- list(y = p$y, held = x[, !p$free, drop = FALSE], s = p$stratum, w = p$weight,
            off = if (is.null(p$offset)) rep(0, n) else p$offset)
  text <- paste("y ~ ridge(held, theta = theta, scale = !weighted)", if (any(p$free)) "+ free", "+ strata(s) + offset(off)")
  if (any(p$free)) d$free <- x[, p$free, drop = FALSE]
  fit <- coxph(as.formula(text), data = d, weights = w, robust = FALSE, ties = case$ties,
               control = coxph.control(eps = 1e-14, toler.chol = 1e-15, iter.max = 100, outer.max = 50))
  order_of <- order(c(which(!p$free), which(p$free)))
  unit <- if (weighted) p$s else rep(1, length(p$s))
  b <- unname(coef(fit))[order_of] / unit
  # fit$df is by term, each with its own block of the covariance; with one term it is the trace of I (I + P)^-1
  variance <- if (weighted) 1 else apply(d$held, 2, var)
  held <- seq_len(sum(!p$free))
  df <- length(b) - sum(theta * variance * diag(as.matrix(fit$var))[held])
  if (!any(p$free)) stopifnot(isTRUE(all.equal(df, sum(fit$df), tolerance = 1e-9)))
  emit("fit", case = case$case, effective_df = number(df), log_likelihood = number(fit$loglik[2]),
       log_likelihood_null = number(at(p, 0 * b, case$ties)$value), left = "", deviance_explained = "")
  emit("coefficients", case = case$case, term = colnames(p$x), estimate = number(b),
       std_error = number(sqrt(diag(as.matrix(fit$var)))[order_of] / unit), deviation = number(p$s))
}

run_penalised <- function(case) {
  p <- problem_of(case)
  if (case$l1_ratio == "0") run_ridge(case, p, as.numeric(case$penalty))
  else run_lasso(case, p, as.numeric(case$penalty), as.numeric(case$l1_ratio))
}

run_cv <- function(case) {
  p <- problem_of(case)
  alpha <- as.numeric(case$l1_ratio)
  share <- sum(!p$free) / length(p$free)
  y <- if (nlevels(p$stratum) > 1) stratifySurv(p$y, as.integer(p$stratum)) else p$y
  own <- glmnet(p$x, y, family = "cox", alpha = alpha, penalty.factor = as.numeric(!p$free), thresh = THRESH, maxit = 1e7)
  lambda <- own$lambda[1] * 10^seq(0, -2.5, length.out = 12)
  set.seed(7)
  fold <- sample(rep(seq_len(as.integer(case$folds)), length.out = nrow(p$x)))
  fit <- cv.glmnet(p$x, y, family = "cox", alpha = alpha, lambda = lambda, foldid = fold, grouped = TRUE, thresh = THRESH,
                   maxit = 1e7, penalty.factor = as.numeric(!p$free))
  saturated <- function(rows) {
    d <- table(paste(p$stratum, p$frame$duration)[rows & p$frame$churned == 1])
    -sum(d * log(d))
  }
  emit("cv", case = case$case, penalty = number(fit$lambda / share), mean = number(fit$cvm), std_error = number(fit$cvsd),
       n_nonzero = fit$nzero, first = number(own$lambda[1] / share))
  emit("cv_rows", case = case$case, row = p$frame$row, fold = fold)
  for (k in unique(sort(fold))) {
    emit("cv_folds", case = case$case, fold = k, events = sum(p$frame$churned[fold == k]),
         saturated = number(saturated(rep(TRUE, length(fold))) - saturated(fold != k)))
  }
}

dir.create("output_penalised", showWarnings = FALSE)
each_case("penalised.csv", run_penalised)
each_case("penalised_cv.csv", run_cv)
for (name in names(rows)) write_output(name, "output_penalised")
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), "output_penalised/session_info.txt")
