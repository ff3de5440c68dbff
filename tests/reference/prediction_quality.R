# How good a prediction is, by R. Run with:  Rscript tests/reference/prediction_quality.R
# Reads cases/prediction_quality.csv and data/ (made by reference.R), writes output_prediction_quality/*.csv.
# Needs survival and riskRegression.

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
setwd(dirname(normalizePath(script)))
suppressPackageStartupMessages({library(survival); library(riskRegression)})
options(warn = 2)
source("common.R")



# P(T > t) as a model might say; the tests say the same. Its scale is that of the rows as they stand, not repeated.
predicted_survival_of <- function(case, t, frame) {
  s <- asinh(case_data(case)[[case$score]])
  exp(-(t / 120) * exp(0.6 * (asinh(frame[[case$score]]) - mean(s)) / sd(s)))
}
weights_of <- function(case, frame) if (case$weights == "") rep(1, nrow(frame)) else frame[[case$weights]]
# A frequency is the repeated rows.
repeated <- function(case, frame) {
  if (case$weights_kind != "frequency") return(frame)
  frame[rep(seq_len(nrow(frame)), frame[[case$weights]]), ]
}

run_concordance <- function(case, frame) {
  frame <- repeated(case, frame)
  frame$s <- joined(frame, columns(case$strata))
  frame$w <- if (case$weights_kind == "sampling") frame[[case$weights]] else 1
  arguments <- list(data = frame, reverse = TRUE, keepstrata = FALSE)
  if (case$horizon != "") {
    # ymax of survival 3.5-3 loses pairs with strata, and counts ties beyond it with entry
    if (case$entry == "" && case$strata == "") arguments$ymax <- as.numeric(case$horizon)
    else arguments$data$churned <- frame$churned <- frame$churned * (frame$duration <= as.numeric(case$horizon))
  }
  if (case$weights_kind == "sampling") arguments$weights <- quote(w)
  if (case$cluster != "") {
    frame$id <- frame[[case$cluster]]
    arguments$data <- frame
    arguments$cluster <- quote(id)
  }
  ask <- function(score, ...) {
    formula <- as.formula(paste(response(case), "~", score, if (case$strata != "") "+ strata(s)"))
    do.call(concordance, c(list(formula, ...), arguments))
  }
  tell <- function(method, fit) {
    emit("concordance", case = case$case, method = method, estimate = number(fit$concordance),
         std_error = number(sqrt(fit$var)), concordant = number(fit$count[["concordant"]]),
         discordant = number(fit$count[["discordant"]]), tied_score = number(fit$count[["tied.x"]]),
         tied_time = number(fit$count[["tied.y"]]), tied_both = number(fit$count[["tied.xy"]]))
  }
  both <- lapply(c(case$score, case$other), ask, influence = 1)
  tell("harrell", both[[1]])
  # the derivatives of each, subtracted row by row (or cluster by cluster)
  w <- if (case$cluster == "") frame$w else 1
  apart <- both[[2]]$dfbeta - both[[1]]$dfbeta
  if (max(abs(sum(both[[1]]$dfbeta^2) / both[[1]]$var - 1)) > 1e-8) stop("dfbeta is not what var is made of")
  emit("compare", case = case$case, estimate = number(both[[2]]$concordance - both[[1]]$concordance),
       std_error = number(sqrt(sum(apart^2))))
  if (case$entry == "" && case$strata == "") tell("uno", ask(case$score, timewt = "n/G2", influence = 1))
}

# concordance(fit1, fit2) itself, where there are no clusters and weights: models with given coefficients.
run_vcov <- function(case, frame) {
  fits <- lapply(c(case$score, case$other), function(name)
    coxph(as.formula(paste(response(case), "~", name)), frame, init = 1e-3, iter.max = 0))
  V <- vcov(concordance(fits[[1]], fits[[2]]))
  emit("vcov", case = case$case, std_error = number(sqrt(V[1, 1] + V[2, 2] - 2 * V[1, 2])))
}

