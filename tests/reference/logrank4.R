# R's answers for weighted log-rank tests, trend, max-combo, weights, and the effects beside them.
# Run with:  Rscript tests/reference/logrank4.R
# Needs R with the survival package (Debian: r-base-core r-cran-survival). Reads cases/logrank_family.csv and data/,
# writes output_logrank/. The formulas are written out; the script stops where R's own functions give another answer.

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
setwd(dirname(normalizePath(script)))
library(survival)
source("common.R")
options(warn = 2)

same <- function(a, b, tolerance = 1e-8) {
  if (!isTRUE(all.equal(as.vector(a), as.vector(b), tolerance = tolerance))) {
    stop("R's own function differs: ", paste(number(a), collapse = " "), " and ", paste(number(b), collapse = " "))
  }
}

# Weight of each day of one stratum, from all at risk n and churned d (Klein and Moeschberger 2003, section 7.3).
day_weight <- function(weighting, p, q, n, d) {
  before <- c(1, cumprod(1 - d / n))[seq_along(n)]
  switch(weighting, "log-rank" = rep(1, length(n)), "gehan-wilcoxon" = n, "tarone-ware" = sqrt(n),
         "peto-peto" = cumprod(1 - d / (n + 1)), "fleming-harrington" = before^p * (1 - before)^q)
}

# Weighted observed less expected, hypergeometric covariance and the influence of each row, loop by loop. With `case`
# weights the sums are of weights, and there is no hypergeometric covariance.
counting <- function(f, weighting, p, q, case = rep(1, nrow(f))) {
  k <- nlevels(f$g)
  own <- outer(as.integer(f$g), seq_len(k), "==") + 0
  U <- observed <- expected <- numeric(k)
  V <- matrix(0, k, k)
  influence <- matrix(0, nrow(f), k)
  weights <- numeric(0)
  for (s in levels(f$s)) {
    in_s <- f$s == s
    times <- sort(unique(f$duration[in_s & f$churned == 1 & f$from < f$duration]))
    sets <- lapply(times, function(t) in_s & f$from < t & f$duration >= t)
    ends <- lapply(seq_along(times), function(i) sets[[i]] & f$duration == times[i] & f$churned == 1)
    n <- vapply(sets, function(at_risk) sum(case[at_risk]), 0)
    d <- vapply(ends, function(now) sum(case[now]), 0)
    w <- day_weight(weighting, p, q, n, d)
    weights <- c(weights, w)
    for (i in seq_along(times)) {
      share <- colSums(own[sets[[i]], , drop = FALSE] * case[sets[[i]]]) / n[i]
      now <- colSums(own[ends[[i]], , drop = FALSE] * case[ends[[i]]])
      observed <- observed + now
      expected <- expected + d[i] * share
      U <- U + w[i] * (now - d[i] * share)
      if (n[i] > 1) V <- V + w[i]^2 * d[i] * (n[i] - d[i]) / (n[i] - 1) * (diag(share, k) - tcrossprod(share))
      centred <- sweep(own, 2, share)
      influence[ends[[i]], ] <- influence[ends[[i]], ] + w[i] * centred[ends[[i]], ]
      influence[sets[[i]], ] <- influence[sets[[i]], ] - w[i] * centred[sets[[i]], ] * d[i] / n[i]
    }
  }
  list(U = U, V = V, influence = influence * case, observed = observed, expected = expected, weights = weights)
}

# P(max |Z| > z) of normal deviates with a correlation of rank three at most: a grid over two independent normals, and
# for each of its points the interval of the third.
largest <- function(z, correlation) {
  e <- eigen(correlation, symmetric = TRUE)
  L <- e$vectors[, 1:3] %*% diag(sqrt(pmax(e$values[1:3], 0)))
  x <- seq(-9, 9, length.out = 3601)
  inside <- 0
  for (x1 in x) {
    low <- rep(-Inf, length(x))
    high <- rep(Inf, length(x))
    for (a in seq_len(nrow(L))) {
      so_far <- L[a, 1] * x1 + L[a, 2] * x
      limits <- cbind(-z - so_far, z - so_far) / L[a, 3]
      low <- pmax(low, pmin(limits[, 1], limits[, 2]))
      high <- pmin(high, pmax(limits[, 1], limits[, 2]))
    }
    inside <- inside + dnorm(x1) * sum(dnorm(x) * pmax(pnorm(high) - pnorm(low), 0))
  }
  1 - inside * (x[2] - x[1])^2
}

