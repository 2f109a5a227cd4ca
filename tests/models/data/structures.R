# Witness for structured random effects: metafor 3.8-1 (R 4.2.2) on numbers made for this project.
# Rscript structures.R writes structures_metafor.csv; Debian's metafor differs from 5.0-1 in nothing used here.
suppressMessages(library(metafor))
d <- read.csv("structures.csv")
d$neg <- -d$yi * rep(c(1, -1, 1), 20)
d2 <- d[!(d$study <= 10 & d$out == "a") & !(d$study > 10 & d$out == "b"), ]
d4 <- d
d4$out[c(2, 8, 14)] <- "a"
rows <- list()
add <- function(case, m, ci = FALSE) {
  plain <- function(x, n) if (is.null(n)) NULL else setNames(x, paste0(n, ".", seq_along(x)))
  v <- c(ll = c(logLik(m)), parms = attr(logLik(m), "df"), beta = c(m$beta)[1], se = m$se[1],
         if (m$withS) plain(m$sigma2, "sigma2"), if (m$withG) c(plain(m$tau2, "tau2"), plain(m$rho, "rho")),
         if (m$withH) c(plain(m$gamma2, "gamma2"), plain(m$phi, "phi")))
  if (ci) {
    found <- confint(m)
    found <- if (is.null(found$random)) found[sapply(found, is.list)] else list(found)
    for (one in found) {
      r <- one$random[1, ]
      v <- c(v, setNames(c(r[2], r[3]), paste0(rownames(one$random)[1], c(".lb", ".ub"))))
    }
  }
  rows[[case]] <<- data.frame(case = case, field = names(v), value = format(unname(v), digits = 10))
}
strict <- list(optimizer = "nlminb", iter.max = 5000, eval.max = 5000, rel.tol = 1e-10)
mv <- function(formula, struct, data = d, ...)
  rma.mv(yi, vi, random = formula, struct = struct, data = data, control = strict, ...)
for (s in c("AR", "CAR", "HAR")) add(s, mv(~ time | study, s), ci = s != "HAR")
for (s in c("CS", "UN", "HCS", "ID", "DIAG")) add(s, mv(~ out | study, s), ci = s == "UN")
for (s in c("SPEXP", "SPGAU", "SPLIN", "SPRAT", "SPSPH")) add(s, mv(~ time + x | study, s), ci = s == "SPEXP")
add("GEN", mv(~ x | study, "GEN"))
add("negative CS", mv(~ out | study, "CS", transform(d, yi = neg)))
add("never together UN", mv(~ out | study, "UN", d2), ci = TRUE)
add("repeated UN", mv(~ out | study, "UN", d4))
add("repeated CS", mv(~ out | study, "CS", d4))
add("combined", mv(list(~ 1 | lab, ~ out | study), "HCS"))
add("two terms", mv(list(~ out | study, ~ time | lab), c("CS", "HAR"), d[d$lab < 6, ]))
add("held", mv(list(~ 1 | lab, ~ out | study), "UN", tau2 = c(.1, NA, NA), rho = c(NA, .3, NA)))
add("held sigma2", mv(~ 1 | study/id, "CS", sigma2 = c(NA, .05)), ci = TRUE)
write.csv(do.call(rbind, rows), "structures_metafor.csv", row.names = FALSE, quote = FALSE)