# riskRegression knows no weights and no late entry. Its null model is Kaplan and Meier's.
run_score <- function(case, frame) {
  frame <- repeated(case, frame)
  times <- c(0.75, 1) * as.numeric(case$horizon)
  risk <- 1 - vapply(times, function(t) predicted_survival_of(case, t, frame), numeric(nrow(frame)))
  d <- data.frame(time = frame$duration, status = frame$churned)
  fit <- suppressWarnings(Score(list(model = risk), formula = Surv(time, status) ~ 1, data = d, times = times,
    metrics = c("auc", "brier"), summary = "ipa", se.fit = TRUE, conf.int = TRUE, null.model = TRUE,
    conservative = FALSE, cens.model = "km", split.method = "none"))
  n <- nrow(d)
  brier <- as.data.frame(fit$Brier$score); auc <- as.data.frame(fit$AUC$score)
  for (t in times) {
    mine <- brier[brier$model == "model" & brier$times == t, ]
    null <- brier[brier$model == "Null model" & brier$times == t, ]
    area <- auc[auc$model == "model" & auc$times == t, ]
    # its standard errors divide by n - 1
    emit("score", case = case$case, time = number(t), brier = number(mine$Brier),
         brier_std_error = number(mine$se * sqrt((n - 1) / n)), reference = number(null$Brier), scaled = number(mine$IPA),
         auc = number(area$AUC), auc_std_error = number(area$se * sqrt((n - 1) / n)))
  }
}

# Weights from their definition: a product over the days before, G of not being censored, H of having entered.
seen_by <- function(frame, w, t) {
  entry <- if (is.null(frame$entry)) rep(-1, nrow(frame)) else frame$entry
  held <- entry < frame$duration
  K <- function(u) {
    out <- 1
    for (v in sort(unique(c(frame$duration, entry)))) if (v < u) {
      censored <- sum(w[held & frame$duration == v & frame$churned == 0])
      left <- sum(w[held & entry < v & frame$duration > v])
      entered <- sum(w[held & entry == v])
      if (left > 0) out <- out * (left / (left + censored)) / (left / (left + entered))
    }
    out
  }
  churned <- held & frame$churned == 1 & frame$duration <= t
  going <- held & entry < t & (frame$duration > t | (frame$duration == t & frame$churned == 0))
  weight <- numeric(nrow(frame))
  weight[churned] <- 1 / vapply(frame$duration[churned], K, 0)
  weight[going] <- 1 / K(t)
  list(churned = churned, weight = weight, held = held)
}

run_formulas <- function(case, frame) {
  if (case$entry == "") frame$entry <- NULL
  t <- as.numeric(case$horizon)
  w <- weights_of(case, frame)
  p <- 1 - predicted_survival_of(case, t, frame)
  seen <- seen_by(frame, w, t)
  v <- w * seen$weight
  y <- as.numeric(seen$churned)
  brier <- sum(v * (y - p)^2) / sum(v)
  S <- 1 - sum(v * y) / sum(v)
  wins <- outer(p, p, function(a, b) (a > b) + (a == b) / 2)
  auc <- sum(outer(v * y, v * (1 - y)) * wins) / (sum(v * y) * sum(v * (1 - y)))
  z <- log(-log1p(-p))
  intercept <- glm(y ~ offset(z), family = quasibinomial("cloglog"), weights = v / mean(v), subset = v > 0,
                   control = glm.control(epsilon = 1e-14, maxit = 100))
  slope <- update(intercept, y ~ z)
  emit("formulas", case = case$case, brier = number(brier), survival = number(S), auc = number(auc),
       intercept = number(coef(intercept)), slope = number(coef(slope)[[2]]))
}

