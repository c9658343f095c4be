"""How right the labels are, from audited decisions: `curate estimate`.

Read frame, draws (what was drawn and judged), calls (what the machine says), run, plan.
"""
