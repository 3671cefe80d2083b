"""Reports of runs, and comparison of runs."""

from geochat_eval.reports.comparison import Comparison, compare
from geochat_eval.reports.report_data import RunReport, report
from geochat_eval.reports.writing import card, write_report

__all__ = ["Comparison", "RunReport", "card", "compare", "report", "write_report"]
