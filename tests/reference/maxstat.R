# R's answers for cuts: maximally selected rank statistics by maxstat, and the log-rank test at every cut by survdiff.
# Run with:  Rscript tests/reference/maxstat.R
# Needs R with survival and maxstat (Debian: r-base-core r-cran-survival r-cran-maxstat). Makes its data from a fixed
# seed; writes output_maxstat/.

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
setwd(dirname(normalizePath(script)))
library(survival)
library(maxstat)
source("common.R")
options(warn = 2)
set.seed(20261123)

# Times without ties, days with heavy ties (nobody before day 30, a spike on it); a variable without ties, a count, and
# one that matters.
sets <- function(n) {
  x <- round(rnorm(n), 3)
  while (anyDuplicated(x)) x <- round(rnorm(n), 3)
  visits <- rpois(n, 2)
  balance <- round(rlnorm(n, 5, 1), 2)
  time <- rexp(n) * ifelse(balance > 100, 80, 40)
  end <- runif(n, 20, 150)
  day <- 30 + ceiling(pmax(time - 10, 0))
  last <- ceiling(end) + 20
  data.frame(x, visits, balance, duration = pmin(time, end), churned = as.integer(time <= end),
             day = pmin(day, last), churned_day = as.integer(day <= last))
}

found <- list()
for (n in c(40, 200)) {
  frame <- sets(n)
  stopifnot(!anyDuplicated(frame$duration))
  frame$set <- n
  found[[length(found) + 1]] <- frame
  for (variable in c("x", "visits", "balance")) {
    frame$cut <- frame[[variable]]
    case <- paste(variable, n)
    for (ties in c("none", "days")) {
      frame$time <- if (ties == "none") frame$duration else frame$day
      frame$status <- if (ties == "none") frame$churned else frame$churned_day
      fit <- maxstat.test(Surv(time, status) ~ cut, data = frame, smethod = "LogRank", pmethod = "none",
                          minprop = 0.1, maxprop = 0.9)
      few <- length(fit$cuts) <= 40  # the normal integral has as many dimensions
      p <- c(Lau92 = pLausen92(fit$statistic), Lau94 = maxstat.test(
        Surv(time, status) ~ cut, data = frame, smethod = "LogRank", pmethod = "Lau94", minprop = 0.1,
        maxprop = 0.9)$p.value,
        exactGauss = if (few) pexactgauss(fit$statistic, sort(frame$cut), 0.1, 0.9, maxpts = 1e6,
                                     abseps = if (length(fit$cuts) < 12) 1e-6 else 1e-3)
        else NA)
      emit("maxstat", case = case, ties = ties, cut = number(fit$estimate), statistic = number(fit$statistic),
           lausen92 = number(p[1]), lausen94 = number(p[2]), gauss = number(p[3]))
      emit("cuts", case = case, ties = ties, cut = number(fit$cuts), statistic = number(fit$stats),
           survdiff = number(vapply(fit$cuts, function(at) {
             survdiff(Surv(time, status) ~ cut > at, data = frame)$chisq
           }, 0)))
    }
  }
}

dir.create("output_maxstat", showWarnings = FALSE)
write.csv(do.call(rbind, found), "output_maxstat/data.csv", row.names = FALSE, quote = TRUE, na = "")
for (name in names(rows)) write_output(name, "output_maxstat")
writeLines(capture.output(print(sessionInfo(), locale = FALSE)), "output_maxstat/session_info.txt")
