# The data sets of the reference tests, made from fixed seeds. Sourced by reference.R; writes data/*.csv.
RNGkind("Mersenne-Twister", "Inversion", "Rejection")

write_data <- function(frame, name) {
  numeric_columns <- vapply(frame, is.double, logical(1))
  frame[numeric_columns] <- lapply(frame[numeric_columns], formatC, digits = 15, format = "g", width = 1)
  write.csv(frame, file.path("data", name), row.names = FALSE, quote = FALSE)
}

# Churn-like: whole days with heavy ties, nobody churns before day 30, 1 to 3 spells a user with a shared frailty,
# late entry on about a third of the rows, four channels, three cohorts with their own baselines.
make_churn <- function() {
  set.seed(20261101)
  n_users <- 200
  n_spells <- sample(1:3, n_users, replace = TRUE, prob = c(0.25, 0.4, 0.35))
  user <- rep(seq_len(n_users), n_spells)
  n <- length(user)
  channel_of <- sample(c("distribution", "invitation", "organic", "supermarket"), n_users, TRUE, c(0.3, 0.3, 0.25, 0.15))
  cohort_of <- sample(c("2024-01", "2024-02", "2024-03"), n_users, TRUE)
  amount_of <- round(exp(rnorm(n_users, 6, 1.5)), 2)
  frailty_of <- rgamma(n_users, 2, 2)
  investments <- rpois(n, 2)
  effect <- c(distribution = 0.5, invitation = 0.2, organic = 0, supermarket = 1.0)[channel_of[user]]
  base <- c("2024-01" = 1, "2024-02" = 1.6, "2024-03" = 0.7)[cohort_of[user]]
  rate <- frailty_of[user] * base * exp(effect - 0.15 * (log1p(amount_of[user]) - 6) - 0.1 * investments) / 45
  life <- 30 + floor(rexp(n, rate))
  follow <- sample(20:150, n, TRUE)
  duration <- pmin(life, follow)
  churned <- as.integer(life <= follow)
  late <- runif(n) < 0.35
  entry <- ifelse(late, floor(runif(n) * pmin(duration, 60)), 0)
  data.frame(
    user_id = sprintf("u%03d", user), spell = sequence(n_spells), entry = entry, duration = duration,
    churned = churned, channel = channel_of[user], cohort = cohort_of[user], amount = amount_of[user],
    n_investments = investments
  )
}

# Two rows in five of the churn-like data, with a frequency, a sampling weight and an offset each.
make_weighted <- function() {
  frame <- make_churn()
  set.seed(20261103)
  frame <- frame[sort(sample(nrow(frame), 160)), ]
  n <- nrow(frame)
  frame$users <- sample(1:6, n, TRUE, c(0.4, 0.25, 0.15, 0.1, 0.05, 0.05))
  frame$drawn <- round(exp(rnorm(n, 0.3, 0.6)), 3)
  frame$tiny <- frame$drawn * 1e-6
  frame$known <- round(rnorm(n, 1.5, 0.5), 3)
  frame
}

# No ties at all: continuous times, so that Efron, Breslow and the exact likelihood agree.
make_continuous <- function() {
  set.seed(20261102)
  n <- 120
  x <- round(rnorm(n), 3)
  z <- sample(c("a", "b"), n, TRUE)
  life <- rexp(n, 0.02 * exp(0.7 * x + 0.4 * (z == "b")))
  follow <- runif(n, 10, 120)
  entry <- runif(n, 0, 0.5) * pmin(life, follow)
  data.frame(
    entry = round(entry, 6), duration = round(pmin(life, follow), 6) + seq_len(n) * 1e-5,
    churned = as.integer(life <= follow), z = z, x = x, far = 1e6 + x
  )
}

# Small hard sets, each named for what it tests.
small_set <- function(set, duration, churned, group = "a", stratum = "s", cluster = NULL, entry = 0, x = NULL) {
  n <- length(duration)
  if (is.null(cluster)) cluster <- seq_len(n)
  if (is.null(x)) x <- seq_len(n) %% 3
  data.frame(set = set, group = group, stratum = stratum, cluster = cluster, entry = as.numeric(entry),
             duration = as.numeric(duration), churned = as.integer(churned), x = as.numeric(x))
}

