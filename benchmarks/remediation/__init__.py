"""What each repair method does to the zoo's backdoors: the true trigger before and after, and what it costs."""
