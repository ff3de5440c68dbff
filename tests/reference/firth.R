# Firth's penalised partial likelihood, maximised by nothing but R's own likelihood and information.
# Run with:  Rscript tests/reference/firth.R      Needs R with the survival package. Reads data/, writes output_firth/.
#
# coxph with iter.max = 0 gives the log-likelihood l and the inverse information V at any b, Efron's or Breslow's ties
# included; the penalised log-likelihood is l - log(det V) / 2. It is maximised by Newton steps whose first derivatives
# are seven-point and whose second derivatives are five-point differences of that number: no formula for the gradient of
# the penalty is shared with the package. Frequencies are answered by repeating rows.

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
setwd(dirname(normalizePath(script)))
library(survival)
source("common.R")
options(warn = 2)

# --- data: numeric columns x1, x2, x3 only, so that nothing but the likelihood is compared -----------------------------

from_churn <- function(n) {
  frame <- read_table("data/weighted.csv", colClasses = c(user_id = "character"))[seq_len(n), ]
  data.frame(entry = frame$entry, duration = frame$duration, churned = frame$churned,
             stratum = match(frame$cohort, sort(unique(frame$cohort))) - 1, users = frame$users, known = frame$known,
             x1 = as.integer(frame$channel == "supermarket"), x2 = round(log1p(frame$amount), 4), x3 = frame$n_investments)
}
# A category at risk from the first day to the last, of whom nobody churns; the others churn on few days.
separated <- function() {
  set.seed(20261110)
  n <- 36
  never <- rep(c(0, 0, 1), length.out = n)
  life <- sample(30:40, n, TRUE)
  data.frame(entry = 0, duration = ifelse(never == 1, 45, life), churned = as.integer(never == 0 & runif(n) < 0.8),
             stratum = 0, users = 1, known = 0, x1 = never, x2 = round(rnorm(n), 2), x3 = sample(0:3, n, TRUE))
}
# Those with the largest x churn first, one after the other: x tells exactly who is next.
monotone <- function() {
  data.frame(entry = 0, duration = c(31, 33, 34, 38, 41, 50, 50), churned = c(1, 1, 1, 1, 1, 0, 0), stratum = 0, users = 1,
             known = 0, x1 = c(3.1, 2.9, 2.2, 2.0, 1.1, 0.7, 0.2), x2 = NA, x3 = NA)
}
sets <- list(churn = from_churn(90), separated = separated(), monotone = monotone())

