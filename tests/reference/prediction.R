# R's predictions from Cox fits. Run with:  Rscript tests/reference/prediction.R
# Reads cases/prediction.csv and data/ (made by reference.R), writes output/prediction*.csv.

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
setwd(dirname(normalizePath(script)))
library(survival)
options(warn = 2)

source("common.R")

fit_of <- function(case, frame) {
  formula <- paste(response(case), "~", case$formula)
  if (case$strata != "") formula <- paste(formula, "+ strata(s)")
  if (case$offset != "") formula <- paste0(formula, " + offset(", case$offset, ")")
  # a row that stands for so many users is so many rows
  if (case$weights_kind == "frequency") frame <- frame[rep(seq_len(nrow(frame)), frame[[case$weights]]), ]
  arguments <- list(as.formula(formula), data = frame, ties = case$ties, x = TRUE, model = TRUE,
                    control = coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 60))
  if (case$weights_kind == "sampling") arguments$weights <- as.name(case$weights)
  if (case$cluster != "" || case$weights_kind == "sampling") {
    frame$id <- if (case$cluster != "") frame[[case$cluster]] else seq_len(nrow(frame))
    arguments$data <- frame
    arguments$cluster <- quote(id)
  }
  do.call(coxph, arguments)
}

# A curve of survfit on given days; before its first time it is 1.
on_days <- function(fit, new, days, level, ...) {
  curves <- lapply(c("log-log", "log", "plain"), function(conf) {
    survfit(fit, newdata = new, conf.type = conf, conf.int = level, ...)
  })
  at <- findInterval(days, curves[[1]]$time)
  taken <- function(values, first) c(first, as.vector(values))[at + 1]
  found <- data.frame(survival = number(taken(curves[[1]]$surv, 1)), hazard = number(taken(curves[[1]]$cumhaz, 0)),
                      std_error = number(taken(curves[[1]]$std.err, 0)), stringsAsFactors = FALSE)
  for (i in 1:3) {
    conf <- c("log-log", "log", "plain")[i]
    start <- if (conf == "log-log") NA else 1  # what R reports where nobody has churned yet
    found[[paste("lower", conf)]] <- number(taken(curves[[i]]$lower, start))
    found[[paste("upper", conf)]] <- number(taken(curves[[i]]$upper, start))
  }
  found
}

run_prediction <- function(case) {
  frame <- case_data(case)
  if (case$reference != "") {
    pair <- strsplit(case$reference, "=", fixed = TRUE)[[1]]
    frame[[pair[1]]] <- relevel(frame[[pair[1]]], ref = pair[2])
  }
  frame$s <- joined(frame, columns(case$strata))
  fit <- fit_of(case, frame)
  level <- as.numeric(case$level)
  at_risk <- if (case$entry == "") rep(TRUE, nrow(frame)) else frame[[case$entry]] < frame$duration
  last <- min(tapply(frame$duration[at_risk], frame$s[at_risk], max))
  events <- sort(unique(frame$duration[frame$churned == 1 & at_risk]))
  days <- unique(c(0.5, quantile(events[events <= last], c(0, 0.3, 0.6, 0.9, 1), type = 1), last))
  middle <- days[3]
  chosen <- unique(round(seq(1, nrow(frame), length.out = 5)))
  for (i in chosen) {
    new <- frame[i, ]
    emit("prediction", case = case$case, row = i - 1, time = number(days), on_days(fit, new, days, level))
    # the same curve started after day `middle`: everything given that the user is there at its end
    conditional <- on_days(fit, new, last, level, start.time = middle + 1e-6)
    emit("prediction_alive", case = case$case, row = i - 1, alive_at = number(middle), until = number(last), conditional)
    # predict() takes the mean of the offsets off, whatever the reference
    centred <- if (case$offset == "") 0 else mean(frame[[case$offset]])
    curve <- survfit(fit, newdata = new, se.fit = FALSE)
    before <- curve$time < last
    edges <- c(0, curve$time[before], last)
    emit("prediction_row", case = case$case, row = i - 1, horizon = number(last),
         expected_days = number(sum(diff(edges) * c(1, curve$surv[before]))),
         risk = number(predict(fit, newdata = new, type = "lp", reference = "zero") + centred))
  }
}

each_case("prediction.csv", run_prediction)
for (name in names(rows)) write_output(name, "output")