COMBINED <- list(c(0, 0), c(1, 0), c(0, 1), c(1, 1))

robust_of <- function(found, cluster) crossprod(rowsum(found$influence, cluster))

max_combo <- function(f, scores, cluster) {
  found <- lapply(COMBINED, function(pq) counting(f, "fleming-harrington", pq[1], pq[2]))
  U <- vapply(found, function(one) sum(one$U * scores), 0)
  V <- matrix(0, 4, 4)
  for (a in 1:4) for (b in 1:4) {
    if (cluster[1] == "none") {
      # the covariance is that of a test whose squared weights are the products: V is linear in them
      V[a, b] <- cross(f, COMBINED[[a]], COMBINED[[b]], scores)
    } else {
      V[a, b] <- sum(rowsum(found[[a]]$influence %*% scores, cluster) * rowsum(found[[b]]$influence %*% scores, cluster))
    }
  }
  z <- U / sqrt(diag(V))
  list(z = z, statistic = max(abs(z)), p_value = largest(max(abs(z)), cov2cor(V)))
}

# Sum over days of w_a w_b times the hypergeometric variance of the scores, by polarisation.
cross <- function(f, a, b, scores) {
  k <- nlevels(f$g)
  total <- 0
  for (s in levels(f$s)) {
    in_s <- f$s == s
    times <- sort(unique(f$duration[in_s & f$churned == 1 & f$from < f$duration]))
    n <- vapply(times, function(t) sum(in_s & f$from < t & f$duration >= t), 0)
    d <- vapply(times, function(t) sum(in_s & f$from < t & f$duration == t & f$churned == 1), 0)
    w <- day_weight("fleming-harrington", a[1], a[2], n, d) * day_weight("fleming-harrington", b[1], b[2], n, d)
    for (i in seq_along(times)) if (n[i] > 1) {
      at_risk <- in_s & f$from < times[i] & f$duration >= times[i]
      x <- scores[as.integer(f$g[at_risk])]
      total <- total + w[i] * d[i] * (n[i] - d[i]) / (n[i] - 1) * mean((x - mean(x))^2)
    }
  }
  total
}

# R's own functions, where there is one for the case: survdiff (no entry, no clusters), the score test of the exact
# conditional likelihood (one stratum a risk set) for trend, the robust score test of Breslow's likelihood.
check <- function(case, f, statistic, scores, cluster, weights) {
  plain <- case$weighting == "log-rank"
  if (case$cluster == "" && case$entry == "" && case$weights_kind != "sampling" && case$trend == "") {
    if (plain || (case$weighting == "fleming-harrington" && case$q == "0")) {
      rho <- if (plain) 0 else as.numeric(case$p)
      formula <- if (case$strata == "") Surv(duration, churned) ~ g else Surv(duration, churned) ~ g + strata(s)
      same(statistic, survdiff(formula, data = f, rho = rho)$chisq)
      return(paste0("survdiff(rho = ", rho, ")"))
    }
  }
  if (plain && case$trend != "" && case$cluster == "") {
    sets <- do.call(rbind, lapply(split(seq_len(nrow(f)), f$s), function(rows) {
      part <- f[rows, ]
      do.call(rbind, lapply(unique(part$duration[part$churned == 1 & part$from < part$duration]), function(t) {
        at_risk <- part[part$from < t & part$duration >= t, ]
        data.frame(x = scores[as.integer(at_risk$g)], case = at_risk$duration == t & at_risk$churned == 1,
                   set = paste(at_risk$s, t))
      }))
    }))
    exact <- suppressWarnings(coxph(Surv(rep(1, nrow(sets)), case) ~ x + strata(set), data = sets, ties = "exact",
                                    control = coxph.control(iter.max = 0)))
    same(statistic, exact$score, 1e-7)
    return("coxph(ties = \"exact\") of the scores, one stratum a risk set")
  }
  if (plain && cluster[1] != "none") {
    f$x <- f$g
    if (case$trend != "") f$x <- scores[as.integer(f$g)]
    f$id <- cluster
    f$case <- weights
    formula <- as.formula(paste("Surv(from, duration, churned) ~ x", if (case$strata != "") "+ strata(s)"))
    fit <- coxph(formula, data = f, ties = "breslow", cluster = id, weights = case, control = coxph.control(iter.max = 0))
    same(statistic, fit$rscore, 1e-7)
    return("coxph(ties = \"breslow\", cluster = )$rscore")
  }
  "formula"
}

