# R's tests of proportional hazards, contrasts and joint tests. Run with:  Rscript tests/reference/ph_test.R
# Needs R with the survival package. Reads cases/ph_test.csv and data/ (made by reference.R), writes output_ph_test/.
#
# cox.zph has no robust form. Ours is made here of R's own score residuals: every row is cut at every day of churn, so
# that x * g(t) is an ordinary covariate, and coxph is stopped at the estimates before its first step.

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
setwd(dirname(normalizePath(script)))
library(survival)
options(warn = 2)

source("common.R")
exact <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 60)

fitted_model <- function(case, frame, surv) {
  terms <- c(case$formula, if (case$strata != "") "strata(s)", if (case$offset != "") "offset(off)")
  arguments <- list(as.formula(paste(surv, "~", paste(terms, collapse = " + "))), data = frame, ties = case$ties,
                    control = exact, x = TRUE, y = TRUE, model = TRUE)
  if (case$weights_kind == "sampling") arguments$weights <- quote(w)
  if (is_robust(case)) arguments$cluster <- quote(id)
  do.call(coxph, arguments)
}
is_robust <- function(case) case$cluster != "" || case$weights_kind == "sampling"

by_variable <- function(assign, score, variance) {
  of <- function(columns) drop(score[columns] %*% solve(variance[columns, columns], score[columns]))
  c(vapply(assign, of, numeric(1)), GLOBAL = of(seq_along(score)))
}

# The score of (b, c) by row and its information, rows cut at every day of churn.
expanded <- function(case, frame, fit, zph) {
  g <- zph$x[match(sort(unique(zph$time)), zph$time)]
  days <- sort(unique(zph$time))
  frame$number <- seq_len(nrow(frame))
  cut <- survSplit(Surv(from, duration, churned) ~ ., data = frame, cut = days)
  X <- fit$x[cut$number, , drop = FALSE]
  at <- match(cut$duration, days)
  moving <- X * ifelse(is.na(at), 0, g[at] - mean(g))
  cut$X <- cbind(X, moving)
  if (is.null(cut$off)) cut$off <- 0
  if (is.null(cut$w)) cut$w <- 1
  joint <- coxph(Surv(from, duration, churned) ~ X + offset(off) + strata(s), data = cut, ties = case$ties,
                 init = c(coef(fit), 0 * coef(fit)), control = coxph.control(iter.max = 0, toler.chol = 1e-14),
                 weights = if (case$weights_kind == "sampling") cut$w else NULL)
  information <- solve(if (is.null(joint$naive.var)) joint$var else joint$naive.var)
  list(information = information, by_cluster = residuals(joint, type = "score", collapse = cut$id, weighted = TRUE))
}

emit_tests <- function(case, frame, fit, transform) {
  zph <- cox.zph(fit, transform = transform)
  table <- zph$table
  found <- list(statistic = table[, "chisq"], df = table[, "df"])
  parts <- expanded(case, frame, fit, zph)
  p <- length(coef(fit))
  b <- seq_len(p)
  explained <- parts$information[p + b, b, drop = FALSE] %*% solve(parts$information[b, b, drop = FALSE])
  score <- colSums(parts$by_cluster)[p + b]
  naive <- parts$information[p + b, p + b] - explained %*% parts$information[b, p + b]
  # the expansion must give what cox.zph gives
  again <- by_variable(fit$assign, score, naive)
  stopifnot(isTRUE(all.equal(unname(again), unname(found$statistic), tolerance = 1e-5)))
  adjusted <- parts$by_cluster[, p + b, drop = FALSE] - parts$by_cluster[, b, drop = FALSE] %*% t(explained)
  robust <- if (is_robust(case)) by_variable(fit$assign, score, crossprod(adjusted)) else NA
  emit("ph_test", case = case$case, transform = transform, variable = rownames(table), statistic = number(found$statistic),
       df = found$df, p_value = number(table[, "p"]), robust = number(robust))
}

thirds <- function(frame) {
  days <- sort(frame$duration[frame$churned == 1])
  unique(days[ceiling(length(days) * (1:2) / 3)])
}