# Groups, the smooth curve and net benefit.
run_calibration <- function(case, frame) {
  t <- as.numeric(case$horizon)
  frame$p <- 1 - predicted_survival_of(case, t, frame)
  frame <- repeated(case, frame)
  frame$w <- if (case$weights_kind == "sampling") frame[[case$weights]] else 1
  # the tests ask for groups cut at 0.3 and 0.5 by giving each group's mean: here three values of p
  frame$g <- cut(frame$p, c(0, 0.3, 0.5, 1), labels = c(0.2, 0.4, 0.6))
  arguments <- list(as.formula(paste(response(case), "~ g")), data = frame, conf.type = "log-log")
  if (case$weights_kind == "sampling") arguments <- c(arguments, list(weights = quote(w), robust = TRUE))
  if (case$cluster != "") {
    frame$id <- frame[[case$cluster]]
    arguments$data <- frame
    arguments <- c(arguments, list(cluster = quote(id)))
  }
  curve <- summary(do.call(survfit, arguments), times = t)
  emit("groups", case = case$case, predicted = sub("g=", "", curve$strata), observed = number(1 - curve$surv),
       std_error = number(curve$std.err), lower = number(1 - curve$upper), upper = number(1 - curve$lower))
  for (at in c(0.2, 0.35, 0.5)) {
    above <- frame$p >= at
    S <- summary(do.call(survfit, list(as.formula(paste(response(case), "~ 1")), data = frame[above, ], weights = quote(w))),
                 times = t)$surv
    q <- sum(frame$w[above]) / sum(frame$w)
    emit("decision", case = case$case, threshold = number(at), net_benefit = number(q * (1 - S) - q * S * at / (1 - at)),
         contacted = number(q), churned = number(1 - S))
  }
  if (case$weights != "") return(invisible())
  z <- log(-log1p(-frame$p))
  k <- quantile(z, c(0.05, 0.35, 0.65, 0.95), names = FALSE)
  term <- function(j) {
    cube <- function(u) pmax(u, 0)^3
    (cube(z - k[j]) - cube(z - k[3]) * (k[4] - k[j]) / (k[4] - k[3]) + cube(z - k[4]) * (k[3] - k[j]) / (k[4] - k[3])) /
      (k[4] - k[1])^2
  }
  short <- data.frame(duration = pmin(frame$duration, t), churned = frame$churned * (frame$duration <= t),
                      a = z - mean(z), b = term(1) - mean(term(1)), c = term(2) - mean(term(2)))
  fit <- coxph(Surv(duration, churned) ~ a + b + c, short, control = coxph.control(eps = 1e-12, toler.chol = 1e-13, iter.max = 100))
  hazard <- tail(basehaz(fit, centered = FALSE)$hazard, 1)
  lp <- drop(as.matrix(short[c("a", "b", "c")]) %*% coef(fit))
  apart <- abs(1 - exp(-hazard * exp(lp)) - frame$p)
  emit("ici", case = case$case, ici = number(mean(apart)), e50 = number(median(apart)),
       e90 = number(quantile(apart, 0.9, names = FALSE)))
  # D-calibration, row by row
  bins <- numeric(10)
  s <- predicted_survival_of(case, frame$duration, frame)
  for (i in seq_along(s)) {
    if (frame$churned[i] == 1) {
      b <- min(floor(s[i] * 10), 9) + 1
      bins[b] <- bins[b] + 1
    } else for (b in 1:10) {
      bins[b] <- bins[b] + max(min(s[i], b / 10) - (b - 1) / 10, 0) / s[i]
    }
  }
  emit("d_calibration", case = case$case, bin = 1:10, n = number(bins))
}

run_case <- function(case) {
  frame <- case_data(case)
  run_concordance(case, frame)
  plain <- case$weights == "" && case$cluster == "" && case$strata == ""
  if (plain && case$entry == "" && case$case %in% c("churn", "continuous")) run_score(case, frame)
  if (case$case == "frequency") run_score(case, frame)
  if (case$case == "churn on a whole day") run_vcov(within(case, horizon <- ""), frame)
  if (case$horizon != "" && case$strata == "") run_formulas(case, frame)
  if (case$horizon != "" && case$strata == "" && case$entry == "") run_calibration(case, frame)
}

folder <- "output_prediction_quality"
dir.create(folder, showWarnings = FALSE)
each_case("prediction_quality.csv", run_case)
for (name in names(rows)) write_output(name, folder)
writeLines(c(R.version.string, paste(c("survival", "riskRegression", "prodlim"), vapply(c("survival", "riskRegression",
  "prodlim"), function(p) as.character(packageVersion(p)), ""))), file.path(folder, "session_info.txt"))
