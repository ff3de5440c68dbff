# What the reference scripts share: reading cases and data, writing numbers with all their digits.

read_table <- function(path, ...) {
  read.csv(path, stringsAsFactors = FALSE, check.names = FALSE, encoding = "UTF-8", ...)
}
read_cases <- function(name) {
  cases <- read_table(file.path("cases", name), colClasses = "character")
  cases[is.na(cases)] <- ""
  cases
}
# Fifteen digits where they give the number back, else seventeen.
number <- function(x) {
  x <- as.numeric(x)
  short <- formatC(x, digits = 15, format = "g", width = 1)
  text <- ifelse(suppressWarnings(as.numeric(short)) == x, short, formatC(x, digits = 17, format = "g", width = 1))
  ifelse(is.na(x), "", text)
}
# Categories in code-point order, as Python sorts them, whatever the locale.
category <- function(x) factor(x, levels = sort(unique(x), method = "radix"))
columns <- function(text) if (text == "") character(0) else strsplit(text, "|", fixed = TRUE)[[1]]

case_data <- function(case) {
  named <- c(user_id = "character")[case$data %in% c("churn", "weighted")]
  frame <- read_table(file.path("data", paste0(case$data, ".csv")), colClasses = named)
  if (case$set != "") frame <- frame[frame$set == case$set, ]
  for (name in names(frame)) if (is.character(frame[[name]])) frame[[name]] <- category(frame[[name]])
  frame
}
response <- function(case) if (case$entry == "") "Surv(duration, churned)" else "Surv(entry, duration, churned)"
# The groups of `by`, their values joined by " | ".
joined <- function(frame, by) {
  if (length(by) == 0) return(factor(rep("all", nrow(frame))))
  parts <- frame[by]
  codes <- do.call(order, c(lapply(parts, as.integer), method = "radix"))
  labels <- do.call(paste, c(lapply(parts, as.character), sep = " | "))
  factor(labels, levels = unique(labels[codes]))
}

rows <- list()
emit <- function(.table, ...) {  # the dot keeps R from matching a column `t...` to the argument by its first letters
  rows[[.table]] <<- c(rows[[.table]], list(data.frame(..., stringsAsFactors = FALSE, check.names = FALSE)))
}
write_output <- function(name, folder) {
  table <- do.call(rbind, rows[[name]])
  write.csv(table, file.path(folder, paste0(name, ".csv")), row.names = FALSE, quote = TRUE, na = "")
}
each_case <- function(name, run) {
  cases <- read_cases(name)
  for (i in seq_len(nrow(cases))) run(as.list(cases[i, ]))
}
