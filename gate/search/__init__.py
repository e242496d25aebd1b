"""What all detectors by trigger inversion share: their options, their metrics, and the search over classes and pairs.

Between the numerics and the detectors. A detector of this kind chooses a family of triggers and its settings and hands
both over; nothing here knows a limit.
"""
