# R's answers for grouped proportional hazards. Run with:  Rscript tests/reference/grouped.R
# Needs R alone. Reads cases/grouped.csv and data/ (made by reference.R), writes output_grouped/.
#
# glm(binomial("cloglog")) on one line per (row, day at risk), a parameter for each day with churn of each stratum. A day
# on which everybody at risk churns has no finite parameter and is left out. glm's own standard errors come from the
# expected information. Ours come from the observed one, as in Cox's model: it is computed here from glm's estimates on
# the same lines, with its sandwich; the two agree where all days are small.

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
setwd(dirname(normalizePath(script)))
source("common.R")
options(warn = 2)

expanded <- function(case, frame) {
  entry <- if (case$entry == "") rep(-1, nrow(frame)) else frame[[case$entry]]
  lines <- NULL
  for (stratum in levels(frame$s)) {
    inside <- frame$s == stratum & entry < frame$duration
    for (t in sort(unique(frame$duration[inside & frame$churned == 1]))) {
      at_risk <- which(inside & entry < t & frame$duration >= t)
      y <- as.integer(frame$duration[at_risk] == t & frame$churned[at_risk] == 1)
      if (all(y == 1)) next
      lines <- rbind(lines, data.frame(row = at_risk, stratum = stratum, time = t, y = y))
    }
  }
  lines
}

fitted_glm <- function(X, y, w, offset) {
  # Fisher scoring gains only a few digits a step with this link, and the deviance stands still long before the estimates
  # do: so it goes on until the deviance does not move at all, or to the last step, and warns of that and of fractional
  # counts
  suppressWarnings(glm.fit(X, y, weights = w, offset = offset, family = binomial("cloglog"), intercept = FALSE,
                           control = glm.control(epsilon = 1e-18, maxit = 40)))
}

value <- function(eta, y, w) sum(w * ifelse(y == 1, log(-expm1(-exp(eta))), -exp(eta)))

run_grouped <- function(case) {
  frame <- case_data(case)
  if (case$reference != "") {
    pair <- strsplit(case$reference, "=", fixed = TRUE)[[1]]
    frame[[pair[1]]] <- relevel(frame[[pair[1]]], ref = pair[2])
  }
  frame$s <- joined(frame, columns(case$strata))
  lines <- expanded(case, frame)
  day <- paste(lines$stratum, lines$time)
  days <- unique(day)
  D <- outer(day, days, "==") + 0
  x <- model.matrix(as.formula(paste("~", case$formula)), frame)[, -1, drop = FALSE]
  X <- cbind(D, x[lines$row, , drop = FALSE])
  w <- if (case$weights == "") rep(1, nrow(lines)) else frame[[case$weights]][lines$row]
  off <- if (case$offset == "") rep(0, nrow(lines)) else frame[[case$offset]][lines$row]
  unit <- mean(w)  # glm stops at a deviance that does not depend on the unit of the weights
  fit <- fitted_glm(X, lines$y, w / unit, off)
  null <- fitted_glm(D, lines$y, w / unit, off)
  eta <- as.vector(X %*% fit$coefficients) + off
  h <- exp(eta)
  s <- ifelse(lines$y == 1, h / expm1(h), -h)
  bent <- ifelse(lines$y == 1, h * (exp(h) * (h - 1) + 1) / expm1(h)^2, h)
  observed <- solve(crossprod(X, X * (w * bent)))
  expected <- solve(crossprod(X, X * (w * h * h / expm1(h))))
  stopifnot(isTRUE(all.equal(chol2inv(qr.R(fit$qr))[order(fit$qr$pivot), order(fit$qr$pivot)] / unit, expected,
                             tolerance = 1e-6, check.attributes = FALSE)))
  b <- length(days) + seq_len(ncol(x))
  covariance <- observed
  if (case$cluster != "" || case$weights_kind == "sampling") {
    id <- if (case$cluster == "") seq_len(nrow(frame)) else as.integer(factor(frame[[case$cluster]]))
    covariance <- observed %*% crossprod(rowsum(X * (w * s), id[lines$row])) %*% observed
  }
  emit("grouped", case = case$case, term = colnames(x), estimate = number(fit$coefficients[b]),
       std_error = number(sqrt(diag(covariance)[b])), observed_std_error = number(sqrt(diag(observed)[b])),
       expected_std_error = number(sqrt(diag(expected)[b])))
  p <- ncol(x)
  emit("covariance", case = case$case, row = rep(seq_len(p), p), column = rep(seq_len(p), each = p),
       covariance = number(as.vector(covariance[b, b])))
  eta0 <- as.vector(D %*% null$coefficients) + off
  h0 <- exp(eta0)
  s0 <- ifelse(lines$y == 1, h0 / expm1(h0), -h0)
  bent0 <- ifelse(lines$y == 1, h0 * (exp(h0) * (h0 - 1) + 1) / expm1(h0)^2, h0)
  U <- crossprod(X, w * s0)
  emit("fit", case = case$case, log_likelihood = number(value(eta, lines$y, w)),
       log_likelihood_null = number(value(eta0, lines$y, w)),
       score = number(as.numeric(crossprod(U, solve(crossprod(X, X * (w * bent0)), U)))))
  for (stratum in unique(lines$stratum)) {
    here <- !duplicated(day) & lines$stratum == stratum
    emit("baseline", case = case$case, stratum = stratum, time = number(lines$time[here]),
         hazard = number(exp(fit$coefficients[match(day[here], days)])))
  }
  if (case$data != "small" && case$case %in% c("plain", "cluster", "sampling cluster offset")) {
    martingale <- tapply(lines$y - (-expm1(-h)), factor(lines$row, seq_len(nrow(frame))), sum)
    own <- rowsum(X * s, lines$row)
    profiled <- own[, b] - own[, -b] %*% solve(crossprod(X, X * (w * bent))[-b, -b], crossprod(X, X * (w * bent))[-b, b])
    at <- as.integer(rownames(own))
    emit("residuals", case = case$case, row = at - 1, martingale = number(martingale[at]))
    for (j in seq_len(p)) {
      emit("residuals_by_term", case = case$case, term = colnames(x)[j], row = at - 1, score = number(profiled[, j]))
    }
  }
}

dir.create("output_grouped", showWarnings = FALSE)
each_case("grouped.csv", run_grouped)
for (name in names(rows)) write_output(name, "output_grouped")
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), "output_grouped/session_info.txt")
