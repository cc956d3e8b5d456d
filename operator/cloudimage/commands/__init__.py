"""What users of CloudImages and ImageShares type: ``cloudimage get`` and its like."""
