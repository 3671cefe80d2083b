"""Reports of runs, and runs compared."""

from geochat_eval.reporting.comparing import Comparison, compare
from geochat_eval.reporting.gathering import RunReport, report
from geochat_eval.reporting.writing import card, write_report

__all__ = ["Comparison", "RunReport", "card", "compare", "report", "write_report"]
