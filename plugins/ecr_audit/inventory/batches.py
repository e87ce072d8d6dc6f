"""Cuts accounts into batches, each a task: those that a scan reads, whose image tags are read, or that are changed."""

from __future__ import annotations

# A batch is a task of the scheduler: beyond this many, each takes more accounts instead. Far below core.max_map_length
# (1,024), and enough to keep many workers busy.
MOST_BATCHES = 64


def assign_batches(
    accounts: list[str], expected_calls: dict[str, int], batch_accounts: int, regions: int
) -> dict[str, int]:
    """The batch of each account: runs of accounts in the order of their ids, of about the same expected work.

    In that order, so that the batches' sorted parts, one after the other, are a sorted table.
    """
    if not accounts:
        return {}
    batches = min(MOST_BATCHES, -(-len(accounts) // batch_accounts))
    work = {account: max(expected_calls.get(account, 0), regions) for account in accounts}
    total = sum(work.values())
    batch_of = {}
    done = 0
    for account in accounts:
        # The middle of the account's work decides, so that the first is in batch 0 and the last in the last.
        batch_of[account] = int(batches * (done + work[account] / 2) / total)
        done += work[account]
    return batch_of
