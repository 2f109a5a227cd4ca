"""Copies the bayesmeta cases whose priors we support: python tests/bayes/data/copy_golden.py GOLDEN_DIR."""

import json
import sys
from pathlib import Path

SOURCE = (
    "R 4.2.2, bayesmeta 3.4 (delta = .005, epsilon = 1e-5) on data sets of metadat 1.6-0: "
    "bayesmeta(y, sigma, mu.prior, tau.prior) and bmr(y, sigma, X, tau.prior); a copy of cases of *.bayes.json"
)
PRIORS = {
    "halfnormal0.5": "half-normal(0.5)",
    "halfcauchy0.5": "half-cauchy(0.5)",
    "exponential0.5": "exponential(0.5)",
}
FIELDS = ("tau", "mu", "prediction", "quantile_p", "tau_q", "mu_q", "pred_q", "p_mu_gt0", "marginal_likelihood")


def main(golden: Path) -> None:
    cases = []
    for path in sorted(golden.glob("*.bayes.json")):
        file = json.loads(path.read_text())
        for case in file["cases"]:
            args, results = case["args"], case.get("results")
            if args["tau_prior"] not in PRIORS or results is None:
                continue
            mean, sd = args.get("mu_prior_mean"), args.get("mu_prior_sd")
            fields = (*FIELDS, "shrinkage") if case["id"].endswith("halfnormal0.5.n02") else FIELDS
            data = file["inputs"][case["input"]]
            kept = (
                {name: results[name] for name in fields if name in results}
                if case["family"] == "bayesmeta"
                else results
            )
            cases.append(
                {
                    "id": f"{path.name.split('.')[1]}.{case['id']}",
                    "family": case["family"],
                    "yi": data["data"]["yi"],
                    "sei": data["data"]["sei"],
                    "X": data.get("X"),
                    "priors": {
                        "mu": "flat" if sd is None else f"normal({mean}, {sd})",
                        "tau": PRIORS[args["tau_prior"]],
                    },
                    "rtol": case["rtol"],
                    "results": kept,
                }
            )
    Path(__file__).with_name("bayesmeta.json").write_text(json.dumps({"source": SOURCE, "cases": cases}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
