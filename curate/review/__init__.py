"""What people are asked and what they answer: queues, the decision journal, agreement, adjudication.

Read `draw`, then `assignment` and `journal`; `app/` is the review page itself.
"""
