"""From measurements of clean models and one candidate to a score and a p-value, without torch or NumPy.

`tables`: what is compared. `surprise`: how far a value lies beyond the others'. `conformal`: one score per model.
`few`: a p-value from few models. `calibrate`: all of it for one scan.
"""