emit_windows <- function(case, frame) {
  if (case$cuts == "") return(invisible())
  cuts <- if (case$cuts == "thirds") thirds(frame) else as.numeric(columns(case$cuts))
  cut <- survSplit(Surv(from, duration, churned) ~ ., data = frame, cut = cuts, episode = "window")
  for (k in seq_len(length(cuts) + 1)) {
    fit <- fitted_model(case, cut[cut$window == k, ], "Surv(from, duration, churned)")
    emit("ph_windows", case = case$case, window = k, cut = c(cuts, NA)[k], term = names(coef(fit)),
         estimate = number(coef(fit)), std_error = number(sqrt(diag(fit$var))), n_events = fit$nevent)
  }
}

run_ph_test <- function(case) {
  frame <- case_data(case)
  frame$s <- joined(frame, columns(case$strata))
  if (case$weights != "") frame$w <- frame[[case$weights]]
  if (case$offset != "") frame$off <- frame[[case$offset]]
  frame$id <- if (case$cluster == "") seq_len(nrow(frame)) else frame[[case$cluster]]
  if (case$weights_kind == "frequency") {
    frame <- frame[rep(seq_len(nrow(frame)), frame$w), ]
    if (case$cluster == "") frame$id <- seq_len(nrow(frame))
  }
  # cox.zph does not centre covariates and loses its digits far from zero; where they stand makes no difference
  if (!is.null(frame$far)) frame$far <- frame$far - 1e6
  frame$from <- if (case$entry == "") -1 else frame[[case$entry]]
  fit <- fitted_model(case, frame, response(case))
  for (transform in columns(case$transforms)) emit_tests(case, frame, fit, transform)
  emit_windows(case, frame)
  emit_contrasts(case, fit)
}

# Joint Wald tests by variable, and all pairs of categories of the channel, from the covariance alone.
emit_contrasts <- function(case, fit) {
  b <- coef(fit)
  wald <- vapply(fit$assign, function(k) drop(b[k] %*% solve(fit$var[k, k], b[k])), numeric(1))
  df <- lengths(fit$assign)
  emit("joint_tests", case = case$case, variable = names(wald), statistic = number(wald), df = df,
       p_value = number(pchisq(wald, df, lower.tail = FALSE)))
  at <- fit$assign$channel
  if (is.null(at)) return(invisible())
  categories <- fit$xlevels$channel
  pairs <- t(combn(length(categories), 2))
  L <- matrix(0, nrow(pairs), length(b))
  for (i in seq_len(nrow(pairs))) {
    L[i, at[pairs[i, 2] - 1]] <- 1
    if (pairs[i, 1] > 1) L[i, at[pairs[i, 1] - 1]] <- -1
  }
  estimate <- drop(L %*% b)
  error <- sqrt(diag(L %*% fit$var %*% t(L)))
  p <- 2 * pnorm(-abs(estimate / error))
  adjusted <- lapply(c("holm", "bonferroni", "hommel", "BH", "BY", "none"), function(how) number(p.adjust(p, how)))
  names(adjusted) <- c("holm", "bonferroni", "hommel", "fdr_bh", "fdr_by", "none")
  emit("contrasts", case = case$case, contrast = paste(categories[pairs[, 2]], "-", categories[pairs[, 1]]),
       estimate = number(estimate), std_error = number(error), p_value = number(p), as.data.frame(adjusted))
}

# A category without churn in the window: what the others tend to is the fit without its rows.
emit_gone <- function() {
  case <- list(formula = "x + group", strata = "", offset = "", ties = "efron", weights_kind = "", cluster = "")
  frame <- read_table("data/small.csv")
  frame <- frame[frame$set == "clustered", ]
  frame$from <- frame$entry
  frame$group <- rep(c("a", "b", "gone"), length.out = nrow(frame))
  frame$churned[frame$group == "gone" & frame$duration <= 8] <- 0
  cut <- survSplit(Surv(from, duration, churned) ~ ., data = frame, cut = 8, episode = "window")
  first <- cut[cut$window == 1 & cut$group != "gone", ]
  fit <- fitted_model(case, first, "Surv(from, duration, churned)")
  emit("ph_gone", term = names(coef(fit)), estimate = number(coef(fit)), std_error = number(sqrt(diag(fit$var))))
}

dir.create("output_ph_test", showWarnings = FALSE)
each_case("ph_test.csv", run_ph_test)
emit_gone()
for (name in names(rows)) write_output(name, "output_ph_test")
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), "output_ph_test/session_info.txt")
