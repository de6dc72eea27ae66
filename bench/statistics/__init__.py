"""The campaign that measures the gates' statistics: false alarms, power, coverage."""
