"""What a validation report says, in words: the text and the page take them from here."""

from balr_hf.explanation.wording import LIMITS as LIMITS_OF_RATIOS
from balr_hf.explanation.wording import PROPOSITIONS as HS_AND_HD

PROPOSITIONS = (
    *HS_AND_HD,
    "The relevant population of Hd is represented here by the different speakers of the trials.",
)
TITLE = "Validation of a speaker comparison system"
DEMONSTRATION = "DEMONSTRATION: these are the small models of the package. They are not for casework."

THE_SYSTEM = "The system"
THE_DATA = "What it was validated on"
THE_FIGURES = "How well it does"
THE_DOMAIN = "Trials outside of what it was calibrated on"
THE_NOTES = "How the figures were found"
THE_PLOTS = "Plots"
PLOTS = {
    "tippett": "Tippett plot: how often the likelihood ratios reach a value. On the wrong side of 1 they mislead.",
    "pav": "PAV plot: likelihood ratios against what these trials support. Calibrated ones lie on the diagonal.",
    "ece": "ECE plot: cost at other prior odds. At odds of 1 (0 on the axis) it is Cllr.",
    "det": "DET plot: misses against false alarms at every threshold, which shows discrimination only.",
}
THE_CONDITIONS = "By conditions"
THE_ZOO = "By speaker"
THE_WORST = "The most misleading trials"

NO_THRESHOLD = "No threshold of adequacy was stated."
STATE_ONE = (
    "How good is good enough is for the laboratory to decide, before it sees the figures: --adequate cllr=0.5,eer=0.1 "
    "states what it accepts, and the report says whether it is met."
)
# How the measures of a side are called in a sentence.
MEASURES = {
    **{"snr": "SNR", "probability": "probability of the attributes", "recordings": "recordings a side"},
    "snr_difference": "SNR difference",
}
METRICS = {
    "cllr": ("Cllr", "cost of the likelihood ratios in bits: 0 is perfect, 1 is what a system that says nothing has"),
    "cllr_min": ("Cllr_min", "what of it is left after the best calibration on these very trials: discrimination"),
    "cllr_cal": ("Cllr_cal", "what of it is lost by calibration: Cllr less Cllr_min"),
    "eer": ("EER", "error rate at the threshold where both kinds of errors are equally frequent"),
    "min_dcf_0.01": ("minDCF(0.01)", "least detection cost at a prior of 0.01, if both errors cost 1: 1 says nothing"),
    "min_dcf_0.05": ("minDCF(0.05)", "the same at a prior of 0.05"),
    "devpav": ("devPAV", "mean distance of the log10 likelihood ratios from calibrated ones: 0 is calibrated"),
}
# How often 95 % intervals contained the true value in the simulations of benchmarks/coverage.py, with 10 to 100
# speakers: the least and the most of the rows of the tables in benchmarks/README.md. Of speakers who are alike in how
# steady their voices are, and of uneven ones.
COVERAGE = {"EER": (92, 98), "Cllr": (92, 98), "Cllr_min": (88, 100), "the rates of misleading trials": (88, 100)}
COVERAGE_OF_UNEVEN = {"EER": (94, 98), "Cllr": (82, 90), "Cllr_min": (95, 98)}
NO_INTERVAL = (
    "Cllr_cal and devPAV have no interval: with few speakers they come out too high in every set of trials, so that "
    "an interval around them would not contain what many speakers give."
)
MISLEADING = (
    "Misleading are same-speaker trials with a likelihood ratio below 1, and different-speaker trials with one above "
    "1. Their rates say nothing of how strongly they mislead, which the Tippett plot and the list of trials show."
)
BOUNDED = (
    "Cllr, Cllr_cal, devPAV and the rates of misleading trials are of the likelihood ratios as the system reports "
    "them, held within the bounds of its calibration. EER and Cllr_min are of their order, so that they do not depend "
    "on calibration: they are of the likelihood ratios without the bounds, which make ties of what the system tells "
    "apart, and so are the DET plot and the curve after PAV of the ECE plot."
)
CONDITIONS = (
    "Each cell has the trials whose one side is of the row's class and whose other side is of the column's, in either "
    "order, so that the cells of a table add up to all trials. Below Cllr it says how many of the same-speaker "
    "and of the different-speaker trials mislead. Of a side with several recordings, the mean counts."
)
ZOO = (
    "Each speaker is placed by the mean log10 likelihood ratio of the own trials (to the right is better) and of the "
    "trials against others (lower is better). The lines mark the lowest and the highest quarter of the speakers. "
    "These quarters exist in every system, however good it is, and about one speaker in 16 lies in each corner by "
    "chance."
)
ANIMALS = {
    "doves": "recognised best, and least alike to others",
    "chameleons": "alike to themselves, and to others",
    "phantoms": "alike neither to themselves nor to others",
    "worms": "recognised worst, and most alike to others (Doddington's goats, and lambs or wolves)",
}
WORST = (
    "Those furthest on the wrong side of a likelihood ratio of 1; those at a bound are in the order of what they "
    "would be without it. Listen to them first: a wrong label of a recording looks like this too."
)
LIMITS = (
    "The figures hold for speakers, recordings and conditions like those of this corpus, and for as many recordings a "
    f"side. {LIMITS_OF_RATIOS}"
)
LOGARITHMS = "LLR are natural logarithms; axes and means of the figures are log10, and say so."
