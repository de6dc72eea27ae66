"""What rollouts do, told to people and programs elsewhere: webhooks, signed or as Slack reads them.

`notice` says what can be told, `bodies` how it is written, `signature` who wrote it,
`courier` has the queue of one place, `post` the call of a webhook, `receiver` one webhook of
rollouts, and `notices` all of them. Alerts go by the same couriers.

Rule 1: telling never waits and never fails; what cannot be told is counted.
Rule 2: neither a URL nor a secret of a webhook is in any log line, figure or body.

Knows nothing of gates and steps; `rollout.desk` calls `tell`.
"""
