# R's concordance. Run with:  Rscript tests/reference/concordance.R
# Reads cases/concordance.csv and data/ (made by reference.R), writes output/concordance*.csv.

script <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
setwd(dirname(normalizePath(script)))
library(survival)
options(warn = 2)

source("common.R")

# reverse = TRUE: a high score means early churn. influence = 3: dfbeta and pairs by row.
run_concordance <- function(case) {
  frame <- case_data(case)
  frame$s <- joined(frame, columns(case$strata))
  formula <- paste(response(case), "~", case$score, if (case$strata != "") "+ strata(s)")
  arguments <- list(as.formula(formula), data = frame, reverse = TRUE, influence = 3, keepstrata = FALSE)
  if (case$cluster != "") {
    frame$id <- frame[[case$cluster]]
    arguments$data <- frame
    arguments$cluster <- quote(id)
  }
  fit <- do.call(concordance, arguments)
  emit("concordance", case = case$case, estimate = number(fit$concordance), std_error = number(sqrt(fit$var)),
       concordant = number(fit$count[["concordant"]]), discordant = number(fit$count[["discordant"]]),
       tied_score = number(fit$count[["tied.x"]]), tied_time = number(fit$count[["tied.y"]]),
       tied_both = number(fit$count[["tied.xy"]]))
  # with clusters dfbeta is by cluster
  if (case$cluster == "" && (case$data != "churn" || case$entry != "")) {
    emit("concordance_influence", case = case$case, row = seq_len(nrow(frame)) - 1, influence = number(fit$dfbeta))
  }
}

dir.create("output", showWarnings = FALSE)
each_case("concordance.csv", run_concordance)
for (name in names(rows)) write_output(name, "output")
