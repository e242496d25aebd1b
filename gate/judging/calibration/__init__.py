"""From measurements of clean models and one candidate to a score and a p-value; pure, without any array library.

Above the bank and evidence, below the judge: the front runs it, which loads neither torch nor NumPy. `tables` says what
is compared, `surprise` how far a value lies beyond the others', `conformal` how often a clean model scores as high, and
`calibrate` puts them together for one scan.
"""
