# One contestant of a benchmark in R: Rscript peers.R CASE FOLDER. The folder holds one file of doubles per column and
# `columns.txt`, their names. Loading is left out of the time. Prints seconds, megabytes over the load, and a number.
suppressPackageStartupMessages(library(survival))
asked <- commandArgs(trailingOnly = TRUE)
folder <- asked[2]
names <- readLines(file.path(folder, "columns.txt"))
read <- function(name) {
  path <- file.path(folder, paste0(name, ".bin"))
  readBin(path, "double", n = file.size(path) / 8)
}
table <- as.data.frame(setNames(lapply(names, read), names))
x <- grep("^x[0-9]+$", names, value = TRUE)
right <- "Surv(duration, churned) ~"
on_x <- paste(right, paste(x, collapse = " + "))
exact <- coxph.control(timefix = FALSE)
job <- switch(asked[1],
  cox_dense = function() coxph(as.formula(on_x), table, control = exact)$coefficients,
  cox_categories = function() {
    table$channel <- factor(table$channel)
    table$cohort <- factor(table$cohort)
    coxph(Surv(duration, churned) ~ channel + cohort, table, control = exact)$coefficients
  },
  cox_strata = function() coxph(as.formula(paste(on_x, "+ strata(cohort)")), table, control = exact)$coefficients,
  cox_cluster = function() coxph(as.formula(on_x), table, cluster = table$team, control = exact)$coefficients,
  cox_start_stop = function() {
    coxph(as.formula(paste("Surv(entry, duration, churned) ~", paste(x, collapse = " + "))), table, control = exact)$coefficients
  },
  fine_gray = function() {
    table$cause <- factor(ifelse(table$churned == 1, table$cause + 1, 0), 0:2)
    table$id <- seq_len(nrow(table))
    on <- as.formula(paste("Surv(duration, cause) ~", paste(c(x, "id"), collapse = " + ")))
    weighted <- finegray(on, table, etype = "1", timefix = FALSE)
    on <- as.formula(paste("Surv(fgstart, fgstop, fgstatus) ~", paste(x, collapse = " + ")))
    coxph(on, weighted, weights = fgwt, cluster = id, control = exact)$coefficients
  },
  ph_test = function() cox.zph(fitted)$table[, 1],
  concordance = function() concordance(Surv(duration, churned) ~ score, table, reverse = TRUE)$concordance
)
if (asked[1] == "ph_test") fitted <- coxph(as.formula(on_x), table, control = exact)
invisible(gc(reset = TRUE))
before <- sum(gc()[, 2])
seconds <- system.time(answer <- job())[["elapsed"]]
peak <- sum(gc()[, 6]) - before
cat(seconds, peak, sum(answer), "\n")
