"""Fig. 11 (arXiv 2505.22617) where the base tries the better strategy more often."""

from dataclasses import replace

from lit_entropy.figures.discovery import CELLS, DISCOVERY
from lit_entropy.figures.runs import EASIER_BASE, easier_exploration

EASIER = replace(
    DISCOVERY,
    key="discovery-easier",
    name="Strategy discovery, easier",
    title="Fig. 11 where the true strategy has probability 0.05 in the base, not 0.02",
    cells=tuple(
        replace(
            cell,
            name=cell.name.replace("discovery_", "discovery_easier_", 1),
            overrides={"model.policy.model": EASIER_BASE},
            seeds=6,
        )
        for cell in CELLS
    ),
    select=easier_exploration,
)
