# Restricted means of two arms and their difference, plain and adjusted for covariates: the example that survRM2 was
# published with (Uno and others 2015, vignette): `pbc`, the 312 who were randomised, years, tau = 10.
# Run with:  Rscript tests/reference/lift.R      Needs R with the survival package. Writes data/pbc.csv, output_lift/.
#
# Means and standard errors are survfit's. The adjusted difference is the regression of Tian, Zhao and Wei (2014): mean of
# min(T, tau) linear in arm and covariates, uncensored users weighted by one over Kaplan-Meier of censoring in their arm.
# It is written out here from the paper, its variance included, and the script stops if the published figures
# don't come out.

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
setwd(dirname(normalizePath(script)))
library(survival)
options(warn = 2)
source("common.R")

frame <- with(pbc[1:312, ], data.frame(duration = time / 365.25, churned = status == 2, arm = 2 - trt, age = age,
                                       bili = bili, albumin = albumin))
tau <- 10

mean_of <- function(part) {
  found <- summary(survfit(Surv(duration, churned) ~ 1, data = part), rmean = tau)$table
  c(found[["rmean"]], found[["se(rmean)"]])
}
arms <- lapply(c(1, 0), function(a) mean_of(frame[frame$arm == a, ]))
difference <- arms[[1]][1] - arms[[2]][1]
error <- sqrt(arms[[1]][2]^2 + arms[[2]][2]^2)

# each arm: weights of the uncensored, and what the estimate of the censoring adds to each user's score
weighted <- function(part) {
  y <- pmin(part$duration, tau)
  seen <- part$churned | part$duration >= tau
  fit <- survfit(Surv(y, !seen) ~ 1)
  list(y = y, seen = seen, w = seen / fit$surv[match(y, fit$time)])
}
parts <- lapply(c(1, 0), function(a) frame[frame$arm == a, ])
made <- lapply(parts, weighted)
x <- as.matrix(cbind(1, do.call(rbind, parts)[, c("arm", "age", "bili", "albumin")]))
y <- unlist(lapply(made, `[[`, "y"))
w <- unlist(lapply(made, `[[`, "w"))
beta <- solve(t(x) %*% (w * x), t(x) %*% (w * y))
arm <- rep(1:2, sapply(parts, nrow))
meat <- 0
for (a in 1:2) {
  own <- arm == a
  one <- made[[a]]
  score <- x[own, ] * w[own] * as.vector(y[own] - x[own, ] %*% beta)
  later <- t(sapply(one$y, function(at) colSums(score[one$y >= at, , drop = FALSE])))
  at_risk <- sapply(one$y, function(at) sum(one$y >= at))
  censored <- !one$seen
  drift <- t(sapply(one$y, function(at) {
    before <- censored & one$y <= at
    colSums(later[before, , drop = FALSE] / at_risk[before]^2)
  }))
  moved <- score + later * censored / at_risk - drift
  meat <- meat + t(moved) %*% moved
}
bread <- solve(t(x) %*% x)
adjusted <- beta[2]
adjusted_error <- sqrt((bread %*% meat %*% bread)[2, 2])

published <- c(7.146, .283, 7.283, .295, -.137, -.939, .665, -.210, -.883, .463)
z <- qnorm(.975)
ours <- c(arms[[1]], arms[[2]], difference, difference + c(-z, z) * error, adjusted, adjusted + c(-z, z) * adjusted_error)
stopifnot(max(abs(round(ours, 3) - published)) < 1e-9)

for (i in 1:2) emit("means", case = "pbc", arm = 2 - i, estimate = number(arms[[i]][1]), std_error = number(arms[[i]][2]))
emit("differences", case = "pbc", adjusted = 0, estimate = number(difference), std_error = number(error))
emit("differences", case = "pbc", adjusted = 1, estimate = number(adjusted), std_error = number(adjusted_error))
dir.create("output_lift", showWarnings = FALSE)
write.csv(data.frame(lapply(frame, number), check.names = FALSE), "data/pbc.csv", row.names = FALSE, quote = FALSE)
write_output("means", "output_lift")
write_output("differences", "output_lift")
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), "output_lift/session_info.txt")
