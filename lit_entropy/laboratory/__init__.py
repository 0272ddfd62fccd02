"""Rung 0: the policy for which the theorems are proved, and what each assumption is worth."""