run <- function(case) {
  f <- case_data(case)
  f$g <- joined(f, columns(case$by))
  f$s <- joined(f, columns(case$strata))
  f$from <- if (case$entry == "") -1 else f[[case$entry]]
  weights <- rep(1, nrow(f))
  if (case$weights_kind == "sampling") weights <- f[[case$weights]]
  if (case$weights_kind == "frequency") f <- f[rep(seq_len(nrow(f)), f[[case$weights]]), ]
  if (case$weights_kind == "frequency") weights <- rep(1, nrow(f))
  cluster <- "none"
  if (case$weights_kind == "sampling") cluster <- seq_len(nrow(f))
  if (case$cluster != "") cluster <- as.character(f[[case$cluster]])
  scores <- if (case$trend == "") NULL else as.numeric(columns(case$trend))
  effects(case, f, cluster, weights)
  if (case$weighting == "max-combo") {
    found <- max_combo(f, if (is.null(scores)) c(0, 1) else scores, cluster)
    emit("test", case = case$case, statistic = number(found$statistic), df = 4, p_value = number(found$p_value),
         reference = "formula")
    emit("deviates", case = case$case, p = c(0, 1, 0, 1), q = c(0, 0, 1, 1), z = number(found$z))
    return(invisible())
  }
  powers <- as.numeric(c(case$p, case$q))
  found <- counting(f, case$weighting, powers[1], powers[2], weights)
  V <- if (cluster[1] == "none") found$V else robust_of(found, cluster)
  if (is.null(scores)) {
    df <- nlevels(f$g) - 1
    statistic <- as.vector(found$U[-1] %*% solve(V[-1, -1], found$U[-1]))
  } else {
    df <- 1
    statistic <- sum(found$U * scores)^2 / as.vector(scores %*% V %*% scores)
  }
  reference <- check(case, f, statistic, scores, cluster, weights)
  emit("test", case = case$case, statistic = number(statistic), df = df,
       p_value = number(pchisq(statistic, df, lower.tail = FALSE)), reference = reference)
  emit("groups", case = case$case, group = levels(f$g), observed = number(found$observed),
       expected = number(found$expected))
  emit("weights", case = case$case, set = seq_along(found$weights), weight = number(found$weights))
}

# Hazard ratios by coxph (Efron), differences of restricted means by survfit, at the last day common to all groups.
effects <- function(case, f, cluster, weights) {
  f$case <- weights
  arguments <- list(as.formula(paste("Surv(from, duration, churned) ~ g", if (case$strata != "") "+ strata(s)")),
                    data = f, weights = quote(case), control = coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 60))
  if (cluster[1] != "none") {
    f$id <- cluster
    arguments$data <- f
    arguments$cluster <- quote(id)
  }
  fit <- tryCatch(suppressWarnings(do.call(coxph, arguments)), error = function(e) NULL)
  k <- nlevels(f$g)
  finite <- !is.null(fit) && all(is.finite(coef(fit))) && all(abs(coef(fit)) < 12)
  b <- if (finite) coef(fit) else rep(NA, k - 1)
  error <- if (finite) sqrt(diag(fit$var)) else rep(NA, k - 1)
  at_risk <- f[f$from < f$duration, ]
  horizon <- min(tapply(at_risk$duration, at_risk$g, max))
  from <- if (case$entry == "") "duration, churned" else "from, duration, churned"
  means <- vapply(levels(f$g), function(g) {
    curve <- survfit(as.formula(paste0("Surv(", from, ") ~ 1")), data = at_risk[at_risk$g == g, ], weights = case)
    unname(summary(curve, rmean = horizon)$table[c("rmean", "se(rmean)")])
  }, numeric(2))
  # R's error of the mean is Greenwood's: no clusters, no drawing
  se <- if (cluster[1] == "none") sqrt(means[2, -1]^2 + means[2, 1]^2) else NA
  emit("effects", case = case$case, group = levels(f$g)[-1], estimate = number(b), std_error = number(error),
       rmst_difference = number(means[1, -1] - means[1, 1]), rmst_std_error = number(se), horizon = number(horizon))
}

dir.create("output_logrank", showWarnings = FALSE)
each_case("logrank_family.csv", run)
for (name in names(rows)) write_output(name, "output_logrank")
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), "output_logrank/session_info.txt")