make_small <- function() {
  rbind(
    # Everybody who is left churns on the last day: S reaches 0.
    small_set("tied_last", c(5, 5, 9, 12, 12, 12, 3, 5, 7, 12, 12), c(1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1),
              group = rep(c("a", "b"), c(6, 5)), x = c(1, 2, 0, 3, 1, 0, 2, 1, 3, 0, 2)),
    # Strata with one event, with none, and with one group only.
    small_set("thin_strata", c(4, 6, 8, 3, 5, 9, 2, 2, 7, 10, 4, 4, 6, 8), c(1, 0, 0, 0, 0, 0, 1, 1, 0, 1, 1, 1, 0, 1),
              group = c("a", "b", "a", "a", "b", "b", "a", "a", "a", "a", "a", "b", "b", "a"),
              stratum = c(rep("one event", 3), rep("no event", 3), rep("one group", 4), rep("both", 4)),
              x = c(1, 0, 2, 1, 1, 0, 0, 1, 2, 1, 0.5, 1.5, 0, 1)),
    # Late entry: the risk set empties by censoring on day 6 and refills on day 9, so S stands still and goes on.
    small_set("refill_after_censoring", c(3, 5, 6, 6, 12, 14, 14, 20), c(1, 1, 0, 0, 1, 1, 0, 1),
              group = c("a", "b", "a", "b", "a", "b", "a", "b"), entry = c(0, 0, 1, 2, 9, 9, 10, 11)),
    # The same, but the risk set empties by churn: S is 0 from day 6 on, whoever enters later.
    small_set("refill_after_churn", c(3, 6, 6, 12, 14, 14), c(1, 1, 1, 1, 0, 1),
              group = c("a", "b", "a", "a", "b", "b"), entry = c(0, 0, 0, 9, 9, 10)),
    # Entry on a day of churn: at risk on day t means entry < t, so these are not at risk on that day.
    small_set("enters_on_event_day", c(4, 4, 9, 12, 7, 9, 9, 11, 12), c(1, 1, 0, 1, 1, 1, 0, 1, 0),
              group = c("a", "b", "a", "b", "a", "b", "a", "b", "a"), entry = c(0, 0, 0, 0, 4, 4, 7, 7, 9),
              x = c(1, 0, 3, 1, 2, 1, 0, 2, 1)),
    # Churn and censoring on day 0, without entry.
    small_set("day_zero", c(0, 0, 0, 3, 3, 5, 8, 0, 1, 1, 6), c(1, 0, 1, 1, 0, 1, 0, 1, 1, 0, 1),
              group = rep(c("a", "b"), c(7, 4)), x = c(1, 0, 2, 1, 0, 2, 1, 0, 1, 2, 0)),
    # Nobody churns: S = 1 throughout.
    small_set("no_event", c(2, 4, 4, 7), c(0, 0, 0, 0)),
    # One row that churns; one row that is censored.
    small_set("one_churn", 5, 1),
    small_set("one_censored", 5, 0),
    # S is exactly 1/2 from day 4 to day 6 (R's median is 5, the midpoint); also 1/4 exactly from day 8 on.
    small_set("flat_half", c(2, 4, 6, 8), c(1, 1, 1, 0)),
    # Ten churns, one a day: S crosses .9, .75, .5 and .25 at products that floating point cannot hold exactly.
    small_set("ten_steps", 1:10, rep(1, 10)),
    # Censoring between the churns.
    small_set("censored_between", c(1, 2, 3, 4, 5, 6, 7, 7, 8, 9, 10, 11), c(1, 1, 1, 0, 0, 1, 1, 0, 1, 1, 0, 1)),
    # One day takes most of its risk set; Efron's inner sums are far from Breslow's.
    small_set("spike", c(30, 30, 30, 30, 30, 30, 30, 31, 35, 35, 40, 41), c(1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 0, 1),
              group = rep(c("a", "b", "b"), 4), x = c(1.5, 0.2, -0.7, 0.4, 1.1, -1.3, 0.6, -0.2, 0.9, -1.1, 0.3, -0.5)),
    # Fractional days, tied where they are the same number.
    small_set("fractional", c(0.3, 0.3, 0.7, 1.25, 1.25, 2.5), c(1, 1, 1, 1, 0, 1), group = rep(c("a", "b"), 3)),
    # Spells of one user on both sides of the comparison, several a cluster.
    small_set("clustered", c(5, 8, 8, 12, 3, 9, 9, 15, 4, 8, 11, 13), c(1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 0, 1),
              group = rep(c("a", "b"), 6), cluster = rep(1:5, c(3, 2, 4, 1, 2)),
              x = c(1, 0, 2, 1, 0, 1, 2, 0, 1, 2, 1, 0), entry = c(0, 2, 0, 3, 0, 4, 0, 0, 1, 0, 5, 0)),
    # A day of churn where only one group is at risk adds nothing to the comparison.
    small_set("one_group_at_risk", c(1, 2, 3, 8, 9, 10), c(1, 1, 1, 1, 0, 1), group = c("a", "a", "b", "b", "b", "b")),
    # The last one left churns alone in its stratum: variance zero there (n = 1 at risk).
    small_set("last_alone", c(2, 3, 3, 6, 7, 9), c(1, 1, 0, 1, 0, 1), group = c("a", "b", "a", "b", "a", "b")),
    # Everything hard at once: in "gap" the risk set empties on day 6 and refills on day 9; in "one" a single row churns,
    # and rows enter on that day; in "last" everybody left churns on the last day, two of them late. Clusters cross strata.
    small_set("hard", c(3, 5, 6, 6, 12, 14, 14, 20, 4, 7, 7, 9, 11, 5, 8, 8, 15, 15, 15, 15),
              c(1, 1, 0, 0, 1, 1, 0, 1, 0, 1, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1),
              group = rep(c("a", "b"), 10), stratum = rep(c("gap", "one", "last"), c(8, 5, 7)),
              cluster = c(1, 2, 3, 4, 5, 6, 7, 1, 2, 8, 3, 7, 9, 4, 5, 8, 9, 10, 11, 6),
              x = c(1, 0, 2, 1, 0, 3, 1, 2, 1, 2, 0, 1, 3, 1, 0, 2, 1, 3, 0, 2),
              entry = c(0, 0, 1, 2, 9, 9, 10, 11, 0, 2, 0, 7, 7, 0, 0, 5, 3, 0, 8, 8))
  )
}

dir.create("data", showWarnings = FALSE)
write_data(make_churn(), "churn.csv")
write_data(make_weighted(), "weighted.csv")
write_data(make_continuous(), "continuous.csv")
write_data(make_small(), "small.csv")
# The small sets again, with weights and an offset that need no random numbers.
small <- make_small()
position <- seq_len(nrow(small))
small$users <- 1 + position %% 4
small$drawn <- 0.25 + (position * 7) %% 11 / 4
small$known <- (position * 5) %% 7 / 4 - 1
write_data(small, "small_weighted.csv")
