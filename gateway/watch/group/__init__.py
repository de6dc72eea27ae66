"""A consumer group that watches: members, what each holds, and who of them looks."""