cases <- read.csv(text = "case,data,covariates,ties,entry,strata,offset,frequency,level
churn efron,churn,x1|x2|x3,efron,,,,,0.95
churn breslow,churn,x1|x2|x3,breslow,,,,,0.9
churn entry strata,churn,x1|x2|x3,efron,yes,yes,,,0.95
churn offset,churn,x1|x2,efron,yes,,yes,,0.95
churn frequency,churn,x1|x2|x3,efron,yes,,,yes,0.95
separated,separated,x1|x2|x3,efron,,,,,0.95
separated breslow,separated,x1|x3,breslow,,,,,0.99
monotone,monotone,x1,efron,,,,,0.95", colClasses = "character")

# --- the penalised likelihood ------------------------------------------------------------------------------------------

control <- coxph.control(iter.max = 0, toler.chol = 1e-15)

problem <- function(case) {
  frame <- sets[[case$data]]
  if (case$frequency == "yes") frame <- frame[rep(seq_len(nrow(frame)), frame$users), ]
  x <- as.matrix(frame[columns(case$covariates)])
  late <- case$entry == "yes"
  # rows that are never at risk are in nobody's sum
  keep <- !late | frame$entry < frame$duration
  list(x = x[keep, , drop = FALSE], ties = case$ties,
       y = with(frame[keep, ], if (late) Surv(entry, duration, churned) else Surv(duration, churned)),
       strata = if (case$strata == "yes") factor(frame$stratum[keep]) else NULL,
       offset = if (case$offset == "yes") frame$known[keep] else rep(0, sum(keep)), fitter = if (late) agreg.fit else coxph.fit)
}
at <- function(of, b) {
  fit <- of$fitter(of$x, of$y, of$strata, of$offset, init = b, control = control, weights = rep(1, nrow(of$x)),
                   method = of$ties, rownames = as.character(seq_len(nrow(of$x))), resid = FALSE)
  list(log_likelihood = fit$loglik[length(fit$loglik)], var = as.matrix(fit$var))
}
penalised <- function(of, b) {
  found <- at(of, b)
  found$log_likelihood - 0.5 * as.numeric(determinant(found$var, logarithm = TRUE)$modulus)
}
gradient <- function(f, b, h) {
  vapply(seq_along(b), function(j) {
    v <- vapply(c(-3:-1, 1:3), function(k) f(replace(b, j, b[j] + k * h[j])), 0)
    sum(c(-1, 9, -45, 45, -9, 1) * v) / (60 * h[j])
  }, 0)
}
curvature <- function(f, b, h) {
  p <- length(b)
  found <- matrix(0, p, p)
  for (j in seq_len(p)) {
    slope <- function(k) gradient(f, replace(b, j, b[j] + k * h[j]), h)
    found[j, ] <- (8 * (slope(1) - slope(-1)) - (slope(2) - slope(-2))) / (12 * h[j])
  }
  -(found + t(found)) / 2
}
# Newton's method with the differences above, halved until the value rises.
climb <- function(f, b, error) {
  h <- error / 40
  for (i in 1:60) {
    step <- solve(curvature(f, b, 4 * h), gradient(f, b, h))
    for (halving in 0:20) {
      if (f(b + step / 2^halving) >= f(b) - 1e-10) break
    }
    b <- b + step / 2^halving
    if (max(abs(step / error)) < 1e-9) return(b)
  }
  stop("no maximum")
}

run_firth <- function(case) {
  of <- problem(case)
  p <- ncol(of$x)
  f <- function(b) penalised(of, b)
  error <- sqrt(diag(at(of, rep(0, p))$var))
  start <- optim(rep(0, p), function(b) -f(b * error), control = list(reltol = 1e-12, maxit = 2000),
                 method = if (p == 1) "BFGS" else "Nelder-Mead")$par * error
  error <- sqrt(diag(at(of, start)$var))
  best <- climb(f, start, error)
  there <- at(of, best)
  error <- sqrt(diag(there$var))
  stopifnot(f(best) >= f(start), max(abs(best - start) / error) < 0.01)
  z <- qnorm(0.5 + as.numeric(case$level) / 2)
  for (j in seq_len(p)) {
    others <- best[-j]
    profile <- function(value) {  # starts where the one before ended
      g <- function(o) f(append(o, value, j - 1))
      if (p > 1) others <<- climb(g, others, error[-j])
      g(others)
    }
    root <- function(value) sqrt(2 * max(f(best) - profile(value), 0))
    limit <- function(side) {
      others <<- best[-j]
      reach <- 0.5 * z * error[j]
      while (root(best[j] + side * reach) < z) reach <- 1.5 * reach
      uniroot(function(d) root(best[j] + side * d) - z, c(0.3 * reach, reach), tol = 1e-11 * error[j], extendInt = "upX")$root
    }
    lower <- best[j] - limit(-1)
    upper <- best[j] + limit(1)
    others <- best[-j]
    statistic <- sign(best[j]) * root(0)
    emit("firth", case = case$case, term = colnames(of$x)[j], estimate = number(best[j]), std_error = number(error[j]),
         statistic = number(statistic), p_value = number(pchisq(statistic^2, 1, lower.tail = FALSE)), lower = number(lower),
         upper = number(upper))
  }
  emit("firth_covariance", case = case$case, row = rep(seq_len(p), p), column = rep(seq_len(p), each = p),
       covariance = number(as.vector(there$var)))
  emit("firth_fit", case = case$case, n_events = sum(of$y[, "status"]), log_likelihood = number(f(best)),
       log_likelihood_null = number(f(rep(0, p))), unpenalised = number(there$log_likelihood))
}

dir.create("output_firth", showWarnings = FALSE)
for (i in seq_len(nrow(cases))) run_firth(as.list(cases[i, ]))
for (name in names(rows)) write_output(name, "output_firth")
write.csv(cases, "output_firth/cases.csv", row.names = FALSE, quote = FALSE)
all_sets <- do.call(rbind, lapply(names(sets), function(name) cbind(data = name, sets[[name]])))
write.csv(all_sets, "output_firth/data.csv", row.names = FALSE, quote = FALSE, na = "")
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), "output_firth/session_info.txt")
