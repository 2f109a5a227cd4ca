# Writes metafor_3.8.csv beside it: escalc of Debian's metafor 3.8-1 for measures and options that the golden files lack.
# Columns: measure, options, argument vectors (";" between studies), yi, vi. Run: Rscript metafor_3.8.R
suppressMessages(library(metafor))
out <- file("metafor_3.8.csv", "w")
writeLines("measure|options|cells|yi|vi", out)
num <- function(x) paste(formatC(x, digits = 17, width = -1, format = "g"), collapse = ";")
go <- function(measure, cells, options = list()) {
  x <- suppressWarnings(do.call(escalc, c(list(measure = measure), cells, options)))
  flat <- function(l) paste(vapply(names(l), function(n) paste0(n, "=", if (is.character(l[[n]])) paste(l[[n]], collapse = ";") else num(as.numeric(l[[n]]))), ""), collapse = "&")
  writeLines(paste(measure, flat(options), flat(cells), num(as.numeric(x$yi)), num(as.numeric(x$vi)), sep = "|"), out)
}
two <- list(m1i = c(46.3, 46, 48.5), sd1i = c(5.2, 12.6, 9.2), n1i = c(4, 6, 12), m2i = c(49.1, 56.9, 46.3), sd2i = c(9.5, 6.5, 5.9), n2i = c(5, 8, 9))
for (v in c("LS", "LS2", "UB", "AV")) go("SMD1", two, list(vtype = v))
for (v in c("ST", "CS")) go("RPB", two, list(vtype = v))
go("RPB", two, list(vtype = c("CS", "ST", "CS")))
d <- list(di = c(.3, -.5, .9), n1i = c(12, 20, 9), n2i = c(10, 31, 11))
go("SMD", d)
t <- list(ti = c(.3, -2.5, 1.9), n1i = c(12, 20, 9), n2i = c(10, 31, 11))
go("SMD", t)
tab <- list(ai = c(10, 3, 0, 5), bi = c(20, 4, 6, 5), ci = c(7, 9, 3, 5), di = c(33, 2, 9, 5))
for (m in c("MPRR", "MPOR", "MPRD", "MPORC", "MPPETO", "PBIT", "OR2DN", "OR2DL")) {
  go(m, tab); go(m, tab, list(add = .5, to = "all")); go(m, tab, list(add = 1, to = "if0all"))
}
go("PHI", tab, list(vtype = "CS")); go("PHI", tab, list(vtype = "ST")); go("PHI", tab, list(vtype = c("CS", "ST", "CS", "ST")))
go("PHI", tab, list(add = .5, to = "only0"))
go("MPORM", list(ai = c(10, 12), bi = c(20, 18), ci = c(7, 9), di = c(23, 21), ri = c(.3, .2)))
go("REH", tab[1:3])
go("RD", list(ai = tab$ai, ci = tab$ci, n1i = tab$ai + tab$bi, n2i = tab$ci + tab$di))
for (v in c("LS", "AV", "AVHO", "HO")) {  # ROM without the correction that version 5 applies: yi differs, vi does not
  go("ROM", two, list(vtype = v))
}
one <- list(xi = c(0, 5, 7), mi = c(10, 0, 4))
for (m in c("PR", "PLN", "PLO", "PAS", "PFT")) { go(m, one); go(m, one, list(add = .25, to = "all")) }
for (m in c("IR", "IRLN", "IRS", "IRFT")) { go(m, list(xi = c(0, 5, 7), ti = c(10, 5, 8.5))) }
for (m in c("IRR", "IRD", "IRSD")) { r <- list(x1i = c(0, 5, 7), x2i = c(0, 3, 9), t1i = c(10, 5, 8.5), t2i = c(12, 4, 9)); go(m, r); go(m, r, list(drop00 = TRUE)); go(m, r, list(add = 1, to = "all")) }
close(out)
