"""What transfers cost, as ratios to what a user would do otherwise, measured in one run.

Absolute times say more of the machine than of us. Each bar compares runs that were made in turns,
on the same test bed, of the same files.
"""
